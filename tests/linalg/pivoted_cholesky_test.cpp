// SPDX-License-Identifier: Apache-2.0
// Which pivots are found stands in pivoted_qr_test.cpp; here, how little is computed for them.
#include <graft/linalg/pivoted_cholesky.hpp>

#include <graft/backends/reference.hpp>
#include <graft/linalg/items.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

/// Counts the numbers of Gram matrices that it forms.
struct Counting : backends::Reference {
  Index* numbers = nullptr;

  template <class A, class T, class C>
  void gemm_nn(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *numbers += beta == C{} ? c.size() : 0;
    Reference::gemm_nn(alpha, a, b, beta, c);
  }
};

}  // namespace

TEST_CASE(
    "a selection forms the rows of likely candidates only, and a weight that stays well conditioned is read once each",
    "[linalg]") {
  const Tensor<float> w = test::gaussian<float>(900, 300, Random(1));
  Index numbers = 0;
  Counting be;
  be.numbers = &numbers;
  const linalg::RowItems<float> items{w.view()};
  const linalg::Pivots found = linalg::detail::GreedySelection(be, items).select(100, "w");
  CHECK(found.order.size() == 100);
  const Index rows = numbers / w.rows();  // of the Gram matrix
  CHECK(rows >= 128);
  CHECK(rows <= 300);
}
