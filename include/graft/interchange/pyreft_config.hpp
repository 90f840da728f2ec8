// SPDX-License-Identifier: Apache-2.0
// pyreft_config: the config.json of a pyreft folder as a list of interventions: class, place, rank, and where its file lies.
//
// A file is intkey_KEY.bin; KEY is layer_L_comp_C_unit_pos_nunit_1#K, earlier with dots for _, earlier still with "repr" for
// "comp"; K counts the interventions of one place (#1: the suffix of an untied pair). Source: github.com/stanfordnlp/pyvene.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>  // pair
#include <vector>

#include <graft/adapters/subspace.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>
#include <graft/models/adapter_file.hpp>

namespace graft::interchange {

/// One intervention of a pyreft folder.
struct PyreftUnit {
  std::string kind;               ///< pyreft's class: "LoreftIntervention"
  Index layer = 0;                ///< counted from 0
  Sites where = site::residual;   ///< a stream
  Index turn = 0;                 ///< how many interventions of the file stand at this place before it
  Index rank = 0;                 ///< 0: only the tensors say it
  Index width = 0;                ///< 0: only the tensors say it
  std::vector<std::string> keys;  ///< the spellings under which its file may lie, newest first
};

/// The classes of pyreft that are members of the Subspace family, with the words of their policies. pyreft's
/// DireftIntervention has an orthonormal R; the paper's DiReFT is its NodireftIntervention.
[[nodiscard]] inline const std::map<std::string, io::Json>& pyreft_classes() {
  static const std::map<std::string, io::Json> classes = {
      {"LoreftIntervention", models::policies_of<adapters::LoReft<>>()},
      {"NoreftIntervention", models::policies_of<adapters::NoReft<>>()},
      {"ConsreftIntervention", models::policies_of<adapters::ConsReft<>>()},
      {"LobireftIntervention", models::policies_of<adapters::LobiReft<>>()},
      {"DireftIntervention", models::policies_of<adapters::DiReftOrthonormal<>>()},
      {"NodireftIntervention", models::policies_of<adapters::NodiReft<>>()}};
  return classes;
}

namespace detail {

/// Names of streams: pyvene's own, and the modules of Hugging Face whose output they are.
inline constexpr std::array<std::pair<std::string_view, Sites>, 3> pyvene_components = {
    {{"block_output", site::residual}, {"attention_output", site::attention}, {"mlp_output", site::feed_forward}}};
inline constexpr std::array<std::pair<std::string_view, Sites>, 5> module_outputs = {
    {{".output", site::residual},
     {".self_attn.output", site::attention},
     {".self_attn.o_proj.output", site::attention},
     {".mlp.output", site::feed_forward},
     {".mlp.down_proj.output", site::feed_forward}}};

[[nodiscard]] inline std::string replaced(std::string text, char from, char to) {
  for (char& c : text) {
    c = c == from ? to : c;
  }
  return text;
}

/// Layer and site of a component; a dotted one, "model.layers[3].mlp.output", brings its layer along.
inline void place_unit(PyreftUnit& unit, const std::string& component, const std::string& where) {
  static constexpr std::string_view start = "model.layers[";
  std::vector<std::string> known;
  for (const auto& [name, one] : pyvene_components) {
    known.emplace_back(name);
    if (component == name) {
      unit.where = one;
      return;
    }
  }
  const std::size_t end = component.find(']');
  const std::string digits = component.starts_with(start) && end != component.npos
                                 ? component.substr(start.size(), end - start.size())
                                 : std::string();
  for (const auto& [name, one] : module_outputs) {
    known.push_back(std::string(start) + (digits.empty() ? "0" : digits) + "]" + std::string(name));
    if (component == known.back() && !digits.empty() && digits.size() < 5 &&
        digits.find_first_not_of("0123456789") == digits.npos) {
      unit.layer = std::stol(digits);
      unit.where = one;
      return;
    }
  }
  fail("adapter.761",
       "component \"" + component + "\" is none that graft edits; the nearest that is is \"" +
           io::nearest_name(component, known, [](const std::string& name) { return name; }) + "\"",
       where);
}

/// The spellings of a key, newest first; `turn` counts interventions of the same layer and component.
[[nodiscard]] inline std::vector<std::string> pyreft_keys(Index layer, const std::string& component, Index turn) {
  const std::string tail = "#" + std::to_string(turn);
  const std::string old = "." + component + ".unit.pos.nunit.1" + tail;
  const std::string of_layer = "layer." + std::to_string(layer);
  const std::string flat = replaced(component, '.', '_') + "_unit_pos_nunit_1" + tail;
  if (component.find('.') != component.npos) {
    return {"comp_" + flat, "comp" + old, of_layer + ".comp" + old, of_layer + ".repr" + old};
  }
  return {"layer_" + std::to_string(layer) + "_comp_" + flat, of_layer + ".comp" + old, of_layer + ".repr" + old};
}

/// "<class 'pyreft.interventions.LoreftIntervention'>" -> "LoreftIntervention", one that graft knows.
[[nodiscard]] inline std::string pyreft_class(const std::string& text, const std::string& where) {
  std::string name = text.substr(text.rfind('.') + 1);
  name = name.substr(0, name.find('\''));
  if (!pyreft_classes().contains(name)) {
    fail("adapter.762",
         "intervention type \"" + text + "\" is none that graft computes; the nearest that is is \"" +
             io::nearest_name(name, pyreft_classes(), [](const auto& entry) { return entry.first; }) + "\"",
         where);
  }
  return name;
}

/// The fields of one representation, by name, from the list or object that stands in the file.
[[nodiscard]] inline io::Json representation_fields(const io::Json& json, const std::string& where) {
  static constexpr std::array<const char*, 14> names = {"layer",
                                                        "component",
                                                        "unit",
                                                        "max_number_of_units",
                                                        "low_rank_dimension",
                                                        "intervention_type",
                                                        "intervention",
                                                        "subspace_partition",
                                                        "group_key",
                                                        "intervention_link_key",
                                                        "moe_key",
                                                        "source_representation",
                                                        "hidden_source_representation",
                                                        "latent_dim"};
  if (json.is_object()) {
    return json;
  }
  if (!json.is_array() || (json.size() != 13 && json.size() != 14)) {
    fail("adapter.760",
         "a representation is " + json.dump().substr(0, 80) +
             ", expected a list of 13 or 14 fields (layer, component, ...)",
         where);
  }
  io::Json fields = io::Json::object();
  for (std::size_t i = 0; i < json.size(); ++i) {
    fields[names[i]] = json[i];
  }
  return fields;
}

}  // namespace detail

/// Whether the folder is one that pyreft saved: its config.json lists interventions.
[[nodiscard]] inline bool is_pyreft_folder(const std::string& folder) {
  const std::string path = io::join(folder, "config.json");
  return io::exists(path) && io::read_text(path).find("\"intervention_types\"") != std::string::npos;
}

/// The interventions of a pyreft folder, in the order of the file. What graft does not compute is adapter.760 to adapter.762.
[[nodiscard]] inline std::vector<PyreftUnit> read_pyreft_config(const io::Json& config, const std::string& where) {
  const auto representations = io::json_get<std::vector<io::Json>>(config, "representations", where);
  const auto types = io::json_get<std::vector<std::string>>(config, "intervention_types", where);
  const auto widths = io::json_get_or<std::vector<io::Json>>(config, "intervention_dimensions", {}, where);
  if (types.size() != representations.size() || representations.empty() ||
      (!widths.empty() && widths.size() != types.size())) {
    fail("adapter.760",
         "the file lists " + std::to_string(representations.size()) + " representations, " +
             std::to_string(types.size()) + " types and " + std::to_string(widths.size()) +
             " dimensions, expected as many of each, and one at least",
         where);
  }
  std::vector<PyreftUnit> units;
  std::map<std::string, Index> turns_of_key;
  std::map<std::pair<Index, Sites>, Index> turns;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const io::Json fields = detail::representation_fields(representations[i], where);
    for (const auto& [name, value] : fields.items()) {
      const bool read = name == "layer" || name == "component" || name == "low_rank_dimension";
      const bool neutral =
          value.is_null() || (name == "unit" && value == "pos") || (name == "max_number_of_units" && value == 1);
      if (!read && !neutral) {
        fail("adapter.760",
             "field \"" + name + "\" of a representation is " + value.dump().substr(0, 80) +
                 ", which graft does not compute",
             where);
      }
    }
    PyreftUnit unit;
    unit.kind = detail::pyreft_class(types[i], where);
    unit.layer = io::json_get<Index>(fields, "layer", where);
    unit.rank = io::json_get_or<Index>(fields, "low_rank_dimension", 0, where);
    unit.width =
        widths.empty() || widths[i].is_null() ? 0 : io::json_as<Index>(widths[i], "intervention_dimensions", where);
    const auto component = io::json_get<std::string>(fields, "component", where);
    const Index listed = unit.layer;
    detail::place_unit(unit, component, where);
    unit.keys = detail::pyreft_keys(listed, component, turns_of_key[std::to_string(listed) + "/" + component]++);
    unit.turn = turns[{unit.layer, unit.where}]++;
    units.push_back(std::move(unit));
  }
  return units;
}

}  // namespace graft::interchange
