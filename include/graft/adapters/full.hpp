// SPDX-License-Identifier: Apache-2.0
// Full: trains the model's own numbers in place: full or partial finetuning, the upper baseline of every comparison.
#pragma once

#include <span>

#include <graft/adapter.hpp>

namespace graft::adapters {

/// Grafts nothing onto a linear map, norm or table: its value is the model's memory, and only gradients are new. The
/// model must be stored in the precision it computes in (Uniform), since there is no second copy to sum small steps in.
struct Full {
  static constexpr std::string_view name = "full";  ///< in files and messages

  /// There is nothing to set.
  template <class Visitor>
  void for_each_setting(Visitor&&) {}

  /// A weight, gain or table of the model with its gradient, and the bias where there is one.
  template <scalar T>
  class Module {
   public:
    /// Nothing: x and dy are the layer's.
    struct Cache {};

    Module() = default;
    /// `bias` may be empty (a map without one, a norm, a table).
    Module(View<T> weight, View<T> bias) : weight_(weight), bias_(bias) {}

    /// Calls visit("weight", parameter), then visit("bias", parameter) where there is one.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("weight", weight_);
      if (!bias_.value.empty()) {
        visit("bias", bias_);
      }
    }
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dW = dy' x
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dW = dy' x
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}          ///< keeps nothing
    void lay_out_scratch(Cache&, Arena&, const Extent&) const {}       ///< keeps nothing

    /// dW += dy' x, dbias += sum of dy.
    template <class B>
    void gradients(const B& be, Cache&, RowRange, In<T> x, In<T> dy) {
      be.gemm_tn(1, dy, x, 1, weight_.gradient.view());
      if (!bias_.value.empty()) {
        be.add_column_sums(1, dy, bias_.gradient.view());
      }
    }
    /// dgain += sum of dy x / rms(x).
    template <class B>
    void norm_gradients(const B& be, double epsilon, In<T> x, In<T> dy) {
      be.rms_norm_gain_vjp(epsilon, x, dy, weight_.gradient.view());
    }
    /// Row tokens[t] of the table's gradient += factor dx(t).
    template <class B>
    void embedding_gradients(const B& be, T factor, std::span<const std::int32_t> tokens, In<T> dx) {
      be.scatter_add_rows(factor, dx, tokens, weight_.gradient.view());
    }

   private:
    Parameter<T> weight_;
    Parameter<T> bias_;
  };
};

static_assert(weight_adapter<Full>);

}  // namespace graft::adapters
