// SPDX-License-Identifier: Apache-2.0
// DenseWeight: a frozen matrix as the processor's backends keep it: row-major, owned or mapped from a file.
#pragma once

#include <algorithm>  // copy_n
#include <utility>    // as_const, move

#include <graft/core/scalar.hpp>
#include <graft/core/tensor.hpp>

namespace graft {

/// Opaque to layers and adapters: they hand it to the backend that made it, which answers products and gathers.
template <storable S>
class DenseWeight {
 public:
  DenseWeight() = default;
  /// Uses `mapped` in place; the memory must outlive the weight.
  explicit DenseWeight(View<const S> mapped) : view_(mapped) {}
  /// Owns its numbers, which full finetuning may then train.
  explicit DenseWeight(Tensor<S> owned) : owned_(std::move(owned)), view_(std::as_const(owned_).view()) {}

  [[nodiscard]] Index rows() const { return view_.rows; }     ///< outputs of the map
  [[nodiscard]] Index cols() const { return view_.cols; }     ///< inputs of the map
  [[nodiscard]] View<const S> view() const { return view_; }  ///< for the backend that made it

  /// The numbers, to be changed: a mapped weight is copied first.
  [[nodiscard]] View<S> writable() {
    if (owned_.size() == 0 && view_.size() > 0) {
      owned_ = Tensor<S>(view_.rows, view_.cols);
      for (Index i = 0; i < view_.rows; ++i) {
        std::copy_n(view_.row(i), view_.cols, owned_.view().row(i));
      }
      view_ = std::as_const(owned_).view();
    }
    return owned_.view();
  }

 private:
  Tensor<S> owned_;
  View<const S> view_;
};

}  // namespace graft
