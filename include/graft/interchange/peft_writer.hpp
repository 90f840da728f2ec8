// SPDX-License-Identifier: Apache-2.0
// peft_writer: a PEFT folder in the making: its modules, the options that they share, and their tensors under PEFT's keys.
#pragma once

#include <algorithm>  // max
#include <cmath>      // abs, nearbyint, sqrt
#include <concepts>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>  // as_const, move
#include <vector>

#include <graft/adapters/attached.hpp>
#include <graft/adapters/full.hpp>
#include <graft/adapters/policies/scaling.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

namespace detail {

/// An integer where a number is one up to rounding: other readers of these files take nothing else.
[[nodiscard]] inline io::Json whole_json(double number) {
  const double whole = std::nearbyint(number);
  if (std::abs(number - whole) <= 1e-12 * std::abs(number) && std::abs(whole) < 1e15) {
    return static_cast<std::int64_t>(whole);
  }
  return number;
}

/// The alpha of s = alpha / r.
template <class Scale>
[[nodiscard]] double alpha_over_rank(double alpha, Index rank) {
  if constexpr (std::same_as<Scale, adapters::policies::AlphaOverRank>) {
    return alpha;
  } else {
    return Scale::scale(alpha, rank) * static_cast<double>(rank);
  }
}

[[nodiscard]] inline std::string peft_key(const Place& place, std::string_view name) {
  return "base_model.model." + place.name + "." + std::string(name);
}

}  // namespace detail

/// One module in PEFT's terms.
struct PeftModule {
  Place place{};              ///< the map it stands on
  Index rank = 0;             ///< r; 0 where that kind of adapter has none of its own for each module
  double alpha = 0;           ///< of the scale alpha / r
  double dropout = 0;         ///< of the first module stands for all: it acts in training only
  bool root = false;          ///< its scale is alpha / sqrt(r)
  bool scales_input = false;  ///< IA3: l stands before the map

  /// What multiplies B A.
  [[nodiscard]] double scale() const {
    const auto r = static_cast<double>(rank);
    return alpha / (root ? std::sqrt(r) : r);
  }
};

/// Collects the modules of a stack; write() makes the folder. What is no single PEFT adapter is adapter.673.
class PeftWriter {
 public:
  /// Of a model with so many layers. `folder` is for messages until write().
  PeftWriter(std::string folder, Index layers) : folder_(std::move(folder)), layers_(layers) {}

  [[nodiscard]] const std::string& folder() const { return folder_; }                   ///< where it will be written
  [[nodiscard]] const std::vector<PeftModule>& modules() const { return modules_; }     ///< in the order they came
  [[nodiscard]] std::vector<io::TensorRef> tensors() const { return tensors_.refs(); }  ///< of this, under PEFT's keys
  /// Throws adapter.673 where it is more than the factors of LoRAs, and of DoRAs where `magnitudes` may stand beside them.
  void only_factors(bool magnitudes) const {
    if (modules_.empty() || !biases_.empty() || !saved_.empty()) {
      refuse("the stack holds " +
             std::string(modules_.empty() ? "no LoRA" : "biases or whole weights beside its LoRA") +
             ", and this format nothing but LoRA's factors");
    }
    if (!magnitudes && kind_["use_dora"] == true) {
      refuse("a DoRA is more than two factors, and this format holds nothing else: merge it");
    }
  }
  /// Throws adapter.673.
  [[noreturn]] void refuse(const std::string& what) const { fail("adapter.673", what, folder_); }

