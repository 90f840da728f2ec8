// SPDX-License-Identifier: Apache-2.0
// What graft preview shows: examples token by token, as a table for a terminal, as JSON, or as a page of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <graft/io/json.hpp>

namespace graft::program {

struct PreviewToken {
  std::int32_t id = 0;
  std::string text;  // its bytes
  bool trained = false;
  std::string edits;  // "f3", "l7 all"; empty: none
};

struct PreviewExample {
  Index line = 0;    // of the file, where the record begins
  Index prompt = 0;  // tokens before the first trained one
  std::vector<PreviewToken> tokens;
  std::string note;  // a mask that trains nothing, or everything
};

struct Preview {
  std::string title;               // the file
  std::vector<std::string> facts;  // counts, template, units
  std::vector<std::string> warnings;
  std::vector<PreviewExample> examples;
};

/// A line for every token; `colours` for a terminal.
[[nodiscard]] std::string preview_text(const Preview& preview, bool colours);
[[nodiscard]] io::Json preview_json(const Preview& preview);
/// One self-contained page, light or dark as its reader prefers.
[[nodiscard]] std::string preview_html(const Preview& preview);

}  // namespace graft::program
