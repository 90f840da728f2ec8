// SPDX-License-Identifier: Apache-2.0
#include "config_file.hpp"

#include <algorithm>  // any_of, find, replace
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>  // pair

#include <graft/io/mapped_file.hpp>
#include <graft/io/nearest.hpp>

namespace graft::program {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

/// Keys of other programs, and the flag that each is here.
constexpr std::array<Pair, 36> foreign_keys = {{
    {"base_model", "model"},
    {"model_name_or_path", "model"},
    {"base_model_name_or_path", "model"},
    {"tokenizer_name_or_path", "tokenizer"},
    {"datasets", "data"},
    {"test_datasets", "valid"},
    {"peft_type", "adapter"},
    {"intervention_type", "adapter"},
    {"r", "rank"},
    {"lora_r", "rank"},
    {"low_rank_dimension", "rank"},
    {"lora_target_modules", "target"},
    {"component", "target"},
    {"layers_to_transform", "layers"},
    {"num_train_epochs", "epochs"},
    {"per_device_train_batch_size", "batch-size"},
    {"gradient_accumulation", "grad-accum"},
    {"max_length", "max-seq-len"},
    {"lr_scheduler_type", "schedule"},
    {"cosine_min_lr", "lr-min"},
    {"optim", "optimizer"},
    {"logging_steps", "report-every"},
    {"eval_steps", "eval-every"},
    {"save_steps", "save-every"},
    {"save_total_limit", "keep"},
    {"load_best_at_end", "keep-best"},
    {"load_best_model_at_end", "keep-best"},
    {"early_stopping_patience", "patience"},
    {"resume_from_checkpoint", "resume"},
    {"auto_resume_from_checkpoints", "resume"},
    {"lora_model_dir", "init-adapter"},
    {"train_on_inputs", "train-on"},
    {"roles_to_train", "train-on"},
    {"train_on_eos", "no-eos"},
    {"lora_target_linear", "target"},
    {"sample_packing", ""},
}};

/// What pyreft calls its interventions.
constexpr std::array<Pair, 6> interventions = {{{"LoreftIntervention", "loreft"},
                                                {"NoreftIntervention", "noreft"},
                                                {"ConsreftIntervention", "consreft"},
                                                {"LobireftIntervention", "lobireft"},
                                                {"DireftIntervention", "direft-orthonormal"},
                                                {"NodireftIntervention", "direft"}}};

std::string dashed(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

[[noreturn]] void refuse_value(const std::string& key, const io::Json& value, const std::string& expected,
                               const std::string& path) {
  fail("train.459", "the key \"" + key + "\" holds " + value.dump().substr(0, 80) + ", expected " + expected, path);
}

/// A number, text or truth as it would be typed.
std::string word_of(const std::string& key, const io::Json& value, const std::string& path) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (!value.is_number() && !value.is_boolean()) {
    refuse_value(key, value, "text, a number, true or false", path);
  }
  return value.dump();
}

/// A list joined by `separator`, or the only word.
std::string joined(const std::string& key, const io::Json& value, std::string_view separator, const std::string& path) {
  if (!value.is_array()) {
    return word_of(key, value, path);
  }
  std::string all;
  for (const io::Json& item : value) {
    all += (all.empty() ? "" : std::string(separator)) + word_of(key, item, path);
  }
  return all;
}

bool truth_of(const std::string& key, const io::Json& value, const std::string& path) {
  const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
  if (word == "true" || word == "yes" || word == "on") {
    return true;
  }
  if (word == "false" || word == "no" || word == "off") {
    return false;
  }
  refuse_value(key, value, "true or false", path);
}

/// "LORA", "PROMPT_TUNING" and "LoreftIntervention" as --adapter has them.
std::string adapter_name(std::string name) {
  for (const auto& [foreign, ours] : interventions) {
    if (name == foreign) {
      return std::string(ours);
    }
  }
  for (char& c : name) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return name.find(':') == std::string::npos && !name.ends_with(".json") ? dashed(name) : name;
}

/// NAME:key=value,... of an object, or the name alone.
std::string adapter_word(const io::Json& value, const std::string& path) {
  if (!value.is_object()) {
    return adapter_name(word_of("adapter", value, path));
  }
  std::string name;
  std::string settings;
  for (const auto& [key, setting] : value.items()) {
    if (key == "name" || key == "peft_type" || key == "adapter" || key == "intervention_type") {
      name = adapter_name(word_of(key, setting, path));
    } else if (!setting.is_null()) {
      const std::string ours = key == "r"              ? "rank"
                               : key == "lora_alpha"   ? "alpha"
                               : key == "lora_dropout" ? "dropout"
                                                       : key;
      settings += (settings.empty() ? "" : ",") + ours + "=" + joined(key, setting, "+", path);
    }
  }
  if (name.empty()) {
    refuse_value("adapter", value, "an object with a name", path);
  }
  return name + (settings.empty() ? "" : ":" + settings);
}

/// The one file of axolotl's list of data sets.
std::string dataset_word(const std::string& key, const io::Json& value, const std::string& path) {
  const io::Json one = value.is_array() && value.size() == 1 ? value.at(0) : value;
  if (one.is_string()) {
    return one.get<std::string>();
  }
  if (!one.is_object() || !one.contains("path")) {
    refuse_value(key, value, "one file, or a list with one object that has a path", path);
  }
  return word_of(key, one.at("path"), path);
}

/// What a key of another program comes to, where its value is not the flag's own.
std::optional<std::string> translated(const std::string& key, const io::Json& value, const std::string& path) {
  const auto only = [&](bool good, const std::string& expected) {
    if (!good) {
      refuse_value(key, value, expected, path);
    }
  };
  if (key == "train_on_inputs") {
    return truth_of(key, value, path) ? "--train-on=all" : "--train-on=completion";
  }
  if (key == "roles_to_train") {
    only(value == io::Json::array({"assistant"}) || value == io::Json::array({"gpt"}),
         "[\"assistant\"]: graft trains every answer");
    return "--train-on=completion";
  }
  if (key == "train_on_eos") {
    const std::string word = word_of(key, value, path);
    only(word == "all" || word == "turn" || word == "last" || word == "true" || word == "none" || word == "false",
         "turn, all, last or none");
    return word == "none" || word == "false" ? "--no-eos" : "";
  }
  if (key == "auto_resume_from_checkpoints") {
    return truth_of(key, value, path) ? "--resume=auto" : "";
  }
  if (key == "resume_from_checkpoint" && value.is_boolean()) {
    return value.get<bool>() ? "--resume=auto" : "";
  }
  if (key == "lora_target_linear") {
    return truth_of(key, value, path) ? "--target=all-linear" : "";
  }
  if ((key == "optim" || key == "optimizer") && value.is_string() && value.get<std::string>().starts_with("adamw_")) {
    return "--optimizer=adamw";  // torch, fused, ...: ways to compute the same
  }
  if (key.starts_with("lr_scheduler") && value == "constant_with_warmup") {
    return "--schedule=constant";
  }
  if (key == "sample_packing") {
    (void)truth_of(key, value, path);  // a batch here is ragged: it is always packed, and no example sees another
    return "";
  }
  return std::nullopt;
}

const KnownFlag* flag_of(const std::string& key, const std::vector<KnownFlag>& flags) {
  const auto foreign =
      std::find_if(foreign_keys.begin(), foreign_keys.end(), [&](const Pair& pair) { return pair.first == key; });
  const std::string name = foreign != foreign_keys.end() ? std::string(foreign->second) : dashed(key);
  for (const KnownFlag& flag : flags) {
    if (std::any_of(flag.names.begin(), flag.names.end(),
                    [&](const std::string& own) { return dashed(own) == name; })) {
      return &flag;
    }
  }
  return nullptr;
}

[[noreturn]] void refuse_key(const std::string& key, const std::vector<KnownFlag>& flags, const std::string& path) {
  std::vector<std::string> names;
  for (const KnownFlag& flag : flags) {
    for (std::string name : flag.names) {
      std::replace(name.begin(), name.end(), '-', '_');
      names.push_back(std::move(name));
    }
  }
  for (const auto& [foreign, ours] : foreign_keys) {
    names.emplace_back(foreign);
  }
  fail("train.458",
       "the key \"" + key + "\" is unknown; did you mean \"" +
           io::nearest_name(key, names, [](const std::string& name) { return name; }) + "\"?",
       path);
}

}  // namespace

