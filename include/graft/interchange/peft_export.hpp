// SPDX-License-Identifier: Apache-2.0
// peft_export: writes the modules of a stack as one PEFT LoRA folder, where they are one: LoRA, PMSS, ReFT on a linear map.
//
// PMSS is a LoRA exactly: s C U R = s B A with A = R = W0[K, :] and B = C U = W0[:, J] U, so r = |K| and
// lora_alpha = s r. C U is summed in double and rounded once. A LoRA that subtracts its start (PiSSA, OLoRA) is one of
// twice the rank on the weight as it is: s (B A - B0 A0) = s [B, -B0] [A; A0], which is what PEFT converts its own into.
// A linear ReFT on the output of attention or feed-forward, at all positions, is a LoRA with a bias (reft_as_lora.hpp).
#pragma once

#include <algorithm>  // any_of
#include <cmath>
#include <concepts>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/interchange/reft_as_lora.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

namespace detail {

/// One module in PEFT's terms.
struct PeftModule {
  Place place;
  Index rank = 0;
  double alpha = 0;
  double dropout = 0;
  bool root = false;    // its scale is alpha / sqrt(rank)
  Tensor<double> bias;  // (1,N) added to the output of a LoRA of scale 1, or empty
};

/// An integer where alpha is one up to rounding: other readers of these files take nothing else.
[[nodiscard]] inline io::Json alpha_json(double alpha) {
  const double whole = std::nearbyint(alpha);
  if (std::abs(alpha - whole) <= 1e-12 * std::abs(alpha) && std::abs(whole) < 1e15) {
    return static_cast<std::int64_t>(whole);
  }
  return alpha;
}

/// The value that most modules share.
template <class T, class Value>
[[nodiscard]] T most_common(const std::vector<PeftModule>& modules, Value value) {
  std::map<T, Index> counts;
  T best{};
  for (const PeftModule& module : modules) {
    if (++counts[value(module)] > counts[best]) {
      best = value(module);
    }
  }
  return best;
}

/// target_modules and layers_to_transform; the full paths where modules are no product of layers and projections.
inline void write_targets(io::Json& config, const std::vector<PeftModule>& modules, Index layers) {
  std::set<std::string> leaves;
  std::set<std::string> paths;
  std::set<Index> used;
  for (const PeftModule& module : modules) {
    leaves.insert(module.place.name.substr(module.place.name.rfind('.') + 1));
    paths.insert(module.place.name);
    used.insert(module.place.layer);
  }
  const bool product = leaves.size() * used.size() == paths.size();
  config["target_modules"] = product ? leaves : paths;
  config["layers_to_transform"] = product && std::ssize(used) != layers ? io::Json(used) : io::Json();
}

/// Whether any module brings a bias; then PEFT expects one of every module.
[[nodiscard]] inline bool has_bias(const std::vector<PeftModule>& modules) {
  return std::any_of(modules.begin(), modules.end(), [](const PeftModule& module) { return module.bias.size() > 0; });
}

[[nodiscard]] inline io::Json peft_config(const std::vector<PeftModule>& modules, Index layers,
                                          const std::string& base_model) {
  const Index rank = most_common<Index>(modules, [](const PeftModule& m) { return m.rank; });
  const double alpha = most_common<double>(modules, [](const PeftModule& m) { return m.alpha; });
  io::Json config = {{"peft_type", "LORA"},
                     {"task_type", "CAUSAL_LM"},
                     {"base_model_name_or_path", base_model},
                     {"revision", nullptr},
                     {"inference_mode", true},
                     {"r", rank},
                     {"lora_alpha", alpha_json(alpha)},
                     {"lora_dropout", modules.front().dropout},
                     {"use_rslora", modules.front().root},
                     {"use_dora", false},
                     {"bias", "none"},
                     {"lora_bias", has_bias(modules)},
                     {"fan_in_fan_out", false},
                     {"init_lora_weights", true},
                     {"modules_to_save", nullptr},
                     {"layers_pattern", nullptr},
                     {"rank_pattern", io::Json::object()},
                     {"alpha_pattern", io::Json::object()}};
  for (const PeftModule& module : modules) {
    if (module.rank != rank) {
      config["rank_pattern"][module.place.name] = module.rank;
    }
    if (module.alpha != alpha) {
      config["alpha_pattern"][module.place.name] = alpha_json(module.alpha);
    }
  }
  write_targets(config, modules, layers);
  return config;
}

[[nodiscard]] inline std::string peft_key(const Place& place, std::string_view name) {
  return "base_model.model." + place.name + "." + std::string(name);
}

/// The start of a LoRA, subtracted as further columns of B: [A; A0] and [B, -B0].
template <scalar T>
void add_doubled(const Place& place, View<const T> a, View<const T> b, View<const T> start_a, View<const T> start_b,
                 models::Float32Tensors& tensors) {
  const backends::Reference be;
  Tensor<double> rows(2 * a.rows, a.cols);  // floats would be written from where they lie
  Tensor<double> columns(b.rows, 2 * b.cols);
  be.copy(a, rows.view().middle_rows(0, a.rows));
  be.copy(start_a, rows.view().middle_rows(a.rows, a.rows));
  be.copy(b, columns.view().middle_cols(0, b.cols));
  be.copy(start_b, columns.view().middle_cols(b.cols, b.cols));
  be.scale(-1, columns.view().middle_cols(b.cols, b.cols));
  tensors.add(peft_key(place, "lora_A.weight"), std::as_const(rows).view());
  tensors.add(peft_key(place, "lora_B.weight"), std::as_const(columns).view());
}

template <Index Rank, class Start, class Scale, scalar T, class Model>
[[nodiscard]] PeftModule to_peft(Grafted<adapters::Lora<Rank, Start, Scale>, T>& grafted, const Model&,
                                 models::Float32Tensors& tensors) {
  using Recipe = adapters::Lora<Rank, Start, Scale>;
  using adapters::policies::AlphaOverRank;
  constexpr bool root = std::same_as<Scale, adapters::policies::AlphaOverRootRank>;
  constexpr Index share = Recipe::anchored ? 2 : 1;
  std::vector<View<const T>> factors;
  grafted.module.for_each_parameter([&](const char* name, Parameter<T>& parameter) {
    factors.push_back(parameter.value);
    if constexpr (!Recipe::anchored) {
      tensors.add(peft_key(grafted.place, name), factors.back());
    }
  });
  if constexpr (Recipe::anchored) {
    grafted.module.for_each_frozen([&](const char*, View<T> values) { factors.push_back(values); });
    add_doubled<T>(grafted.place, factors[0], factors[1], factors[2], factors[3], tensors);
  }
  const Recipe& recipe = grafted.recipe;
  const Index rank = share * recipe.rank;
  const double alpha = root                                 ? recipe.alpha * std::sqrt(static_cast<double>(share))
                       : std::same_as<Scale, AlphaOverRank> ? recipe.alpha * static_cast<double>(share)
                                                            : recipe.scale() * static_cast<double>(rank);
  return {grafted.place, rank, alpha, recipe.dropout, root, {}};
}

template <Index Rank, class Select, class Scale, scalar T, class Model>
[[nodiscard]] PeftModule to_peft(Grafted<adapters::Pmss<Rank, Select, Scale>, T>& grafted, const Model& model,
                                 models::Float32Tensors& tensors) {
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
  tensors.add(peft_key(grafted.place, "lora_A.weight"), std::as_const(a).view());
  tensors.add(peft_key(grafted.place, "lora_B.weight"), std::as_const(b).view());
  return {grafted.place, a.rows(), grafted.recipe.scale() * static_cast<double>(a.rows()), 0, false, {}};
}

template <class A, scalar T, class Model>
  requires requires(const Grafted<A, T>& grafted, const Model& model) { reft_as_lora(grafted, model); }
[[nodiscard]] PeftModule to_peft(Grafted<A, T>& grafted, const Model& model, models::Float32Tensors& tensors) {
  LowRankMap map = reft_as_lora(grafted, model);
  tensors.add(peft_key(map.place, "lora_A.weight"), std::as_const(map.a).view());
  tensors.add(peft_key(map.place, "lora_B.weight"), std::as_const(map.b).view());
  const Index rank = map.a.rows();
  return {std::move(map.place), rank, static_cast<double>(rank), 0, false, std::move(map.bias)};
}

}  // namespace detail

