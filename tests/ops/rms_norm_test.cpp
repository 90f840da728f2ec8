// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/rms_norm.hpp>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

TEST_CASE("rms_norm divides by the root of the mean square and multiplies by the gain") {
  const auto gain = rows_of<double>({{1, 2}});
  const auto x = rows_of<double>({{3, 4}, {1, 7}});  // mean squares 12.5 and 25
  Tensor<double> y(2, 2);
  const double root = std::sqrt(12.5);
  const double tolerance = 4 * test::epsilon<double>;
  ops::rms_norm(ops::RmsNorm<double>{gain.view(), 0.0, 0.0}, x.view(), y.view());
  CHECK(test::relative_error(y.view(), rows_of<double>({{3 / root, 8 / root}, {0.2, 2.8}}).view()) <= tolerance);
  SECTION("an offset is added to the gain, as Gemma does") {
    ops::rms_norm(ops::RmsNorm<double>{gain.view(), 0.0, 1.0}, x.view(), y.view());
    CHECK(test::relative_error(y.view(), rows_of<double>({{6 / root, 12 / root}, {0.4, 4.2}}).view()) <= tolerance);
  }
  SECTION("epsilon stands under the root, beside the mean square") {
    ops::rms_norm(ops::RmsNorm<double>{gain.view(), 24.0, 0.0}, x.view(), y.view());
    CHECK(y(1, 0) == Approx(1 / 7.0).epsilon(tolerance));
  }
}

TEST_CASE("rms_norm of a row of zeros is zeros") {
  const auto gain = rows_of<float>({{1, 1, 1}});
  const Tensor<float> x(1, 3);
  auto y = test::normal<float>(1, 3, 1);
  ops::rms_norm(ops::RmsNorm<float>{gain.view()}, x.view(), y.view());
  CHECK(test::largest(y.view()) == 0);
}

TEST_CASE("rms_norm reads a bf16 gain") {
  Tensor<bf16> gain(1, 2);
  gain(0, 0) = bf16(0.5F);
  gain(0, 1) = bf16(-2.0F);
  const auto x = rows_of<float>({{1, -1}});
  Tensor<float> y(1, 2);
  ops::rms_norm(ops::RmsNorm<bf16>{gain.view(), 0.0}, x.view(), y.view());
  CHECK(test::identical(y.view(), rows_of<float>({{0.5, 2}}).view()));
}

TEST_CASE("the gradients of rms_norm equal the complex step for every input, gain, shape and offset") {
  const auto [rows, cols] =
      GENERATE(std::pair<Index, Index>(1, 1), std::pair<Index, Index>(1, 7), std::pair<Index, Index>(4, 5));
  const double offset = GENERATE(0.0, 1.0);
  CAPTURE(rows, cols, offset);
  auto x = test::normal<Complex>(rows, cols, 1);
  auto gain = test::normal<Complex>(1, cols, 2);
  const auto dy = test::normal<Complex>(rows, cols, 3);
  const ops::RmsNorm<Complex> norm{gain.view(), 1e-2, offset};
  const auto f = [&] {
    Tensor<Complex> y(rows, cols);
    ops::rms_norm(norm, x.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  Tensor<Complex> dx(rows, cols);
  Tensor<Complex> dgain(1, cols);
  ops::rms_norm_vjp(norm, x.view(), dy.view(), dx.view());
  ops::rms_norm_gain_vjp(norm.epsilon, x.view(), dy.view(), dgain.view());
  test::check_gradient(f, x.view(), dx.view());
  test::check_gradient(f, gain.view(), dgain.view());
}

TEST_CASE("the gradients of rms_norm are added to what stands there") {
  const auto gain = rows_of<double>({{1, 2, 3}});
  const auto x = test::normal<double>(2, 3, 4);
  const auto dy = test::normal<double>(2, 3, 5);
  Tensor<double> dx(2, 3);
  Tensor<double> dgain(1, 3);
  const ops::RmsNorm<double> norm{gain.view()};
  ops::rms_norm_vjp(norm, x.view(), dy.view(), dx.view());
  ops::rms_norm_gain_vjp(norm.epsilon, x.view(), dy.view(), dgain.view());
  const auto once = dx.clone();
  const auto gain_once = dgain.clone();
  ops::rms_norm_vjp(norm, x.view(), dy.view(), dx.view());
  ops::rms_norm_gain_vjp(norm.epsilon, x.view(), dy.view(), dgain.view());
  for (Index j = 0; j < 3; ++j) {
    CHECK(dx(1, j) == Approx(2 * once(1, j)).epsilon(8 * test::epsilon<double>));
    CHECK(dgain(0, j) == Approx(2 * gain_once(0, j)).epsilon(8 * test::epsilon<double>));
  }
}

TEST_CASE("rms_norm refuses shapes that disagree") {
  const Tensor<float> gain(1, 3);
  const Tensor<float> x(2, 3);
  Tensor<float> narrow(2, 2);
  Tensor<float> shorter(1, 3);
  const ops::RmsNorm<float> norm{gain.view()};
  CHECK_THROWS_WITH(ops::rms_norm(norm, x.view(), narrow.view()), test::contains("shape.121: rms_norm: "));
  CHECK_THROWS_WITH(ops::rms_norm(norm, x.view(), shorter.view()), test::contains("shape.121"));
  CHECK_THROWS_WITH(ops::rms_norm_vjp(norm, x.view(), x.view(), narrow.view()),
                    test::contains("shape.121: rms_norm_vjp: "));
  CHECK_THROWS_WITH(ops::rms_norm_vjp(norm, x.view(), narrow.view(), narrow.view()), test::contains("shape.121"));
  CHECK_THROWS_WITH(ops::rms_norm_gain_vjp(1e-5, x.view(), x.view(), narrow.view()),
                    test::contains("shape.121: rms_norm_gain_vjp: "));
}
