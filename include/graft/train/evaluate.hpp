// SPDX-License-Identifier: Apache-2.0
// evaluate: mean negative log-likelihood, perplexity and accuracy over the labelled tokens of some examples, or of each.
#pragma once

#include <algorithm>  // max_element, min
#include <cmath>      // exp
#include <span>
#include <vector>

#include <graft/models/llama_run.hpp>
#include <graft/train/batch.hpp>

namespace graft::train {

/// Sums over labelled tokens, and what they come to.
struct Evaluation {
  double nll = 0;    ///< in nats
  Index tokens = 0;  ///< labelled ones
  Index right = 0;   ///< the label has the largest logit

  /// Mean over the labelled tokens; 0 of none.
  [[nodiscard]] double loss() const { return tokens > 0 ? nll / static_cast<double>(tokens) : 0; }
  [[nodiscard]] double perplexity() const { return std::exp(loss()); }  ///< exp of the mean
  /// Share of the labelled tokens that are the likeliest of their row; 0 of none.
  [[nodiscard]] double accuracy() const {
    return tokens > 0 ? static_cast<double>(right) / static_cast<double>(tokens) : 0;
  }
};

/// The sums of several.
[[nodiscard]] inline Evaluation total(std::span<const Evaluation> parts) {
  Evaluation all;
  for (const Evaluation& part : parts) {
    all.nll += part.nll;
    all.tokens += part.tokens;
    all.right += part.right;
  }
  return all;
}

/// Rows whose logits are wanted, and the label of each (`ignored` where there is none).
struct WantedRows {
  std::vector<Index> rows;           ///< rising
  std::vector<std::int32_t> labels;  ///< one for every row
};

/// The labelled rows of a batch, or those of all tokens.
[[nodiscard]] inline WantedRows wanted_rows(const Batch& batch, bool all) {
  if (!all) {
    return {batch.rows, batch.targets};
  }
  WantedRows wanted;
  std::size_t next = 0;
  for (Index i = 0; i < batch.ragged.sequences(); ++i) {
    for (Index row = batch.ragged.first_token(i); row < batch.ragged.begin(i + 1); ++row) {
      const bool labelled = next < batch.rows.size() && batch.rows[next] == row;
      wanted.rows.push_back(row);
      wanted.labels.push_back(labelled ? batch.targets[next++] : ignored);
    }
  }
  return wanted;
}

/// Adds one batch to the sums, one for each of its sequences. `visit`, a callable on View<const C> (n,V), gets the logits
/// of every token of the batch in order; pass nullptr for none, and only labelled rows are computed.
template <class Model, class AttachedType, class Visit>
void evaluate_batch(const typename Model::Backend& be, const Model& model, models::LlamaRun<Model, AttachedType>& run,
                    std::span<AttachedType* const> bank, const Batch& batch, Visit&& visit,
                    std::span<Evaluation> sums) {
  using C = typename Model::C;
  constexpr bool shows = !std::same_as<std::remove_cvref_t<Visit>, std::nullptr_t>;
  const WantedRows wanted = wanted_rows(batch, shows);
  const auto count = static_cast<Index>(wanted.rows.size());
  if (count == 0) {
    return;
  }
  run.forward(be, model, bank, batch.ragged, batch.tokens, count);
  Index sequence = 0;
  const Index chunk = std::min<Index>(count, models::LlamaRun<Model, AttachedType>::head_rows);
  Tensor<C> memory(chunk, model.config.vocab);
  Tensor<C> nll(chunk, 1);
  for (Index first = 0; first < count; first += chunk) {
    const Index rows = std::min(chunk, count - first);
    const View<C> logits = memory.view().middle_rows(0, rows);
    run.logits(be, model,
               std::span(wanted.rows).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)), logits);
    if constexpr (shows) {
      visit(View<const C>(logits));
    }
    std::vector<std::int32_t> labels(wanted.labels.begin() + first, wanted.labels.begin() + first + rows);
    std::vector<char> right(labels.size());
    std::vector<char> counts(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      counts[i] = labels[i] != ignored;
      labels[i] = counts[i] != 0 ? labels[i] : 0;
    }
    be.for_each_block(rows, [&](Block b) {
      const std::span<const std::int32_t> part(labels.data() + b.begin, static_cast<std::size_t>(b.rows));
      for (Index i = b.begin; i < b.begin + b.rows; ++i) {
        const C* const row = logits.row(i);
        right[static_cast<std::size_t>(i)] =
            std::max_element(row, row + logits.cols) - row == labels[static_cast<std::size_t>(i)];
      }
      be.cross_entropy(logits.middle_rows(b.begin, b.rows), part, C{}, nll.view().middle_rows(b.begin, b.rows));
    });
    for (Index i = 0; i < rows; ++i) {
      while (wanted.rows[static_cast<std::size_t>(first + i)] >= batch.ragged.begin(sequence + 1)) {
        ++sequence;
      }
      if (counts[static_cast<std::size_t>(i)] != 0) {
        Evaluation& sum = sums[static_cast<std::size_t>(sequence)];
        sum.nll += static_cast<double>(nll(i, 0));
        sum.right += right[static_cast<std::size_t>(i)];
        ++sum.tokens;
      }
    }
  }
}

/// Evaluates the examples in their order, `batch_size` at a time, each for itself; a null `attached` is the bare model.
template <class Model, class AttachedType, class Visit = std::nullptr_t>
[[nodiscard]] std::vector<Evaluation> evaluate_each(const typename Model::Backend& be, const Model& model,
                                                    AttachedType* attached, std::span<const Example> examples,
                                                    Index batch_size, Visit visit = {}) {
  models::LlamaRun<Model, AttachedType> run;
  AttachedType* const bank[] = {attached};
  std::vector<Evaluation> sums(examples.size());
  const auto count = static_cast<Index>(examples.size());
  for (Index first = 0; first < count; first += batch_size) {
    const Index size = std::min(batch_size, count - first);
    Batch batch;
    for (const Example& example : examples.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size))) {
      batch.push(example, attached != nullptr ? 1 : 0, attached != nullptr ? attached->inserted() : 0);
    }
    evaluate_batch(be, model, run, std::span<AttachedType* const>(bank, attached != nullptr ? 1 : 0), batch, visit,
                   std::span(sums).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)));
  }
  return sums;
}

/// The same, summed over all examples.
template <class Model, class AttachedType, class Visit = std::nullptr_t>
[[nodiscard]] Evaluation evaluate(const typename Model::Backend& be, const Model& model, AttachedType* attached,
                                  std::span<const Example> examples, Index batch_size, Visit visit = {}) {
  return total(evaluate_each(be, model, attached, examples, batch_size, visit));
}

}  // namespace graft::train
