// SPDX-License-Identifier: Apache-2.0
// first_non_finite: which tensor of a step was the first to hold NaN or infinity, found by walking the step once more.
#pragma once

#include <span>
#include <string>
#include <utility>  // pair

#include <graft/models/checkpoint.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/train/objective.hpp>

namespace graft::train {

namespace detail {

template <class T>
[[nodiscard]] bool all_finite(View<T> x) {
  for (Index i = 0; i < x.rows; ++i) {
    if (!models::detail::is_finite_row(x.row(i), x.cols)) {
      return false;
    }
  }
  return true;
}

/// The gradient that the backward, on its way down from the loss, spoiled first: of the highest layer and site.
template <class AttachedType>
[[nodiscard]] std::string highest_bad_gradient(AttachedType& attached) {
  using T = typename AttachedType::Scalar;
  std::string worst;
  std::pair<Index, Sites> highest{-1, site::none};
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    const std::pair<Index, Sites> here{grafted.place.layer, grafted.place.where};
    grafted.module.for_each_parameter([&](const char* name, Parameter<T>& p) {
      if (here > highest && !all_finite(p.gradient.view())) {
        highest = here;
        worst = "the gradient of " + grafted.path() + "." + name;
      }
    });
  });
  return worst;
}

}  // namespace detail

/// Walks a step again in the order in which it computes: values of the parameters, embedded tokens, hidden state after each
/// block, logits, and the gradients from the last layer to the first. The name of the first that is not finite, or an empty
/// string. `recompute` as in RunOptions, `dropout(part)` gives the masks of batch number `part`; gradients are spent. Costs one step without an update.
template <class Run, class B, class Model, class AttachedType, objective Objective, class Dropout>
[[nodiscard]] std::string first_non_finite(Run& run, const B& be, const Model& model, AttachedType& attached,
                                           Objective& lowered, std::span<const typename Objective::Batch> batches,
                                           bool recompute, Dropout&& dropout) {
  using C = typename AttachedType::Scalar;
  std::string found;
  attached.for_each_parameter([&](const std::string& name, Parameter<C>& p) {
    if (found.empty() && !detail::all_finite(p.value)) {
      found = "the parameter " + name;
    }
    be.fill(0, p.gradient.view());
  });
  std::uint64_t part = 0;
  AttachedType* const bank[] = {&attached};
  for (const typename Objective::Batch& batch : batches) {
    if (!found.empty()) {
      return found;
    }
    const auto look = [&](Index l, View<C> x) {
      Tensor<C> seen(x.rows, x.cols);
      be.copy(x, seen.view());
      be.finish();
      if (found.empty() && !detail::all_finite(seen.view())) {
        found = l == 0 ? "the embedded tokens" : "the hidden state after block " + std::to_string(l - 1);
      }
    };
    run.forward(be, model, bank, batch.ragged, batch.tokens, batch.labelled(),
                {.keep = true, .recompute = recompute, .dropout = dropout(part++)}, nullptr, look);
    (void)lowered.loss(be, model, run, batch, 1.0 / static_cast<double>(lowered.terms(batch)));
    if (found.empty() && !detail::all_finite(run.row_nll())) {
      found = "the logits";
    }
    if (found.empty()) {
      run.backward(be, model);
      found = detail::highest_bad_gradient(attached);
    }
  }
  return found;
}

}  // namespace graft::train
