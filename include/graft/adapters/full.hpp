// SPDX-License-Identifier: Apache-2.0
// Full: trains the model's own numbers in place: full or partial finetuning, the upper baseline of every comparison.
#pragma once

#include <span>

#include <graft/adapter.hpp>

namespace graft::adapters {

/// Grafts nothing onto a linear map, norm or table: its value is the model's memory, and only gradients are new. The
/// model must be stored in the precision it computes in (Uniform), since there is no second copy to sum small steps in.
struct Full {
  static constexpr std::string_view name = "full";

  template <class Visitor>
  void for_each_setting(Visitor&&) {}

  template <scalar T>
  class Module {
   public:
    struct Cache {};

    Module() = default;
    /// `bias` may be empty (a map without one, a norm, a table).
    Module(View<T> weight, View<T> bias) : weight_(weight), bias_(bias) {}

    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("weight", weight_);
      if (!bias_.value.empty()) {
        visit("bias", bias_);
      }
    }
    [[nodiscard]] bool needs_input() const { return true; }
    [[nodiscard]] bool needs_output_gradient() const { return true; }
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}
    void lay_out_scratch(Cache&, Arena&, const Extent&) const {}

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
