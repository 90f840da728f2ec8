// SPDX-License-Identifier: Apache-2.0
// Error: one sentence about what went wrong, with a stable id that docs/errors.md explains and cures.
#pragma once

#include <stdexcept>  // runtime_error
#include <string>
#include <utility>  // move

namespace graft {

/// What every failure of graft throws: `id` is stable ("shape.102"), `what` the sentence, `where` the file, key or flag.
class Error : public std::runtime_error {
 public:
  /// what() reads "id: what [where]"; an empty `where` is left out.
  Error(std::string id, const std::string& what, std::string where = {})
      : std::runtime_error(id + ": " + what + (where.empty() ? "" : " [" + where + "]")),
        id_(std::move(id)),
        where_(std::move(where)) {}

  [[nodiscard]] const std::string& id() const noexcept { return id_; }        ///< stable: "shape.102"
  [[nodiscard]] const std::string& where() const noexcept { return where_; }  ///< file, key or flag; may be empty

 private:
  std::string id_;
  std::string where_;
};

/// Throws Error{id, what, where}.
[[noreturn]] inline void fail(const char* id, const std::string& what, const std::string& where = {}) {
  throw Error(id, what, where);
}

/// Throws Error{id, text} unless `condition` holds; `text` uses the words of the matching static_assert.
inline void require(bool condition, const char* id, const char* text) {
  if (!condition) {
    fail(id, text);
  }
}

}  // namespace graft
