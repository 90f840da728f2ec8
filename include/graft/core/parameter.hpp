// SPDX-License-Identifier: Apache-2.0
// Parameter: a trained matrix with its gradient; has_parameters: anything that can be walked as a list of them.
#pragma once

#include <concepts>
#include <string>

#include <graft/core/scalar.hpp>
#include <graft/core/tensor.hpp>

namespace graft {

/// A trained matrix. It owns its value, or trains memory that belongs to a model (full finetuning).
template <scalar T>
struct Parameter {
  Tensor<T> storage;   ///< empty where the value belongs to somebody else
  View<T> value;       ///< what is trained
  Tensor<T> gradient;  ///< the sum over all rows since the last clear
  double pace = 1;     ///< multiplies the schedule's rate
  bool decays = true;  ///< false: weight decay leaves it alone (an orthonormal basis would stop being one)

  Parameter() = default;
  /// Owns rows x cols zeros.
  Parameter(Index rows, Index cols, bool weight_decay = true)
      : storage(rows, cols), value(storage.view()), gradient(rows, cols), decays(weight_decay) {}
  /// Trains `external` in place; it must outlive this.
  explicit Parameter(View<T> external) : value(external), gradient(external.rows, external.cols) {}

  [[nodiscard]] Index size() const { return value.size(); }  ///< trained scalars
};

namespace detail {
struct AnyParameterVisitor {
  template <class T>
  void operator()(const std::string&, Parameter<T>&) const {}
};
}  // namespace detail

/// Can be walked as (name, parameter) in a fixed order: adapters, stacks, attached models.
template <class M>
concept has_parameters = requires(M& m) { m.for_each_parameter(detail::AnyParameterVisitor{}); };

/// Number of trained scalars.
template <has_parameters M>
[[nodiscard]] Index parameter_count(M& module) {
  Index count = 0;
  module.for_each_parameter([&](const std::string&, auto& parameter) { count += parameter.size(); });
  return count;
}

}  // namespace graft