  /// A module of a kind: peft_type and the options that all modules of one folder share.
  void add_module(PeftModule module, const io::Json& kind) {
    stand_at(module.place);
    if (!kind_.is_null() && kind_ != kind) {
      refuse("\"" + module.place.name + "\" has the options " + kind.dump() + ", another module " + kind_.dump() +
             "; such a folder holds one kind of adapter");
    }
    kind_ = kind;
    modules_.push_back(std::move(module));
  }
  /// A weight of the model that was trained whole.
  template <class Model, scalar T>
  void add_saved(Grafted<adapters::Full, T>& grafted, const Model& model) {
    const Place& place = grafted.place;
    if (place.where == site::embedding && model.config.tied_head) {
      refuse("\"" + place.name + "\" is the head too in this model, and PEFT would change the table only");
    }
    stand_at(place);
    saved_.push_back(place.name);
    grafted.module.for_each_parameter([&](const std::string& name, Parameter<T>& parameter) {
      const bool vector = name == "bias" || (place.where & (site::norms | site::final_norm)) != 0;
      add(detail::peft_key(place, name), View<const T>(parameter.value), vector);
    });
  }
  /// What is added to the output of a map that a LoRA stands on: PEFT's lora_bias, divided by the LoRA's scale.
  template <scalar T>
  void add_bias(const Place& place, View<const T> values) {
    Tensor<double>& kept = biases_[place.name];
    kept = Tensor<double>(1, values.cols);
    for (Index j = 0; j < values.cols; ++j) {
      kept(0, j) = static_cast<double>(real_part(values(0, j)));
    }
  }
  /// A tensor by its whole name; a vector is one row that the file has without its first extent.
  template <class T>
  void add(const std::string& name, View<const T> values, bool vector = false) {
    tensors_.add(name, values);
    if (vector) {
      vectors_.insert(name);
    }
  }
  /// The first rows and columns of what all modules share, as many as the largest of them needs.
  template <scalar T>
  void share(const std::string& name, View<const T> values, Index rows, Index cols, const Place& place) {
    Shared& shared = shared_[name];
    if (shared.source != nullptr && shared.source != values.data) {
      refuse("\"" + place.name + "\" has another " + name + " than the rest; a PEFT folder holds one");
    }
    if (shared.values.rows() < rows || shared.values.cols() < cols) {
      shared.values = Tensor<double>(std::max(rows, shared.values.rows()), std::max(cols, shared.values.cols()));
      for (Index i = 0; i < shared.values.rows(); ++i) {
        for (Index j = 0; j < shared.values.cols(); ++j) {
          shared.values(i, j) = static_cast<double>(real_part(values(i, j)));
        }
      }
    }
    shared.source = values.data;
  }
  /// Columns [first, first + values.cols) of one table that all modules fill.
  template <scalar T>
  void add_columns(const std::string& name, View<const T> values, Index first, Index width) {
    Tensor<double>& table = shared_[name].values;
    if (table.size() == 0) {
      table = Tensor<double>(values.rows, width);
    }
    for (Index i = 0; i < values.rows; ++i) {
      for (Index j = 0; j < values.cols; ++j) {
        table(i, first + j) = static_cast<double>(real_part(values(i, j)));
      }
    }
  }
  /// Writes both files, or nothing.
  void write(const std::string& base_model) {
    const io::Json config = describe(base_model);
    for (const auto& [name, shared] : shared_) {
      add(name, shared.values.view());
    }
    std::vector<io::TensorRef> tensors = tensors_.refs();
    for (io::TensorRef& tensor : tensors) {
      if (vectors_.contains(tensor.name)) {
        tensor.shape = {tensor.cols()};
      }
    }
    models::write_adapter_folder(folder_, config, tensors);
  }
  /// The configuration, once, when all modules are there; throws adapter.673 where they make no folder together.
  [[nodiscard]] io::Json describe(const std::string& base_model) {
    if (modules_.empty()) {
      refuse(biases_.empty() && saved_.empty()
                 ? "the stack holds no module"
                 : "trained biases and whole weights go beside a LoRA or kin; alone they are no PEFT adapter");
    }
    io::Json config = {{"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", base_model},
                       {"revision", nullptr},
                       {"inference_mode", true},
                       {"modules_to_save", saved_.empty() ? io::Json() : io::Json(saved_)}};
    config.update(kind_);
    if (config["peft_type"] == "LORA") {
      describe_lora(config);
    } else if (config["peft_type"] == "LOHA" || config["peft_type"] == "LOKR") {
      describe_ranks(config, "alpha");
    } else if (config["peft_type"] == "VERA") {
      config["vera_dropout"] = modules_.front().dropout;
    }
    if (!biases_.empty()) {
      add_lora_bias(config);
    }
    if (!config["peft_type"].get<std::string>().ends_with("_TUNING")) {
      describe_targets(config);
    }
    return config;
  }

 private:
  struct Shared {
    const void* source = nullptr;
    Tensor<double> values;
  };

  void stand_at(const Place& place) {
    if (!taken_.insert(place.name).second) {
      refuse("two adapters stand at \"" + place.name + "\"; a PEFT folder holds one at each");
    }
  }

