// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/attention.hpp>

#include <vector>

#include "support/complex_step.hpp"

using namespace graft;
using ops::AttentionShape;
using ops::AttentionSpan;
using test::Complex;

namespace {

/// Inputs of one call, with random queries, keys and values.
template <scalar T>
struct Problem {
  AttentionShape shape;
  std::vector<AttentionSpan> spans;
  Tensor<T> q, k, v, o, lse;

  Problem(AttentionShape s, std::vector<AttentionSpan> some, Index queries, Index keys)
      : shape(s),
        spans(std::move(some)),
        q(test::normal<T>(queries, s.heads * s.head_dim, 1)),
        k(test::normal<T>(keys, s.kv_heads * s.head_dim, 2)),
        v(test::normal<T>(keys, s.kv_heads * s.head_dim, 3)),
        o(queries, s.heads * s.head_dim),
        lse(queries, s.heads) {}

  void run() { ops::attention(shape, spans, q.view(), k.view(), v.view(), o.view(), lse.view()); }
};

/// One output number, by the definition: softmax over the listed keys, whole and without tricks.
double expected_output(const Problem<double>& p, Index query, const std::vector<Index>& keys, Index head, Index c) {
  const Index group = p.shape.heads / p.shape.kv_heads;
  double above = 0;
  double below = 0;
  for (const Index key : keys) {
    double score = 0;
    for (Index e = 0; e < p.shape.head_dim; ++e) {
      score += p.q(query, head * p.shape.head_dim + e) * p.k(key, (head / group) * p.shape.head_dim + e);
    }
    const double weight = std::exp(p.shape.scale * score);
    above += weight * p.v(key, (head / group) * p.shape.head_dim + c);
    below += weight;
  }
  return above / below;
}

void check_query(const Problem<double>& p, Index query, const std::vector<Index>& keys) {
  for (Index head = 0; head < p.shape.heads; ++head) {
    for (Index c = 0; c < p.shape.head_dim; ++c) {
      CAPTURE(query, head, c);
      CHECK(p.o(query, head * p.shape.head_dim + c) ==
            Approx(expected_output(p, query, keys, head, c)).epsilon(1e-12).margin(1e-14));
    }
  }
}

/// Every shape that the gradients are proved on: three ragged sequences, one of a single row.
std::vector<AttentionShape> shapes() {
  return {{1, 1, 1, 1.0, 0, 0}, {2, 2, 3, 0.6, 0, 0}, {4, 2, 3, 0.6, 0, 0},
          {3, 1, 2, 0.7, 0, 0}, {2, 1, 3, 0.6, 2, 0}, {2, 2, 3, 0.6, 2, 1}};
}

}  // namespace

TEST_CASE("a query attends to itself and everything before it in its own sequence") {
  Problem<double> p({4, 2, 3, 0.5}, {{0, 1, 0, 1}, {1, 3, 1, 3}}, 4, 4);
  p.run();
  check_query(p, 0, {0});
  check_query(p, 1, {1});
  check_query(p, 2, {1, 2});
  check_query(p, 3, {1, 2, 3});
}

TEST_CASE("query heads share keys and values in consecutive groups") {
  Problem<double> p({4, 2, 1, 1.0}, {{0, 1, 0, 1}}, 1, 1);
  p.run();  // one key: the output is its value
  CHECK((p.o(0, 0) == p.v(0, 0) && p.o(0, 1) == p.v(0, 0)));
  CHECK((p.o(0, 2) == p.v(0, 1) && p.o(0, 3) == p.v(0, 1)));
}

TEST_CASE("a window hides the keys that lie it or more rows back") {
  Problem<double> p({1, 1, 3, 0.5, 2}, {{0, 4, 0, 4}}, 4, 4);
  p.run();
  check_query(p, 0, {0});
  check_query(p, 1, {0, 1});
  check_query(p, 2, {1, 2});
  check_query(p, 3, {2, 3});
}

TEST_CASE("sinks stay visible to every query, behind the window too") {
  Problem<double> p({1, 1, 3, 0.5, 2, 1}, {{0, 3, 0, 4}}, 3, 4);  // key 0 is inserted, queries are keys 1 to 3
  p.run();
  check_query(p, 0, {0, 1});
  check_query(p, 1, {0, 1, 2});
  check_query(p, 2, {0, 2, 3});
}

TEST_CASE("attention of the last rows against all keys equals the last rows of the whole") {
  const AttentionShape shape{4, 2, 3, 0.5, 3, 0};
  Problem<double> whole(shape, {{0, 5, 0, 5}}, 5, 5);
  whole.run();
  Problem<double> last(shape, {{1, 2, 2, 5}}, 4, 9);  // queries at rows 1 and 2, keys at rows 2 to 6 of a cache
  for (Index j = 0; j < 5; ++j) {
    std::copy_n(whole.k.view().row(j), 6, last.k.view().row(2 + j));
    std::copy_n(whole.v.view().row(j), 6, last.v.view().row(2 + j));
  }
  for (Index i = 0; i < 2; ++i) {
    std::copy_n(whole.q.view().row(3 + i), 12, last.q.view().row(1 + i));
  }
  last.run();
  CHECK(test::identical(last.o.view().middle_rows(1, 2), whole.o.view().middle_rows(3, 2)));
  CHECK(test::identical(last.lse.view().middle_rows(1, 2), whole.lse.view().middle_rows(3, 2)));
  CHECK(last.o(0, 0) == 0);  // a row of no span is left alone
  CHECK(last.o(3, 0) == 0);
}

