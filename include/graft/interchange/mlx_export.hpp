// SPDX-License-Identifier: Apache-2.0
// mlx_export: writes the LoRA, PMSS and DoRA modules of a stack as a folder that mlx-lm loads.
//
// What PEFT's writer makes a plain LoRA (PMSS, PiSSA, OLoRA) is one here. A folder has one rank and one scale: smaller ranks
// are filled with zeros, which is exact, and other scales go into lora_b, which rounds it once more.
#pragma once

#include <algorithm>  // max, min
#include <set>
#include <string>
#include <vector>

#include <graft/interchange/mlx.hpp>
#include <graft/interchange/peft_export.hpp>

namespace graft::interchange {

namespace detail {

/// num_layers and keys: names inside the last layers where the modules are such a product, whole paths otherwise.
inline void write_mlx_places(io::Json& config, const std::vector<PeftModule>& modules, Index layers) {
  std::set<std::string> names;
  std::set<std::string> paths;
  Index first = layers;
  for (const PeftModule& module : modules) {
    names.insert(std::string(site_name(module.place.where)));
    paths.insert(module.place.name);
    first = std::min(first, module.place.layer);
  }
  const bool product = names.size() * static_cast<std::size_t>(layers - first) == paths.size();
  config["num_layers"] = layers - first;
  config["lora_parameters"]["keys"] = product ? names : paths;
}

/// `from` transposed, times `factor`, with zeros beyond it.
[[nodiscard]] inline Tensor<double> transposed_into(const io::TensorRef& from, Index rows, Index cols, double factor) {
  const View<const float> values = *io::in_place<float>(from);
  Tensor<double> into(rows, cols);
  for (Index i = 0; i < values.rows; ++i) {
    for (Index j = 0; j < values.cols; ++j) {
      into(j, i) = factor * static_cast<double>(values(i, j));
    }
  }
  return into;
}

}  // namespace detail

/// Writes a stack of LoRAs, of what is one exactly (as_peft_lora), or of DoRAs as a folder of mlx-lm. Another adapter, a bias,
/// LoRA beside DoRA, or two modules at one place is adapter.673.
template <class Model, class AttachedType>
void write_mlx(const std::string& folder, AttachedType& attached, const Model& model, const std::string& base_model) {
  const PeftWriter lora = as_peft_lora(folder, attached, model);
  lora.only_factors(true);
  const std::vector<PeftModule>& modules = lora.modules();
  const io::NamedTensors numbers(folder, lora.tensors(), nullptr);
  const auto tensor = [&](const PeftModule& module, std::string_view name) {
    return numbers.find(detail::peft_key(module.place, name));
  };
  const bool dora = tensor(modules.front(), "lora_magnitude_vector") != nullptr;
  const double scale = modules.front().scale();
  Index rank = 0;
  for (const PeftModule& module : modules) {
    rank = std::max(rank, module.rank);
  }
  models::Float32Tensors tensors;
  for (const PeftModule& module : modules) {
    const io::TensorRef& a = *tensor(module, "lora_A.weight");
    const io::TensorRef& b = *tensor(module, "lora_B.weight");
    const double factor = module.scale() / scale;
    const auto columns = detail::transposed_into(a, a.cols(), rank, 1);
    const auto rows = detail::transposed_into(b, rank, b.rows(), factor);
    tensors.add(module.place.name + ".lora_a", columns.view());
    tensors.add(module.place.name + ".lora_b", rows.view());
  }
  std::vector<io::TensorRef> refs = tensors.refs();
  for (const PeftModule& module : modules) {
    if (dora) {
      refs.push_back(*tensor(module, "lora_magnitude_vector"));
      refs.back().name = module.place.name + ".m";
      refs.back().shape = {refs.back().cols()};
    }
  }
  io::Json config = {{"fine_tune_type", dora ? "dora" : "lora"},
                     {"model", base_model},
                     {"lora_parameters", {{"rank", rank}, {"scale", scale}, {"dropout", modules.front().dropout}}}};
  detail::write_mlx_places(config, modules, attached.layers);
  models::write_adapter_folder(folder, config, refs, mlx_tensors_name, "mlx");
}

}  // namespace graft::interchange