  /// The value that most modules share.
  template <class T, class Value>
  [[nodiscard]] T most_common(Value value) const {
    std::map<T, Index> counts;
    T best{};
    for (const PeftModule& module : modules_) {
      if (++counts[value(module)] > counts[best]) {
        best = value(module);
      }
    }
    return best;
  }
  void describe_lora(io::Json& config) {
    bool all_root = true;
    for (const PeftModule& module : modules_) {
      all_root = all_root && module.root;
    }
    for (PeftModule& module : modules_) {  // a mixed stack speaks of alpha / rank throughout
      module.alpha *= module.root && !all_root ? std::sqrt(static_cast<double>(module.rank)) : 1;
      module.root = all_root;
    }
    config["use_rslora"] = all_root;
    config["lora_dropout"] = modules_.front().dropout;
    config["lora_bias"] = false;
    describe_ranks(config, "lora_alpha");
  }
  /// r and alpha of most modules, and the patterns of the others.
  void describe_ranks(io::Json& config, const char* alpha_key) const {
    const auto rank = most_common<Index>([](const PeftModule& m) { return m.rank; });
    const auto alpha = most_common<double>([](const PeftModule& m) { return m.alpha; });
    config["r"] = rank;
    config[alpha_key] = detail::whole_json(alpha);
    config["rank_pattern"] = io::Json::object();
    config["alpha_pattern"] = io::Json::object();
    for (const PeftModule& module : modules_) {
      if (module.rank != rank) {
        config["rank_pattern"][module.place.name] = module.rank;
      }
      if (module.alpha != alpha) {
        config["alpha_pattern"][module.place.name] = detail::whole_json(module.alpha);
      }
    }
  }
  /// target_modules and layers_to_transform; whole paths where modules are no product of layers and projections.
  void describe_targets(io::Json& config) const {
    std::set<std::string> leaves, paths, inputs, input_paths;
    std::set<Index> used;
    const auto leaf = [](const PeftModule& m) { return m.place.name.substr(m.place.name.rfind('.') + 1); };
    for (const PeftModule& module : modules_) {
      leaves.insert(leaf(module));
      paths.insert(module.place.name);
      used.insert(module.place.layer);
    }
    const bool product = leaves.size() * used.size() == paths.size();
    const bool everywhere = std::ssize(used) == layers_;
    if (config["peft_type"] != "IA3") {
      config["target_modules"] = product ? leaves : paths;
      config["layers_to_transform"] = product && !everywhere ? io::Json(used) : io::Json();
      config["layers_pattern"] = nullptr;
      return;
    }
    for (const PeftModule& module : modules_) {  // IA3 has no layers_to_transform, and a list of what scales its input
      if (module.scales_input) {
        inputs.insert(leaf(module));
        input_paths.insert(module.place.name);
      }
    }
    const bool by_leaf = product && everywhere && inputs.size() * used.size() == input_paths.size();
    config["target_modules"] = by_leaf ? leaves : paths;
    config["feedforward_modules"] = by_leaf ? inputs : input_paths;
  }
  /// PEFT gives every LoRA of a folder a bias or none: where there is none of ours, it is 0.
  void add_lora_bias(io::Json& config) {
    if (kind_["peft_type"] != "LORA" || kind_["use_dora"] == true) {
      refuse("a trained bias goes into a LoRA's folder only");
    }
    config["lora_bias"] = true;
    for (const PeftModule& module : modules_) {
      const auto found = biases_.find(module.place.name);
      Tensor<double> bias(1, module.place.outputs);
      if (found != biases_.end()) {
        for (Index j = 0; j < bias.cols(); ++j) {
          bias(0, j) = found->second(0, j) / module.scale();
        }
        biases_.erase(found);
      }
      add(detail::peft_key(module.place, "lora_B.bias"), std::as_const(bias).view(), true);
    }
    if (!biases_.empty()) {
      refuse("the trained bias of \"" + biases_.begin()->first +
             "\" has no LoRA beside it, so PEFT has no place for it");
    }
  }

  std::string folder_;
  Index layers_ = 0;
  io::Json kind_;
  std::vector<PeftModule> modules_;
  std::set<std::string> taken_;
  std::vector<std::string> saved_;
  std::map<std::string, Tensor<double>> biases_;
  std::map<std::string, Shared> shared_;
  std::set<std::string> vectors_;
  models::Float32Tensors tensors_;
};

}  // namespace graft::interchange
