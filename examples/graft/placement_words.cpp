// SPDX-License-Identifier: Apache-2.0
#include "placement_words.hpp"

#include <algorithm>  // find
#include <charconv>
#include <set>
#include <utility>  // pair

#include <graft/io/nearest.hpp>

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

Layers parse_layers(const FinetuneSettings& settings, Index count) {
  if (settings.last_layers != 0) {
    if (settings.last_layers < 0 || settings.last_layers > count) {
      fail("train.432",
           "--num-layers is " + std::to_string(settings.last_layers) + ", expected 1 to " + std::to_string(count),
           "--num-layers");
    }
    std::vector<Index> last;
    for (Index l = count - settings.last_layers; l < count; ++l) {
      last.push_back(l);
    }
    return only_layers(std::move(last));
  }
  if (settings.layers == "all") {
    return every_layer;
  }
  std::set<Index> chosen;
  for (const std::string& part : split(settings.layers, ";, ")) {
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

NamedSites targets_of(const std::string& adapter) {
  if (is_reft(adapter)) {
    return {{"residual", site::residual},          {"block_output", site::residual}, {"attention", site::attention},
            {"attention_output", site::attention}, {"self_attn", site::attention},   {"mlp", site::feed_forward},
            {"mlp_output", site::feed_forward}};
  }
  NamedSites names = linear_targets();
  if (adapter == "full") {
    names.insert(names.end(), {{"all", site::everything & ~site::stream},
                               {"norms", site::norms | site::final_norm},
                               {"embed_tokens", site::embedding},
                               {"norm", site::final_norm},
                               {"lm_head", site::head}});
  }
  return names;
}

Sites parse_targets(const FinetuneSettings& settings) {
  if (settings.target.empty()) {
    return is_reft(settings.adapter)    ? site::residual
           : settings.adapter == "full" ? site::everything & ~site::stream
                                        : site::linear;
  }
  const NamedSites names = targets_of(settings.adapter);
  Sites sites = site::none;
  for (const std::string& word : split(settings.target, ",; ")) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& named) { return named.first == word; });
    if (found == names.end()) {
      fail("train.433",
           "target \"" + word + "\" is unknown to the adapter " + settings.adapter + "; did you mean \"" +
               io::nearest_name(word, names, [](const auto& named) { return named.first; }) + "\"?",
           "--target");
    }
    sites |= found->second;
  }
  if (sites == site::none) {
    fail("train.433", "--target names nothing, expected for instance \"" + names.front().first + "\"", "--target");
  }
  return sites;
}

}  // namespace

bool is_reft(const std::string& adapter) {
  return adapter.ends_with("reft") || adapter == "direft-orthonormal";
}

AdapterRequest request_of(const FinetuneSettings& settings, const models::LlamaConfig& config) {
  if (std::find(std::begin(adapter_names), std::end(adapter_names), settings.adapter) == std::end(adapter_names)) {
    fail(
        "train.433",
        "the adapter \"" + settings.adapter + "\" is unknown; did you mean \"" +
            io::nearest_name(settings.adapter, adapter_names, [](std::string_view name) { return std::string(name); }) +
            "\"?",
        "--adapter");
  }
  AdapterRequest request;
  request.name = settings.adapter;
  const auto set = [&](const char* name, const auto& value) {
    if (value) {
      request.settings[name] = static_cast<double>(*value);
    }
  };
  set("rank", settings.rank);
  set("alpha", settings.alpha);
  set("dropout", settings.dropout);
  set("columns", settings.columns);
  set("rows", settings.rows);
  if (settings.clamp) {
    request.settings["clamp"] = 1;
  }
  if (settings.dropout && (*settings.dropout < 0 || *settings.dropout >= 1)) {
    fail("train.431", "--dropout is " + std::to_string(*settings.dropout) + ", expected at least 0 and below 1",
         "--dropout");
  }
  if (!settings.skeletons.empty() && settings.adapter != "pmss") {
    fail("train.434", "--skeletons has no meaning for the adapter \"" + settings.adapter + "\", only for pmss",
         "--skeletons");
  }
  request.skeletons = settings.skeletons;
  request.placement.layers = parse_layers(settings, config.layers);
  request.placement.sites = parse_targets(settings);
  if (is_reft(settings.adapter)) {
    request.placement.positions = parse_positions(settings.positions.empty() ? "f7+l7" : settings.positions);
    request.placement.tied = settings.share_weights;
  } else if (!settings.positions.empty() || settings.share_weights) {
    fail("train.434", "the adapter \"" + settings.adapter + "\" edits every row, so it has no --positions and no " +
                          "--share-weights");
  }
  return request;
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
