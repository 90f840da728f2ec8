// SPDX-License-Identifier: Apache-2.0
// Tensor: owns an aligned rows x columns block and hands out views of it.
#pragma once

#include <algorithm>  // copy_n
#include <memory>     // unique_ptr
#include <utility>    // exchange

#include <graft/base/index.hpp>
#include <graft/core/memory.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// Zero-filled, 64-byte aligned, row-major storage in the memory() of its making. Moves cheaply (views stay valid), copies only
/// by clone().
template <class T>
class Tensor {
 public:
  Tensor() = default;
  /// Zeros; a negative extent is shape.103.
  Tensor(Index rows, Index cols) : rows_(rows), cols_(cols) {
    require(rows >= 0 && cols >= 0, "shape.103", "Tensor: extents must not be negative");
    if (rows * cols > 0) {
      const Memory& source = memory();
      data_ = {static_cast<T*>(source.take(static_cast<std::size_t>(rows * cols) * sizeof(T))), Free{&source}};
    }
  }

  /// What was moved from is empty.
  Tensor(Tensor&& other) noexcept
      : data_(std::move(other.data_)), rows_(std::exchange(other.rows_, 0)), cols_(std::exchange(other.cols_, 0)) {}
  /// Lets its own memory go; what was moved from is empty.
  Tensor& operator=(Tensor&& other) noexcept {
    data_ = std::move(other.data_);
    rows_ = std::exchange(other.rows_, 0);
    cols_ = std::exchange(other.cols_, 0);
    return *this;
  }

  /// The same numbers in memory of their own; asked for by name, since weights are large.
  [[nodiscard]] Tensor clone() const {
    Tensor copy(rows_, cols_);
    std::copy_n(data_.get(), rows_ * cols_, copy.data_.get());
    return copy;
  }

  [[nodiscard]] View<T> view() { return {data_.get(), rows_, cols_}; }              ///< stays valid when this moves
  [[nodiscard]] View<const T> view() const { return {data_.get(), rows_, cols_}; }  ///< stays valid when this moves
  [[nodiscard]] Index rows() const { return rows_; }                                ///< 0 once moved from
  [[nodiscard]] Index cols() const { return cols_; }                                ///< 0 once moved from
  [[nodiscard]] Index size() const { return rows_ * cols_; }                        ///< rows * cols
  [[nodiscard]] T* data() { return data_.get(); }                                   ///< row after row; null where empty
  [[nodiscard]] const T* data() const { return data_.get(); }                       ///< row after row; null where empty
  [[nodiscard]] T& operator()(Index i, Index j) { return data_.get()[i * cols_ + j]; }              ///< unchecked
  [[nodiscard]] const T& operator()(Index i, Index j) const { return data_.get()[i * cols_ + j]; }  ///< unchecked

 private:
  static_assert(std::is_trivially_destructible_v<T>, "Tensor: elements are plain numbers");
  struct Free {
    const Memory* source = nullptr;
    void operator()(T* pointer) const { source->give_back(pointer); }
  };
  std::unique_ptr<T[], Free> data_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace graft
