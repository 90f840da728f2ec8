// SPDX-License-Identifier: Apache-2.0
// TestSet: a file that a model is measured on: texts and answers, or, with --choices, questions with a fixed list of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <graft/io/json.hpp>
#include <graft/train/choices.hpp>

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
  explicit TestSet(std::vector<train::Example> examples) : examples_(std::move(examples)) {}
  /// Reads the file, cut at `longest` tokens; with `answers` its records are questions.
  TestSet(const Session& session, const DataSettings& data, const std::string& path, Index longest,
          const std::vector<std::string>& answers, bool keep_unlabelled = false);

  [[nodiscard]] bool empty() const { return examples().empty(); }
  /// Questions or examples.
  [[nodiscard]] Index size() const;
  /// What the model runs on: a question stands in it once with every answer.
  [[nodiscard]] const std::vector<train::Example>& examples() const {
    return choices_ ? choices_->examples : examples_;
  }
  [[nodiscard]] Score measure(Engine& engine, Index batch_size, const LogitsVisitor& visit = {}) const;

  /// Records read, records cut, records left out, and tokens of what is measured.
  struct Counts {
    Index records = 0, cut = 0, left_out = 0, tokens = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  /// The same, for run.json (null where no file was read) and for people.
  [[nodiscard]] const io::Json& json() const { return json_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::vector<train::Example> examples_;
  std::optional<train::Choices> choices_;
  Counts counts_;
  io::Json json_;
  std::string text_;
};

/// The counts of a data file, for run.json and for people.
[[nodiscard]] io::Json counts_json(const std::string& path, const train::Dataset& data);
[[nodiscard]] std::string counts_text(const train::Dataset& data);

}  // namespace graft::program
