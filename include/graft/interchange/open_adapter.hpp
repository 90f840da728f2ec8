// SPDX-License-Identifier: Apache-2.0
// open_adapter: any adapter's folder as a models::AdapterFile, by its files and the peft_type of its configuration.
#pragma once

#include <string>

#include <graft/interchange/adapterhub.hpp>
#include <graft/interchange/mlx.hpp>
#include <graft/interchange/peft.hpp>
#include <graft/interchange/pyreft_config.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

/// A folder of our own, of PEFT, of mlx-lm (LoRA, DoRA) or of AdapterHub (ReFT); anything else is adapter.658. `layers` is the
/// model's number of layers (0: look at the file without a model), `compile` the engine for target_modules that are a regex.
[[nodiscard]] inline models::AdapterFile open_adapter(const std::string& folder, Index layers = 0,
                                                      text::PatternCompiler compile = &text::compile_builtin) {
  const std::string where = io::join(folder, models::adapter_config_name);
  if (!io::exists(where)) {
    const bool pyreft = is_pyreft_folder(folder);
    fail("adapter.658",
         std::string("the folder holds no adapter_config.json, so it is no adapter") +
             (pyreft ? " of graft or PEFT; pyreft saved it: open_pyreft reads it (component graft::zip)" : ""),
         folder);
  }
  const bool of_mlx = is_mlx_folder(folder);
  const bool of_peft = io::exists(io::join(folder, models::adapter_tensors_name));
  const bool of_adapterhub = !of_peft && io::exists(io::join(folder, adapterhub_tensors_name));
  if (!of_mlx && !of_adapterhub && !of_peft) {
    const bool of_torch = io::exists(io::join(folder, adapterhub_pickle_name));
    const bool pickled = io::exists(io::join(folder, "adapter_model.bin"));
    fail("adapter.658",
         std::string("the folder holds no adapter_model.safetensors") +
             (of_torch  ? "; open_any_adapter (component graft::zip) reads " + std::string(adapterhub_pickle_name)
              : pickled ? "; adapter_model.bin is a pickle, which can run code: save it again as safetensors"
                        : std::string()),
         folder);
  }
  const io::Json config = io::parse_json(io::read_text(where), where);
  if (!config.is_object()) {
    fail("adapter.658", "the configuration is not a JSON object", where);
  }
  if (of_mlx) {
    return open_mlx(folder, config, layers);
  }
  if (of_adapterhub) {
    return read_adapterhub(folder, config, io::Safetensors::open(io::join(folder, adapterhub_tensors_name)), layers);
  }
  const auto type = io::json_get<std::string>(config, "peft_type", where);
  if (type.starts_with("GRAFT_")) {
    return models::open_adapter_directory(folder, config);
  }
  return open_peft(folder, config, layers, compile);
}

}  // namespace graft::interchange
