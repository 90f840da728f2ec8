// SPDX-License-Identifier: Apache-2.0
// The command line: all flags, their aliases and their help.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <graft/io/json.hpp>

#include "settings.hpp"

namespace graft::program {

/// Reads the command line and runs what it names; help goes to stdout. A mistake in it is train.430.
int run_command_line(int count, const char* const* arguments);

/// A configuration as words of the command line, what of it was given by which flag's own name, and what it comes to.
template <class Settings>
struct ConfigLine {
  std::vector<std::string> words;
  std::map<std::string, std::vector<std::string>> given;
  Settings settings;
};

/// The configuration of graft finetune, or of eval. An unknown key is train.458, a bad value train.459; what the
/// subcommand itself would check is not checked here.
[[nodiscard]] ConfigLine<FinetuneSettings> finetune_line(const io::Json& config, const std::string& path);
[[nodiscard]] ConfigLine<EvalSettings> eval_line(const io::Json& config, const std::string& path);

}  // namespace graft::program
