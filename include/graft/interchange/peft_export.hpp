// SPDX-License-Identifier: Apache-2.0
// peft_export: LoRA and what is one exactly, as modules of one PEFT LoRA folder: PMSS, CURLoRA, LoRA-XS, PiSSA, OLoRA, DoRA.
//
// PMSS and CURLoRA: s C U R = s B A with A = R = W0[K, :] and B = C U = W0[:, J] U, so r = |K| and lora_alpha = s r. LoRA-XS:
// A is its fixed right factor, B its left one times R. These products are summed in double and rounded once. A LoRA that
// subtracts its start (PiSSA, OLoRA) is one of twice the rank on the weight as it is: s (B A - B0 A0) = s [B, -B0] [A; A0],
// which is what PEFT converts its own into. A linear ReFT on the output of attention or feed-forward, at all positions, is a
// LoRA with a bias (reft_as_lora.hpp).
#pragma once

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>  // as_const
#include <vector>

#include <graft/adapters/bias.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/lora_xs.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/backends/reference.hpp>
#include <graft/interchange/peft_writer.hpp>
#include <graft/interchange/reft_as_lora.hpp>

namespace graft::interchange {

namespace detail {

[[nodiscard]] inline io::Json lora_kind(bool dora) {
  return {{"peft_type", "LORA"},
          {"use_dora", dora},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"init_lora_weights", true}};
}

/// The start of a LoRA, subtracted as further columns of B: [A; A0] and [B, -B0].
template <scalar T>
void add_doubled(const Place& place, View<const T> a, View<const T> b, View<const T> start_a, View<const T> start_b,
                 PeftWriter& writer) {
  const backends::Reference be;
  Tensor<double> rows(2 * a.rows, a.cols);  // floats would be written from where they lie
  Tensor<double> columns(b.rows, 2 * b.cols);
  be.copy(a, rows.view().middle_rows(0, a.rows));
  be.copy(start_a, rows.view().middle_rows(a.rows, a.rows));
  be.copy(b, columns.view().middle_cols(0, b.cols));
  be.copy(start_b, columns.view().middle_cols(b.cols, b.cols));
  be.scale(-1, columns.view().middle_cols(b.cols, b.cols));
  writer.add(peft_key(place, "lora_A.weight"), std::as_const(rows).view());
  writer.add(peft_key(place, "lora_B.weight"), std::as_const(columns).view());
}

template <Index Rank, class Start, class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::Lora<Rank, Start, Scale>, T>& grafted, const Model&, PeftWriter& writer) {
  using Recipe = adapters::Lora<Rank, Start, Scale>;
  constexpr bool root = std::same_as<Scale, adapters::policies::AlphaOverRootRank>;
  constexpr Index share = Recipe::anchored ? 2 : 1;
  const Recipe& recipe = grafted.recipe;
  const double alpha = root ? recipe.alpha * std::sqrt(static_cast<double>(share))
                            : alpha_over_rank<Scale>(recipe.alpha, recipe.rank) * static_cast<double>(share);
  writer.add_module({grafted.place, share * recipe.rank, alpha, recipe.dropout, root}, lora_kind(false));
  std::vector<View<const T>> factors;
  grafted.module.for_each_parameter([&](const char* name, Parameter<T>& parameter) {
    factors.push_back(parameter.value);
    if constexpr (!Recipe::anchored) {
      writer.add(peft_key(grafted.place, name), factors.back());
    }
  });
  if constexpr (Recipe::anchored) {
    grafted.module.for_each_frozen([&](const char*, View<T> values) { factors.push_back(values); });
    add_doubled<T>(grafted.place, factors[0], factors[1], factors[2], factors[3], writer);
  }
}

template <Index Rank, class Init, class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::Dora<Rank, Init, Scale>, T>& grafted, const Model&, PeftWriter& writer) {
  constexpr bool root = std::same_as<Scale, adapters::policies::AlphaOverRootRank>;
  const auto& recipe = grafted.recipe;
  const double alpha = root ? recipe.alpha : alpha_over_rank<Scale>(recipe.alpha, recipe.rank);
  writer.add_module({grafted.place, recipe.rank, alpha, recipe.dropout, root}, lora_kind(true));
  grafted.module.for_each_parameter([&](const std::string& name, Parameter<T>& parameter) {
    writer.add(peft_key(grafted.place, name), View<const T>(parameter.value), name == "lora_magnitude_vector");
  });
}

