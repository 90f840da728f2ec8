// SPDX-License-Identifier: Apache-2.0
// Choices: questions with a fixed list of answers. The model chooses the answer whose tokens it finds likeliest together,
// as the common evaluation harness does for multiple choice.
#pragma once

#include <algorithm>  // all_of, find, min_element
#include <array>
#include <iterator>  // move_iterator
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/train/dataset.hpp>
#include <graft/train/evaluate.hpp>

namespace graft::train {

/// Every question once with each answer, in the order of the answers, and which of them is right.
struct Choices {
  std::vector<std::string> answers;  ///< the fixed list
  std::vector<Example> examples;     ///< answers.size() for each question
  std::vector<Index> right;          ///< one for each question
  Index records = 0;                 ///< of the file
  Index too_long = 0;                ///< left out: longer than the window with one of the answers
};

/// What a model chose.
struct ChoiceScore {
  Evaluation likelihood;  ///< of the right answers
  Index questions = 0;    ///< that were asked
  Index right = 0;        ///< whose right answer was chosen

  /// Share of the questions that were answered right; 0 of none.
  [[nodiscard]] double accuracy() const {
    return questions > 0 ? static_cast<double>(right) / static_cast<double>(questions) : 0;
  }
};

namespace detail {

/// The record with another answer between the blanks that stand around its own.
[[nodiscard]] inline Record answered(const Record& record, std::string_view answer) {
  Record copy = record;
  const auto replace = [&](std::string& whole) {
    const std::string_view own = text::trim(whole);
    whole.replace(static_cast<std::size_t>(own.data() - whole.data()), own.size(), answer);
  };
  replace(copy.completion);
  if (!copy.messages.empty()) {
    replace(copy.messages.back().content);
  }
  return copy;
}

}  // namespace detail

/// Reads questions whose completion, blanks aside, is one of the answers; another one, or a record without a completion,
/// is train.428. Questions that are longer than options.longest with an answer are left out, and counted.
[[nodiscard]] inline Choices load_choices(const std::string& path, const DatasetOptions& options,
                                          std::vector<std::string> answers) {
  const RecordFile file = read_records(path);
  RecordFile each{path, {}, {}};
  std::vector<Index> right;
  for (std::size_t i = 0; i < file.records.size(); ++i) {
    const Record& record = file.records[i];
    const bool dialogue = record.completion.empty() && !record.messages.empty();
    const std::string_view own = text::trim(dialogue ? record.messages.back().content : record.completion);
    const auto found = std::find(answers.begin(), answers.end(), own);
    if (found == answers.end()) {
      std::string expected;
      for (const std::string& answer : answers) {
        expected += (expected.empty() ? "\"" : ", \"") + answer + "\"";
      }
      fail("train.428", "the completion is \"" + std::string(own.substr(0, 60)) + "\", expected one of " + expected,
           path + ":" + std::to_string(file.lines[i]));
    }
    right.push_back(found - answers.begin());
    for (const std::string& answer : answers) {
      each.records.push_back(detail::answered(record, answer));
      each.lines.push_back(file.lines[i]);
    }
  }
  std::vector<Example> examples = make_examples(each, options);
  Choices choices;
  choices.records = std::ssize(file.records);
  const std::size_t count = answers.size();
  for (std::size_t i = 0; i < right.size(); ++i) {
    const auto own = std::span(examples).subspan(i * count, count);
    const auto fits = [&](const Example& example) {
      return options.longest == 0 || std::ssize(example.ids) <= options.longest;
    };
    if (!std::all_of(own.begin(), own.end(), fits)) {
      ++choices.too_long;
      continue;
    }
    choices.examples.insert(choices.examples.end(), std::move_iterator(own.begin()), std::move_iterator(own.end()));
    choices.right.push_back(right[i]);
  }
  choices.answers = std::move(answers);
  if (choices.right.empty()) {
    fail("train.427",
         "none of the " + std::to_string(choices.records) + " questions fits into " + std::to_string(options.longest) +
             " tokens with its answers",
         path);
  }
  return choices;
}

/// Chooses, given evaluate_each of choices.examples; of equally likely answers the first.
[[nodiscard]] inline ChoiceScore choose(const Choices& choices, std::span<const Evaluation> each) {
  const std::size_t count = choices.answers.size();
  ChoiceScore score;
  for (std::size_t i = 0; i < choices.right.size(); ++i) {
    const auto own = each.subspan(i * count, count);
    const auto chosen =
        std::min_element(own.begin(), own.end(), [](const auto& a, const auto& b) { return a.nll < b.nll; });
    const Evaluation& right = own[static_cast<std::size_t>(choices.right[i])];
    score.right += chosen - own.begin() == choices.right[i] ? 1 : 0;
    score.likelihood = total(std::array{score.likelihood, right});
    ++score.questions;
  }
  return score;
}

}  // namespace graft::train
