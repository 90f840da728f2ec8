// SPDX-License-Identifier: Apache-2.0
// complex_step: the exact derivative of code, f'(x) = Im f(x + ih) / h, against which hand-written gradients are held.
// No difference is taken, so h may be tiny and the result is right to rounding (Squire and Trapp, SIAM Review 40, 1998).
//
// f is called without arguments and returns std::complex<double>; it reads the tensors that are nudged through its captures
// and leaves them as they are. Gradients are given as they stood before any nudge.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <span>
#include <utility>  // pair
#include <vector>

#include <graft/core/random.hpp>
#include <graft/core/view.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace graft::test {

using Complex = std::complex<double>;

/// The imaginary step: its square vanishes beside 1, and its products with gradients stay far from underflow.
inline constexpr double nudge = 1e-40;

/// Agreement asked of a gradient, relative to its largest entry.
inline constexpr double gradient_tolerance = 1e-12;

/// Sum of weights * y: turns a matrix into the scalar whose gradient with respect to y is `weights`.
[[nodiscard]] inline Complex inner(View<const Complex> weights, View<const Complex> y) {
  Complex sum{};
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      sum += weights(i, j) * y(i, j);
    }
  }
  return sum;
}

/// df/dx(i, j).
template <class F>
[[nodiscard]] double derivative(const F& f, View<Complex> x, Index i, Index j) {
  const Complex kept = x(i, j);
  x(i, j) += Complex(0, nudge);
  const double slope = f().imag() / nudge;
  x(i, j) = kept;
  return slope;
}

/// The whole gradient, one evaluation an entry: for small shapes.
template <class F>
[[nodiscard]] Tensor<double> gradient(const F& f, View<Complex> x) {
  Tensor<double> exact(x.rows, x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      exact(i, j) = derivative(f, x, i, j);
    }
  }
  return exact;
}

/// Checks every entry of dx against the complex step.
template <class F, class G>
void check_gradient(const F& f, View<Complex> x, View<G> dx, double tolerance = gradient_tolerance) {
  const Tensor<double> exact = gradient(f, x);
  CHECK(relative_error(dx, exact.view()) <= tolerance);
}

/// A tensor that f reads, and its hand-written gradient.
struct Differentiated {
  View<Complex> x;
  View<const Complex> dx;
};

/// Derivative of f when all tensors move at once along the normal direction of `seed`, and what the gradients say it is.
struct DirectionalDerivative {
  double exact = 0;
  double claimed = 0;
  double size = 0;  // root of the sum of squares of the gradients: how large a direction's derivative typically is
};

template <class F>
[[nodiscard]] DirectionalDerivative along_direction(const F& f, std::span<const Differentiated> parts,
                                                    std::uint64_t seed) {
  std::vector<std::pair<Complex*, Complex>> kept;
  DirectionalDerivative result;
  std::uint64_t stream = 0;
  for (const Differentiated& part : parts) {
    const Random direction(seed, stream++);
    for (Index i = 0; i < part.x.rows; ++i) {
      for (Index j = 0; j < part.x.cols; ++j) {
        const double step = direction.normal(static_cast<std::uint64_t>(i * part.x.cols + j));
        kept.emplace_back(&part.x(i, j), part.x(i, j));
        part.x(i, j) += Complex(0, nudge * step);
        result.claimed += part.dx(i, j).real() * step;
        result.size += std::norm(part.dx(i, j));
      }
    }
  }
  result.exact = f().imag() / nudge;
  result.size = std::sqrt(result.size);
  for (auto entry = kept.rbegin(); entry != kept.rend(); ++entry) {  // backwards: a tied tensor may be listed twice
    *entry->first = entry->second;
  }
  return result;
}

/// Checks the gradients along one random direction a seed, all tensors moving at once: for shapes too big for every entry.
template <class F>
void check_direction(const F& f, std::span<const Differentiated> parts, std::span<const std::uint64_t> seeds,
                     double tolerance = gradient_tolerance) {
  for (const std::uint64_t seed : seeds) {
    const DirectionalDerivative along = along_direction(f, parts, seed);
    CAPTURE(seed, along.exact, along.claimed);
    CHECK(along.size > 0);
    CHECK(std::abs(along.exact - along.claimed) <= tolerance * along.size);
  }
}

}  // namespace graft::test
