// SPDX-License-Identifier: Apache-2.0
// file_fingerprint: tells whether a file is the one that was read before: its size, and a hash of up to 4 MiB of it.
#pragma once

#include <algorithm>  // min
#include <string>

#include <graft/base/index.hpp>
#include <graft/io/hash.hpp>
#include <graft/io/mapped_file.hpp>

namespace graft::io {

/// "SIZE-HASH". All bytes of a file of at most 4 MiB count; of a longer one 64 pieces of 64 KiB, evenly spread from its first
/// byte to its last. No file under that name is io.201.
[[nodiscard]] inline std::string file_fingerprint(const std::string& path) {
  constexpr std::size_t piece = std::size_t{64} << 10;
  constexpr std::size_t pieces = 64;
  const MappedFile file(path);
  const auto bytes = file.bytes();
  std::uint64_t hash = fnv1a({});
  if (bytes.size() <= piece * pieces) {
    hash = fnv1a(bytes, hash);
  } else {
    for (std::size_t i = 0; i < pieces; ++i) {
      hash = fnv1a(bytes.subspan((bytes.size() - piece) / (pieces - 1) * i, piece), hash);
    }
    hash = fnv1a(bytes.last(piece), hash);
  }
  return std::to_string(bytes.size()) + "-" + hash_text(hash);
}

}  // namespace graft::io
