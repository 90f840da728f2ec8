// SPDX-License-Identifier: Apache-2.0
// file_fingerprint: tells whether a file is the one that was read before: its size, and a hash of up to 4 MiB of it.
#pragma once

#include <algorithm>  // min
#include <fstream>
#include <span>
#include <string>

#include <graft/base/index.hpp>
#include <graft/io/hash.hpp>
#include <graft/io/path.hpp>

namespace graft::io {

/// "SIZE-HASH". All bytes of a file of at most 4 MiB count; of a longer one 64 pieces of 64 KiB, evenly spread from its first
/// byte to its last. They are read, not mapped: of a mapped file more becomes resident than is touched. No file under that
/// name is io.201.
[[nodiscard]] inline std::string file_fingerprint(const std::string& path) {
  constexpr Index piece = Index{64} << 10;
  constexpr Index pieces = 64;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || is_directory(path)) {
    fail("io.201", "cannot open the file", path);
  }
  const auto size = static_cast<Index>(file.tellg());
  std::uint64_t hash = fnv1a({});
  std::string buffer;
  const auto take = [&](Index begin, Index count) {
    buffer.resize(static_cast<std::size_t>(count));
    if (!file.seekg(begin).read(buffer.data(), count)) {
      fail("io.201", "cannot read the file", path);
    }
    hash = fnv1a(std::as_bytes(std::span(buffer)), hash);
  };
  if (size <= piece * pieces) {
    for (Index begin = 0; begin < size; begin += piece) {
      take(begin, std::min(piece, size - begin));
    }
  } else {
    for (Index i = 0; i < pieces; ++i) {
      take((size - piece) / (pieces - 1) * i, piece);
    }
    take(size - piece, piece);
  }
  return std::to_string(size) + "-" + hash_text(hash);
}

}  // namespace graft::io
