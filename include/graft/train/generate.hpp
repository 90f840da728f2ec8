// SPDX-License-Identifier: Apache-2.0
// generate: one token after another from a prompt, or from several at once; each is read once: its keys and values stay in a
// store.
//
// The k-th token is drawn from softmax(logits / temperature), cut to the likeliest tokens whose mass reaches top_p
// (Holtzman et al., "The curious case of neural text degeneration", arXiv 1904.09751). Edits of a prompt's positions see it whole.
#pragma once

#include <algorithm>  // all_of, find, max, max_element, min, sort
#include <cmath>      // exp
#include <cstdint>
#include <span>
#include <utility>  // move
#include <vector>

#include <graft/core/parallel.hpp>
#include <graft/core/random.hpp>
#include <graft/models/key_store.hpp>
#include <graft/models/llama_run.hpp>

namespace graft::train {

/// How the next token is chosen; temperature 0 takes the likeliest.
struct Sampling {
  double temperature = 0;  ///< 0 = the likeliest token
  double top_p = 1;        ///< mass of the likeliest tokens to draw from; 1 = all
  std::uint64_t seed = 0;  ///< of the draws
};

/// What generation is given beside the prompt.
struct GenerateOptions {
  Index most = 128;                         ///< tokens to generate at most
  Sampling sampling{};                      ///< how each token is chosen
  std::uint64_t subspace = whole_subspace;  ///< rows of R that edit the prompt (SubLoReFT)
  std::vector<std::int32_t> stop{};         ///< ids that end the text; the one that did is part of it
};

/// The token that a row of logits gives at step `step`, a function of seed and step.
template <class C>
[[nodiscard]] std::int32_t sample(std::span<const C> logits, const Sampling& sampling, Index step) {
  const auto best = std::max_element(logits.begin(), logits.end());
  if (sampling.temperature <= 0) {
    return static_cast<std::int32_t>(best - logits.begin());
  }
  struct Candidate {
    double mass;
    std::int32_t id;
  };
  std::vector<Candidate> candidates;
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double mass = std::exp(static_cast<double>(logits[i] - *best) / sampling.temperature);
    candidates.push_back({mass, static_cast<std::int32_t>(i)});
    total += mass;
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.mass != b.mass ? a.mass > b.mass : a.id < b.id; });
  std::size_t kept = 0;
  double nucleus = 0;
  while (kept < candidates.size() && (kept == 0 || nucleus < sampling.top_p * total)) {
    nucleus += candidates[kept++].mass;
  }
  double left = Random(sampling.seed).uniform(static_cast<std::uint64_t>(step)) * nucleus;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    left -= candidates[i].mass;
    if (left < 0) {
      return candidates[i].id;
    }
  }
  return candidates[kept - 1].id;
}

