// SPDX-License-Identifier: Apache-2.0
// What an inserting adapter fills its placeholders with: the first block's input, or keys and values in every block.
#pragma once

#include <string_view>

#include <graft/core/site.hpp>

namespace graft::adapters::policies {

/// Rows of the embedded stream: tokens that no vocabulary has (prompt tuning).
struct VirtualTokens {
  static constexpr std::string_view name = "virtual tokens";  ///< in files
  static constexpr Sites sites = site::embedded;              ///< filled once a model
};
/// Rows of keys and values as the attention reads them, after RoPE (prefix tuning).
struct KeysAndValues {
  static constexpr std::string_view name = "keys and values";  ///< in files
  static constexpr Sites sites = site::keys | site::values;    ///< filled in every block
};

}  // namespace graft::adapters::policies