io::Json read_config(const std::string& path) {
  const bool is_yaml = path.ends_with(".yaml") || path.ends_with(".yml");
  io::Json config = is_yaml ? read_yaml(path) : io::parse_json(io::MappedFile(path).text(), path);
  if (!config.is_object()) {
    fail("train.459", "the configuration is " + config.dump().substr(0, 60) + ", expected keys with their values",
         path);
  }
  return config;
}

std::vector<std::string> config_words(const io::Json& config, const std::string& path,
                                      const std::vector<KnownFlag>& flags) {
  std::vector<std::string> words;
  std::map<std::string, std::string> setters;  // key of each flag that is set
  for (const auto& [key, value] : config.items()) {
    const KnownFlag* const flag = flag_of(key, flags);
    if (flag == nullptr && key != "sample_packing") {
      refuse_key(key, flags, path);
    }
    if (value.is_null() || (flag != nullptr && flag->given)) {
      continue;
    }
    if (flag != nullptr && !setters.emplace(flag->names.front(), key).second) {
      fail("train.459",
           "the keys \"" + setters.at(flag->names.front()) + "\" and \"" + key + "\" both mean --" +
               flag->names.front() + ", expected one of them",
           path);
    }
    const auto special = translated(key, value, path);
    if (flag == nullptr || special) {
      if (special && !special->empty()) {
        words.push_back(*special);
      }
      continue;
    }
    const std::string& name = flag->names.front();
    const std::string dashes = "--" + name;
    if (!flag->takes_value) {
      if (truth_of(key, value, path)) {
        words.push_back(dashes);
      }
    } else if (name == "adapter") {
      for (const io::Json& one : value.is_array() ? value : io::Json::array({value})) {
        words.push_back(dashes + "=" + adapter_word(one, path));
      }
    } else if (key == "datasets" || key == "test_datasets") {
      words.push_back(dashes + "=" + dataset_word(key, value, path));
    } else {
      words.push_back(dashes + "=" + joined(key, value, name == "layers" ? ";" : ",", path));
    }
  }
  return words;
}

}  // namespace graft::program
