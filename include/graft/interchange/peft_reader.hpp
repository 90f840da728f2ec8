// SPDX-License-Identifier: Apache-2.0
// peft_reader: the two files of a PEFT folder on their way to an AdapterFile, as far as all kinds of them go together.
#pragma once

#include <algorithm>  // any_of, max, min
#include <list>
#include <map>
#include <memory>  // make_shared, shared_ptr
#include <set>
#include <string>
#include <string_view>
#include <utility>  // as_const, move, pair
#include <vector>

#include <graft/adapters/full.hpp>
#include <graft/interchange/layer_names.hpp>
#include <graft/interchange/peft_config.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/path.hpp>
#include <graft/models/adapter_directory.hpp>
#include <graft/models/adapter_file.hpp>

namespace graft::interchange {

namespace detail {

inline constexpr std::string_view peft_prefix = "base_model.model.";

/// Where the modules stand: layers x sites where they are such a product, a list of modules otherwise.
[[nodiscard]] inline Placement placement_of(const std::vector<std::pair<Index, Sites>>& modules, Index layers) {
  std::vector<Sites> of_layer(static_cast<std::size_t>(layers), site::none);
  Placement placement;
  placement.sites = site::none;
  for (const auto& [layer, one] : modules) {
    of_layer[static_cast<std::size_t>(layer)] |= one;
    placement.sites |= one;
  }
  std::vector<Index> used;
  bool product = true;
  for (Index l = 0; l < layers; ++l) {
    const Sites sites = of_layer[static_cast<std::size_t>(l)];
    if (sites != site::none) {
      used.push_back(l);
      product = product && sites == placement.sites;
    }
  }
  if (std::ssize(used) != layers) {
    placement.layers = only_layers(used);
  }
  for (const auto& [layer, one] : modules) {
    if (!product) {
      placement.modules.push_back(module_path(layer, one));
    }
  }
  return placement;
}

}  // namespace detail

/// Reads what every kind of PEFT folder has: both files, targets, ranks of single modules, modules_to_save. A reader of one
/// kind adds its parts to `file`, renames or makes tensors where graft's differ, and takes finish().
class PeftReader {
 public:
  models::AdapterFile file;  ///< parts, warnings and names, as far as they are known

  /// Opens both files and checks the keys. `layers` is the model's number of layers; 0: as many as the file names.
  PeftReader(const std::string& folder, const io::Json& json, Index layers, text::PatternCompiler compile,
             const PeftKeys& keys)
      : config_(json, io::join(folder, models::adapter_config_name), compile) {
    file.path = folder;
    file.peft_type = config_.get<std::string>("peft_type", "");
    file.prefix = detail::peft_prefix;
    file.base_model = config_.get<std::string>("base_model_name_or_path", "");
    file.warnings = config_.check_keys(keys);
    file.tensors = io::Safetensors::open(io::join(folder, models::adapter_tensors_name));
    memory_->mapped = file.tensors.keepalive();
    layers_ = layers > 0 ? layers : detail::layers_named(file.tensors.tensors(), "base_model.model.model.layers.");
  }

  [[nodiscard]] const PeftConfig& config() const { return config_; }  ///< adapter_config.json
  [[nodiscard]] Index layers() const { return layers_; }              ///< of the model, or that the file names

  /// A part of one adapter at every module that target_modules name; recipe_of(module, site) is the module's own recipe,
  /// and with ("", none) what most have. No such module, or one where graft puts none, is adapter.672.
  template <class RecipeOf>
  void add_targets(const RecipeOf& recipe_of) {
    using A = decltype(recipe_of(std::string(), site::none));
    models::AdapterPart part;
    part.adapter = A::name;
    part.policies = models::policies_of<A>();
    part.settings = models::settings_of(recipe_of("", site::none));
    std::vector<std::pair<Index, Sites>> chosen;
    std::vector<std::string> candidates;
    for (Index l = 0; l < layers_; ++l) {
      for (Sites one = 1; one <= site::down; one <<= 1) {
        const std::string module = candidates.emplace_back(module_path(l, one));
        if (config_.targets(l, module)) {
          chosen.emplace_back(l, one);
          if (io::Json settings = models::settings_of(recipe_of(module, one)); settings != part.settings) {
            part.exceptions[module + "." + part.adapter] = std::move(settings);
          }
        }
      }
    }
    for (const Sites one : {site::embedding, site::head}) {
      candidates.push_back(module_path(0, one));
      if (config_.targets(0, candidates.back())) {
        fail("adapter.672", "target_modules names \"" + candidates.back() + "\", where graft puts no " + part.adapter,
             config_.where());
      }
    }
    if (chosen.empty()) {
      fail("adapter.672",
           "target_modules " + config_.raw("target_modules").dump().substr(0, 80) + " names no projection of the model",
           config_.where());
    }
    for (const std::string& idle : config_.idle_targets(candidates)) {
      file.warnings.push_back("target \"" + idle + "\" of " + config_.where() + " names no module of the model");
    }
    part.placement = detail::placement_of(chosen, layers_);
    file.parts.push_back(std::move(part));
  }

