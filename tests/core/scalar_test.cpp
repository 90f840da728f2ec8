// SPDX-License-Identifier: Apache-2.0
#include <graft/core/scalar.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;

TEST_CASE("scalars are floating-point numbers and complex numbers over them") {
  STATIC_REQUIRE((scalar<float> && scalar<double> && scalar<std::complex<float>> && scalar<Complex>));
  STATIC_REQUIRE_FALSE((scalar<int> || scalar<bool> || scalar<bf16> || scalar<std::complex<int>>));
  STATIC_REQUIRE_FALSE((scalar<float*> || scalar<std::string>));
  STATIC_REQUIRE_FALSE(
      (scalar<const float> || scalar<const Complex>));  // so that no output can be a view that only reads
}

TEST_CASE("memory may hold bf16 too, and no integer") {
  STATIC_REQUIRE((storable<bf16> && storable<float> && storable<Complex>));
  STATIC_REQUIRE_FALSE((storable<f16> || storable<int> || storable<std::uint16_t>));
}

TEST_CASE("the real type of a scalar lies under the complex number") {
  STATIC_REQUIRE(std::same_as<real_type<float>, float>);
  STATIC_REQUIRE(std::same_as<real_type<Complex>, double>);
  CHECK(real_part(Complex(3, 4)) == 3.0);
  CHECK(real_part(-2.5F) == -2.5F);
}

TEST_CASE("detach makes a constant that the complex step does not see") {
  CHECK(detach(2.5) == 2.5);
  CHECK(detach(Complex(3, 4)) == Complex(3, 0));
  Tensor<Complex> x(1, 1);
  x(0, 0) = 3.0;
  const auto square = [&] { return x(0, 0) * x(0, 0); };
  const auto half_constant = [&] { return x(0, 0) * detach(x(0, 0)); };
  CHECK(test::derivative(square, x.view(), 0, 0) == Approx(6.0).epsilon(1e-15));
  CHECK(test::derivative(half_constant, x.view(), 0, 0) == Approx(3.0).epsilon(1e-15));
}

TEST_CASE("to converts between storable types, 16-bit floats through float") {
  CHECK(to<bf16>(1.00390625) == bf16(1.0F));
  CHECK(to<double>(bf16(0.5F)) == 0.5);
  CHECK(to<Complex>(bf16(0.5F)) == Complex(0.5));
  CHECK(to<Complex>(2.0F) == Complex(2.0));
  CHECK(to<std::complex<float>>(2.0) == std::complex<float>(2.0F));
  CHECK(to<float>(1.0 + 1e-12) == 1.0F);
  CHECK(to<Complex>(Complex(1, 2)) == Complex(1, 2));
  CHECK(to<bf16>(bf16(3.0F)) == bf16(3.0F));
}
