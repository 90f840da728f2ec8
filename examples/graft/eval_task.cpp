// SPDX-License-Identifier: Apache-2.0
#include "eval_task.hpp"

#include <algorithm>  // count_if, find, max, min
#include <cctype>
#include <cmath>  // exp, sqrt
#include <cstdio>
#include <limits>
#include <utility>  // move

#include <graft/text/stream_decoder.hpp>

#include "commands.hpp"
#include "countdown.hpp"
#include "data_files.hpp"
#include "session.hpp"
#include "tasks.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

struct Metric {
  std::string name;
  double value = 0;
  double error = std::numeric_limits<double>::quiet_NaN();  // standard error, where there is one
};

/// The mean, and its standard error as the harness has it: s / sqrt(n), s with n - 1.
Metric mean_of(std::string name, const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) {
    sum += value;
  }
  const double mean = sum / count;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  Metric metric{std::move(name), mean};
  if (values.size() > 1) {
    metric.error = std::sqrt(squares / (count - 1) / count);
  }
  return metric;
}

/// A run of one task.
class TaskRun {
 public:
  TaskRun(const EvalSettings& settings, const Task& task, const std::string& path)
      : s_(settings),
        task_(task),
        session_(settings.model, settings.adapter),
        items_(read_items(task, path, settings.limit)),
        window_(settings.data.max_seq_len > 0 ? std::min(settings.data.max_seq_len, session_.config().context)
                                              : session_.config().context),
        path_(path),
        countdown_(std::string(task.name), "items") {
    if (s_.apply_chat_template && session_.chat() == nullptr) {
      fail("text.340", "the model has no chat template to apply", session_.checkpoint().path);
    }
  }

  int run() {
    switch (task_.kind) {
      case TaskKind::choice: choose(); break;
      case TaskKind::answer: answer(); break;
      case TaskKind::text: predict(); break;
    }
    countdown_.clear();
    print();
    return exit_success;
  }

 private:
  /// What stands before an answer: the prompt, or the conversation that asks it.
  [[nodiscard]] std::string asked(const TaskItem& item) const {
    const text::Message question[] = {{"user", item.prompt}};
    return s_.apply_chat_template ? session_.chat()->render(question, true).text : item.prompt;
  }

  /// The sums of each example, some batches at a time.
  std::vector<train::Evaluation> evaluate(const std::vector<train::Example>& examples, double items_each) {
    std::vector<train::Evaluation> all;
    const Index slice = 4 * s_.data.batch_size;
    for (Index first = 0; first < std::ssize(examples); first += slice) {
      const auto part = std::span(examples).subspan(
          static_cast<std::size_t>(first), static_cast<std::size_t>(std::min(slice, std::ssize(examples) - first)));
      const auto each = session_.engine().evaluate(part, s_.data.batch_size, {});
      all.insert(all.end(), each.begin(), each.end());
      countdown_.at(static_cast<Index>(static_cast<double>(all.size()) * items_each),
                    static_cast<Index>(static_cast<double>(examples.size()) * items_each));
    }
    return all;
  }

  void choose() {
    train::DatasetOptions options = session_.options(s_.data, window_);
    options.chat = nullptr;
    options.close = false;
    options.open = !s_.apply_chat_template;
    std::vector<train::Question> questions;
    for (const TaskItem& item : items_) {
      train::Question& question = questions.emplace_back();
      question.record.prompt = asked(item);
      const bool apart = !s_.apply_chat_template && !item.prompt.ends_with('\n');  // a blank before the answer
      question.record.completion = (apart ? " " : "") + item.answers[static_cast<std::size_t>(item.right)];
      question.answers = item.answers;
      question.right = item.right;
    }
    const train::Choices choices = train::make_choices(
        questions, options, path_, [&](Index i) { return path_ + ": item " + std::to_string(i + 1); });
    left_out_ = choices.too_long;
    asked_ = std::ssize(choices.right);
    const auto each =
        evaluate(choices.examples, static_cast<double>(asked_) / static_cast<double>(choices.examples.size()));
    const train::ChoiceScore score = train::choose(choices, each);
    const auto share = [&](std::string name, Index right) {
      std::vector<double> values(static_cast<std::size_t>(asked_));
      std::fill(values.begin(), values.begin() + right, 1.0);
      metrics_.push_back(mean_of(std::move(name), values));
    };
    share("acc", score.right);
    if (task_.metrics.find("acc_norm") != std::string_view::npos) {
      share("acc_norm", score.right_norm);
    }
    metrics_.push_back({"answer_loss", score.likelihood.loss()});
  }

