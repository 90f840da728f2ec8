// SPDX-License-Identifier: Apache-2.0
// gguf_lora: a LoRA as one GGUF file, read and written as llama.cpp has it.
//
// Tensors blk.N.attn_q.weight.lora_a (r, in) and .lora_b (out, r), the rows of q's and k's lora_b in adjacent RoPE pairs for
// architecture llama; one adapter.lora.alpha for all, and the scale of a pair is alpha / r (1 where alpha is 0).
// Source: llama.cpp, src/llama-adapter.cpp, convert_lora_to_gguf.py.
#pragma once

#include <algorithm>  // max
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>  // pair
#include <vector>

#include <graft/interchange/peft_export.hpp>
#include <graft/interchange/peft_lora.hpp>
#include <graft/io/encode.hpp>
#include <graft/io/write_gguf.hpp>
#include <graft/models/gguf_names.hpp>

namespace graft::interchange {

namespace detail {

/// The alpha that all modules share as scale x rank; 0 where there is none.
[[nodiscard]] inline double shared_alpha(const std::vector<PeftModule>& modules) {
  const auto alpha = [](const PeftModule& module) { return module.scale() * static_cast<double>(module.rank); };
  for (const PeftModule& module : modules) {
    if (!(std::abs(alpha(module) - alpha(modules.front())) <= 1e-12 * std::abs(alpha(module)))) {
      return 0;
    }
  }
  return modules.empty() ? 0 : alpha(modules.front());
}

/// A factor of one module on its way into the file.
struct GgufFactor {
  io::TensorRef target;
  Tensor<float> values;
};

/// lora_A or lora_B of a module, the latter times `fold`, rounded to float once more where that is not 1.
[[nodiscard]] inline GgufFactor gguf_factor(const PeftModule& module, const io::TensorRef& factor, bool is_b,
                                            double fold, const models::LlamaConfig& config, const std::string& path) {
  GgufFactor out{factor, Tensor<float>(factor.rows(), factor.cols())};
  io::decode_rows(factor, 0, out.values.view());
  for (Index i = 0; i < out.values.size() && is_b && fold != 1; ++i) {
    out.values.data()[i] = static_cast<float>(fold * static_cast<double>(out.values.data()[i]));
  }
  const std::string weight = module.place.name + ".weight";
  out.target.name = models::gguf_name(weight) + (is_b ? ".lora_b" : ".lora_a");
  out.target.pair_heads = is_b ? models::gguf_pair_heads(config, weight) : 0;
  out.target.file = path;
  return out;
}

}  // namespace detail

/// Writes a stack of LoRAs, or of what is one exactly (as_peft_lora), as one GGUF LoRA in single precision. Where scale x rank
/// differs between modules, each scale is multiplied into its B and alpha is written as 0, llama.cpp's word for a scale of 1.
/// Anything else in the stack, a bias, or two modules at one place is adapter.673.
template <class AttachedType, class Model>
void write_gguf_lora(const std::string& path, AttachedType& attached, const Model& model) {
  const PeftWriter lora = as_peft_lora(path, attached, model);
  lora.only_factors(false);
  const std::vector<PeftModule>& modules = lora.modules();
  const double alpha = detail::shared_alpha(modules);
  const io::NamedTensors factors(path, lora.tensors(), nullptr);
  std::vector<detail::GgufFactor> written;
  for (const PeftModule& module : modules) {
    for (const bool is_b : {false, true}) {
      const auto& factor = factors.at(detail::peft_key(module.place, is_b ? "lora_B.weight" : "lora_A.weight"));
      const double fold = alpha == 0 ? module.scale() : 1;
      written.push_back(detail::gguf_factor(module, factor, is_b, fold, model.config, path));
    }
  }
  io::GgufMetadata metadata;
  metadata.set("general.architecture", models::gguf_architecture(model.config));
  metadata.set("general.type", "adapter");
  metadata.set("adapter.type", "lora");
  metadata.set("adapter.lora.alpha", static_cast<float>(alpha));
  std::vector<io::TensorRef> refs;
  for (const detail::GgufFactor& factor : written) {
    refs.push_back(factor.target);
  }
  std::size_t next = 0;
  std::vector<std::byte> bytes;
  io::write_gguf(path, metadata, refs, [&](const io::TensorRef& ref) {
    bytes = io::encode(ref, std::as_const(written[next++].values).view());
    return std::span<const std::byte>(bytes);
  });
}

namespace detail {

/// The metadata of a GGUF LoRA for this model; returns alpha.
[[nodiscard]] inline double check_gguf_lora(const io::Gguf& gguf, const models::LlamaConfig& config) {
  const auto word = [&](const char* key, const std::string& expected, const char* advice) {
    const auto found = gguf.get<std::string_view>(key).value_or("");
    if (found != expected) {
      fail("adapter.801",
           std::string("metadata key \"") + key + "\" is \"" + std::string(found) + "\", expected \"" + expected +
               "\": " + advice,
           gguf.path());
    }
  };
  word("general.type", "adapter", "the file is no adapter");
  word("adapter.type", "lora", "no other kind is read");
  word("general.architecture", models::gguf_architecture(config), "the adapter belongs to another model");
  for (const auto& [key, value] : gguf.metadata()) {
    if (key.starts_with("adapter.") && key != "adapter.type" && key != "adapter.lora.alpha") {
      fail("adapter.801", "metadata key \"" + key + "\" is not one that graft knows and may change the result",
           gguf.path());
    }
  }
  const double alpha = gguf.get<double>("adapter.lora.alpha").value_or(0);
  if (!std::isfinite(alpha)) {
    fail("adapter.801", "metadata key \"adapter.lora.alpha\" is not finite", gguf.path());
  }
  return alpha;
}

/// The layer and site of a module path; nothing where no linear map of the model stands there.
[[nodiscard]] inline std::map<std::string, std::pair<Index, Sites>> linear_modules(Index layers) {
  std::map<std::string, std::pair<Index, Sites>> modules;
  for (Index l = 0; l < layers; ++l) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      modules[module_path(l, one)] = {l, one};
    }
  }
  return modules;
}

}  // namespace detail

