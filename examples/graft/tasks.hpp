// SPDX-License-Identifier: Apache-2.0
// The tasks of graft eval --task: what is asked, how an answer is judged, and where that definition comes from.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/io/json.hpp>

namespace graft::program {

enum class TaskKind {
  choice,  // the likeliest of the answers that an item lists
  answer,  // an answer is generated and compared
  text,    // how well a text is predicted
};

struct Task {
  std::string_view name;
  TaskKind kind = TaskKind::choice;
  std::string_view prompt;   // {key} stands for what the item says under it
  std::string_view keys;     // that an item of the published file has
  std::string_view answers;  // choice: a fixed list, split by |; empty: the item lists its own
  std::string_view metrics;
  std::string_view stop;  // answer: what ends it, split by |
  Index most = 0;         // answer: tokens at most
  std::string_view source;
};

/// Definitions as of EleutherAI's lm-evaluation-harness 0.4 ("harness"), and of pyreft's examples for the ReFT paper (arXiv
/// 2404.03592). Files of LLM-Adapters' shape (instruction, answer) are understood by the first three too.
inline constexpr Task tasks[] = {
    {"arc_easy", TaskKind::choice, "Question: {question}\nAnswer:", "question, choices {text, label}, answerKey", "",
     "acc, acc_norm", "", 0, "harness, tasks/arc"},
    {"arc_challenge", TaskKind::choice, "Question: {question}\nAnswer:", "question, choices {text, label}, answerKey",
     "", "acc, acc_norm", "", 0, "harness, tasks/arc"},
    {"openbookqa", TaskKind::choice, "{question}", "question_stem, choices {text, label}, answerKey", "",
     "acc, acc_norm", "", 0, "harness, tasks/openbookqa"},
    {"boolq", TaskKind::choice, "{passage}\nQuestion: {question}?\nAnswer:", "passage, question, answer or label",
     "no|yes", "acc", "", 0, "harness, tasks/super_glue/boolq"},
    {"sst2", TaskKind::choice, "{sentence}\nQuestion: Is this sentence positive or negative?\nAnswer:",
     "sentence, label (a .tsv, too)", "negative|positive", "acc", "", 0, "harness, tasks/glue/sst2"},
    {"commonsense", TaskKind::choice, "{instruction}\n", "instruction (with its answer format), answer", "",
     "acc, acc_norm", "", 0, "ReFT paper: the prompt and \"the correct answer is\"; chosen by likelihood here"},
    {"choice", TaskKind::choice, "{question}", "question, choices (a list), label (number, letter or text)", "",
     "acc, acc_norm", "", 0, "any file of that shape"},
    {"gsm8k", TaskKind::answer, "Question: {question}\nAnswer:", "question, answer (its number after ####)", "",
     "exact_match, flexible", "Question:|</s>|<|im_end|>", 256,
     "harness, tasks/gsm8k: the number after ####; flexible, as in the ReFT paper, takes the last number"},
    {"drop", TaskKind::answer, "{context}", "context, ref_text (answers split by |); or passage, question, answers", "",
     "exact_match, f1", ".|\n", 32, "harness, tasks/drop: bags of words, numbers must agree"},
    {"qa", TaskKind::answer, "{question}", "question, answer or answers", "", "exact_match, f1", "\n", 64,
     "any file of that shape; exact match and token F1 as SQuAD has them"},
    {"perplexity", TaskKind::text, "{text}", "text (or a .txt file as one document)", "",
     "token_perplexity, word_perplexity, byte_perplexity, bits_per_byte", "", 0,
     "harness, loglikelihood_rolling: every token is predicted once"}};

/// The task of that name; another is train.474.
[[nodiscard]] const Task& task_named(const std::string& name);
/// All of them, as a table for people.
[[nodiscard]] std::string tasks_text();

/// One item of a task.
struct TaskItem {
  std::string prompt;                // the template, filled
  std::vector<std::string> answers;  // choice: to choose from; answer: each of them is right
  Index right = 0;                   // choice: which one is
};

/// The items of a file in any of the task's shapes (.jsonl, .json, .tsv with a line of names, .txt for perplexity), at most
/// `limit` (0: all). A record that does not fit is train.475.
[[nodiscard]] std::vector<TaskItem> read_items(const Task& task, const std::string& path, Index limit);

/// The number that a generated answer gives: the one after "####", else nothing; `flexible`: else the last one. Commas and a
/// dollar sign do not count, nor a full stop at its end.
[[nodiscard]] std::optional<std::string> number_of(std::string_view answer, bool flexible);

/// Exact match and token F1 of an answer against the best of several.
struct TextScore {
  double exact = 0;
  double f1 = 0;
};
/// Case, articles and punctuation do not count, 3 is 3.0. `numbers_agree` is DROP's way: words are sets, and a number of the right
/// answer must occur.
[[nodiscard]] TextScore compare_text(std::string_view answer, std::span<const std::string> right, bool numbers_agree);

}  // namespace graft::program
