// SPDX-License-Identifier: Apache-2.0
// evaluate: mean negative log-likelihood, perplexity and accuracy over the labelled tokens of some examples, or of each.
//
// The answers of a question stand one after another behind the same prompt: it is read once, and its keys and values are
// kept for all of them.
#pragma once

#include <algorithm>  // equal, max, max_element, min
#include <cmath>      // exp
#include <span>
#include <vector>

#include <graft/models/key_store.hpp>
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
/// of every token of the batch in order; pass nullptr for none, and only labelled rows are computed. `store` holds what the
/// sequences begin with (LlamaRun::forward).
template <class Model, class AttachedType, class Visit>
void evaluate_batch(const typename Model::Backend& be, const Model& model, models::LlamaRun<Model, AttachedType>& run,
                    std::span<AttachedType* const> bank, const Batch& batch, Visit&& visit, std::span<Evaluation> sums,
                    const models::RunOptions& options = {}, models::KeyStore<typename Model::C>* store = nullptr) {
  using C = typename Model::C;
  constexpr bool shows = !std::same_as<std::remove_cvref_t<Visit>, std::nullptr_t>;
  const WantedRows wanted = wanted_rows(batch, shows);
  const auto count = static_cast<Index>(wanted.rows.size());
  if (count == 0 && store == nullptr) {
    return;
  }
  run.forward(be, model, bank, batch.ragged, batch.tokens, count, options, store);
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

/// Whether b's prompt is a's, and so much of b that reading it again would be most of the work.
[[nodiscard]] inline bool shares_prompt(const Example& a, const Example& b) {
  const auto of = [](const Example& e) { return std::span(e.ids).first(static_cast<std::size_t>(e.prompt)); };
  return a.prompt == b.prompt && 2 * b.prompt > std::ssize(b.ids) && b.prompt < std::ssize(b.ids) &&
         a.subspace == b.subspace && std::equal(of(a).begin(), of(a).end(), of(b).begin());
}

/// Evaluates the examples in their order, `batch_size` prompts at a time, each for itself; a null `attached` is the bare
/// model. A prompt that the example before has, too, is not read again, unless `visit` wants its logits.
template <class Model, class AttachedType, class Visit = std::nullptr_t>
[[nodiscard]] std::vector<Evaluation> evaluate_each(const typename Model::Backend& be, const Model& model,
                                                    AttachedType* attached, std::span<const Example> examples,
                                                    Index batch_size, Visit visit = {}) {
  constexpr bool shows = !std::same_as<Visit, std::nullptr_t>;
  models::LlamaRun<Model, AttachedType> run;
  AttachedType* const member[] = {attached};
  const std::span<AttachedType* const> bank(member, attached != nullptr ? 1 : 0);
  const Index inserted = attached != nullptr ? attached->inserted() : 0;
  std::vector<Evaluation> sums(examples.size());
  for (std::size_t next = 0; next < examples.size();) {
    std::vector<std::span<const Example>> sharing;  // examples of one prompt each
    Index room = 0;                                 // tokens that a store needs for each
    std::size_t rounds = 0;
    while (next < examples.size() && std::ssize(sharing) < batch_size) {
      std::size_t count = 1;
      while (!shows && next + count < examples.size() && shares_prompt(examples[next], examples[next + count])) {
        ++count;
      }
      sharing.push_back(examples.subspan(next, count));
      for (const Example& example : sharing.back()) {
        room = std::max(room, std::ssize(example.ids) + inserted);
      }
      rounds = std::max(rounds, count);
      next += count;
    }
    models::KeyStore<typename Model::C> store;
    if (rounds > 1) {
      store = {model.config, std::ssize(sharing), room};
    }
    for (std::size_t round = 0; round < rounds; ++round) {  // the first example of each prompt, then the second ones
      Batch batch;
      store.slots.clear();
      for (std::size_t i = 0; i < sharing.size(); ++i) {
        if (round < sharing[i].size()) {
          const Example& example = sharing[i][round];
          batch.push(example, std::ssize(bank), inserted,
                     round > 0 ? example.prompt - 1 : 0);  // its last token predicts
          store.slots.push_back(static_cast<Index>(i));
        }
      }
      std::vector<Evaluation> found(store.slots.size());
      evaluate_batch(be, model, run, bank, batch, visit, std::span(found), {.continues = round > 0},
                     rounds > 1 ? &store : nullptr);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const Example& example = sharing[static_cast<std::size_t>(store.slots[i])][round];
        sums[static_cast<std::size_t>(&example - examples.data())] = found[i];
      }
    }
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
