// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/initializer.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;

namespace {
/// Root mean square of what a policy fills.
template <initializer I>
double spread(Tensor<double>& a) {
  I::fill(a.view(), Random(3));
  double squares = 0;
  for (Index i = 0; i < a.size(); ++i) {
    squares += a.data()[i] * a.data()[i];
  }
  return std::sqrt(squares / static_cast<double>(a.size()));
}
}  // namespace

TEST_CASE("kaiming uniform lies within 1/sqrt(columns), and fills that range evenly") {
  Tensor<double> a(40, 100);
  CHECK(spread<KaimingUniform>(a) == Approx(0.1 / std::sqrt(3.0)).epsilon(0.03));
  CHECK(test::largest(a.view()) <= 0.1);
  CHECK(test::largest(a.view()) > 0.0999);
}

TEST_CASE("the Gaussian start has standard deviation 1/rows") {
  Tensor<double> a(40, 100);
  CHECK(spread<Gaussian>(a) == Approx(1.0 / 40).epsilon(0.05));
}

TEST_CASE("a start is the same number for number in every scalar") {
  Tensor<float> single(5, 7);
  Tensor<double> twice(5, 7);
  KaimingUniform::fill(single.view(), Random(3));
  KaimingUniform::fill(twice.view(), Random(3));
  CHECK(test::relative_error(single.view(), twice.view()) < test::epsilon<float>);
}
