// SPDX-License-Identifier: Apache-2.0
// peft_config: the rules that the configurations of all PEFT tuners share: which keys there are, which modules are meant.
// Source: github.com/huggingface/peft, tuners/tuners_utils.py (check_target_module_exists), utils/other.py (_set_trainable).
#pragma once

#include <algorithm>  // any_of, find, find_if, none_of
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/core/site.hpp>
#include <graft/io/json.hpp>
#include <graft/text/backtracking.hpp>

namespace graft::interchange {

/// What one kind of adapter_config.json may hold beside the keys that all kinds have. Any other key is adapter.671 unless
/// it is empty.
struct PeftKeys {
  std::vector<std::string_view> understood;      ///< the reader asks for them
  std::vector<std::string_view> without_effect;  ///< on what a trained adapter computes
  std::vector<std::string_view> training;        ///< act in training only, and graft does not do them: a warning
  std::vector<std::string_view> refused;         ///< change the result (adapter.670), unless null, false or empty
};

namespace detail {

/// Python's re.fullmatch. Anchors at the ends are what fullmatch means already, so they are dropped.
[[nodiscard]] inline bool full_match(std::string_view pattern, const std::string& text, text::PatternCompiler compile,
                                     const std::string& where) {
  pattern.remove_prefix(pattern.starts_with('^') ? 1 : 0);
  pattern.remove_suffix(pattern.ends_with('$') && !pattern.ends_with("\\$") ? 1 : 0);
  std::vector<text::Span> found;
  compile("(?:" + std::string(pattern) + ")(?![\\s\\S])", where).find_all(text, found);
  return !found.empty() && found.front().begin == 0 && found.front().end == text.size();
}

/// The end of a module path, cut at a dot, or all of it.
[[nodiscard]] inline bool ends_path(std::string_view path, std::string_view name) {
  return path == name || (path.ends_with(name) && path[path.size() - name.size() - 1] == '.');
}

/// Whether a value says nothing: null, false, or empty.
[[nodiscard]] inline bool neutral(const io::Json& value) {
  return value.is_null() || value == false || ((value.is_structured() || value == "") && value.empty());
}

}  // namespace detail

/// An adapter_config.json of PEFT: asks for values, and refuses what graft does not compute.
class PeftConfig {
 public:
  /// `where` is the file, for messages; a regex goes through `compile`. Both `json` and `compile` outlive this.
  PeftConfig(const io::Json& json, std::string where, text::PatternCompiler compile)
      : json_(json), where_(std::move(where)), compile_(compile) {}

  /// The value of a key; `fallback` where it is null or absent, io.212 where it is of another type.
  template <class T>
  [[nodiscard]] T get(const char* key, T fallback) const {
    return io::json_get_or<T>(json_, key, std::move(fallback), where_);
  }
  /// The value as it stands; null where there is none.
  [[nodiscard]] const io::Json& raw(const char* key) const {
    static const io::Json nothing;
    const auto found = json_.find(key);
    return found == json_.end() ? nothing : *found;
  }
  [[nodiscard]] const std::string& where() const { return where_; }  ///< the file, for messages
  /// Throws adapter.670: the key has a value that graft does not compute.
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    fail("adapter.670",
         "key \"" + key + "\" is " + json_.value(key, io::Json()).dump().substr(0, 80) +
             ", which graft does not compute (expected " + expected + ")",
         where_);
  }

