// SPDX-License-Identifier: Apache-2.0
#include "tasks.hpp"

#include <algorithm>  // any_of, find, find_if, max, min, none_of, set_intersection, sort, unique
#include <cctype>
#include <charconv>
#include <iterator>  // back_inserter, begin, end
#include <map>
#include <sstream>
#include <utility>  // move

#include <graft/base/require.hpp>
#include <graft/io/jsonl.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/nearest.hpp>
#include <graft/text/chat_template.hpp>

#include "words.hpp"

namespace graft::program {

namespace {

std::vector<std::string> cells_of(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size() && !text.empty();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// What a record says under a key, as text; empty where it has none.
std::string said(const io::Json& json, const std::string& key) {
  if (!json.contains(key)) {
    return {};
  }
  const io::Json& value = json.at(key);
  return value.is_string() ? value.get<std::string>() : value.is_null() ? std::string() : value.dump();
}

std::string filled(std::string_view pattern, const std::map<std::string, std::string>& values) {
  std::string text;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = std::min(pattern.find('{', at), pattern.size());
    text += pattern.substr(at, open - at);
    if (open == pattern.size()) {
      break;
    }
    const std::size_t close = pattern.find('}', open);
    text += values.at(std::string(pattern.substr(open + 1, close - open - 1)));
    at = close + 1;
  }
  return text;
}

[[noreturn]] void refuse_item(const Task& task, const std::string& found, const std::string& where) {
  fail("train.475",
       "the record is no item of the task \"" + std::string(task.name) + "\": " + found + ", expected the keys " +
           std::string(task.keys),
       where);
}

/// Which answer a label means: its number, its letter or own label, or its text.
Index right_of(const io::Json& label, const std::vector<std::string>& answers, const std::vector<std::string>& labels,
               const Task& task, const std::string& where) {
  const Index count = std::ssize(answers);
  if (label.is_boolean()) {
    return label.get<bool>() ? 1 : 0;
  }
  const auto place = [](const std::vector<std::string>& list, const std::string& one) {
    return std::find(list.begin(), list.end(), one) - list.begin();
  };
  const std::string text = label.is_string() ? label.get<std::string>() : label.dump();
  Index found = place(labels, text);
  if (found == std::ssize(labels) && label.is_string()) {
    const Index of_text = place(answers, text);
    found = of_text < count ? of_text : text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z' ? text[0] - 'A' : count;
  } else if (found == std::ssize(labels)) {
    found = label.is_number_integer() ? label.get<Index>() : count;
  }
  Index number = 0;
  if (found >= count &&
      std::from_chars(text.data(), text.data() + text.size(), number).ptr == text.data() + text.size() &&
      !text.empty()) {
    found = number;
  }
  if (found < 0 || found >= count) {
    refuse_item(task, "the label " + text + " names none of its " + std::to_string(count) + " answers", where);
  }
  return found;
}

/// "Please choose the correct answer to the question: Q\n\nAnswer1: A Answer2: B\n\nAnswer format: answer1/answer2" as
/// question and answers; LLM-Adapters joins them so.
void take_apart(const io::Json& json, const Task& task, const std::string& where, std::string& question,
                std::vector<std::string>& answers, std::vector<std::string>& labels) {
  const std::string whole = said(json, "instruction");
  const std::string_view text = whole;
  const std::size_t format = text.rfind("\n\nAnswer format:");
  const std::size_t colon = text.find(": ");
  if (format == std::string_view::npos || colon == std::string_view::npos || colon > format) {
    refuse_item(task, "its instruction has no \"Answer format:\"", where);
  }
  labels = cells_of(text::trim(text.substr(format + 16)), '/');
  std::size_t at = text.find("\n\nAnswer1: ");
  question = text.substr(colon + 2, std::min(at, format) - colon - 2);
  for (std::size_t i = 1; at < format && i <= labels.size(); ++i) {
    const std::size_t begin = text.find(": ", at + 2) + 2;
    const std::size_t end = std::min(text.find(" Answer" + std::to_string(i + 1) + ": ", begin), format);
    answers.emplace_back(text::trim(text.substr(begin, end - begin)));
    at = end;
  }
  if (answers.empty()) {
    answers = labels;
  }
  if (answers.size() != labels.size()) {
    refuse_item(task,
                "its instruction lists " + std::to_string(answers.size()) + " answers and names " +
                    std::to_string(labels.size()),
                where);
  }
}

TaskItem read_choice(const Task& task, const io::Json& json, const std::string& where) {
  TaskItem item;
  std::vector<std::string> labels;
  std::string question;
  if (json.contains("instruction")) {
    take_apart(json, task, where, question, item.answers, labels);
    const std::string answer = said(json, "answer");
    item.right = std::find(labels.begin(), labels.end(), answer) - labels.begin();
    if (item.right == std::ssize(labels)) {
      refuse_item(task, "its answer \"" + answer.substr(0, 40) + "\" is none of its answer format", where);
    }
    if (task.name == "commonsense") {
      item.prompt = filled(task.prompt, {{"instruction", said(json, "instruction")}});
      item.answers.clear();
      for (const std::string& label : labels) {
        item.answers.push_back("the correct answer is " + label);
      }
      return item;
    }
    if (task.name == "boolq") {  // true/false, without the passage
      item.answers = {"no", "yes"};
      item.right = answer == "true" ? 1 : 0;
      question = question.starts_with("question: ") ? question.substr(10) : question;
      question = question.ends_with("?") ? question.substr(0, question.size() - 1) : question;
      item.prompt = filled("Question: {question}?\nAnswer:", {{"question", question}});
      return item;
    }
    item.prompt = filled(task.prompt, {{"question", question}, {"passage", ""}, {"sentence", question}});
    return item;
  }
  io::Json choices = json.contains("choices") ? json.at("choices") : json.value("answers", io::Json());
  question = said(json, "question");
  if (json.contains("question") && json.at("question").is_object()) {  // as the Allen Institute ships them
    question = said(json.at("question"), "stem");
    choices = json.at("question").value("choices", choices);
  }
  question = question.empty() ? said(json, json.contains("question_stem") ? "question_stem" : "prompt") : question;
  if (!task.answers.empty()) {
    item.answers = cells_of(task.answers, '|');
  } else if (choices.is_object()) {
    item.answers = io::json_get<std::vector<std::string>>(choices, "text", where);
    labels = io::json_get_or(choices, "label", labels, where);
  } else if (choices.is_array()) {
    for (const io::Json& one : choices) {
      item.answers.push_back(one.is_object()   ? said(one, "text")
                             : one.is_string() ? one.get<std::string>()
                                               : one.dump());
      if (one.is_object()) {
        labels.push_back(said(one, "label"));
      }
    }
  }
  const char* label = nullptr;
  for (const char* const key : {"answerKey", "label", "answer", "gold"}) {
    label = label == nullptr && json.contains(key) ? key : label;
  }
  if (item.answers.size() < 2 || label == nullptr) {
    refuse_item(task, label == nullptr ? "it has no label" : "it lists fewer than two answers", where);
  }
  std::map<std::string, std::string> values = {{"question", question},
                                               {"passage", said(json, "passage")},
                                               {"sentence", said(json, "sentence")},
                                               {"instruction", ""}};
  if (task.name == "boolq") {
    std::string& asked = values["question"];
    asked = asked.ends_with("?") ? asked.substr(0, asked.size() - 1) : asked;
  }
  if ((task.name == "sst2" ? values["sentence"] : question).empty()) {
    refuse_item(task, "it asks nothing", where);
  }
  item.right = right_of(json.at(label), item.answers, labels, task, where);
  item.prompt = filled(task.prompt, values);
  return item;
}

TaskItem read_answer(const Task& task, const io::Json& json, const std::string& where) {
  TaskItem item;
  const std::string question = said(json, json.contains("question") ? "question" : "prompt");
  std::string context = said(json, "context");
  if (context.empty() && json.contains("passage")) {
    context = "Passage: " + said(json, "passage") + "\nQuestion: " + question + "\nAnswer:";
  }
  item.prompt = std::string(text::trim(filled(task.prompt, {{"question", question}, {"context", context}})));
  if (json.contains("ref_text")) {
    item.answers = cells_of(said(json, "ref_text"), '|');
  } else if (json.contains("answers") && json.at("answers").is_array()) {
    for (const io::Json& one : json.at("answers")) {
      item.answers.push_back(one.is_string() ? one.get<std::string>() : one.dump());
    }
  } else if (json.contains("answer") || json.contains("completion")) {
    item.answers = {said(json, json.contains("answer") ? "answer" : "completion")};
  }
  if (item.prompt.empty() || item.answers.empty()) {
    refuse_item(task, item.prompt.empty() ? "it asks nothing" : "it has no answer", where);
  }
  if (task.name == "gsm8k" && !number_of(item.answers.front(), true)) {
    refuse_item(task, "its answer holds no number", where);
  }
  return item;
}

/// A .tsv with a line of names as records.
std::vector<io::Json> read_tsv(const std::string& path) {
  std::istringstream lines{std::string(io::MappedFile(path).text())};
  std::vector<std::string> names;
  std::vector<io::Json> records;
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells =
        cells_of(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line, '\t');
    if (names.empty()) {
      names = cells;
      continue;
    }
    io::Json& record = records.emplace_back(io::Json::object());
    for (std::size_t i = 0; i < std::min(cells.size(), names.size()); ++i) {
      record[names[i]] = cells[i];
    }
  }
  return records;
}

std::vector<std::string> bag_of(std::string_view text) {
  std::vector<std::string> bag;
  std::string word;
  const auto number = [](const std::string& one) -> std::optional<double> {
    double value = 0;
    const auto end = std::from_chars(one.data(), one.data() + one.size(), value);
    return end.ec == std::errc() && end.ptr == one.data() + one.size() ? std::optional(value) : std::nullopt;
  };
  const auto finish = [&] {
    if (!number(word)) {
      std::erase_if(word, [](char c) { return std::ispunct(static_cast<unsigned char>(c)) != 0; });
    }
    if (const auto value = number(word)) {
      word = significant(*value, 15);
    }
    if (!word.empty() && word != "a" && word != "an" && word != "the") {
      bag.push_back(word);
    }
    word.clear();
  };
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0 || (c == '-' && !word.empty())) {
      finish();
    } else {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  finish();
  return bag;
}

bool is_number(const std::string& word) {
  return !word.empty() && (std::isdigit(static_cast<unsigned char>(word.front())) != 0 || word.front() == '-');
}

TextScore compare_bags(std::vector<std::string> found, std::vector<std::string> right, bool numbers_agree) {
  const bool exact = found == right;
  std::sort(found.begin(), found.end());
  std::sort(right.begin(), right.end());
  if (numbers_agree) {  // DROP compares sets
    found.erase(std::unique(found.begin(), found.end()), found.end());
    right.erase(std::unique(right.begin(), right.end()), right.end());
  }
  std::vector<std::string> common;
  std::set_intersection(found.begin(), found.end(), right.begin(), right.end(), std::back_inserter(common));
  const bool asks_number = numbers_agree && std::any_of(right.begin(), right.end(), is_number);
  if (asks_number && std::none_of(common.begin(), common.end(), is_number)) {
    return {exact ? 1.0 : 0.0, 0};
  }
  if (found.empty() && right.empty()) {
    return {1, 1};
  }
  const double both = static_cast<double>(common.size());
  const double precision = found.empty() ? 0 : both / static_cast<double>(found.size());
  const double recall = right.empty() ? 0 : both / static_cast<double>(right.size());
  return {exact ? 1.0 : 0.0, both > 0 ? 2 * precision * recall / (precision + recall) : 0};
}

}  // namespace

