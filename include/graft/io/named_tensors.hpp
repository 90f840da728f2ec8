// SPDX-License-Identifier: Apache-2.0
// NamedTensors: the tensors of a file, by name, whatever the file's format.
#pragma once

#include <algorithm>  // lower_bound, sort
#include <memory>     // shared_ptr
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/nearest.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

/// Tensors sorted by name, which live as long as keepalive().
class NamedTensors {
 public:
  NamedTensors() = default;
  /// Sorts them; `keepalive` is the memory that they point into, `path` what messages call the file.
  NamedTensors(std::string path, std::vector<TensorRef> tensors, std::shared_ptr<const void> keepalive)
      : path_(std::move(path)), tensors_(std::move(tensors)), keepalive_(std::move(keepalive)) {
    std::sort(tensors_.begin(), tensors_.end(), [](const TensorRef& a, const TensorRef& b) { return a.name < b.name; });
  }

  /// Sorted by name.
  [[nodiscard]] std::span<const TensorRef> tensors() const { return tensors_; }
  [[nodiscard]] const std::string& path() const { return path_; }                     ///< as it was opened
  [[nodiscard]] std::shared_ptr<const void> keepalive() const { return keepalive_; }  ///< what holds the bytes

  /// The tensor of that name, or null.
  [[nodiscard]] const TensorRef* find(std::string_view name) const {
    const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                        [](const TensorRef& t, std::string_view n) { return t.name < n; });
    return found != tensors_.end() && found->name == name ? &*found : nullptr;
  }

  /// The tensor of that name, or io.225 with the nearest name that exists.
  [[nodiscard]] const TensorRef& at(std::string_view name) const {
    if (const TensorRef* found = find(name)) {
      return *found;
    }
    fail("io.225",
         "tensor \"" + std::string(name) + "\" is missing; the nearest name in the file is \"" +
             nearest_name(name, tensors_, [](const TensorRef& t) { return t.name; }) + "\"",
         path());
  }

 private:
  std::string path_;
  std::vector<TensorRef> tensors_;
  std::shared_ptr<const void> keepalive_;
};

}  // namespace graft::io
