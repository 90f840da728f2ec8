// expect: GGUF metadata is a number, a bool, a text, or a vector of one of them
// SPDX-License-Identifier: Apache-2.0
#include <graft/io/write_gguf.hpp>

void put(graft::io::GgufMetadata& metadata, const void* value) {
  metadata.set("key", value);
}
