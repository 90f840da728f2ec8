// SPDX-License-Identifier: Apache-2.0
// What people write of adapters, on the command line and in JSON files, as requests to an engine; and back.
#pragma once

#include <vector>

#include <graft/io/json.hpp>
#include <graft/models/llama_config.hpp>

#include "engine.hpp"
#include "settings.hpp"

namespace graft::program {

/// The adapters of all --adapter words: NAME, NAME:key=value,..., or a JSON file with one such object or a list of them.
/// Plain flags speak of the only one (train.431 to train.434).
[[nodiscard]] std::vector<AdapterWords> adapters_of(const FinetuneSettings& settings);

/// Refuses what plain flags say of an adapter (train.434), naming the first of them.
void refuse_plain_flags(const AdapterWords& plain, const std::string& why);

/// The kind of that name or alias (train.433).
[[nodiscard]] const AdapterKind& kind_named(const std::string& name);

/// Checks every word against the model (train.431 to train.434, train.436).
[[nodiscard]] AdapterRequest request_of(const AdapterWords& words, const models::LlamaConfig& config);

/// An attached adapter as a JSON file lists it.
[[nodiscard]] io::Json json_of(const AdapterSummary& adapter);

/// "f7+l7", "f4", "l1" or "all" (train.436).
[[nodiscard]] Positions parse_positions(const std::string& text);
/// "lora", "lora+loreft".
[[nodiscard]] std::string names_of(const std::vector<AdapterSummary>& adapters);
/// "f7+l7", "all".
[[nodiscard]] std::string words_of(const Positions& positions);
/// "all", "4-11", "8;19".
[[nodiscard]] std::string words_of(const Layers& layers);

}  // namespace graft::program
