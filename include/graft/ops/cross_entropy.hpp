// SPDX-License-Identifier: Apache-2.0
// cross_entropy: nll = logsumexp(logits) - logits[label], row by row, with the gradient written over the logits.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// logits(N,V), N labels => nll(N,1). Where `scale` is not 0 the logits become scale * (softmax - onehot(label)).
template <scalar T>
void cross_entropy(View<T> logits, std::span<const std::int32_t> labels, Same<T> scale, View<T> nll) {
  using std::exp;
  using std::log;
  require(static_cast<Index>(labels.size()) == logits.rows && nll.rows == logits.rows, "shape.125",
          "cross_entropy: logits(N,V), N labels and nll(N,1) disagree");
  for (Index i = 0; i < logits.rows; ++i) {
    const Index label = labels[static_cast<std::size_t>(i)];
    require(label >= 0 && label < logits.cols, "shape.126", "cross_entropy: a label lies outside the vocabulary");
    T largest = logits(i, 0);
    for (Index j = 1; j < logits.cols; ++j) {
      largest = real_part(logits(i, j)) > real_part(largest) ? logits(i, j) : largest;
    }
    T sum{};
    for (Index j = 0; j < logits.cols; ++j) {
      sum += exp(logits(i, j) - largest);
    }
    nll(i, 0) = largest - logits(i, label) + log(sum);  // large numbers meet first: log(sum) is not rounded away
    if (scale != T{}) {
      const T share = scale / sum;
      for (Index j = 0; j < logits.cols; ++j) {
        logits(i, j) = share * exp(logits(i, j) - largest);
      }
      logits(i, label) -= scale;
    }
  }
}

}  // namespace graft::ops
