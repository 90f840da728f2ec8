// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/activation.hpp>

#include "support/complex_step.hpp"

using namespace graft;
using ops::Activation;
using test::Complex;

TEST_CASE("silu and gelu_tanh equal their formulas written the other way round") {
  for (double x = -6; x <= 6; x += 0.375) {
    CAPTURE(x);
    const double silu = x / 2 * (1 + std::tanh(x / 2));
    const double cubic = 2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    const double gelu = x / (1 + std::exp(-cubic));
    CHECK(ops::activate(Activation::silu, x).value == Approx(silu).epsilon(1e-13).margin(1e-15));
    CHECK(ops::activate(Activation::gelu_tanh, x).value == Approx(gelu).epsilon(1e-13).margin(1e-15));
  }
}

TEST_CASE("gelu_tanh stays within 5e-4 of the exact gelu") {  // Hendrycks and Gimpel's approximation
  for (double x = -5; x <= 5; x += 0.25) {
    const double exact = x / 2 * std::erfc(-x / std::sqrt(2.0));
    CHECK(std::abs(ops::activate(Activation::gelu_tanh, x).value - exact) < 5e-4);
  }
}

TEST_CASE("activations and their slopes stay finite far out") {
  const auto kind = GENERATE(Activation::silu, Activation::gelu_tanh);
  const auto low = ops::activate(kind, -1000.0F);
  const auto high = ops::activate(kind, 1000.0F);
  CHECK(low.value == 0.0F);
  CHECK(low.slope == 0.0F);
  CHECK(high.value == 1000.0F);
  CHECK(high.slope == 1.0F);
}

TEST_CASE("the slope of an activation equals the complex step") {
  const auto kind = GENERATE(Activation::silu, Activation::gelu_tanh);
  for (double x = -4; x <= 4; x += 0.5) {
    const Complex value = ops::activate(kind, Complex(x, test::nudge)).value;
    CHECK(ops::activate(kind, x).slope == Approx(value.imag() / test::nudge).epsilon(1e-13).margin(1e-14));
  }
}

TEST_CASE("relu, tanh and linear are what their names say, and their slopes equal the complex step") {
  for (double x = -2; x <= 2; x += 0.5) {
    CHECK(ops::activate(Activation::relu, x).value == std::max(x, 0.0));
    CHECK(ops::activate(Activation::relu, x).slope == (x > 0 ? 1 : 0));
    CHECK(ops::activate(Activation::linear, x).value == x);
    CHECK(ops::activate(Activation::tanh, x).value == std::tanh(x));
    const Complex turned = ops::activate(Activation::tanh, Complex(x, test::nudge)).value;
    CHECK(ops::activate(Activation::tanh, x).slope == Approx(turned.imag() / test::nudge).epsilon(1e-13));
  }
  CHECK(ops::activation_name(Activation::silu) == "silu");
  CHECK(ops::activation_name(Activation::gelu_tanh) == "gelu_pytorch_tanh");
  CHECK(ops::activation_name(Activation::linear) == "linear");
}

TEST_CASE("the gradient of an activation equals the complex step, in place of x or dy too") {
  const auto kind =
      GENERATE(Activation::silu, Activation::gelu_tanh, Activation::relu, Activation::tanh, Activation::linear);
  auto x = test::normal<Complex>(3, 5, 1);
  const auto dy = test::normal<Complex>(3, 5, 2);
  const auto f = [&] {
    Tensor<Complex> y(3, 5);
    ops::activation(kind, x.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  auto dx = test::normal<Complex>(3, 5, 8);  // overwritten
  ops::activation_vjp(kind, x.view(), dy.view(), dx.view());
  test::check_gradient(f, x.view(), dx.view());
  auto as_dy = dy.clone();
  ops::activation_vjp(kind, x.view(), as_dy.view(), as_dy.view());
  CHECK(test::identical(as_dy.view(), dx.view()));
  auto as_x = x.clone();
  ops::activation_vjp(kind, as_x.view(), dy.view(), as_x.view());
  CHECK(test::identical(as_x.view(), dx.view()));
  auto y = x.clone();
  ops::activation(kind, y.view(), y.view());
  CHECK(test::inner(dy.view(), y.view()) == f());
}

TEST_CASE("the gradients of gated_activation equal the complex step, in place of da too") {
  const auto kind = GENERATE(Activation::silu, Activation::gelu_tanh);
  const Index rows = GENERATE(1, 3);
  auto gate = test::normal<Complex>(rows, 5, 1);
  auto up = test::normal<Complex>(rows, 5, 2);
  const auto da = test::normal<Complex>(rows, 5, 3);
  const auto f = [&] {
    Tensor<Complex> a(rows, 5);
    ops::gated_activation(kind, gate.view(), up.view(), a.view());
    return test::inner(da.view(), a.view());
  };
  auto dgate = test::normal<Complex>(rows, 5, 8);  // overwritten
  auto dup = test::normal<Complex>(rows, 5, 9);
  ops::gated_activation_vjp(kind, gate.view(), up.view(), da.view(), dgate.view(), dup.view());
  test::check_gradient(f, gate.view(), dgate.view());
  test::check_gradient(f, up.view(), dup.view());

  auto as_gate = da.clone();
  auto as_up = da.clone();
  Tensor<Complex> other(rows, 5);
  ops::gated_activation_vjp(kind, gate.view(), up.view(), as_gate.view(), as_gate.view(), other.view());
  CHECK(test::identical(as_gate.view(), dgate.view()));
  CHECK(test::identical(other.view(), dup.view()));
  ops::gated_activation_vjp(kind, gate.view(), up.view(), as_up.view(), other.view(), as_up.view());
  CHECK(test::identical(other.view(), dgate.view()));
  CHECK(test::identical(as_up.view(), dup.view()));
}

TEST_CASE("activation refuses shapes that disagree") {
  const Tensor<float> x(2, 3);
  Tensor<float> small(2, 2);
  const auto kind = Activation::relu;
  CHECK_THROWS_WITH(ops::activation(kind, x.view(), small.view()), test::contains("shape.124: activation: "));
  CHECK_THROWS_WITH(ops::activation_vjp(kind, x.view(), x.view(), small.view()),
                    test::contains("shape.124: activation_vjp: "));
}

TEST_CASE("gated_activation refuses shapes that disagree") {
  const Tensor<float> gate(2, 3);
  const Tensor<float> narrow(2, 2);
  Tensor<float> out(2, 3);
  Tensor<float> small(2, 2);
  const auto kind = Activation::silu;
  CHECK_THROWS_WITH(ops::gated_activation(kind, gate.view(), narrow.view(), out.view()),
                    test::contains("shape.124: gated_activation: "));
  CHECK_THROWS_WITH(ops::gated_activation(kind, gate.view(), gate.view(), small.view()), test::contains("shape.124"));
  CHECK_THROWS_WITH(ops::gated_activation_vjp(kind, gate.view(), gate.view(), narrow.view(), out.view(), out.view()),
                    test::contains("shape.124: gated_activation_vjp: "));
  CHECK_THROWS_WITH(ops::gated_activation_vjp(kind, gate.view(), gate.view(), gate.view(), out.view(), small.view()),
                    test::contains("shape.124"));
}