const Task& task_named(const std::string& name) {
  const auto found =
      std::find_if(std::begin(tasks), std::end(tasks), [&](const Task& task) { return task.name == name; });
  if (found == std::end(tasks)) {
    const std::vector<Task> all(std::begin(tasks), std::end(tasks));
    fail("train.474",
         "there is no task \"" + name + "\"; did you mean \"" +
             io::nearest_name(name, all, [](const Task& task) { return std::string(task.name); }) +
             "\"? (--task list shows all)",
         "--task");
  }
  return *found;
}

std::string tasks_text() {
  std::string text;
  for (const Task& task : tasks) {
    text += std::string(task.name) + "\n  items    " + std::string(task.keys) + "\n  metrics  " +
            std::string(task.metrics) + "\n  prompt   " + io::Json(task.prompt).dump() + "\n  source   " +
            std::string(task.source) + "\n";
  }
  return text;
}

std::vector<TaskItem> read_items(const Task& task, const std::string& path, Index limit) {
  std::vector<TaskItem> items;
  const auto full = [&] { return limit > 0 && std::ssize(items) >= limit; };
  const auto add = [&](const io::Json& json, Index line) {
    if (full()) {
      return;
    }
    const std::string where = path + ":" + std::to_string(line);
    if (task.kind == TaskKind::text) {
      TaskItem& item = items.emplace_back();
      item.prompt = said(json, "text");
      if (item.prompt.empty()) {
        refuse_item(task, "it has no text", where);
      }
    } else {
      items.push_back(task.kind == TaskKind::choice ? read_choice(task, json, where) : read_answer(task, json, where));
    }
  };
  if (path.ends_with(".txt") && task.kind == TaskKind::text) {
    items.push_back({std::string(io::MappedFile(path).text()), {}, 0});
  } else if (path.ends_with(".tsv")) {
    const std::vector<io::Json> records = read_tsv(path);
    for (std::size_t i = 0; i < records.size(); ++i) {
      add(records[i], static_cast<Index>(i) + 2);
    }
  } else {
    io::for_each_record(path, add);
  }
  if (items.empty() || items.front().prompt.empty()) {
    fail("train.426", "the file holds no record, expected one JSON object a line or a JSON list of them", path);
  }
  return items;
}

