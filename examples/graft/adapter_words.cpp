// SPDX-License-Identifier: Apache-2.0
#include "adapter_words.hpp"

#include <algorithm>  // find_if, replace
#include <charconv>
#include <cmath>  // floor
#include <set>
#include <utility>  // pair

#include <graft/io/mapped_file.hpp>
#include <graft/io/nearest.hpp>

#include "words.hpp"

namespace graft::program {

namespace {

/// The number that all of `text` spells, or -1.
Index number_in(std::string_view text) {
  Index value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

std::vector<std::string> split(const std::string& text, std::string_view separators) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) {
      parts.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return parts;
}

Layers parse_layers(const AdapterWords& words, Index count) {
  if (words.last_layers != 0) {
    if (words.last_layers < 0 || words.last_layers > count) {
      fail("train.432",
           "--num-layers is " + std::to_string(words.last_layers) + ", expected 1 to " + std::to_string(count),
           "--num-layers");
    }
    std::vector<Index> last;
    for (Index l = count - words.last_layers; l < count; ++l) {
      last.push_back(l);
    }
    return only_layers(std::move(last));
  }
  if (words.layers.empty() || words.layers == "all") {
    return every_layer;
  }
  std::set<Index> chosen;
  for (const std::string& part : split(words.layers, ";, +")) {
    const std::size_t dash = part.find('-');
    const Index first = number_in(std::string_view(part).substr(0, dash));
    const Index last = dash == std::string::npos ? first : number_in(std::string_view(part).substr(dash + 1));
    if (first < 0 || last < first || last >= count) {
      fail("train.432",
           "layer \"" + part + "\" is unknown, expected all, or layers like 8;19 or 4-11 among 0 to " +
               std::to_string(count - 1),
           "--layers");
    }
    for (Index l = first; l <= last; ++l) {
      chosen.insert(l);
    }
  }
  if (chosen.empty()) {
    fail("train.432", "--layers names no layer, expected all, 8;19 or 4-11", "--layers");
  }
  return only_layers({chosen.begin(), chosen.end()});
}

using NamedSites = std::vector<std::pair<std::string, Sites>>;

NamedSites linear_targets() {
  NamedSites names = {{"all-linear", site::linear},
                      {"attention", site::query | site::key | site::value | site::output},
                      {"mlp", site::gate | site::up | site::down}};
  for (Sites one = 1; one <= site::down; one <<= 1) {
    const std::string full(site_name(one));
    names.push_back({full, one});
    names.push_back({full.substr(full.find('.') + 1), one});
  }
  return names;
}

NamedSites targets_of(const AdapterKind& kind) {
  if ((kind.sites & site::stream) != 0) {
    NamedSites names = {{"residual", site::residual},       {"block_output", site::residual},
                        {"attention", site::attention},     {"attention_output", site::attention},
                        {"self_attn", site::attention},     {"mlp", site::feed_forward},
                        {"mlp_output", site::feed_forward}, {"self_attn.keys", site::keys},
                        {"self_attn.values", site::values}, {"model.embedded", site::embedded}};
    std::erase_if(names, [&](const auto& named) { return (named.second & kind.sites) == 0; });
    return names;
  }
  NamedSites names = linear_targets();
  if (kind.sites == weight_sites) {
    for (Sites one = 1; one < (1u << site::count); one <<= 1) {
      if ((one & weight_sites & ~site::linear) != 0) {
        names.push_back({std::string(site_name(one)), one});
      }
    }
    names.insert(names.end(), {{"all", weight_sites},
                               {"norms", site::norms | site::final_norm},
                               {"embed_tokens", site::embedding},
                               {"norm", site::final_norm},
                               {"lm_head", site::head}});
  }
  return names;
}

/// Sites, and where a word holds a *, modules whose path it matches.
void parse_targets(const AdapterKind& kind, const std::string& target, Placement& placement) {
  if (target.empty()) {
    placement.sites = kind.usual;
    return;
  }
  const NamedSites names = targets_of(kind);
  Sites sites = site::none;
  for (const std::string& word : split(target, ",; +")) {
    if (word.find('*') != std::string::npos) {
      placement.modules.push_back(word);
      continue;
    }
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& named) { return named.first == word; });
    if (found == names.end()) {
      fail("train.433",
           "target \"" + word + "\" is unknown to the adapter " + std::string(kind.name) + "; did you mean \"" +
               io::nearest_name(word, names, [](const auto& named) { return named.first; }) + "\"?",
           "--target");
    }
    sites |= found->second;
  }
  if (sites == site::none && placement.modules.empty()) {
    fail("train.433", "--target names nothing, expected for instance \"" + names.front().first + "\"", "--target");
  }
  placement.sites = placement.modules.empty() ? sites : kind.sites;
  for (Sites one = 1; one < (1u << site::count) && !placement.modules.empty(); one <<= 1) {
    if ((sites & one) != 0) {
      placement.modules.push_back("*." + std::string(site_name(one)));
    }
  }
}