/// The generated ids of each prompt: the prompts go through the model together, prompt i through adapter `adapters[i]` of the
/// bank (0 = none), each ends for itself, and each gets what generate() alone would give it. `on_token`(i, id) -> bool is
/// told of every token of prompt i; false ends that text. A prompt that leaves no room in the window is train.440.
template <class Model, class AttachedType, class OnToken>
[[nodiscard]] std::vector<std::vector<std::int32_t>> generate_batch(
    const typename Model::Backend& be, const Model& model, std::span<AttachedType* const> bank,
    std::span<const Index> adapters, std::span<const std::vector<std::int32_t>> prompts, const GenerateOptions& options,
    OnToken&& on_token) {
  using C = typename Model::C;
  struct Sequence {
    std::vector<std::int32_t> pending;  // not yet read
    Index position = 0;                 // already read
    Index most = 0;                     // tokens to generate
    Index adapter = 0;                  // of the bank
    Index inserted = 0;                 // placeholders that it fills
  };
  const bool named =
      std::all_of(adapters.begin(), adapters.end(), [&](Index a) { return a >= 0 && a <= std::ssize(bank); });
  require(adapters.size() == prompts.size() && named, "shape.149",
          "generate_batch: every prompt names an adapter of the bank, counted from 1, or 0 for none");
  std::vector<Sequence> sequences;
  Index room = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Index inserted = adapters[i] > 0 ? bank[static_cast<std::size_t>(adapters[i] - 1)]->inserted() : 0;
    const Index window = model.config.context - inserted;
    const Index length = std::ssize(prompts[i]);
    if (length == 0 || length >= window) {
      fail("train.440", "the prompt has " + std::to_string(length) + " tokens, expected 1 to " +
                            std::to_string(window - 1) + ": the model's window is " +
                            std::to_string(model.config.context) +
                            (inserted > 0 ? ", of which an adapter fills " + std::to_string(inserted) : ""));
    }
    Sequence& added = sequences.emplace_back();
    added.pending.assign(static_cast<std::size_t>(inserted), 0);
    added.pending.insert(added.pending.end(), prompts[i].begin(), prompts[i].end());
    added.most = std::min(options.most, window - length);
    added.adapter = adapters[i];
    added.inserted = inserted;
    room = std::max(room, inserted + length + added.most);
  }
  models::LlamaRun<Model, AttachedType> run;
  models::KeyStore<C> store(model.config, std::ssize(prompts), room);
  Tensor<C> memory(std::ssize(prompts), model.config.vocab);
  std::vector<std::vector<std::int32_t>> generated(prompts.size());
  for (Index i = 0; i < std::ssize(sequences); ++i) {
    if (sequences[static_cast<std::size_t>(i)].most > 0) {
      store.slots.push_back(i);
    }
  }
  bool continues = false;
  with_team([&] {
    while (!store.slots.empty()) {
      Ragged batch;
      std::vector<std::int32_t> tokens;
      std::vector<Index> last;
      for (const Index slot : store.slots) {
        const auto i = static_cast<std::size_t>(slot);
        Sequence& sequence = sequences[i];
        batch.push(std::ssize(sequence.pending), std::ssize(prompts[i]), sequence.position, sequence.adapter,
                   sequence.inserted);
        batch.carry(options.subspace);
        tokens.insert(tokens.end(), sequence.pending.begin(), sequence.pending.end());
        sequence.position += std::ssize(sequence.pending);
        last.push_back(batch.tokens() - 1);
      }
      run.forward(be, model, bank, batch, tokens, std::ssize(last), {.continues = continues}, &store);
      continues = true;
      const View<C> logits = memory.view().middle_rows(0, std::ssize(last));
      run.logits(be, model, last, logits);
      std::vector<Index> going;
      for (Index row = 0; row < logits.rows; ++row) {
        const Index slot = store.slots[static_cast<std::size_t>(row)];
        const auto i = static_cast<std::size_t>(slot);
        const std::int32_t id = sample(std::span<const C>(logits.row(row), static_cast<std::size_t>(logits.cols)),
                                       options.sampling, std::ssize(generated[i]));
        generated[i].push_back(id);
        const bool wanted = on_token(slot, id);
        const bool ends = std::find(options.stop.begin(), options.stop.end(), id) != options.stop.end();
        if (wanted && !ends && std::ssize(generated[i]) < sequences[i].most) {
          sequences[i].pending = {id};
          going.push_back(slot);
        }
      }
      store.slots = std::move(going);
    }
  });
  return generated;
}

/// The same where all go through one adapter; null: the bare model.
template <class Model, class AttachedType, class OnToken>
[[nodiscard]] std::vector<std::vector<std::int32_t>> generate_batch(const typename Model::Backend& be,
                                                                    const Model& model, AttachedType* attached,
                                                                    std::span<const std::vector<std::int32_t>> prompts,
                                                                    const GenerateOptions& options,
                                                                    OnToken&& on_token) {
  AttachedType* const bank[] = {attached};
  const Index members = attached != nullptr ? 1 : 0;
  const std::vector<Index> adapters(prompts.size(), members);
  return generate_batch(be, model, std::span<AttachedType* const>(bank, static_cast<std::size_t>(members)),
                        std::span<const Index>(adapters), prompts, options, on_token);
}

/// The same of one prompt. `on_token`(id) -> bool is told of each token; false ends the text.
template <class Model, class AttachedType, class OnToken>
[[nodiscard]] std::vector<std::int32_t> generate(const typename Model::Backend& be, const Model& model,
                                                 AttachedType* attached, std::span<const std::int32_t> prompt,
                                                 const GenerateOptions& options, OnToken&& on_token) {
  const std::vector<std::int32_t> prompts[] = {{prompt.begin(), prompt.end()}};
  return std::move(generate_batch(be, model, attached, std::span<const std::vector<std::int32_t>>(prompts), options,
                                  [&](Index, std::int32_t id) { return on_token(id); })
                       .front());
}

}  // namespace graft::train
