// SPDX-License-Identifier: Apache-2.0
// unicode_category: the general category of every code point (Unicode 14), from a table of runs.
#pragma once

#include <algorithm>  // fill, upper_bound
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace graft::text {

/// A set of general categories: bit i is the i-th name of `category_names`.
using CategorySet = std::uint32_t;

/// Two letters each, in the order of a CategorySet's bits.
inline constexpr std::string_view category_names = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn";

/// The categories that a name as in `\p{...}` stands for: "L" all letters, "Lu" one; empty where there is no such name.
[[nodiscard]] inline std::optional<CategorySet> category_set(std::string_view name) {
  CategorySet set = 0;
  for (std::size_t i = 0; 2 * i < category_names.size(); ++i) {
    if (!name.empty() && category_names.substr(2 * i, 2).substr(0, name.size()) == name) {
      set |= CategorySet{1} << i;
    }
  }
  return set == 0 ? std::nullopt : std::optional(set);
}

namespace detail {

inline constexpr std::string_view category_runs =
#include <graft/text/unicode_category.inl>
    ;

/// The runs, unpacked: a byte a code point of the first plane, a search above it.
struct CategoryTable {
  std::vector<std::uint8_t> plane = std::vector<std::uint8_t>(0x10000);
  std::vector<char32_t> begins;
  std::vector<std::uint8_t> values;

  CategoryTable() {
    std::size_t code = 0;
    for (std::size_t i = 0; i < category_runs.size();) {
      const char letter = category_runs[i++];
      const auto value = static_cast<std::uint8_t>(letter >= 'a' ? 26 + letter - 'a' : letter - 'A');
      std::size_t length = 0;
      for (; i < category_runs.size() && category_runs[i] <= '9'; ++i) {
        length = length * 10 + static_cast<std::size_t>(category_runs[i] - '0');
      }
      const std::size_t end = code + std::max<std::size_t>(length, 1);
      for (std::size_t c = code; c < std::min<std::size_t>(end, plane.size()); ++c) {
        plane[c] = value;
      }
      begins.push_back(static_cast<char32_t>(code));
      values.push_back(value);
      code = end;
    }
  }
};

}  // namespace detail

/// The general category of a code point, as a set of one.
[[nodiscard]] inline CategorySet category(char32_t c) {
  static const detail::CategoryTable table;
  if (c < table.plane.size()) {
    return CategorySet{1} << table.plane[c];
  }
  const auto after = std::upper_bound(table.begins.begin(), table.begins.end(), c);
  return CategorySet{1} << table.values[static_cast<std::size_t>(after - table.begins.begin()) - 1];
}

}  // namespace graft::text
