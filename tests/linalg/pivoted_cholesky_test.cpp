// SPDX-License-Identifier: Apache-2.0
// Which pivots are found stands in pivoted_qr_test.cpp; here, how little is computed for them.
#include <graft/linalg/pivoted_cholesky.hpp>

#include <cmath>  // exp

#include <graft/backends/reference.hpp>
#include <graft/linalg/items.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

/// Counts the multiplications of its products with whole items, or with parts of them.
struct Counting : backends::Reference {
  Index* products = nullptr;

  template <class A, class T, class C>
  void gemm_nt(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *products += c.size() * a.cols;
    Reference::gemm_nt(alpha, a, b, beta, c);
  }
};

/// How often the k N M multiplications of k rows of the Gram matrix were made.
double work(View<const float> w, Index k, Index pool) {
  Index products = 0;
  Counting be;
  be.products = &products;
  const linalg::RowItems<float> items{w};
  CHECK(std::ssize(linalg::detail::GreedySelection(be, items, pool).select(k, "w").order) == k);
  return static_cast<double>(products) / static_cast<double>(k * w.rows * w.cols);
}

}  // namespace

TEST_CASE("of rows that are all alike, hardly more of the Gram matrix is formed than the pivots' rows", "[linalg]") {
  const Tensor<float> w = test::gaussian<float>(1500, 300, Random(1));
  const double share = work(w.view(), 100, 64);
  CHECK(share > 0.5);
  CHECK(share < 1.3);
}

TEST_CASE("of rows with uneven norms, most are never multiplied", "[linalg]") {
  Tensor<float> w = test::gaussian<float>(1500, 300, Random(1));
  for (Index i = 0; i < w.rows(); ++i) {
    const auto length = static_cast<float>(std::exp(0.5 * Random(2).normal(static_cast<std::uint64_t>(i))));
    for (Index j = 0; j < w.cols(); ++j) {
      w(i, j) *= length;
    }
  }
  CHECK(work(w.view(), 100, 64) < 0.3);
}
