// SPDX-License-Identifier: Apache-2.0
// --config FILE: settings in JSON or YAML, under the names of our flags or those of PEFT, axolotl and transformers.
#pragma once

#include <string>
#include <vector>

#include <graft/io/json.hpp>

namespace graft::program {

/// A flag as a configuration may name it.
struct KnownFlag {
  std::vector<std::string> names;  // without dashes before them; the first is its own
  bool takes_value = true;
  bool given = false;  // on the command line, which rules
};

/// The file as JSON; .yaml and .yml are YAML (train.460, train.461), all else is JSON (io.210).
[[nodiscard]] io::Json read_config(const std::string& path);

/// The configuration as words of a command line, --flag=value, those flags left out that were given there. A key that means
/// no flag is train.458, with the name that was probably meant; a value of the wrong kind is train.459.
[[nodiscard]] std::vector<std::string> config_words(const io::Json& config, const std::string& path,
                                                    const std::vector<KnownFlag>& flags);

/// A YAML file as JSON; a scalar is text unless it is plain and spells a number, a truth or nothing.
[[nodiscard]] io::Json read_yaml(const std::string& path);

}  // namespace graft::program
