// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/pmss.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::rows_of;

namespace {
using Apart = test::OnLinear<adapters::Pmss<>>;
using InTwoStages = test::OnLinear<adapters::TwoStagePmss<>>;

Tensor<double> example_weight() {  // methods.md D.6
  return rows_of<double>({{4, 1, 0, 2}, {1, 3, 5, 0}, {0, 2, 1, 1}, {2, 0, 1, 6}, {1, 1, 0, 0}});
}
adapters::Pmss<>::Module<double> example_module(const adapters::Pmss<>& recipe) {
  return {
      recipe, backends::Reference{}, DenseWeight<double>(example_weight()), {0, site::down, 5, 4, "down"}, Random(1)};
}
}  // namespace

TEST_CASE("PMSS keeps the adapter contract, with square and rectangular cores, selected apart and in two stages") {
  test::adapter_contract(test::only(Apart{{.rank = 3}}), {.trained = 2 * 7 * 3 * 3});
  test::adapter_contract(test::only(Apart{{.columns = 2, .rows = 4, .alpha = 3}}), {.trained = 2 * 7 * 2 * 4});
  test::adapter_contract(test::only(InTwoStages{{.rank = 2}}), {.trained = 2 * 7 * 2 * 2});
}

TEST_CASE("PMSS edits the input of maps that are taller than wide, else the output") {
  test::Bench<double, backends::Reference, test::EveryMethod> bench(test::small_config(),
                                                                    test::only(Apart{{.rank = 2}}), false);
  Index inputs = 0;
  bench.attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    if constexpr (requires { grafted.module.side(); }) {
      const bool input = grafted.place.outputs > grafted.place.inputs;
      CHECK(grafted.module.edits_input() == input);
      CHECK(grafted.module.edits_output() == !input);
      inputs += input ? 1 : 0;
    }
  });
  CHECK(inputs == 3 * 3);  // q, gate and up of three layers
}

TEST_CASE("the worked example of PMSS has its pivots, its update and its gradient") {
  const backends::Reference be;
  auto module = example_module({.rank = 2, .alpha = 2});
  CHECK(module.skeleton().columns == std::vector<std::int32_t>{3, 2});
  CHECK(module.skeleton().rows == std::vector<std::int32_t>{3, 1});
  CHECK(module.scale() == 1);
  Parameter<double>* u = nullptr;
  module.for_each_parameter([&](const char*, Parameter<double>& p) { u = &p; });
  be.copy(rows_of<double>({{.1, -.2}, {.3, .05}}).view(), u->value);

  const DenseWeight<double> weight(example_weight());
  Arena arena;
  adapters::Pmss<>::Module<double>::Cache cache;
  const auto lay_out = [&] {
    const Extent extent{.rows = 5, .lane_rows = 5, .keep = true};
    module.lay_out_kept(cache, arena, extent);
    module.lay_out_scratch(cache, arena, extent);
  };
  arena.measure();
  lay_out();
  arena.reserve();
  lay_out();
  module.prepare(be, cache, weight);
  const Block one{0, 1, 0, 0};
  const auto x = rows_of<double>({{1, -1, 2, .5}});
  Tensor<double> edited = x.clone();
  Tensor<double> y(1, 5);
  Tensor<double> base(1, 5);
  be.gemm_nt(1, x.view(), weight.view(), 0, base.view());
  module.read(be, cache, one, x.view());
  module.edit_input(be, cache, one, edited.view());
  be.gemm_nt(1, edited.view(), weight.view(), 0, y.view());
  module.read_output(be, cache, one, y.view());
  module.add(be, cache, one, y.view());
  be.add(-1, base.view(), y.view());
  CHECK(test::relative_error(y.view(), rows_of<double>({{-1.8, 12.5, 1.6, -2.9, 0}}).view()) < 1e-14);

  // dL/dW = G arises from the rows dy = e_i, x = G's row i: five tokens
  Tensor<double> g(5, 4);
  Tensor<double> dy(5, 5);
  for (Index i = 0; i < 5; ++i) {
    dy(i, i) = 1;
    for (Index j = 0; j < 4; ++j) {
      g(i, j) = (4.0 * static_cast<double>(i) + static_cast<double>(j)) / 10 - 1;
    }
  }
  const Block all{0, 5, 0, 0};
  Tensor<double> dx(5, 4);
  module.read(be, cache, all, g.view());
  be.gemm_nn(1, dy.view(), weight.view(), 0, dx.view());
  module.edit_input_vjp(be, cache, all, dx.view());
  module.gradients(be, cache, {0, 5}, g.view(), dy.view());
  CHECK(test::relative_error(u->gradient.view(), rows_of<double>({{9, 2.7}, {-13, -17.9}}).view()) < 1e-14);
}

TEST_CASE("an order of pivots other than the selector's gives the same map when U follows it") {
  const Place place{0, site::down, 5, 4, "down"};
  const auto weight = example_weight();
  const auto dense = [&](std::vector<std::int32_t> j, std::vector<std::int32_t> k, const Tensor<double>& u) {
    Tensor<double> w = weight.clone();
    for (Index n = 0; n < 5; ++n) {
      for (Index m = 0; m < 4; ++m) {
        for (std::size_t a = 0; a < 2; ++a) {
          for (std::size_t b = 0; b < 2; ++b) {
            w(n, m) += weight(n, j[a]) * u(static_cast<Index>(a), static_cast<Index>(b)) * weight(k[b], m);
          }
        }
      }
    }
    return w;
  };
  CHECK(test::relative_error(dense({3, 2}, {3, 1}, rows_of<double>({{.1, -.2}, {.3, .05}})).view(),
                             dense({2, 3}, {1, 3}, rows_of<double>({{.05, .3}, {-.2, .1}})).view()) < 1e-15);
}

TEST_CASE("more skeletons than the matrix has are refused, or clamped with the scale of the rank asked for") {
  const Error error = test::error_of([] { (void)example_module({.rank = 5}); });
  CHECK(error.id() == "adapter.610");
  CHECK_THAT(error.what(), contains("= 4; found c = 5, r = 5"));
  CHECK_THAT(error.what(), contains("[down]"));
  auto clamped = example_module({.rank = 5, .alpha = 20, .clamp = true});
  CHECK(parameter_count(clamped) == 4 * 4);
  CHECK(clamped.scale() == 4);
}
