// SPDX-License-Identifier: Apache-2.0
// layer_names: which layer the names of a file speak of.
#pragma once

#include <algorithm>  // max
#include <span>
#include <string_view>

#include <graft/io/tensor_ref.hpp>

namespace graft::interchange::detail {

/// The number that follows `start` in a name, or -1: 12 of "model.layers.12.mlp" after "layers.".
[[nodiscard]] inline Index layer_in(std::string_view name, std::string_view start) {
  const std::size_t found = name.find(start);
  Index layer = -1;
  for (std::size_t i = found + start.size(); found != name.npos && i < name.size() && layer < 100'000; ++i) {
    const char c = name[i];
    if (c < '0' || c > '9') {
      break;
    }
    layer = std::max<Index>(layer, 0) * 10 + (c - '0');
  }
  return layer;
}

/// One more than the largest layer that the names speak of; 4096 at most.
[[nodiscard]] inline Index layers_named(std::span<const io::TensorRef> tensors, std::string_view start) {
  Index layers = 0;
  for (const io::TensorRef& tensor : tensors) {
    layers = std::max(layers, std::min<Index>(layer_in(tensor.name, start) + 1, 4096));
  }
  return layers;
}

}  // namespace graft::interchange::detail