std::optional<std::string> number_of(std::string_view answer, bool flexible) {
  const std::size_t mark = answer.rfind("####");
  const bool marked = mark != std::string_view::npos;
  if (!marked && !flexible) {
    return std::nullopt;
  }
  std::string last;
  const std::string_view text = marked ? answer.substr(mark + 4) : answer;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (!digit(i) && !(text[i] == '-' && digit(i + 1))) {
      continue;
    }
    last = text[i];
    for (++i; digit(i) || ((i < text.size() && (text[i] == ',' || text[i] == '.')) && digit(i + 1)); ++i) {
      if (text[i] != ',') {
        last += text[i];
      }
    }
    if (marked) {
      break;
    }
  }
  if (last.find('.') != std::string::npos) {  // 18.00 is 18
    last.erase(last.find_last_not_of('0') + 1);
    last.erase(last.find_last_not_of('.') + 1);
  }
  return last.empty() ? std::nullopt : std::optional(last);
}

TextScore compare_text(std::string_view answer, std::span<const std::string> right, bool numbers_agree) {
  TextScore best;
  const std::vector<std::string> found = bag_of(answer);
  for (const std::string& one : right) {
    const TextScore score = compare_bags(found, bag_of(one), numbers_agree);
    best = {std::max(best.exact, score.exact), std::max(best.f1, score.f1)};
  }
  return best;
}

}  // namespace graft::program
