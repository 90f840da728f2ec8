// SPDX-License-Identifier: Apache-2.0
// TestSet: a file that a model is measured on: texts and answers, or, with --choices, questions with a fixed list of them.
#pragma once

#include <cstdint>
#include <memory>  // shared_ptr
#include <optional>
#include <string>
#include <utility>  // move
#include <vector>

#include <graft/io/json.hpp>
#include <graft/train/choices.hpp>
#include <graft/train/epoch_batches.hpp>

#include "session.hpp"

namespace graft::program {

struct Score {
  double loss = 0;
  double perplexity = 0;
  double accuracy = 0;  // of tokens, or of chosen answers
  Index tokens = 0;
};

class TestSet {
 public:
  TestSet() = default;
  /// Some records of a file that outlives this.
  TestSet(const train::ExampleFile& file, io::SpilledList<std::uint32_t> list) : file_(&file), list_(std::move(list)) {}
  /// Opens the file, cut at `longest` tokens; with `answers` its records are questions.
  TestSet(const Session& session, const DataSettings& data, const std::string& path, Index longest,
          const std::vector<std::string>& answers, bool keep_unlabelled = false);

  [[nodiscard]] bool empty() const { return size() == 0; }
  /// Questions or examples.
  [[nodiscard]] Index size() const;
  /// The first examples, at most `count` of them.
  [[nodiscard]] std::vector<train::Example> first(Index count) const;
  /// Examples that are trained from their first token on: there is no position in their prompts.
  [[nodiscard]] Index without_prompt() const;
  [[nodiscard]] Score measure(Engine& engine, Index batch_size, const LogitsVisitor& visit = {}) const;
  /// The batch that needs the most memory; empty where the set is.
  [[nodiscard]] train::Batch largest(Index batch_size, Index inserted) const;

  /// Records read, records cut, records left out, and tokens of what is measured.
  struct Counts {
    Index records = 0, cut = 0, left_out = 0, tokens = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  /// The same, for run.json (null where no file was read) and for people.
  [[nodiscard]] const io::Json& json() const { return json_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::shared_ptr<const train::ExampleFile> own_;  // where it opened the file itself
  const train::ExampleFile* file_ = nullptr;
  io::SpilledList<std::uint32_t> list_;  // records of the file
  std::optional<train::Choices> choices_;
  Counts counts_;
  io::Json json_;
  std::string text_;
};

/// The counts of a data file, for run.json and for people.
[[nodiscard]] io::Json counts_json(const std::string& path, const train::DatasetCounts& data);
[[nodiscard]] std::string counts_text(const train::DatasetCounts& data);

}  // namespace graft::program
