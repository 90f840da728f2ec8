// SPDX-License-Identifier: Apache-2.0
// The words of --layers, --positions, --target and the numbers of an adapter as a request to an engine.
#pragma once

#include <graft/models/llama_config.hpp>

#include "engine.hpp"
#include "settings.hpp"

namespace graft::program {

/// Whether the adapter rewrites hidden rows, so that it has positions.
[[nodiscard]] bool is_reft(const std::string& adapter);

/// Checks every word against the model (train.432 to train.434, train.436).
[[nodiscard]] AdapterRequest request_of(const FinetuneSettings& settings, const models::LlamaConfig& config);

/// "f7+l7", "all".
[[nodiscard]] std::string words_of(const Positions& positions);
/// "all", "4-11", "8;19".
[[nodiscard]] std::string words_of(const Layers& layers);

}  // namespace graft::program
