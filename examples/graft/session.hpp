// SPDX-License-Identifier: Apache-2.0
// Session: an open model with what belongs to it, which finetune, eval and generate begin with.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <graft/models/checkpoint.hpp>
#include <graft/text/chat_template.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/train/choices.hpp>
#include <graft/train/dataset.hpp>

#include "engine.hpp"
#include "settings.hpp"

namespace graft::program {

class Session {
 public:
  /// Maps the checkpoint, reads the weights on all threads and the tokenizer beside them, and puts the adapter of a folder
  /// (graft's, PEFT's or pyreft's) on the model, where one is named; warnings about it go to stderr. `trains_weights` keeps --dtype auto away from bf16.
  explicit Session(const ModelSettings& settings, const std::string& adapter = "", bool trains_weights = false);
  /// The same without weights: there is no engine().
  [[nodiscard]] static Session without_weights(const ModelSettings& settings);

  [[nodiscard]] const models::Checkpoint& checkpoint() const { return checkpoint_; }
  [[nodiscard]] const models::LlamaConfig& config() const { return checkpoint_.config; }
  [[nodiscard]] bool has_tokenizer() const { return tokenizer_.has_value(); }
  [[nodiscard]] bool has_chat() const { return chat_.has_value(); }
  [[nodiscard]] Engine& engine() { return *engine_; }

  /// The tokenizer, or train.424 where the model has none.
  [[nodiscard]] const text::Tokenizer& tokenizer() const;
  /// The template that conversations go through; null where the model has none of its own and none was asked for. One
  /// that is not known is text.340.
  [[nodiscard]] const text::ChatTemplate* chat() const;
  /// A text as it stands, behind what the tokenizer opens a text with.
  [[nodiscard]] std::vector<std::int32_t> ids_of(const std::string& text) const;
  /// The ids that end an answer.
  [[nodiscard]] std::vector<std::int32_t> stop_ids() const;
  /// How an answer is drawn, and what ends it.
  [[nodiscard]] train::GenerateOptions answering(const AnswerSettings& settings) const;
  /// The example that each record, as a line of a data file holds it, becomes in training.
  [[nodiscard]] std::vector<train::Example> examples_of(const DataSettings& data,
                                                        const std::vector<io::Json>& records) const;
  /// Questions with a fixed list of answers, those longer than `longest` tokens left out.
  [[nodiscard]] train::Choices load_choices(const DataSettings& data, const std::string& path, Index longest,
                                            const std::vector<std::string>& answers) const;
  /// The examples of a file, cut at `longest` tokens; counting those of a large one says on stderr how far it is.
  [[nodiscard]] train::ExampleFile open(const DataSettings& data, const std::string& path, Index longest,
                                        bool keep_unlabelled = false) const;
  /// How records become examples.
  [[nodiscard]] train::DatasetOptions options(const DataSettings& data, Index longest) const;

 private:
  Session() = default;
  void read_tokenizer(const ModelSettings& settings);
  void read_chat(const ModelSettings& settings);

  models::Checkpoint checkpoint_;
  std::unique_ptr<Engine> engine_;
  std::optional<text::Tokenizer> tokenizer_;
  std::optional<text::ChatTemplate> chat_;
  std::optional<Error> chat_error_;
};

/// An adapter's folder, of whatever program, or its GGUF file; `positions` as ModelSettings has them.
[[nodiscard]] models::AdapterFile open_any_adapter(const std::string& path, const std::string& positions,
                                                   const models::LlamaConfig& config);

/// Numbers that no answer can have (train.431).
void check_answer(const AnswerSettings& settings);

/// --threads for this process; 0 leaves it as it is.
void use_threads(Index count);

/// "cpu" or "cuda": what --device means on this machine.
[[nodiscard]] std::string resolve_device(const std::string& device);
/// "fp32" or "bf16": what --dtype means on that device.
[[nodiscard]] std::string resolve_dtype(const std::string& dtype, const std::string& device, bool trains_weights);

}  // namespace graft::program
