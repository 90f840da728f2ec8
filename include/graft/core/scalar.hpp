// SPDX-License-Identifier: Apache-2.0
// scalar: a field element. std::complex<double> belongs, so that tests differentiate the code itself (complex step).
#pragma once

#include <complex>
#include <concepts>
#include <type_traits>

#include <graft/core/bf16.hpp>

namespace graft {

namespace detail {
template <class T>
inline constexpr bool is_complex = false;
template <std::floating_point T>
inline constexpr bool is_complex<std::complex<T>> = true;
}  // namespace detail

/// What forward and backward compute with: float, double, and complex numbers over them. Not const: an output is View<T>.
template <class T>
concept scalar = (std::floating_point<T> && !std::is_const_v<T>) || detail::is_complex<T>;

/// What memory may hold: a scalar, or a 16-bit float that is converted on the way.
template <class T>
concept storable = scalar<T> || std::same_as<T, bf16>;

/// The value itself, or the real part: comparisons and maxima are decided on it.
template <scalar T>
[[nodiscard]] constexpr auto real_part(const T& value) {
  if constexpr (detail::is_complex<T>) {
    return value.real();
  } else {
    return value;
  }
}

/// The real type under a scalar: double for std::complex<double>.
template <scalar T>
using real_type = decltype(real_part(T{}));

/// A constant for the gradient: the real part, so that the complex step differentiates what the code does.
template <scalar T>
[[nodiscard]] constexpr T detach(const T& value) {
  return T(real_part(value));
}

/// Converts between storable types; 16-bit floats pass through float, reals may become complex.
template <storable To, storable From>
[[nodiscard]] constexpr To to(const From& value) {
  if constexpr (std::same_as<To, From>) {
    return value;
  } else if constexpr (detail::is_complex<From>) {
    static_assert(detail::is_complex<To>, "to: a complex number does not become a real one silently; use real_part");
    return To(value);
  } else if constexpr (std::same_as<From, bf16>) {
    return To(static_cast<float>(value));
  } else if constexpr (std::same_as<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else if constexpr (detail::is_complex<To>) {
    return To(static_cast<real_type<To>>(value));
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace graft
