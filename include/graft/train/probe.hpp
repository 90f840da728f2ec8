// SPDX-License-Identifier: Apache-2.0
// probe: what an adapter does to the stream, block by block: how much, at which positions, in how many directions.
//
// Every prompt runs twice side by side, through the adapter and past it, and before each block the second copy is given the
// stream of the first. What differs behind block l is then what the modules of this block alone have changed,
//
//   d = block_l(h; adapter) - block_l(h; none),      its size at a token: |d| / |block_l(h; none)|
//
// whatever the method. An edit of the residual stream is exactly this d.
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // sqrt
#include <cstdint>
#include <span>
#include <vector>

#include <graft/linalg/effective_rank.hpp>
#include <graft/linalg/svd.hpp>
#include <graft/models/llama_run.hpp>

namespace graft::train {

/// What the modules of one block change behind it.
struct BlockEdits {
  std::vector<double> first;  ///< size at the first tokens of a prompt, a mean over the prompts that have so many
  std::vector<double> last;   ///< the same at the last tokens, the very last one first
  double mean = 0;            ///< over all tokens
  double effective_rank = 0;  ///< of the edits of at most 64 tokens, a row each (linalg/effective_rank.hpp); 0 of none
};

namespace detail {

/// Of the rows of d(T,D) whose size is above a thousandth of the largest, at most 64 evenly spaced ones.
[[nodiscard]] inline double rank_of_edits(const Tensor<double>& d, std::span<const double> sizes) {
  double largest = 0;
  for (const double size : sizes) {
    largest = std::max(largest, size);
  }
  std::vector<Index> edited;
  for (Index t = 0; t < d.rows(); ++t) {
    if (sizes[static_cast<std::size_t>(t)] > 1e-3 * largest) {
      edited.push_back(t);
    }
  }
  const auto count = std::ssize(edited);
  Tensor<double> chosen(std::min<Index>(count, 64), d.cols());
  for (Index i = 0; i < chosen.rows(); ++i) {
    const Index t = edited[static_cast<std::size_t>(i * count / chosen.rows())];
    for (Index j = 0; j < d.cols(); ++j) {
      chosen(i, j) = d(t, j);
    }
  }
  return linalg::effective_rank(linalg::thin_svd(std::as_const(chosen).view()).s);
}

/// d = with - without, and the size of each of its rows.
template <class C>
void compare(View<const C> with, View<const C> without, Tensor<double>& d, std::span<double> sizes) {
  for (Index t = 0; t < d.rows(); ++t) {
    double change = 0, whole = 0;
    for (Index j = 0; j < d.cols(); ++j) {
      const auto h = static_cast<double>(without(t, j));
      d(t, j) = static_cast<double>(with(t, j)) - h;
      change += d(t, j) * d(t, j);
      whole += h * h;
    }
    sizes[static_cast<std::size_t>(t)] = whole > 0 ? std::sqrt(change / whole) : 0;
  }
}

/// Means of the sizes of all rows, over the first half of the batch's sequences.
[[nodiscard]] inline BlockEdits mean_sizes(const Ragged& batch, std::span<const double> sizes, Index window) {
  BlockEdits edits;
  std::vector<double> prompts;  // that have so many tokens
  for (Index s = 0; s < batch.sequences() / 2; ++s) {
    const auto own = sizes.subspan(static_cast<std::size_t>(batch.begin(s)), static_cast<std::size_t>(batch.length(s)));
    const std::size_t reach = std::min(own.size(), static_cast<std::size_t>(window));
    for (auto* const list : {&edits.first, &edits.last, &prompts}) {
      list->resize(std::max(list->size(), reach));
    }
    for (std::size_t k = 0; k < reach; ++k) {
      edits.first[k] += own[k];
      edits.last[k] += own[own.size() - 1 - k];
      prompts[k] += 1;
    }
    for (const double size : own) {
      edits.mean += size / static_cast<double>(sizes.size());
    }
  }
  for (std::size_t k = 0; k < prompts.size(); ++k) {
    edits.first[k] /= prompts[k];
    edits.last[k] /= prompts[k];
  }
  return edits;
}

}  // namespace detail

/// The edits of every block on some prompts, `window` positions from either end. An adapter that fills rows of its own or trains
/// the weights themselves has no rows to compare with: train.500. So has no prompt at all.
template <class Model, class AttachedType>
[[nodiscard]] std::vector<BlockEdits> probe(const typename Model::Backend& be, const Model& model,
                                            AttachedType& attached, std::span<const std::vector<std::int32_t>> prompts,
                                            Index window = 8) {
  using C = typename Model::C;
  bool comparable = !prompts.empty() && attached.inserted() == 0;
  attached.for_each_module([&](const auto& recipe, const Placement&, const auto&) {
    comparable = comparable && !std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::Full>;
  });
  if (!comparable) {
    fail("train.500",
         "a probe compares the rows of a prompt with and without the adapter: expected at least one prompt, and an "
         "adapter "
         "that neither inserts rows nor trains the weights themselves");
  }
  Ragged batch;
  std::vector<std::int32_t> tokens;
  for (const Index id : {Index{1}, Index{0}}) {
    for (const std::vector<std::int32_t>& prompt : prompts) {
      batch.push(std::ssize(prompt), std::ssize(prompt), 0, id);
      tokens.insert(tokens.end(), prompt.begin(), prompt.end());
    }
  }
  const Index half = batch.tokens() / 2;
  Tensor<double> d(half, model.config.dim);
  Tensor<C> seen(batch.tokens(), model.config.dim);
  std::vector<double> sizes(static_cast<std::size_t>(half));
  std::vector<BlockEdits> all;
  AttachedType* const bank[] = {&attached};
  models::LlamaRun<Model, AttachedType> run;
  run.forward(be, model, bank, batch, tokens, 1, {}, nullptr, [&](Index l, View<C> x) {
    be.copy(x, seen.view());
    be.finish();
    if (l > 0) {
      detail::compare<C>(seen.view().middle_rows(0, half), seen.view().middle_rows(half, half), d, sizes);
      all.push_back(detail::mean_sizes(batch, sizes, window));
      all.back().effective_rank = detail::rank_of_edits(d, sizes);
    }
    be.copy(x.middle_rows(0, half), x.middle_rows(half, half));
  });
  return all;
}

}  // namespace graft::train