  /// modules_to_save as a part Full: projections, norms, table and head. A name that is none of these is adapter.670.
  void add_saved_modules() {
    const auto names = config_.get<std::vector<std::string>>("modules_to_save", {});
    std::vector<std::pair<Index, Sites>> chosen;
    std::set<std::string> idle(names.begin(), names.end());
    const auto stored = [&](Sites one) {  // in any layer: a layer that lacks it is an error later
      for (Index l = 0; l < layers_; ++l) {
        if (file.tensors.find(std::string(detail::peft_prefix) + module_path(l, one) + ".weight") != nullptr) {
          return true;
        }
      }
      return false;
    };
    for (Sites one = 1; one < (1u << site::count); one <<= 1) {
      for (Index l = 0; (one & site::stream) == 0 && l < ((one & site::once) != 0 ? 1 : layers_); ++l) {
        const std::string module = module_path(l, one);
        if (config_.ends("modules_to_save", module) && stored(one)) {
          chosen.emplace_back(l, one);
          std::erase_if(idle, [&](const std::string& name) { return module.ends_with(name); });
        }
      }
    }
    if (!idle.empty()) {
      config_.refuse("modules_to_save",
                     "names of projections, norms, embed_tokens or lm_head, whose weights the file "
                     "holds; \"" +
                         *idle.begin() + "\" is none");
    }
    if (!chosen.empty()) {
      models::AdapterPart part;
      part.adapter = adapters::Full::name;
      part.placement = detail::placement_of(chosen, layers_);
      file.parts.push_back(std::move(part));
    }
  }

  /// Puts numbers in the place of a tensor, under another name.
  void replace(const std::string& name, const std::string& own, Tensor<double> with) {
    std::vector<io::TensorRef> tensors = rest_of(name);
    const Tensor<double>& kept = memory_->made.emplace_back(std::move(with));
    tensors.push_back(io::tensor_ref(own, kept.view()));
    tensors.back().file = file.tensors.path();
    file.tensors = {file.tensors.path(), std::move(tensors), memory_};
  }
  /// Takes `ending` off the names that end in `stem` and it: two spellings of one name.
  void cut_names(const std::string& stem, const std::string& ending) {
    std::vector<io::TensorRef> tensors = rest_of("");
    for (io::TensorRef& tensor : tensors) {
      if (tensor.name.ends_with(stem + ending)) {
        tensor.name.resize(tensor.name.size() - ending.size());
      }
    }
    file.tensors = {file.tensors.path(), std::move(tensors), memory_};
  }

  /// Modules whose tensor of one of these names holds nothing but `start` were never trained: some are a warning, all of
  /// them adapter.780.
  void check_effect(const std::set<std::string>& names, double start) {
    Index idle = 0;
    Index seen = 0;
    std::string first;
    for (const io::TensorRef& tensor : file.tensors.tensors()) {
      const bool wanted = std::any_of(names.begin(), names.end(),
                                      [&](const std::string& name) { return detail::ends_path(tensor.name, name); });
      if (!wanted) {
        continue;
      }
      ++seen;
      Tensor<double> row(1, tensor.cols());
      bool moved = false;
      for (Index i = 0; i < tensor.rows() && !moved; ++i) {
        io::decode_rows(tensor, i, row.view());
        for (Index j = 0; j < row.cols(); ++j) {
          moved = moved || row(0, j) != start;
        }
      }
      if (!moved) {
        first = idle++ == 0 ? tensor.name : first;
      }
    }
    const std::string what = "\"" + first + "\" holds nothing but " + (start == 0 ? "0" : "1");
    if (idle > 0 && idle == seen && file.parts.size() == 1) {
      fail("adapter.780",
           what + ", and so do all others of that kind: the adapter changes nothing, it was saved before training",
           file.tensors.path());
    }
    if (idle > 0) {
      file.warnings.push_back(what + ", so its module changes nothing (" + std::to_string(idle) + " of " +
                              std::to_string(seen) + " modules of " + file.tensors.path() + ")");
    }
  }

  /// What has been read.
  [[nodiscard]] models::AdapterFile finish() && { return std::move(file); }

 private:
  struct Memory {
    std::shared_ptr<const void> mapped;
    std::list<Tensor<double>> made;
  };

  [[nodiscard]] std::vector<io::TensorRef> rest_of(const std::string& name) const {
    std::vector<io::TensorRef> tensors(file.tensors.tensors().begin(), file.tensors.tensors().end());
    std::erase_if(tensors, [&](const io::TensorRef& tensor) { return tensor.name == name; });
    return tensors;
  }

  PeftConfig config_;
  Index layers_ = 0;
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
};

}  // namespace graft::interchange
