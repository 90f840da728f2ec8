// SPDX-License-Identifier: Apache-2.0
// ZipBuilder: zip files made in a test, right ones and ones that lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/files.hpp"

namespace graft::test {

/// CRC-32 of zip files.
inline std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
  }
  return ~crc;
}

/// A member with everything that its headers say about it.
struct ZipMember {
  std::string name;
  std::string bytes;
  std::uint16_t method = 0;             // 0: stored
  std::uint16_t flags = 0;              // 1: encrypted
  std::uint32_t size = 0;               // claimed, once unpacked; 0: what it is
  std::uint32_t stored = 0;             // claimed, in the file; 0: what it is
  std::ptrdiff_t shares_bytes_of = -1;  // an earlier member whose header this one points to
};

/// The bytes of a zip file of these members.
inline std::string zip_of(const std::vector<ZipMember>& members) {
  std::string file;
  std::string directory;
  std::vector<std::uint32_t> offsets;
  for (const ZipMember& m : members) {
    const auto size = static_cast<std::uint32_t>(m.bytes.size());
    const std::string common = raw(std::uint16_t{20}) + raw(m.flags) + raw(m.method) + raw(std::uint16_t{0}) +
                               raw(std::uint16_t{0x21}) + raw(crc32(m.bytes)) + raw(m.stored > 0 ? m.stored : size) +
                               raw(m.size > 0 ? m.size : size) + raw(static_cast<std::uint16_t>(m.name.size())) +
                               raw(std::uint16_t{0});
    offsets.push_back(m.shares_bytes_of < 0 ? static_cast<std::uint32_t>(file.size())
                                            : offsets[static_cast<std::size_t>(m.shares_bytes_of)]);
    if (m.shares_bytes_of < 0) {
      file += "PK\x03\x04" + common + m.name + m.bytes;
    }
    directory += "PK\x01\x02" + raw(std::uint16_t{20}) + common + std::string(10, '\0') + raw(offsets.back()) + m.name;
  }
  const auto count = static_cast<std::uint16_t>(members.size());
  return file + directory + "PK\x05\x06" + std::string(4, '\0') + raw(count) + raw(count) +
         raw(static_cast<std::uint32_t>(directory.size())) + raw(static_cast<std::uint32_t>(file.size())) +
         raw(std::uint16_t{0});
}

}  // namespace graft::test