  /// Keys that change the result must have their neutral value; unknown ones too, and these are reported.
  [[nodiscard]] std::vector<std::string> check_keys(const PeftKeys& own) const {
    static const std::vector<std::string_view> understood = {"peft_type", "task_type"};
    static const std::vector<std::string_view> without_effect = {
        "auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "runtime_config"};
    const auto among = [](std::string_view key, const auto&... lists) {
      return ((std::find(lists.begin(), lists.end(), key) != lists.end()) || ...);
    };
    std::vector<std::string> warnings;
    for (const auto& [key, value] : json_.items()) {
      if (among(key, understood, without_effect, own.understood, own.without_effect)) {
        continue;
      }
      const bool empty = detail::neutral(value) || (among(key, own.training) && value == 0);
      if (!empty && among(key, own.refused)) {
        refuse(key, "null or false");
      }
      if (!empty && !among(key, own.training)) {
        fail("adapter.671",
             "key \"" + key + "\" is unknown and holds " + value.dump().substr(0, 80) + ", so it may change the result",
             where_);
      }
      if (!empty) {
        warnings.push_back("key \"" + key + "\" of " + where_ + " is " + value.dump() +
                           "; graft would not do that if it trained on");
      } else if (!among(key, own.refused, own.training)) {
        warnings.push_back("key \"" + key + "\" of " + where_ + " is unknown; it is empty and was passed over");
      }
    }
    if (get<std::string>("task_type", "CAUSAL_LM") != "CAUSAL_LM") {
      refuse("task_type", "\"CAUSAL_LM\"");
    }
    return warnings;
  }

  /// Whether an adapter stands at this module of a model. What is trained whole (modules_to_save) has none.
  [[nodiscard]] bool targets(Index layer, const std::string& module) const {
    if (named_by("exclude_modules", module) != Named::no || saves_around(module)) {
      return false;
    }
    const Named named = named_by("target_modules", module);
    return named == Named::whole || (named == Named::ending && in_layers(layer));
  }
  /// Whether an entry of the list ends this path, cut at no dot: so PEFT reads modules_to_save and feedforward_modules.
  [[nodiscard]] bool ends(const char* key, const std::string& module) const {
    const auto names = get<std::vector<std::string>>(key, {});
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return module.ends_with(name); });
  }
  /// The same, or the whole path by a regex.
  [[nodiscard]] bool ends_or_matches(const char* key, const std::string& module) const {
    return raw(key).is_string() ? detail::full_match(raw(key).get<std::string>(), module, compile_, where_)
                                : ends(key, module);
  }
  /// The targets of a list that name none of these modules.
  [[nodiscard]] std::vector<std::string> idle_targets(const std::vector<std::string>& modules) const {
    std::vector<std::string> idle;
    if (raw("target_modules").is_array()) {
      for (const auto& target : get<std::vector<std::string>>("target_modules", {})) {
        const auto hit = [&](const std::string& module) { return detail::ends_path(module, target); };
        if (std::none_of(modules.begin(), modules.end(), hit)) {
          idle.push_back(target);
        }
      }
    }
    return idle;
  }
  /// The entry of rank_pattern or alpha_pattern for a module: the first key that matches its end.
  template <class T>
  [[nodiscard]] T pattern_value(const char* key, const std::string& module, T fallback) const {
    const io::Json& patterns = raw(key);
    if (!patterns.is_null() && !patterns.is_object()) {
      refuse(key, "an object from module patterns to numbers");
    }
    for (const auto& [pattern, value] : patterns.items()) {
      if (detail::full_match("(.*\\.)?(" + pattern + ")", module, compile_, where_)) {
        return io::json_as<T>(value, std::string(key) + "." + pattern, where_);
      }
    }
    return fallback;
  }
  /// r of a module, by "r" and rank_pattern; below 1 it is adapter.670.
  [[nodiscard]] Index rank(const std::string& module) const {
    const auto r = pattern_value<Index>("rank_pattern", module, get<Index>("r", 8));
    if (r < 1) {
      refuse("r", "a rank of at least 1");
    }
    return r;
  }
  /// A share of dropped numbers; out of [0, 1) it is adapter.670.
  [[nodiscard]] double dropout(const char* key) const {
    const auto p = get<double>(key, 0);
    if (!(p >= 0 && p < 1)) {
      refuse(key, "0 <= p < 1");
    }
    return p;
  }

 private:
  enum class Named { no, ending, whole };  // a list names the end of a path, or all of it; a regex always all

  [[nodiscard]] Named named_by(const char* key, const std::string& module) const {
    const io::Json& value = raw(key);
    if (value.is_null()) {
      return Named::no;
    }
    if (value.is_string()) {
      const auto text = value.get<std::string>();
      const bool found = text == "all-linear" ? projection(module) : detail::full_match(text, module, compile_, where_);
      return found ? Named::whole : Named::no;
    }
    Named named = Named::no;
    for (const auto& name : get<std::vector<std::string>>(key, {})) {
      if (module == name) {
        return Named::whole;
      }
      named = module.ends_with("." + name) ? Named::ending : named;
    }
    return named;
  }
  /// Whether the module, or one that it lies in, is trained whole.
  [[nodiscard]] bool saves_around(const std::string& module) const {
    for (const auto& name : get<std::vector<std::string>>("modules_to_save", {})) {
      if (("." + module + ".").find("." + name + ".") != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] static bool projection(const std::string& module) { return module.ends_with("_proj"); }

  [[nodiscard]] bool in_layers(Index layer) const {
    const io::Json& chosen = raw("layers_to_transform");
    const io::Json& pattern = raw("layers_pattern");
    if (!(pattern.is_null() || pattern.empty() || pattern == "layers" || pattern == io::Json{"layers"})) {
      refuse("layers_pattern", "null or \"layers\"");
    }
    if (chosen.is_null() || (chosen.is_array() && chosen.empty())) {
      return true;
    }
    const auto list = chosen.is_array() ? get<std::vector<Index>>("layers_to_transform", {})
                                        : std::vector<Index>{get<Index>("layers_to_transform", 0)};
    return std::find(list.begin(), list.end(), layer) != list.end();
  }

  const io::Json& json_;
  std::string where_;
  text::PatternCompiler compile_;
};

}  // namespace graft::interchange
