// SPDX-License-Identifier: Apache-2.0
#include <graft/layers/linear.hpp>

#include <string>
#include <vector>

#include <graft/backends/reference.hpp>

#include "support/catch.hpp"
#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;

namespace {

using P = Uniform<Complex>;
using B = backends::Reference;
using Map = layers::Linear<P, B>;

/// Uses all four phases: y = W (x + x E) + G (W (x + x E)) + x A, with fixed matrices E(M,M), G(N,N), A(M,N).
struct EveryPhase {
  View<const Complex> e, g, a;
  mutable std::vector<std::string> log;
  mutable Tensor<Complex> x_seen, y_seen, dy_seen, dx_edited;

  static Tensor<Complex> kept(View<const Complex> x) {
    Tensor<Complex> copy(x.rows, x.cols);
    B{}.copy(x, copy.view());
    return copy;
  }
  bool edits_input() const { return true; }
  bool edits_output() const { return true; }
  void read(const B&, Block, View<const Complex> x) const {
    log.push_back("read");
    x_seen = kept(x);
  }
  void edit_input(const B& be, Block, View<Complex> x) const {
    log.push_back("edit_input");
    be.gemm_nn(1, x_seen.view(), e, 1, x);
  }
  void read_output(const B&, Block, View<const Complex> y) const {
    log.push_back("read_output");
    y_seen = kept(y);
  }
  void add(const B& be, Block, View<Complex> y) const {
    log.push_back("add");
    be.gemm_nn(1, y_seen.view(), g, 1, y);
    be.gemm_nn(1, x_seen.view(), a, 1, y);
  }
  void add_vjp(const B&, Block, View<const Complex> dy) const {
    log.push_back("add_vjp");
    dy_seen = kept(dy);
  }
  void read_output_vjp(const B& be, Block, View<Complex> dy) const {
    log.push_back("read_output_vjp");
    be.gemm_nt(1, dy_seen.view(), g, 1, dy);
  }
  void edit_input_vjp(const B&, Block, View<Complex> dx) const {
    log.push_back("edit_input_vjp");
    dx_edited = kept(dx);
  }
  void read_vjp(const B& be, Block, View<Complex> dx) const {
    log.push_back("read_vjp");
    be.gemm_nt(1, dx_edited.view(), e, 1, dx);
    be.gemm_nt(1, dy_seen.view(), a, 1, dx);
  }
  void block_gradients(const B&, Block, View<const Complex> x, View<const Complex> dy) const {
    log.push_back("block_gradients");
    CHECK(test::identical(x, View<const Complex>(x_seen.view())));
    CHECK(test::identical(dy, View<const Complex>(dy_seen.view())));
  }
};

struct Setting {
  static constexpr Index n = 5, m = 3, t = 4;
  Map map;
  Tensor<Complex> x = test::normal<Complex>(t, m, 1), e = test::normal<Complex>(m, m, 2),
                  g = test::normal<Complex>(n, n, 3), a = test::normal<Complex>(m, n, 4);
  EveryPhase graft{e.view(), g.view(), a.view(), {}, {}, {}, {}, {}};
  Arena arena;
  layers::LinearScratch<P> scratch;
  Block block{0, t, 0, 0};

  Setting() {
    map.weight = DenseWeight<Complex>(test::normal<Complex>(n, m, 5));
    map.bias = test::normal<Complex>(1, n, 6);
    arena.measure();
    scratch = layers::LinearScratch<P>::lay_out(arena, t, n);
    arena.reserve();
    scratch = layers::LinearScratch<P>::lay_out(arena, t, n);
  }
};

}  // namespace

TEST_CASE("a linear map runs its graft's phases in order, each on what no other has changed") {
  Setting s;
  const B be;
  Tensor<Complex> y(s.t, s.n);
  s.map.forward(be, s.block, s.scratch, s.graft, s.x.view(), y.view());
  CHECK(s.graft.log == std::vector<std::string>{"read", "edit_input", "read_output", "add"});
  CHECK(test::identical(s.graft.x_seen.view(), s.x.view()));
  Tensor<Complex> edited = s.x.clone();
  be.gemm_nn(1, s.x.view(), s.e.view(), 1, edited.view());
  Tensor<Complex> y0(s.t, s.n);
  be.gemm_nt(1, edited.view(), s.map.weight, 0, y0.view());
  CHECK(test::relative_error(s.graft.y_seen.view(), y0.view()) < 1e-14);  // before the bias
  Tensor<Complex> expected = y0.clone();
  be.add_bias(s.map.bias.view(), expected.view());
  be.gemm_nn(1, y0.view(), s.g.view(), 1, expected.view());
  be.gemm_nn(1, s.x.view(), s.a.view(), 1, expected.view());
  CHECK(test::relative_error(y.view(), expected.view()) < 1e-14);
}

TEST_CASE("the backward of a linear map mirrors its forward") {
  Setting s;
  const B be;
  const auto weights = test::normal<Complex>(s.t, s.n, 7);
  Tensor<Complex> y(s.t, s.n);
  const auto f = [&] {
    s.map.forward(be, s.block, s.scratch, s.graft, s.x.view(), y.view());
    return test::inner(weights.view(), std::as_const(y).view());
  };
  (void)f();
  s.graft.log.clear();
  for (const double beta : {0.0, 1.0}) {
    Tensor<Complex> dx(s.t, s.m);
    be.fill(2, dx.view());
    s.map.backward(be, s.block, s.scratch, s.graft, s.x.view(), weights.view(), beta, dx.view());
    CHECK(s.graft.log.back() == "block_gradients");
    for (Index i = 0; i < s.t && beta == 1; ++i) {  // it adds to what stands there
      for (Index j = 0; j < s.m; ++j) {
        dx(i, j) -= 2;
      }
    }
    test::check_gradient(f, s.x.view(), dx.view());
  }
  CHECK(s.graft.log.front() == "add_vjp");
  CHECK(s.graft.dy_seen.rows() == s.t);
  CHECK(test::identical(s.graft.dy_seen.view(), weights.view()));
}
