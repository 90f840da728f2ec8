// SPDX-License-Identifier: Apache-2.0
// Dpo: an adapter learns from pairs of answers which of the two is preferred, without a reward model and without a second model.
//
//   reward(y) = beta (log pi(y|x) - log ref(y|x)),   z = reward(chosen) - reward(rejected),   loss = -log sigmoid(z)
//   d loss / d log pi(chosen) = -beta sigmoid(-z),   d loss / d log pi(rejected) = beta sigmoid(-z)
//
// "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", arXiv 2305.18290, equation 7. ref is the
// model with its adapters switched off: it does not change, so each pair carries its two numbers (refer).
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // abs, exp, log1p
#include <span>
#include <vector>

#include <graft/train/evaluate.hpp>
#include <graft/train/objective.hpp>
#include <graft/train/preference.hpp>

namespace graft::train {

/// Sums over pairs, and what they come to.
struct PreferenceScore {
  double loss = 0;      ///< -log sigmoid(z)
  double chosen = 0;    ///< rewards of the chosen answers
  double rejected = 0;  ///< rewards of the rejected ones
  Index pairs = 0;      ///< of which the sums are
  Index right = 0;      ///< whose chosen answer has the larger reward

  /// Takes a pair in by its two rewards, and returns sigmoid(-z): how wrong the policy still is about it.
  double add(double chosen_reward, double rejected_reward) {
    const double z = chosen_reward - rejected_reward;
    const double tail = std::exp(-std::abs(z));  // never overflows
    loss += std::max(-z, 0.0) + std::log1p(tail);
    chosen += chosen_reward;
    rejected += rejected_reward;
    ++pairs;
    right += z > 0 ? 1 : 0;
    return (z > 0 ? tail : 1) / (1 + tail);
  }
  [[nodiscard]] double mean(double sum) const {
    return pairs > 0 ? sum / static_cast<double>(pairs) : 0;
  }                                                                                   ///< of a sum
  [[nodiscard]] double accuracy() const { return mean(static_cast<double>(right)); }  ///< share of the pairs; 0 of none
  [[nodiscard]] double margin() const { return mean(chosen - rejected); }             ///< mean of z
};

/// The objective of a Trainer over pairs. One forward and one backward, as on the same examples without preferences: the
/// gradient of a sequence is linear in its weight, so it takes shape with weight 1 and is weighed once z is known.
struct Dpo {
  using Batch = PreferenceBatch;  ///< pairs

  double beta = 0.1;        ///< how dearly each step away from the reference is paid
  PreferenceScore score{};  ///< of the last step, before its update

  void begin() { score = {}; }                                                   ///< a new step
  [[nodiscard]] Index terms(const Batch& batch) const { return batch.pairs(); }  ///< every pair counts alike
  /// As the contract says.
  template <class Model, class Run>
  [[nodiscard]] double loss(const typename Model::Backend& be, const Model& model, Run& run, const Batch& batch,
                            double mean) {
    using C = typename Model::C;
    (void)run.loss(be, model, batch.rows, batch.targets, C{1});
    std::size_t row = 0;
    const auto reward = [&](Index sequence) {  // asked in rising order
      double log_likelihood = 0;
      for (; row < batch.rows.size() && batch.rows[row] < batch.ragged.begin(sequence + 1); ++row) {
        log_likelihood -= static_cast<double>(real_part(run.row_nll()(static_cast<Index>(row), 0)));
      }
      return beta * (log_likelihood - batch.references[static_cast<std::size_t>(sequence)]);
    };
    const double before = score.loss;
    for (Index i = 0; i < batch.pairs(); ++i) {
      const double chosen = reward(2 * i);
      const double weight = mean * beta * score.add(chosen, reward(2 * i + 1));
      for (const Index sequence : {2 * i, 2 * i + 1}) {
        run.weigh(be, model, {batch.ragged.begin(sequence), batch.ragged.length(sequence)},
                  static_cast<C>(sequence % 2 == 0 ? weight : -weight));
      }
    }
    return score.loss - before;
  }
};

static_assert(objective<Dpo>);

/// Calls visit(pair, log-likelihood of its chosen answer, of its rejected answer) for every pair, `batch_size` pairs at a
/// time; a null `attached` is the bare model.
template <class Model, class AttachedType, class Pair, class Visit>
void for_each_likelihood(const typename Model::Backend& be, const Model& model, AttachedType* attached,
                         std::span<Pair> pairs, Index batch_size, Visit&& visit) {
  models::LlamaRun<Model, AttachedType> run;
  AttachedType* const member[] = {attached};
  const std::span<AttachedType* const> bank(member, attached != nullptr ? 1 : 0);
  for (Index first = 0; first < std::ssize(pairs); first += batch_size) {
    const auto part = pairs.subspan(static_cast<std::size_t>(first),
                                    static_cast<std::size_t>(std::min(batch_size, std::ssize(pairs) - first)));
    PreferenceBatch batch;
    for (const Preference& pair : part) {
      batch.push(pair, attached != nullptr ? 1 : 0, attached != nullptr ? attached->inserted() : 0);
    }
    std::vector<Evaluation> sums(2 * part.size());
    evaluate_batch(be, model, run, bank, batch, nullptr, std::span(sums));
    for (std::size_t i = 0; i < part.size(); ++i) {
      visit(part[i], -sums[2 * i].nll, -sums[2 * i + 1].nll);
    }
  }
}

/// Makes a model the reference of all pairs, once and before training: `attached` as it stands then, or, null, the bare model.
template <class Model, class AttachedType>
void refer(const typename Model::Backend& be, const Model& model, AttachedType* attached, std::span<Preference> pairs,
           Index batch_size) {
  for_each_likelihood(be, model, attached, pairs, batch_size, [](Preference& pair, double chosen, double rejected) {
    pair.chosen_reference = chosen;
    pair.rejected_reference = rejected;
  });
}

/// What a policy makes of pairs that have their references.
template <class Model, class AttachedType>
[[nodiscard]] PreferenceScore evaluate(const typename Model::Backend& be, const Model& model, AttachedType* attached,
                                       std::span<const Preference> pairs, double beta, Index batch_size) {
  PreferenceScore score;
  for_each_likelihood(be, model, attached, pairs, batch_size,
                      [&](const Preference& pair, double chosen, double rejected) {
                        score.add(beta * (chosen - pair.chosen_reference), beta * (rejected - pair.rejected_reference));
                      });
  return score;
}

}  // namespace graft::train
