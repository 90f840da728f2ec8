// SPDX-License-Identifier: Apache-2.0
// reft_as_lora: an edit of a linear map's output, at all positions, as a low-rank update with a bias.
//
// On h = V x + c the edit h + R'(G h + g) (subspace.hpp) is h + B A x + a bias with A = G V, B = R' and bias R'(G c + g): a
// LoRA of scale 1 and the edit's rank, with what PEFT calls lora_bias. Sums are taken in double.
#pragma once

#include <string>
#include <utility>  // as_const

#include <graft/adapters/subspace.hpp>
#include <graft/models/folded_edit.hpp>

namespace graft::interchange {

/// y += B A x + bias at a linear map.
struct LowRankMap {
  Place place;          ///< o_proj or down_proj
  Tensor<double> a;     ///< (r,M)
  Tensor<double> b;     ///< (N,r)
  Tensor<double> bias;  ///< (1,N)
};

/// The update that a module of a stream is, for a module that models::why_unfolded has no word against.
template <class A, scalar T, class Model>
  requires requires(const Grafted<A, T>& grafted) { grafted.module.gain(backends::Reference{}); }
[[nodiscard]] LowRankMap reft_as_lora(const Grafted<A, T>& grafted, const Model& model) {
  const auto number = [](auto x) { return to<double>(x); };
  const Sites one = models::map_before(grafted.place.where);
  const auto& linear = model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(one);
  const auto weight = linear.weight.view();
  const backends::Reference be;
  const Tensor<T> gain = grafted.module.gain(be), shift = grafted.module.shift(be);
  const View<const T> rows = grafted.module.basis();
  LowRankMap map{{grafted.place.layer, one, weight.rows, weight.cols, module_path(grafted.place.layer, one)},
                 Tensor<double>(rows.rows, weight.cols),
                 Tensor<double>(weight.rows, rows.rows),
                 Tensor<double>(1, weight.rows)};
  Tensor<double> e(1, rows.rows);
  for (Index i = 0; i < rows.rows; ++i) {
    e(0, i) = number(shift(0, i));
    for (Index k = 0; k < weight.rows; ++k) {
      const double g = number(gain(i, k));
      e(0, i) += linear.bias.size() > 0 ? g * number(linear.bias(0, k)) : 0;
      map.b(k, i) = number(rows(i, k));
      for (Index j = 0; j < weight.cols; ++j) {
        map.a(i, j) += g * number(weight(k, j));
      }
    }
  }
  be.gemm_nt(1, e.view(), map.b.view(), 0, map.bias.view());  // (1,r)(N,r)' -> (1,N)
  return map;
}

}  // namespace graft::interchange