  /// The generated answers of all items, each up to its first stop.
  [[nodiscard]] std::vector<std::string> answers() {
    const text::Tokenizer& tokenizer = session_.tokenizer();
    std::vector<std::string> stops;
    for (std::size_t begin = 0; begin < task_.stop.size();) {
      const std::size_t end = std::min(task_.stop.find('|', begin), task_.stop.size());
      stops.emplace_back(task_.stop.substr(begin, end - begin));
      begin = end + 1;
    }
    train::GenerateOptions options;
    options.most = s_.max_tokens > 0 ? s_.max_tokens : task_.most;
    options.stop = session_.stop_ids();
    std::vector<std::string> all;
    std::vector<TaskItem> kept;
    for (std::size_t first = 0; first < items_.size();) {
      std::vector<std::vector<std::int32_t>> prompts;
      std::vector<std::size_t> members;
      for (; first < items_.size() && std::ssize(prompts) < s_.data.batch_size; ++first) {
        const std::string text = asked(items_[first]);
        std::vector<std::int32_t> ids = s_.apply_chat_template ? tokenizer.encode(text, false) : session_.ids_of(text);
        if (ids.empty() || std::ssize(ids) + session_.engine().inserted() >= window_) {
          ++left_out_;
          continue;
        }
        prompts.push_back(std::move(ids));
        members.push_back(first);
      }
      if (prompts.empty()) {
        continue;
      }
      std::vector<std::string> texts(prompts.size());
      std::vector<text::StreamDecoder> decoders(prompts.size(), text::StreamDecoder(tokenizer, true, false));
      const auto stop_in = [&](const std::string& text) {
        std::size_t at = std::string::npos;
        for (const std::string& stop : stops) {
          at = std::min(at, text.find(stop));
        }
        return at;
      };
      (void)session_.engine().generate_batch(prompts, options, [&](Index i, std::int32_t id) {
        std::string& text = texts[static_cast<std::size_t>(i)];
        text += decoders[static_cast<std::size_t>(i)].push(id);
        return stop_in(text) == std::string::npos;
      });
      for (std::size_t i = 0; i < texts.size(); ++i) {
        kept.push_back(std::move(items_[members[i]]));
        all.push_back(texts[i].substr(0, stop_in(texts[i])));
      }
      countdown_.at(static_cast<Index>(first), std::ssize(items_));
    }
    items_ = std::move(kept);
    asked_ = std::ssize(items_);
    if (items_.empty()) {
      fail("train.427", "none of the prompts fits into " + std::to_string(window_) + " tokens", path_);
    }
    return all;
  }

