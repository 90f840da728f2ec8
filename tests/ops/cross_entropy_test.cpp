// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/cross_entropy.hpp>

#include <array>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

TEST_CASE("cross_entropy of equal logits is the logarithm of the vocabulary") {
  auto logits = rows_of<double>({{3, 3, 3, 3, 3}});
  Tensor<double> nll(1, 1);
  const std::array<std::int32_t, 1> labels{4};
  ops::cross_entropy(logits.view(), labels, 0, nll.view());
  CHECK(nll(0, 0) == Approx(std::log(5.0)).epsilon(8 * test::epsilon<double>));
}

TEST_CASE("cross_entropy writes scale times softmax minus one hot over the logits") {
  auto logits = rows_of<double>({{0, std::log(3.0)}, {std::log(7.0), 0}});
  Tensor<double> nll(2, 1);
  const std::array<std::int32_t, 2> labels{0, 0};
  ops::cross_entropy(logits.view(), labels, 2, nll.view());
  const double tolerance = 16 * test::epsilon<double>;
  CHECK(test::relative_error(nll.view(), rows_of<double>({{std::log(4.0)}, {std::log(8.0 / 7)}}).view()) <= tolerance);
  CHECK(test::relative_error(logits.view(), rows_of<double>({{-1.5, 1.5}, {-0.25, 0.25}}).view()) <= tolerance);
}

TEST_CASE("cross_entropy with scale 0 leaves the logits as they are") {
  auto logits = test::normal<float>(2, 7, 1);
  const auto before = logits.clone();
  Tensor<float> nll(2, 1);
  const std::array<std::int32_t, 2> labels{6, 0};
  ops::cross_entropy(logits.view(), labels, 0, nll.view());
  CHECK(test::identical(logits.view(), before.view()));
}

TEST_CASE("cross_entropy of huge logits neither overflows nor blurs the softmax") {
  auto logits = rows_of<float>({{3e38, -3e38, 0}, {1e4, 1e4, -1e4}});
  Tensor<float> nll(2, 1);
  const std::array<std::int32_t, 2> labels{0, 2};
  ops::cross_entropy(logits.view(), labels, 1, nll.view());
  CHECK(nll(0, 0) == 0.0F);
  CHECK(nll(1, 0) == Approx(2e4 + std::log(2.0)).epsilon(test::epsilon<float>));
  CHECK(test::identical(logits.view(), rows_of<float>({{0, 0, 0}, {0.5, 0.5, -1}}).view()));
}

TEST_CASE("the gradient of cross_entropy equals the complex step") {
  const Index rows = GENERATE(1, 3);
  auto logits = test::normal<Complex>(rows, 7, 2);
  const std::array<std::int32_t, 3> all{6, 0, 3};
  const std::span<const std::int32_t> labels(all.data(), static_cast<std::size_t>(rows));
  const double scale = 0.25;
  const auto f = [&] {
    auto kept = logits.clone();
    Tensor<Complex> nll(rows, 1);
    ops::cross_entropy(kept.view(), labels, 0, nll.view());
    Complex sum{};
    for (Index i = 0; i < rows; ++i) {
      sum += scale * nll(i, 0);
    }
    return sum;
  };
  auto gradient = logits.clone();
  Tensor<Complex> nll(rows, 1);
  ops::cross_entropy(gradient.view(), labels, scale, nll.view());
  test::check_gradient(f, logits.view(), gradient.view());
}

TEST_CASE("cross_entropy refuses labels outside the vocabulary and lists of another length") {
  Tensor<float> logits(2, 3);
  Tensor<float> nll(2, 1);
  const auto run = [&](std::vector<std::int32_t> labels) { ops::cross_entropy(logits.view(), labels, 1, nll.view()); };
  CHECK_THROWS_WITH(run({0, 3}), test::contains("shape.126: cross_entropy: "));
  CHECK_THROWS_WITH(run({-100, 0}), test::contains("shape.126"));
  CHECK_THROWS_WITH(run({0}), test::contains("shape.125: cross_entropy: "));
  nll = Tensor<float>(1, 1);
  CHECK_THROWS_WITH(run({0, 0}), test::contains("shape.125"));
}