bool truth_in(const std::string& text, const std::string& key, const std::string& where) {
  if (text != "true" && text != "false") {
    fail("train.431", key + " is \"" + text + "\", expected true or false", where);
  }
  return text == "true";
}

/// Sets one key of an adapter; what is no place is a setting of its recipe, a number or true or false.
void set_word(AdapterWords& words, std::string key, const std::string& value, const std::string& where) {
  std::replace(key.begin(), key.end(), '-', '_');
  if (key == "target" || key == "target_modules") {
    words.target = value;
  } else if (key == "layers") {
    words.layers = value;
  } else if (key == "num_layers") {
    words.last_layers = number_in(value);
  } else if (key == "positions" || key == "position") {
    words.positions = value;
  } else if (key == "skeletons") {
    words.skeletons = value;
  } else if (key == "share_weights" || key == "tied") {
    words.share_weights = truth_in(value, key, where);
  } else if (value == "true" || value == "false") {
    words.settings[key] = value == "true" ? 1 : 0;
  } else {
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size()) {
      fail("train.431", key + " is \"" + value + "\", expected a number, true or false", where);
    }
    words.settings[key] = number;
  }
}

/// NAME:key=value,key=value.
AdapterWords adapter_in(const std::string& text) {
  const std::size_t colon = text.find(':');
  AdapterWords words;
  words.name = text.substr(0, colon);
  if (colon == std::string::npos) {
    return words;
  }
  for (const std::string& item : split(text.substr(colon + 1), ",")) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail("train.431",
           "\"" + item +
               "\" sets nothing, expected key=value as in lora:rank=8,target=q_proj+v_proj (the parts of a list "
               "joined by +)",
           "--adapter");
    }
    set_word(words, item.substr(0, equals), item.substr(equals + 1), "--adapter " + text);
  }
  return words;
}

/// "q_proj;v_proj" of ["q_proj", "v_proj"], "3;9" of [3, 9], "8" of 8.
std::string text_of(const io::Json& value, const std::string& key, const std::string& where) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_array()) {
    std::string all;
    for (const io::Json& item : value) {
      all += (all.empty() ? "" : ";") + text_of(item, key, where);
    }
    return all;
  }
  if (!value.is_number() && !value.is_boolean()) {
    fail("io.212",
         "the key \"" + key + "\" holds " + value.type_name() + ", expected text, a number, true, false or a list",
         where);
  }
  return value.dump();
}

/// What plain flags say of the only adapter stands over what was said with its name.
void lay_over(AdapterWords& words, const AdapterWords& plain) {
  for (const auto& [name, value] : plain.settings) {
    words.settings[name] = value;
  }
  const auto take = [](std::string& into, const std::string& from) { into = from.empty() ? into : from; };
  take(words.target, plain.target);
  take(words.positions, plain.positions);
  take(words.skeletons, plain.skeletons);
  if (!plain.layers.empty() || plain.last_layers != 0) {
    words.layers = plain.layers;
    words.last_layers = plain.last_layers;
  }
  words.share_weights = words.share_weights || plain.share_weights;
}

std::vector<AdapterWords> adapters_in(const std::string& path) {
  const io::Json json = io::parse_json(io::read_text(path), path);
  std::vector<AdapterWords> all;
  for (const io::Json& object : json.is_array() ? json : io::Json::array({json})) {
    AdapterWords& words = all.emplace_back();
    words.name = io::json_get<std::string>(object, "name", path);
    for (const auto& [key, value] : object.items()) {
      if (key != "name") {
        set_word(words, key, text_of(value, key, path), path);
      }
    }
  }
  return all;
}

}  // namespace

const AdapterKind& kind_named(const std::string& name) {
  for (const AdapterKind& kind : adapter_kinds) {
    if (name == kind.name || name == kind.alias) {
      return kind;
    }
  }
  fail("train.433",
       "the adapter \"" + name + "\" is unknown; did you mean \"" +
           io::nearest_name(name, adapter_kinds, [](const AdapterKind& kind) { return std::string(kind.name); }) +
           "\"?",
       "--adapter");
}

Positions parse_positions(const std::string& text) {
  if (text == "all") {
    return every_position;
  }
  Positions positions = ends(0, 0);
  bool good = !text.empty();
  for (const std::string& part : split(text, "+")) {
    const Index count = number_in(std::string_view(part).substr(1));
    good = good && count >= 0 && (part[0] == 'f' || part[0] == 'l');
    (part[0] == 'f' ? positions.first : positions.last) = count;
  }
  if (!good || positions.first + positions.last <= 0) {
    fail("train.436", "--positions is \"" + text + "\", expected f7+l7, f4, l1 or all", "--positions");
  }
  return positions;
}