TEST_CASE("attention keeps the logarithm of each row's sum of exponentials") {
  Problem<double> p({1, 1, 1, 2.0}, {{0, 2, 0, 2}}, 2, 2);
  p.run();
  CHECK(p.lse(0, 0) == Approx(2 * p.q(0, 0) * p.k(0, 0)).epsilon(1e-14));
  CHECK(p.lse(1, 0) ==
        Approx(std::log(std::exp(2 * p.q(1, 0) * p.k(0, 0)) + std::exp(2 * p.q(1, 0) * p.k(1, 0)))).epsilon(1e-14));
}

TEST_CASE("attention of huge scores picks the largest and does not overflow") {
  Problem<float> p({1, 1, 1, 1.0}, {{0, 3, 0, 3}}, 3, 3);
  for (Index i = 0; i < 3; ++i) {
    p.q(i, 0) = 1e4F;
    p.k(i, 0) = i == 1 ? 1e4F : -1e4F;
  }
  p.run();
  CHECK(p.o(2, 0) == p.v(1, 0));
  CHECK(p.lse(2, 0) == 1e8F);
}

TEST_CASE("the gradients of attention equal the complex step for every query, key and value") {
  for (const AttentionShape& shape : shapes()) {
    CAPTURE(shape.heads, shape.kv_heads, shape.head_dim, shape.window, shape.sinks);
    Problem<Complex> p(shape, {{0, 4, 0, 5}, {4, 1, 5, 1}, {5, 3, 6, 3}}, 8, 9);  // the first has a key before its rows
    const auto d_o = test::normal<Complex>(8, p.o.cols(), 4);
    const auto f = [&] {
      p.run();
      return test::inner(d_o.view(), p.o.view());
    };
    auto dq = test::normal<Complex>(8, p.q.cols(), 7);  // overwritten
    auto dk = test::normal<Complex>(9, p.k.cols(), 8);
    auto dv = test::normal<Complex>(9, p.k.cols(), 9);
    p.run();
    ops::attention_vjp(shape, p.spans, p.q.view(), p.k.view(), p.v.view(), p.o.view(), p.lse.view(), d_o.view(),
                       dq.view(), dk.view(), dv.view());
    test::check_gradient(f, p.q.view(), dq.view());
    test::check_gradient(f, p.k.view(), dk.view());
    test::check_gradient(f, p.v.view(), dv.view());
  }
}

TEST_CASE("the gradient of attention leaves rows outside the spans alone") {
  Problem<double> p({1, 1, 2, 1.0}, {{1, 1, 1, 1}}, 3, 3);
  p.run();
  auto dq = test::normal<double>(3, 2, 7);
  auto dk = test::normal<double>(3, 2, 8);
  auto dv = test::normal<double>(3, 2, 9);
  const auto before = dq.clone();
  const auto before_k = dk.clone();
  ops::attention_vjp(p.shape, p.spans, p.q.view(), p.k.view(), p.v.view(), p.o.view(), p.lse.view(), p.o.view(),
                     dq.view(), dk.view(), dv.view());
  for (const Index row : {Index{0}, Index{2}}) {
    CHECK(test::identical(dq.view().middle_rows(row, 1), before.view().middle_rows(row, 1)));
    CHECK(test::identical(dk.view().middle_rows(row, 1), before_k.view().middle_rows(row, 1)));
  }
  CHECK(test::largest(dq.view().middle_rows(1, 1)) <= 8 * test::epsilon<double>);  // one key: no score matters
}

TEST_CASE("attention refuses head counts, widths and spans that disagree") {
  Problem<double> p({4, 2, 3, 1.0}, {{0, 2, 0, 2}}, 2, 2);
  SECTION("heads that the key heads do not divide") {
    p.shape.heads = 3;
  }
  SECTION("no key heads") {
    p.shape.kv_heads = 0;
  }
  SECTION("a head width that q does not have") {
    p.shape.head_dim = 2;
  }
  SECTION("more values than keys") {
    p.v = Tensor<double>(3, 6);
  }
  SECTION("an output of another width") {
    p.o = Tensor<double>(2, 11);
  }
  SECTION("a sum for too few rows") {
    p.lse = Tensor<double>(1, 4);
  }
  SECTION("more queries than keys") {
    p.spans = {{0, 2, 0, 1}};
  }
  SECTION("queries beyond the rows") {
    p.spans = {{1, 2, 0, 2}};
  }
  SECTION("keys beyond the rows") {
    p.spans = {{0, 1, 1, 2}};
  }
  CHECK_THROWS_WITH(p.run(), test::contains("shape.123: attention: "));
}