/// Writes a stack as a PEFT LoRA; a module that is none, or a second one at a place, is adapter.673.
template <class Model, class AttachedType>
void write_peft_lora(const std::string& folder, AttachedType& attached, const Model& model,
                     const std::string& base_model) {
  models::Float32Tensors tensors;
  std::vector<detail::PeftModule> modules;
  std::set<std::string> taken;
  attached.for_each_module([&](const auto& recipe, const Placement& placement, auto& grafted) {
    if constexpr (requires { detail::to_peft(grafted, model, tensors); }) {
      if constexpr (representation_adapter<std::remove_cvref_t<decltype(recipe)>>) {
        if (const std::string reason = models::why_unfolded(grafted, placement); !reason.empty()) {
          fail("adapter.673", "\"" + grafted.path() + "\" " + reason + ", so it is no PEFT LoRA", folder);
        }
      }
      modules.push_back(detail::to_peft(grafted, model, tensors));
      const std::string& place = modules.back().place.name;
      if (!taken.insert(place).second) {
        fail("adapter.673", "two adapters stand at \"" + place + "\"; a PEFT LoRA holds one", folder);
      }
    } else {
      fail("adapter.673", "\"" + grafted.path() + "\" is no LoRA, nor anything that equals one", folder);
    }
  });
  bool all_root = true;
  for (const detail::PeftModule& module : modules) {
    all_root = all_root && module.root;
  }
  for (detail::PeftModule& module : modules) {  // a mixed stack speaks of alpha / rank throughout
    module.alpha *= module.root && !all_root ? std::sqrt(static_cast<double>(module.rank)) : 1;
    module.root = all_root;
  }
  const bool biased = detail::has_bias(modules);
  for (const detail::PeftModule& module : modules) {
    if (biased) {
      const Tensor<double> none(1, module.place.outputs);
      tensors.add(detail::peft_key(module.place, "lora_B.bias"), (module.bias.size() > 0 ? module.bias : none).view());
    }
  }
  std::vector<io::TensorRef> written = tensors.refs();
  for (io::TensorRef& tensor : written) {
    if (tensor.name.ends_with(".bias")) {
      tensor.shape = {tensor.cols()};
    }
  }
  models::write_adapter_folder(folder, detail::peft_config(modules, attached.layers, base_model), written);
}

}  // namespace graft::interchange
