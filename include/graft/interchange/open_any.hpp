// SPDX-License-Identifier: Apache-2.0
// open_any: any adapter's folder, those in files of torch.save included: pyreft's, and AdapterHub's pytorch_adapter.bin.
#pragma once

#include <optional>
#include <string>

#include <graft/interchange/open_adapter.hpp>
#include <graft/interchange/pyreft.hpp>
#include <graft/io/torch_zip.hpp>

namespace graft::interchange {

/// What open_adapter opens, and what needs the reader of torch.save's files. `positions` are those of a pyreft folder, whose
/// files do not hold them (adapter.767 without); for a folder that says its own they are adapter.830.
[[nodiscard]] inline models::AdapterFile open_any_adapter(const std::string& folder,
                                                          std::optional<Positions> positions = {}, Index layers = 0,
                                                          text::PatternCompiler compile = &text::compile_builtin) {
  const std::string where = io::join(folder, models::adapter_config_name);
  if (!io::exists(where) && is_pyreft_folder(folder)) {
    return open_pyreft(folder, positions);
  }
  if (positions) {
    fail("adapter.830", "positions were given, which only pyreft's folders do not hold themselves", folder);
  }
  const std::string pickle = io::join(folder, adapterhub_pickle_name);
  if (io::exists(where) && io::exists(pickle) && !io::exists(io::join(folder, adapterhub_tensors_name))) {
    return read_adapterhub(folder, io::parse_json(io::read_text(where), where), io::open_torch_zip(pickle), layers);
  }
  return open_adapter(folder, layers, compile);
}

}  // namespace graft::interchange
