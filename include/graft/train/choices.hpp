// SPDX-License-Identifier: Apache-2.0
// Choices: questions with a fixed list of answers. The model chooses the answer whose tokens it finds likeliest together,
// as the common evaluation harness does for multiple choice.
#pragma once

#include <algorithm>  // any_of, count_if, find, max
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/core/parallel.hpp>
#include <graft/io/jsonl.hpp>
#include <graft/train/evaluate.hpp>
#include <graft/train/make_example.hpp>

namespace graft::train {

/// A question as it stands in a file, and the answers that may take the place of its own.
struct Question {
  Record record;                     ///< its completion is one of the answers, blanks aside
  std::vector<std::string> answers;  ///< without blanks around
  Index right = 0;                   ///< which of them is right
};

/// Every question once with each of its answers, and which of them is right.
struct Choices {
  std::vector<Example> examples;  ///< those of question i are begins[i] to begins[i + 1]
  std::vector<Index> begins{0};   ///< one more than there are questions
  std::vector<Index> characters;  ///< of the answer of each example
  std::vector<Index> right;       ///< one for each question, counted among its answers
  Index records = 0;              ///< of the file
  Index too_long = 0;             ///< left out: longer than the window with one of the answers
};

/// What a model chose.
struct ChoiceScore {
  Evaluation likelihood;  ///< of the right answers
  Index questions = 0;    ///< that were asked
  Index right = 0;        ///< whose right answer was chosen
  Index right_norm = 0;   ///< the same, by the likelihood of a character

  /// Share of the questions that were answered right; 0 of none.
  [[nodiscard]] double accuracy() const {
    return questions > 0 ? static_cast<double>(right) / static_cast<double>(questions) : 0;
  }
  /// The same where the log-likelihood of an answer is divided by its characters (the harness's acc_norm).
  [[nodiscard]] double accuracy_norm() const {
    return questions > 0 ? static_cast<double>(right_norm) / static_cast<double>(questions) : 0;
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

/// Unicode characters of a text in UTF-8.
[[nodiscard]] inline Index characters_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) != 0x80u; });
}

}  // namespace detail

/// The examples of some questions; `where`(i) names question i in errors. Those that are longer than options.longest with one
/// of their answers are left out, and counted; where all are, that is train.427, named by `path`.
template <class Where>
[[nodiscard]] Choices make_choices(const std::vector<Question>& questions, const DatasetOptions& options,
                                   const std::string& path, const Where& where) {
  std::vector<std::vector<Example>> examples(questions.size());
  parallel_for(std::ssize(questions), [&](Index i, Index) {
    const Question& question = questions[static_cast<std::size_t>(i)];
    for (const std::string& answer : question.answers) {
      examples[static_cast<std::size_t>(i)].push_back(
          make_example(detail::answered(question.record, answer), options, where(i)));
    }
  });
  Choices choices;
  choices.records = std::ssize(questions);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto too_long = [&](const Example& example) {
      return options.longest > 0 && std::ssize(example.ids) > options.longest;
    };
    if (std::any_of(examples[i].begin(), examples[i].end(), too_long)) {
      ++choices.too_long;
      continue;
    }
    for (std::size_t j = 0; j < examples[i].size(); ++j) {
      choices.examples.push_back(std::move(examples[i][j]));
      choices.characters.push_back(detail::characters_of(questions[i].answers[j]));
    }
    choices.begins.push_back(std::ssize(choices.examples));
    choices.right.push_back(questions[i].right);
  }
  if (choices.right.empty()) {
    fail("train.427",
         "none of the " + std::to_string(choices.records) + " questions fits into " + std::to_string(options.longest) +
             " tokens with its answers",
         path);
  }
  return choices;
}

/// Reads questions whose completion, blanks aside, is one of the answers; another one, or a record without a completion,
/// is train.428. As make_choices beyond that.
[[nodiscard]] inline Choices load_choices(const std::string& path, const DatasetOptions& options,
                                          const std::vector<std::string>& answers) {
  std::vector<Question> questions;
  std::vector<Index> lines;
  io::for_each_record(path, [&](const io::Json& json, Index line) {
    const std::string where = path + ":" + std::to_string(line);
    Record record = read_record(json, where);
    const bool dialogue = record.completion.empty() && !record.messages.empty();
    const std::string own(text::trim(dialogue ? record.messages.back().content : record.completion));
    const auto found = std::find(answers.begin(), answers.end(), own);
    if (found == answers.end()) {
      std::string expected;
      for (const std::string& answer : answers) {
        expected += (expected.empty() ? "\"" : ", \"") + answer + "\"";
      }
      fail("train.428", "the completion is \"" + own.substr(0, 60) + "\", expected one of " + expected, where);
    }
    questions.push_back({std::move(record), answers, found - answers.begin()});
    lines.push_back(line);
  });
  if (questions.empty()) {
    fail("train.426", "the file holds no record, expected one JSON object a line or a JSON list of them", path);
  }
  return make_choices(questions, options, path,
                      [&](Index i) { return path + ":" + std::to_string(lines[static_cast<std::size_t>(i)]); });
}

/// Chooses, given evaluate_each of choices.examples; of equally likely answers the first.
[[nodiscard]] inline ChoiceScore choose(const Choices& choices, std::span<const Evaluation> each) {
  ChoiceScore score;
  for (std::size_t i = 0; i < choices.right.size(); ++i) {
    const Index begin = choices.begins[i];
    const Index count = choices.begins[i + 1] - begin;
    const auto best = [&](const auto& loss) {
      Index found = 0;
      for (Index j = 1; j < count; ++j) {
        found = loss(begin + j) < loss(begin + found) ? j : found;
      }
      return found;
    };
    const auto nll = [&](Index at) { return each[static_cast<std::size_t>(at)].nll; };
    const auto per_character = [&](Index at) {
      return nll(at) / static_cast<double>(std::max<Index>(choices.characters[static_cast<std::size_t>(at)], 1));
    };
    const Evaluation& right = each[static_cast<std::size_t>(begin + choices.right[i])];
    score.right += best(nll) == choices.right[i] ? 1 : 0;
    score.right_norm += best(per_character) == choices.right[i] ? 1 : 0;
    score.likelihood = total(std::array{score.likelihood, right});
    ++score.questions;
  }
  return score;
}

}  // namespace graft::train
