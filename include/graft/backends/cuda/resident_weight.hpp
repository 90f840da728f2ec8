// SPDX-License-Identifier: Apache-2.0
// ResidentWeight: a frozen matrix of an accelerator. What a file holds is copied to private memory once and stays mapped for the
// processor, whose pages of it may be forgotten; what a tensor holds lies where both sides reach it already.
#pragma once

#include <cstddef>
#include <utility>  // move

#include <graft/core/memory.hpp>
#include <graft/core/weight.hpp>

namespace graft::backends::cuda {

/// A DenseWeight for the processor, with the view that kernels read.
template <storable S>
class ResidentWeight : public DenseWeight<S> {
 public:
  ResidentWeight() = default;
  /// Copies what a file holds; the mapping must outlive the weight.
  explicit ResidentWeight(View<const S> mapped) : DenseWeight<S>(mapped) {
    const auto row_bytes = static_cast<std::size_t>(mapped.cols) * sizeof(S);
    copy_ = PrivateBlock(static_cast<std::size_t>(mapped.rows) * row_bytes);
    const Index at_once = mapped.contiguous() ? mapped.rows : 1;
    for (Index i = 0; i < mapped.rows && !mapped.empty(); i += at_once) {
      memory().fill(static_cast<std::byte*>(copy_.data()) + static_cast<std::size_t>(i) * row_bytes, mapped.row(i),
                    static_cast<std::size_t>(at_once) * row_bytes);
    }
  }
  /// Owns its numbers.
  explicit ResidentWeight(Tensor<S> owned) : DenseWeight<S>(std::move(owned)) {}

  /// For kernels.
  [[nodiscard]] View<const S> resident() const {
    const View<const S> own = this->view();
    return copy_.data() == nullptr ? own : View<const S>(static_cast<const S*>(copy_.data()), own.rows, own.cols);
  }
  /// The numbers, to be changed by kernels and by the processor: from here on there is no copy.
  [[nodiscard]] View<S> writable() {
    copy_ = PrivateBlock();
    return DenseWeight<S>::writable();
  }

 private:
  PrivateBlock copy_;
};

}  // namespace graft::backends::cuda
