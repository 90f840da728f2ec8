// SPDX-License-Identifier: Apache-2.0
// Pattern: a compiled regular expression of any engine, asked for all its matches in a text.
#pragma once

#include <cstddef>
#include <memory>  // shared_ptr
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

namespace graft::text {

/// Bytes begin..end of a text.
struct Span {
  std::size_t begin = 0;  ///< the first byte
  std::size_t end = 0;    ///< one past the last
};

/// A compiled pattern; copies share the code, and any number of threads may search with it.
class Pattern {
 public:
  /// Appends the matches, left to right, not overlapping, none empty; the text is valid UTF-8.
  using Find = void (*)(const void* code, std::string_view text, std::vector<Span>& matches);

  /// For engines: `find` gets `code`.
  Pattern(std::shared_ptr<const void> code, Find find) : code_(std::move(code)), find_(find) {}

  /// Appends the matches, left to right, not overlapping, none empty; the text is valid UTF-8.
  void find_all(std::string_view text, std::vector<Span>& matches) const { find_(code_.get(), text, matches); }

 private:
  std::shared_ptr<const void> code_;
  Find find_;
};

/// An engine: compiles a pattern in the dialect of tokenizer.json, or fails naming the pattern and `where`.
using PatternCompiler = Pattern (*)(std::string_view pattern, const std::string& where);

}  // namespace graft::text
