// SPDX-License-Identifier: Apache-2.0
// How numbers are shown to people, and rows of words set in columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/index.hpp>

namespace graft::program {

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string with_commas(Index number);
/// Bytes in a unit that fits: "512 B", "97.5 MiB".
[[nodiscard]] std::string bytes_text(std::size_t bytes);
/// Seconds as people say them: "8 s", "3 min 20 s", "2 h 5 min".
[[nodiscard]] std::string duration_text(double seconds);
/// A number with so many significant digits: significant(0.000123456, 3) = "0.000123".
[[nodiscard]] std::string significant(double number, int digits);
/// A number with so many digits after the point.
[[nodiscard]] std::string fixed(double number, int digits);

/// Characters of UTF-8 text.
[[nodiscard]] std::size_t width_of(std::string_view text);
/// Rows in aligned columns, each line with `indent` spaces before it; columns but the first are set to the right.
[[nodiscard]] std::string columns_text(const std::vector<std::vector<std::string>>& rows, int indent);

}  // namespace graft::program
