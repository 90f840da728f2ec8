// SPDX-License-Identifier: Apache-2.0
// What merge and export write: a row here, and a line in engine_of.hpp, for each.
#pragma once

#include <string>
#include <string_view>

#include "engine.hpp"

namespace graft::program {

/// A merged model: its format and the type of its numbers.
struct MergeFormat {
  std::string_view name;    // that --format takes
  std::string_view dtype;   // that --dtype takes
  std::string_view ending;  // of --out, where it is one file; a folder has none
};

/// The first row of a format is what --dtype auto falls back to, where the format lacks the model's own.
inline constexpr MergeFormat merge_formats[] = {{"hf", "bf16", ""},        {"hf", "fp32", ""},
                                                {"gguf", "bf16", ".gguf"}, {"gguf", "fp32", ".gguf"},
                                                {"gguf", "f16", ".gguf"},  {"gguf", "q8_0", ".gguf"}};

/// An adapter's files for other programs.
struct ExportFormat {
  std::string_view name;    // that --to takes
  AdapterFormat format;     // what the engine writes
  std::string_view what;    // for people
  std::string_view ending;  // of --out, where it is one file; a folder has none
};

inline constexpr ExportFormat export_formats[] = {
    {"peft", AdapterFormat::peft,
     "PEFT's folder: whatever PEFT has, and what is a LoRA exactly (PMSS, PiSSA, LoRA-XS, ...)", ""},
    {"pyreft", AdapterFormat::pyreft, "pyreft's folder: LoReFT and its family", ""},
    {"mlx", AdapterFormat::mlx, "mlx-lm's folder: DoRA, LoRA and what is one exactly", ""},
    {"gguf-lora", AdapterFormat::gguf_lora, "llama.cpp's --lora: LoRA and what is one exactly", ".gguf"},
    {"control-vector", AdapterFormat::control_vector,
     "llama.cpp's --control-vector: LobiReFT at all positions, from the second layer on", ".gguf"},
    {"graft", AdapterFormat::graft, "graft's own folder: everything", ""}};

/// The names in a table of formats, each once: "peft, pyreft, graft".
[[nodiscard]] std::string names_of(const auto& table) {
  std::string names, last;
  for (const auto& row : table) {
    if (row.name != last) {
      names += (names.empty() ? "" : ", ") + std::string(row.name);
      last = row.name;
    }
  }
  return names;
}

}  // namespace graft::program