template <Index Rank, class Select, class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::Pmss<Rank, Select, Scale>, T>& grafted, const Model& model, PeftWriter& writer) {
  const auto weight =
      model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(grafted.place.where).weight.view();
  const auto& [columns, rows] = grafted.module.skeleton();
  const auto number = [&](Index i, Index j) { return to<double>(weight(i, j)); };
  Tensor<double> a(std::ssize(rows), weight.cols);
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols(); ++j) {
      a(i, j) = number(rows[static_cast<std::size_t>(i)], j);
    }
  }
  Tensor<double> b(weight.rows, a.rows());
  grafted.module.for_each_parameter([&](const char*, Parameter<T>& u) {
    for (Index i = 0; i < b.rows(); ++i) {
      for (Index k = 0; k < u.value.rows; ++k) {
        const double c = number(i, columns[static_cast<std::size_t>(k)]);
        for (Index j = 0; j < b.cols(); ++j) {
          b(i, j) += c * static_cast<double>(real_part(u.value(k, j)));
        }
      }
    }
  });
  writer.add_module({grafted.place, a.rows(), grafted.recipe.scale() * static_cast<double>(a.rows())},
                    lora_kind(false));
  writer.add(peft_key(grafted.place, "lora_A.weight"), std::as_const(a).view());
  writer.add(peft_key(grafted.place, "lora_B.weight"), std::as_const(b).view());
}

template <Index Rank, class Outer, class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::LowRankCore<Rank, Outer, Scale>, T>& grafted, const Model&, PeftWriter& writer) {
  const auto& recipe = grafted.recipe;
  Tensor<double> b;
  grafted.module.for_each_frozen([&](const std::string& name, View<T> values) {
    if (name == "lora_A.weight") {
      return writer.add(peft_key(grafted.place, name), View<const T>(values));
    }
    b = Tensor<double>(values.rows, values.cols);
    grafted.module.for_each_parameter([&](const char*, Parameter<T>& core) {
      for (Index i = 0; i < b.rows(); ++i) {
        for (Index k = 0; k < b.cols(); ++k) {
          for (Index j = 0; j < b.cols(); ++j) {
            b(i, j) += static_cast<double>(real_part(values(i, k))) * static_cast<double>(real_part(core.value(k, j)));
          }
        }
      }
    });
  });
  writer.add_module({grafted.place, recipe.rank, recipe.scale() * static_cast<double>(recipe.rank), recipe.dropout},
                    lora_kind(false));
  writer.add(peft_key(grafted.place, "lora_B.weight"), std::as_const(b).view());
}

template <scalar T, class Model>
void to_peft(Grafted<adapters::Bias, T>& grafted, const Model&, PeftWriter& writer) {
  grafted.module.for_each_parameter(
      [&](const char*, Parameter<T>& bias) { writer.add_bias(grafted.place, View<const T>(bias.value)); });
}

template <scalar T, class Model>
void to_peft(Grafted<adapters::Full, T>& grafted, const Model& model, PeftWriter& writer) {
  writer.add_saved(grafted, model);
}

template <class A, scalar T, class Model>
  requires requires(const Grafted<A, T>& grafted, const Model& model) { reft_as_lora(grafted, model); }
void to_peft(Grafted<A, T>& grafted, const Model& model, PeftWriter& writer) {
  const LowRankMap map = reft_as_lora(grafted, model);
  writer.add_module({map.place, map.a.rows(), static_cast<double>(map.a.rows())}, lora_kind(false));
  writer.add(peft_key(map.place, "lora_A.weight"), map.a.view());
  writer.add(peft_key(map.place, "lora_B.weight"), map.b.view());
  writer.add_bias(map.place, map.bias.view());
}

/// Refuses an edit of hidden states that is no change of the map before it.
template <class A, scalar T, class Model>
void refuse_unfolded(const Grafted<A, T>& grafted, const Placement& placement, const Model& model,
                     const PeftWriter& writer) {
  if constexpr (requires { reft_as_lora(grafted, model); }) {
    if (const std::string reason = models::why_unfolded(grafted, placement); !reason.empty()) {
      writer.refuse("\"" + grafted.path() + "\" " + reason + ", so it is no PEFT LoRA");
    }
  }
}

}  // namespace detail

/// The modules of a stack as LoRAs, as a folder in the making: those that are one exactly, with Bias and Full beside them.
/// Anything else in the stack, or two modules at one place, is adapter.673; `where` is for the message.
template <class Model, class AttachedType>
[[nodiscard]] PeftWriter as_peft_lora(const std::string& where, AttachedType& attached, const Model& model) {
  PeftWriter writer(where, attached.layers);
  attached.for_each_module([&](const auto&, const Placement& placement, auto& grafted) {
    detail::refuse_unfolded(grafted, placement, model, writer);
    if constexpr (requires { detail::to_peft(grafted, model, writer); }) {
      detail::to_peft(grafted, model, writer);
    } else {
      writer.refuse("\"" + grafted.path() + "\" is neither LoRA nor PMSS nor their kin, so it is no LoRA");
    }
  });
  return writer;
}

/// Writes such a stack as a PEFT LoRA.
template <class Model, class AttachedType>
void write_peft_lora(const std::string& folder, AttachedType& attached, const Model& model,
                     const std::string& base_model) {
  as_peft_lora(folder, attached, model).write(base_model);
}

}  // namespace graft::interchange
