// SPDX-License-Identifier: Apache-2.0
// nearest_name: the existing name that a user most likely meant, by edit distance.
#pragma once

#include <algorithm>  // min
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace graft::io {

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// The name of `items` (through `name_of`) that is nearest to `name`, or an empty string where there is none.
template <class Items, class Name>
[[nodiscard]] std::string nearest_name(std::string_view name, const Items& items, Name name_of) {
  std::string best;
  std::size_t best_distance = static_cast<std::size_t>(-1);
  for (const auto& item : items) {
    const std::size_t distance = edit_distance(name, name_of(item));
    if (distance < best_distance) {
      best_distance = distance;
      best = name_of(item);
    }
  }
  return best;
}

}  // namespace graft::io