  void answer() {
    const std::vector<std::string> found = answers();
    std::vector<double> exact, other;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (task_.name == "gsm8k") {
        const auto right = number_of(items_[i].answers.front(), true);
        exact.push_back(number_of(found[i], false) == right ? 1 : 0);
        other.push_back(number_of(found[i], true) == right ? 1 : 0);
      } else {
        const TextScore score = compare_text(found[i], items_[i].answers, task_.name == "drop");
        exact.push_back(score.exact);
        other.push_back(score.f1);
      }
    }
    metrics_.push_back(mean_of("exact_match", exact));
    metrics_.push_back(mean_of(task_.name == "gsm8k" ? "flexible" : "f1", other));
  }

  /// Every token of each text once, in windows that each begin with what the one before ended with.
  void predict() {
    const text::Tokenizer& tokenizer = session_.tokenizer();
    std::vector<train::Example> windows;
    double words = 0, bytes = 0;
    for (const TaskItem& item : items_) {
      std::vector<std::int32_t> ids = train::opening(tokenizer);
      if (ids.empty() && tokenizer.eos()) {
        ids.push_back(*tokenizer.eos());  // the harness's prefix where there is no BOS
      }
      const std::vector<std::int32_t> text = tokenizer.encode(item.prompt, false);
      ids.insert(ids.end(), text.begin(), text.end());
      const Index all = std::ssize(ids);
      const Index fresh = window_ - 1 - session_.engine().inserted();  // predicted by one window
      for (Index done = all - std::ssize(text) > 0 ? all - std::ssize(text) : 1; done < all; done += fresh) {
        const Index end = std::min(all, done + fresh);
        const Index begin = std::max<Index>(0, end - fresh - 1);  // the last window is full of what came before
        train::Example& window = windows.emplace_back();
        window.ids.assign(ids.begin() + begin, ids.begin() + end);
        window.labels.assign(window.ids.size(), train::ignored);
        std::copy(ids.begin() + done, ids.begin() + end, window.labels.begin() + (done - begin));
        window.prompt = done - begin;
      }
      bytes += static_cast<double>(item.prompt.size());
      bool inside = false;
      for (const char c : item.prompt) {
        const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
        words += blank && inside ? 1 : 0;
        inside = !blank;
      }
      words += inside ? 1 : 0;
    }
    asked_ = std::ssize(items_);
    const train::Evaluation found = train::total(
        evaluate(windows, static_cast<double>(asked_) / static_cast<double>(std::max<std::size_t>(windows.size(), 1))));
    metrics_ = {{"token_perplexity", found.perplexity()},
                {"word_perplexity", std::exp(found.nll / std::max(words, 1.0))},
                {"byte_perplexity", std::exp(found.nll / bytes)},
                {"bits_per_byte", found.nll / bytes / std::log(2.0)},
                {"loss", found.loss()}};
  }

  void print() const {
    if (s_.json) {
      io::Json metrics = io::Json::object();
      for (const Metric& metric : metrics_) {
        metrics[metric.name] = {{"value", metric.value},
                                {"stderr", std::isnan(metric.error) ? io::Json() : io::Json(metric.error)}};
      }
      const io::Json result = {{"task", task_.name},
                               {"data", path_},
                               {"items", asked_},
                               {"left_out", left_out_},
                               {"chat_template", s_.apply_chat_template},
                               {"metrics", metrics},
                               {"seconds", countdown_.seconds()}};
      std::printf("%s\n", result.dump().c_str());
      return;
    }
    std::vector<std::vector<std::string>> rows = {{"metric", "value", "standard error"}};
    for (const Metric& metric : metrics_) {
      rows.push_back(
          {metric.name, significant(metric.value, 5), std::isnan(metric.error) ? "" : significant(metric.error, 3)});
    }
    std::printf("%s: %s items of %s in %s%s\n%s", std::string(task_.name).c_str(), with_commas(asked_).c_str(),
                path_.c_str(), duration_text(countdown_.seconds()).c_str(),
                left_out_ > 0 ? ("; " + with_commas(left_out_) + " left out (too long)").c_str() : "",
                columns_text(rows, 2).c_str());
  }

  const EvalSettings& s_;
  const Task& task_;
  Session session_;
  std::vector<TaskItem> items_;
  Index window_;
  std::string path_;
  Countdown countdown_;
  std::vector<Metric> metrics_;
  Index asked_ = 0;
  Index left_out_ = 0;
};

}  // namespace

int evaluate_task(const EvalSettings& settings) {
  if (settings.task == "list") {
    std::fputs(tasks_text().c_str(), stdout);
    return exit_success;
  }
  const Task& task = task_named(settings.task);
  if (!settings.choices.empty() || !settings.logits.empty()) {
    fail("train.430", "--task brings its own answers: --choices and --logits exclude it", "command line");
  }
  return TaskRun(settings, task, test_file(settings.data.data, data_files(settings.data.data))).run();
}

}  // namespace graft::program
