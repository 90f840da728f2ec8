// SPDX-License-Identifier: Apache-2.0
// open_checkpoint: any model on disk as a Checkpoint, by what lies under its name.
#pragma once

#include <string>

#include <graft/base/require.hpp>
#include <graft/io/path.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/gguf_checkpoint.hpp>
#include <graft/models/huggingface.hpp>
#include <graft/models/llama2c.hpp>

namespace graft::models {

/// A Hugging Face folder, a .gguf file or a llama2.c .bin file; anything else is model.520.
[[nodiscard]] inline Checkpoint open_checkpoint(const std::string& path) {
  if (io::is_directory(path)) {
    return open_huggingface(path);
  }
  if (!io::exists(path)) {
    fail("model.520", "there is no file or folder of this name", path);
  }
  if (path.ends_with(".gguf")) {
    return open_gguf(path);
  }
  if (path.ends_with(".bin")) {
    return open_llama2c(path);
  }
  fail("model.520",
       "the file is not a model: expected a folder with config.json and model.safetensors, a .gguf file, or a llama2.c "
       ".bin file",
       path);
}

}  // namespace graft::models