/// Reads a GGUF LoRA as the AdapterFile of a LoRA, its rows of q and k in Hugging Face's order. Another kind of file or base is
/// adapter.801, a tensor without place adapter.802, half a pair or factors that do not fit each other or the model adapter.803.
[[nodiscard]] inline models::AdapterFile open_gguf_lora(const std::string& path, const models::LlamaConfig& config) {
  const io::Gguf gguf = io::Gguf::open(path);
  const double alpha = detail::check_gguf_lora(gguf, config);
  const auto places = detail::linear_modules(config.layers);
  models::AdapterFile file;
  file.path = path;
  file.peft_type = "LORA";
  file.prefix = detail::peft_prefix;
  std::vector<io::TensorRef> tensors;
  std::map<std::string, std::pair<const io::TensorRef*, const io::TensorRef*>> pairs;  // by module
  for (const io::TensorRef& tensor : gguf.tensors()) {
    const bool is_b = tensor.name.ends_with(".weight.lora_b");
    const std::string weight = models::hf_name(tensor.name.substr(0, tensor.name.rfind('.')));
    const std::string module = weight.substr(0, weight.rfind('.'));
    if (!(is_b || tensor.name.ends_with(".weight.lora_a")) || !places.contains(module)) {
      fail("adapter.802",
           "tensor \"" + tensor.name + "\" " + io::shape_text(tensor.shape) +
               " is no factor of a linear map of a model with " + std::to_string(config.layers) + " layers",
           path);
    }
    (is_b ? pairs[module].second : pairs[module].first) = &tensor;
    tensors.push_back(tensor);
    tensors.back().name = file.prefix + module + (is_b ? ".lora_B.weight" : ".lora_A.weight");
    tensors.back().pair_heads = is_b ? models::gguf_pair_heads(config, weight) : 0;
  }
  models::AdapterPart part;
  part.adapter = adapters::Lora<>::name;
  part.policies = models::policies_of<adapters::Lora<>>();
  std::vector<std::pair<Index, Sites>> chosen;
  for (const auto& [module, factors] : pairs) {
    const auto& [a, b] = factors;
    if (a == nullptr || b == nullptr || a->shape.size() != 2 || b->shape.size() != 2 || a->rows() != b->cols() ||
        !io::is_real(a->dtype) || !io::is_real(b->dtype)) {
      fail("adapter.803",
           "\"" + models::gguf_name(module + ".weight") + "\" has lora_a " +
               (a == nullptr ? "missing" : io::shape_text(a->shape)) + " and lora_b " +
               (b == nullptr ? "missing" : io::shape_text(b->shape)) + ", expected [r, in] and [out, r]",
           path);
    }
    if (b->rows() % std::max<Index>(1, 2 * models::gguf_pair_heads(config, module + ".weight")) != 0) {
      fail("adapter.803",
           "\"" + b->name + "\" has " + std::to_string(b->rows()) + " rows, which are no heads of this model", path);
    }
    adapters::Lora<> recipe;
    recipe.rank = a->rows();
    recipe.alpha = alpha != 0 ? alpha : static_cast<double>(recipe.rank);
    recipe.dropout = 0;
    const io::Json settings = models::settings_of(recipe);
    part.settings = chosen.empty() ? settings : part.settings;
    if (settings != part.settings) {
      part.exceptions[module + "." + part.adapter] = settings;
    }
    chosen.push_back(places.at(module));
  }
  if (chosen.empty()) {
    fail("adapter.802", "the file holds no LoRA factor", path);
  }
  part.placement = detail::placement_of(chosen, config.layers);
  file.parts.push_back(std::move(part));
  file.tensors = {path, std::move(tensors), gguf.keepalive()};
  return file;
}

}  // namespace graft::interchange
