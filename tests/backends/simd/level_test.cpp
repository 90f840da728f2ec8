// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/level.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using backends::Isa;

namespace {
/// Calls check(level) for every instruction set of this machine.
template <class Check>
void on_every_level(const Check& check) {
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa <= backends::best_isa()) {
      INFO("instruction set " << static_cast<int>(isa));
      backends::simd::at_level(isa, check);
    }
  }
}
}  // namespace

TEST_CASE("exp is within 2 ulp of std::exp from the smallest to the largest float") {
  constexpr Index count = 100000;
  on_every_level([&](auto level) {
    Tensor<float> x(1, count);
    for (Index j = 0; j < count; ++j) {
      x(0, j) = static_cast<float>(-87.3 + 176.0 * static_cast<double>(j) / count);  // normal results, up to infinity
    }
    const Tensor<float> arguments = x.clone();
    static_cast<void>(level.sum_of_exp(x.data(), count, 0.0f, true));
    double worst = 0;
    for (Index j = 0; j < count; ++j) {
      const double exact = std::exp(static_cast<double>(arguments(0, j)));
      if (exact > static_cast<double>(std::numeric_limits<float>::max())) {
        CHECK(std::isinf(x(0, j)));
        continue;
      }
      const double ulp =
          static_cast<double>(std::nextafter(static_cast<float>(exact), std::numeric_limits<float>::infinity()) -
                              static_cast<float>(exact));
      worst = std::max(worst, std::abs(static_cast<double>(x(0, j)) - exact) / ulp);
    }
    CHECK(worst <= 2.0);
  });
}

TEST_CASE("exp of the limits is 0, infinity, 1 and NaN") {
  on_every_level([](auto level) {
    const float infinity = std::numeric_limits<float>::infinity();
    Tensor<float> x = test::rows_of<float>({{-200, 0, 100, 0, -103.5}});
    x(0, 0) = -infinity;
    x(0, 3) = std::numeric_limits<float>::quiet_NaN();
    static_cast<void>(level.sum_of_exp(x.data(), 5, 0.0f, true));
    CHECK(x(0, 0) == 0.0f);
    CHECK(x(0, 1) == 1.0f);
    CHECK(x(0, 2) == infinity);
    CHECK(std::isnan(x(0, 3)));
    CHECK(x(0, 4) >= 0.0f);
    CHECK(x(0, 4) <= 3e-45f);  // two steps of the smallest subnormal
  });
}

TEST_CASE("every bf16 becomes its float, and rounding to bf16 agrees with the scalar one, NaN included") {
  on_every_level([](auto level) {
    constexpr Index count = 65536;
    Tensor<bf16> every(1, count);
    for (Index j = 0; j < count; ++j) {
      every(0, j).bits = static_cast<std::uint16_t>(j);
    }
    Tensor<float> wide(1, count);
    level.copy_row(every.data(), count, wide.data());
    Index wrong = 0;
    for (Index j = 0; j < count; ++j) {
      const auto scalar = static_cast<float>(every(0, j));
      wrong += std::bit_cast<std::uint32_t>(scalar) == std::bit_cast<std::uint32_t>(wide(0, j)) ? 0 : 1;
    }
    CHECK(wrong == 0);
    for (Index j = 0; j < count; ++j) {  // ties, and one bit to either side of them
      wide(0, j) =
          std::bit_cast<float>((static_cast<std::uint32_t>(j) << 16) + 0x7fffu + static_cast<std::uint32_t>(j % 3));
    }
    Tensor<bf16> rounded(1, count);
    level.copy_row(wide.data(), count, rounded.data());
    for (Index j = 0; j < count; ++j) {
      wrong += rounded(0, j) == bf16(wide(0, j)) ? 0 : 1;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("a softmax row is 0 where nothing is visible, and its sum counts the visible only") {
  on_every_level([](auto level) {
    Tensor<float> s(1, 112);  // room for whole vectors
    const auto fill = [&](float value) {
      for (Index j = 0; j < 112; ++j) {
        s(0, j) = j < 100 ? value : std::numeric_limits<float>::quiet_NaN();
      }
    };
    float most = -std::numeric_limits<float>::infinity();
    float total = 0;
    fill(1.0f);
    CHECK(level.softmax_row({2, 10, 50}, 100, s.data(), most, total) == 0.0f);
    CHECK(most == 1.0f);
    CHECK(total == 42.0f);
    for (Index j = 0; j < 100; ++j) {
      CHECK(s(0, j) == ((j < 2 || (j >= 10 && j < 50)) ? 1.0f : 0.0f));
    }
    fill(0.5f);  // smaller scores correct nothing
    CHECK(level.softmax_row({0, 0, 3}, 100, s.data(), most, total) == 1.0f);
    CHECK(total == Approx(42.0 + 3.0 * std::exp(-0.5)));
    fill(2.0f);  // larger ones do
    CHECK(level.softmax_row({0, 99, 100}, 100, s.data(), most, total) == Approx(std::exp(-1.0)));
    CHECK(most == 2.0f);
    CHECK(total == Approx((42.0 + 3.0 * std::exp(-0.5)) * std::exp(-1.0) + 1.0));
    fill(7.0f);  // what nobody sees changes nothing
    CHECK(level.softmax_row({0, 0, 0}, 100, s.data(), most, total) == 1.0f);
    CHECK(most == 2.0f);
  });
}
