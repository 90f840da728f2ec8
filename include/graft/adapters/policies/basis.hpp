// SPDX-License-Identifier: Apache-2.0
// basis: the set in which the rows R(r,d) of a subspace edit live, and the way back into it after an optimizer's step.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include <graft/adapters/policies/initializer.hpp>  // KaimingUniform
#include <graft/backend.hpp>
#include <graft/core/parameter.hpp>
#include <graft/core/random.hpp>
#include <graft/ops/orthonormalize.hpp>

namespace graft {

/// A chart maps what is trained to R. It may keep state (a base, a cached R); most are the identity.
template <class Chart, class T>
concept basis_chart = requires(Chart chart, const backends::Reference& be, Parameter<T>& trained, View<T> gradient,
                               Random random, Index r, Index d) {
  { chart.start(r, d, random) } -> std::same_as<Parameter<T>>;  // a random start
  chart.adopt(be, trained, gradient);                           // becomes the chart of a given R
  { chart.rows(trained) } -> std::convertible_to<View<const T>>;
  { chart.rows_gradient(trained) } -> std::same_as<View<T>>;  // where dL/dR is summed
  chart.pull(be, trained);                                    // dL/dR becomes the gradient of what is trained
  chart.retract(be, trained);                                 // after a step
};

/// The set that R lives in, named by its chart.
template <class P>
concept basis = basis_chart<typename P::template Chart<double>, double>;

namespace adapters::policies {

namespace detail {
/// R is trained as it stands.
template <scalar T>
struct PlainChart {
  template <class B>
  void adopt(const B& be, Parameter<T>& trained, In<T> rows) {
    be.copy(rows, trained.value);
  }
  [[nodiscard]] View<const T> rows(const Parameter<T>& trained) const { return trained.value; }
  [[nodiscard]] View<T> rows_gradient(Parameter<T>& trained) const { return trained.gradient.view(); }
  template <class B>
  void pull(const B&, Parameter<T>&) const {}
};
}  // namespace detail

/// R R' = I: the optimizer moves R freely (without weight decay), then the polar factor brings it back, by products of
/// r x r alone. No d x d matrix exists. R goes at twice the rate: pyreft's Householder map turns it by 2 dX where its
/// parameter moves by dX, so a published rate means what it meant there.
struct Orthonormal {
  static constexpr std::string_view name = "orthonormal";  ///< in files

  /// R is trained itself and brought back after every step.
  template <scalar T>
  struct Chart : detail::PlainChart<T> {
    Tensor<T> scratch;  ///< (4r,d), made by the first retract

    /// R(r,d) with R R' = I, uniformly random. It does not decay.
    [[nodiscard]] Parameter<T> start(Index r, Index d, Random random) {
      Parameter<T> trained(r, d, false);
      trained.pace = 2;
      Tensor<double> rows(r, d);  // the polar factor of normal numbers is uniformly random
      Tensor<double> spare(4 * r, d);
      for (Index i = 0; i < rows.size(); ++i) {
        rows(i / d, i % d) = random.normal(static_cast<std::uint64_t>(i));
      }
      ops::orthonormalize(rows.view(), spare.view());
      for (Index i = 0; i < rows.size(); ++i) {
        trained.value(i / d, i % d) = T(static_cast<real_type<T>>(rows(i / d, i % d)));
      }
      return trained;
    }
    /// R becomes the nearest matrix with orthonormal rows.
    template <class B>
    void retract(const B& be, Parameter<T>& trained) {
      if (scratch.size() == 0) {
        scratch = Tensor<T>(4 * trained.value.rows, trained.value.cols);
      }
      be.orthonormalize(trained.value, scratch.view());
    }
  };
};

/// Any R: torch's Linear start, uniform in +-1/sqrt(d).
struct Free {
  static constexpr std::string_view name = "free";  ///< in files

  /// R is trained itself.
  template <scalar T>
  struct Chart : detail::PlainChart<T> {
    /// R(r,d) uniform in +-1/sqrt(d).
    [[nodiscard]] Parameter<T> start(Index r, Index d, Random random) {
      Parameter<T> trained(r, d);
      KaimingUniform::fill(trained.value, random);
      return trained;
    }
    /// Any R is one already.
    template <class B>
    void retract(const B&, Parameter<T>&) const {}
  };
};

static_assert(basis<Orthonormal> && basis<Free>);

}  // namespace adapters::policies
}  // namespace graft