void refuse_plain_flags(const AdapterWords& plain, const std::string& why) {
  const auto refuse_if = [&](bool given, const std::string& flag) {
    if (given) {
      fail("train.434", flag + " " + why, flag);
    }
  };
  for (const auto& setting : plain.settings) {
    refuse_if(true, "--" + (setting.first == "clamp" ? "clamp-rank" : setting.first));
  }
  refuse_if(!plain.target.empty(), "--target");
  refuse_if(!plain.layers.empty(), "--layers");
  refuse_if(plain.last_layers != 0, "--num-layers");
  refuse_if(!plain.positions.empty(), "--positions");
  refuse_if(plain.share_weights, "--share-weights");
  refuse_if(!plain.skeletons.empty(), "--skeletons");
}

std::vector<AdapterWords> adapters_of(const FinetuneSettings& settings) {
  std::vector<AdapterWords> all;
  for (const std::string& word : settings.adapters) {
    if (word.ends_with(".json")) {
      const std::vector<AdapterWords> listed = adapters_in(word);
      all.insert(all.end(), listed.begin(), listed.end());
    } else {
      all.push_back(adapter_in(word));
    }
  }
  if (all.size() > 1) {
    refuse_plain_flags(settings.adapter,
                       "does not say which adapter it means; write it with its adapter, as in "
                       "--adapter lora:rank=8,layers=4-11");
    return all;
  }
  AdapterWords only;
  only.name = "lora";
  if (!all.empty()) {
    only = all.front();
  }
  lay_over(only, settings.adapter);
  return {only};
}

AdapterRequest request_of(const AdapterWords& words, const models::LlamaConfig& config) {
  const AdapterKind& kind = kind_named(words.name);
  AdapterRequest request;
  request.kind = &kind;
  request.settings = words.settings;
  const auto check = [&](const char* name, bool (*good)(double), const char* expected) {
    const auto found = words.settings.find(name);
    if (found != words.settings.end() && !good(found->second)) {
      const std::string flag = "--" + std::string(name);
      fail("train.431", flag + " is " + significant(found->second, 6) + ", expected " + expected, flag);
    }
  };
  check("rank", [](double rank) { return rank >= 1 && rank == std::floor(rank); }, "a whole number of at least 1");
  check("dropout", [](double dropout) { return dropout >= 0 && dropout < 1; }, "at least 0 and below 1");
  if (!words.skeletons.empty() && kind.name != "pmss") {
    fail("train.434", "--skeletons has no meaning for the adapter \"" + words.name + "\", only for pmss",
         "--skeletons");
  }
  request.skeletons = words.skeletons;
  request.placement.layers = parse_layers(words, config.layers);
  parse_targets(kind, words.target, request.placement);
  if (!kind.positions.empty()) {
    request.placement.positions =
        parse_positions(words.positions.empty() ? std::string(kind.positions) : words.positions);
    request.placement.tied = words.share_weights;
  } else if (!words.positions.empty() || words.share_weights) {
    fail("train.434",
         "the adapter \"" + words.name + "\" edits every row, so it has no --positions and no " + "--share-weights");
  }
  return request;
}

io::Json json_of(const AdapterSummary& adapter) {
  io::Json json = {{"name", adapter.kind->name}, {"layers", words_of(adapter.layers)}};
  io::Json& target = json["target"] = adapter.modules;
  for (const PlacementRow& row : adapter.rows) {
    if (adapter.modules.empty() && std::find(target.begin(), target.end(), row.site) == target.end()) {
      target.push_back(row.site);
    }
  }
  if (!adapter.kind->positions.empty()) {
    json["positions"] = words_of(adapter.positions);
    json["tied"] = adapter.tied;
  }
  for (const auto& [name, value] : adapter.settings) {
    json[name] = value;
  }
  return json;
}

std::string names_of(const std::vector<AdapterSummary>& adapters) {
  std::string names;
  for (const AdapterSummary& adapter : adapters) {
    names += (names.empty() ? "" : "+") + std::string(adapter.kind->name);
  }
  return names;
}

std::string words_of(const Positions& positions) {
  if (positions.all) {
    return "all";
  }
  return "f" + std::to_string(positions.first) + "+l" + std::to_string(positions.last);
}

std::string words_of(const Layers& layers) {
  if (layers.all) {
    return "all";
  }
  std::string words;
  for (std::size_t i = 0; i < layers.chosen.size();) {
    std::size_t end = i;
    while (end + 1 < layers.chosen.size() && layers.chosen[end + 1] == layers.chosen[end] + 1) {
      ++end;
    }
    words += (words.empty() ? "" : ";") + std::to_string(layers.chosen[i]);
    words += end > i ? "-" + std::to_string(layers.chosen[end]) : "";
    i = end + 1;
  }
  return words;
}

}  // namespace graft::program
