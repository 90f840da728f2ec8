// SPDX-License-Identifier: Apache-2.0
// graft finetune: checks everything, says what will happen, trains, saves.
#include <algorithm>  // all_of, any_of, count_if, find, max, min, sort
#include <chrono>
#include <cmath>  // ceil, isfinite
#include <cstdio>
#include <limits>
#include <utility>  // move

#include <graft/train/epoch.hpp>
#include <graft/version.hpp>

#include "adapter_words.hpp"
#include "commands.hpp"
#include "interrupt.hpp"
#include "loss_svg.hpp"
#include "machine.hpp"
#include "progress.hpp"
#include "run_folder.hpp"
#include "session.hpp"
#include "test_set.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

using Clock = std::chrono::steady_clock;

void check_numbers(const FinetuneSettings& s) {
  const auto at_least = [](double value, double least, const char* flag) {
    if (!(value >= least)) {
      fail("train.431",
           std::string(flag) + " is " + significant(value, 6) + ", expected at least " + significant(least, 6), flag);
    }
  };
  at_least(static_cast<double>(s.data.batch_size), 1, "--batch-size");
  at_least(static_cast<double>(s.grad_accum), 1, "--grad-accum");
  at_least(static_cast<double>(s.data.max_seq_len), 0, "--max-seq-len");
  at_least(static_cast<double>(s.steps), 0, "--steps");
  at_least(s.lr.value_or(0), 0, "--lr");
  at_least(s.warmup, 0, "--warmup");
  at_least(s.lr_min, 0, "--lr-min");
  at_least(s.weight_decay, 0, "--weight-decay");
  at_least(s.clip, 0, "--clip");
  at_least(s.val_split, 0, "--val-split");
  if (!(s.epochs > 0)) {
    fail("train.431", "--epochs is " + significant(s.epochs, 6) + ", expected more than 0", "--epochs");
  }
  if (!s.choices.empty() && s.valid.empty()) {
    fail("train.430", "--choices names the answers of --valid, which is missing", "command line");
  }
  if (s.optimizer != "adamw" && s.optimizer != "sgd") {
    fail("train.431", "--optimizer is \"" + s.optimizer + "\", expected adamw or sgd", "--optimizer");
  }
}

RateShape shape_named(const std::string& name) {
  if (name == "constant") {
    return RateShape::constant;
  }
  if (name == "linear") {
    return RateShape::linear;
  }
  if (name == "cosine") {
    return RateShape::cosine;
  }
  fail("train.431", "--schedule is \"" + name + "\", expected constant, linear or cosine", "--schedule");
}

AdapterFormat format_named(const std::string& format) {
  if (format != "auto" && format != "peft" && format != "graft") {
    fail("train.431", "--format is \"" + format + "\", expected auto, peft or graft", "--format");
  }
  return format == "auto" ? AdapterFormat::by_adapter : format == "peft" ? AdapterFormat::peft : AdapterFormat::graft;
}

/// What the words ask for, each kind at most once.
std::vector<AdapterRequest> requests_of(const std::vector<AdapterWords>& adapters, const FinetuneSettings& s,
                                        const models::LlamaConfig& config) {
  std::vector<AdapterRequest> requests;
  for (const AdapterWords& words : adapters) {
    const AdapterRequest& added = requests.emplace_back(request_of(words, config));
    const auto same = [&](const AdapterRequest& request) { return request.kind == added.kind; };
    if (std::count_if(requests.begin(), requests.end(), same) > 1) {
      fail("train.434",
           "the adapter \"" + words.name +
               "\" is asked for twice, expected each once; a target and layers may name several places",
           "--adapter");
    }
    if (s.format == "peft" && !added.kind->peft) {
      fail("train.434", "the adapter \"" + words.name + "\" cannot be written as a PEFT LoRA", "--format");
    }
  }
  return requests;
}

bool trains_weights(const std::vector<AdapterWords>& adapters) {
  return std::any_of(adapters.begin(), adapters.end(), [](const AdapterWords& words) { return words.name == "full"; });
}

/// The kinds of an adapter that a run goes on with may be named.
void check_kinds(const FinetuneSettings& s, const std::vector<AdapterSummary>& loaded) {
  for (const std::string& name : s.adapters) {
    const bool held = std::any_of(loaded.begin(), loaded.end(), [&](const AdapterSummary& adapter) {
      return name == adapter.kind->name || name == adapter.kind->alias;
    });
    if (!held) {
      fail("train.434", "--adapter is \"" + name + "\", but the folder holds \"" + names_of(loaded) + "\"",
           s.init_adapter);
    }
  }
}

/// One optimizer moves all of them: at the most careful of their usual rates.
double default_rate(const std::vector<AdapterSummary>& adapters) {
  double rate = std::numeric_limits<double>::infinity();
  for (const AdapterSummary& adapter : adapters) {
    rate = std::min(rate, adapter.kind->rate);
  }
  return rate;
}

Index window_of(const DataSettings& data, const models::LlamaConfig& config, Index fallback) {
  if (data.max_seq_len > config.context) {
    fail("train.431",
         "--max-seq-len is " + std::to_string(data.max_seq_len) + ", expected at most the model's window of " +
             std::to_string(config.context),
         "--max-seq-len");
  }
  return data.max_seq_len > 0 ? data.max_seq_len : std::min(config.context, fallback);
}

/// The batches of the whole run, one after another.
class Batches {
 public:
  /// Each example stands behind `inserted` placeholders.
  Batches(const std::vector<train::Example>& examples, const FinetuneSettings& s, Index inserted)
      : examples_(examples), settings_(s), inserted_(inserted) {}

  [[nodiscard]] Index per_epoch() const {
    return ceil_div(static_cast<Index>(examples_.size()), settings_.data.batch_size * settings_.grad_accum);
  }
  [[nodiscard]] Index total() const {
    return settings_.steps > 0
               ? settings_.steps
               : std::max<Index>(
                     1, static_cast<Index>(std::ceil(settings_.epochs * static_cast<double>(per_epoch()) - 1e-9)));
  }
  /// The micro-batches of step `step` (from 0). The last step of an epoch has what is left.
  [[nodiscard]] std::vector<train::Batch> at(Index step) {
    if (step % per_epoch() == 0) {
      order_ =
          settings_.no_shuffle
              ? in_order()
              : train::epoch_order(
                    count(), Random(settings_.seed, shuffle_stream + static_cast<std::uint64_t>(step / per_epoch())));
    }
    std::vector<train::Batch> parts;
    Index first = step % per_epoch() * settings_.data.batch_size * settings_.grad_accum;
    for (Index part = 0; part < settings_.grad_accum && first < count(); ++part) {
      const Index size = std::min(settings_.data.batch_size, count() - first);
      parts.push_back(train::make_batch(
          examples_, std::span(order_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)),
          inserted_));
      first += size;
    }
    return parts;
  }
  /// The batch that needs the most memory: the longest examples together.
  [[nodiscard]] train::Batch largest() const {
    std::vector<Index> longest = in_order();
    std::sort(longest.begin(), longest.end(), [&](Index a, Index b) {
      return examples_[static_cast<std::size_t>(a)].ids.size() > examples_[static_cast<std::size_t>(b)].ids.size();
    });
    longest.resize(static_cast<std::size_t>(std::min(settings_.data.batch_size, count())));
    return train::make_batch(examples_, longest, inserted_);
  }

 private:
  static constexpr std::uint64_t shuffle_stream = std::uint64_t{1}
                                                  << 48;  // apart from the streams that adapters draw from

  [[nodiscard]] Index count() const { return static_cast<Index>(examples_.size()); }
  [[nodiscard]] std::vector<Index> in_order() const {
    std::vector<Index> order;
    for (Index i = 0; i < count(); ++i) {
      order.push_back(i);
    }
    return order;
  }

  const std::vector<train::Example>& examples_;
  const FinetuneSettings& settings_;
  Index inserted_;
  std::vector<Index> order_;
};

/// Takes --val-split of the examples away from the training set.
std::vector<train::Example> hold_out(train::Dataset& data, const FinetuneSettings& s) {
  const auto count = static_cast<Index>(data.examples.size());
  const auto held =
      s.val_split < 1 ? static_cast<Index>(s.val_split * static_cast<double>(count)) : static_cast<Index>(s.val_split);
  if (held >= count) {
    fail("train.431",
         "--val-split holds out " + std::to_string(held) + " of " + std::to_string(count) +
             " records, which leaves none to train on",
         "--val-split");
  }
  const std::vector<Index> order = train::epoch_order(count, Random(s.seed, std::uint64_t{1} << 47));
  std::vector<bool> out(data.examples.size());
  for (Index i = 0; i < held; ++i) {
    out[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
  }
  std::vector<train::Example> kept, valid;
  for (std::size_t i = 0; i < data.examples.size(); ++i) {
    (out[i] ? valid : kept).push_back(std::move(data.examples[i]));
  }
  data.examples = std::move(kept);
  return valid;
}

void require_prompts(const std::vector<train::Example>& examples, const Positions& positions, const std::string& path) {
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (examples[i].prompt == 0) {
      fail("train.438",
           "example " + std::to_string(i + 1) + " has an empty prompt, in which " + words_of(positions) +
               " names no position (use --positions all)",
           path);
    }
  }
}

/// One finetuning run from its settings to its files.
class Run {
 public:
  explicit Run(const FinetuneSettings& settings)
      : s_(settings),
        folder_(s_.out, s_.overwrite),
        words_(s_.init_adapter.empty() ? adapters_of(s_) : std::vector<AdapterWords>()),
        session_(s_.model, s_.init_adapter, trains_weights(words_)),
        window_(window_of(s_.data, session_.config(), 1024)),
        data_(session_.load(s_.data, s_.data.data, window_)) {
    if (!s_.valid.empty()) {
      valid_ = TestSet(session_, s_.data, s_.valid, window_, s_.choices);
    } else if (s_.val_split > 0) {
      valid_ = TestSet(hold_out(data_, s_));
    }
    if (!s_.retain.empty()) {
      retain_ = TestSet(session_, s_.data, s_.retain, window_, {});
    }
    if (s_.init_adapter.empty()) {
      engine().attach(requests_of(words_, s_, session_.config()), s_.seed);
    }
    adapters_ = engine().summary();
    if (!s_.init_adapter.empty()) {
      check_kinds(s_, adapters_);
    }
    batches_.emplace(data_.examples, s_, engine().inserted());
    training_.optimizer = s_.optimizer;
    training_.weight_decay = s_.weight_decay;
    training_.schedule = shape_named(s_.schedule);
    training_.settings = {s_.lr.value_or(default_rate(adapters_)), s_.clip, batches_->total(), s_.seed, s_.recompute};
    training_.warmup =
        static_cast<Index>(s_.warmup < 1 ? std::ceil(s_.warmup * static_cast<double>(batches_->total())) : s_.warmup);
    training_.lowest_rate = training_.settings.rate > 0 ? s_.lr_min / training_.settings.rate : 0;
    for (const AdapterSummary& adapter : adapters_) {
      if (!adapter.positions.all) {
        require_prompts(data_.examples, adapter.positions, s_.data.data);
        require_prompts(valid_.examples(), adapter.positions, s_.valid.empty() ? s_.data.data : s_.valid);
        require_prompts(retain_.examples(), adapter.positions, s_.retain);
      }
    }
    memory_ = engine().forecast(batches_->largest(), training_);
  }

  int run() {
    announce();
    if (s_.dry_run) {
      std::fputs("dry run: nothing was trained, nothing was written\n", stderr);
      return exit_success;
    }
    listen_for_interrupt();
    engine().begin_training(training_);
    folder_.create();
    if (!valid_.empty()) {
      (void)validate(0);
    }
    before_ = scores();
    train_all();
    return finish();
  }

 private:
  Engine& engine() { return session_.engine(); }

  void announce() {
    const models::LlamaConfig& c = session_.config();
    const Index all = models::parameter_count(c);
    const Index trainable = this->trainable();
    std::vector<std::vector<std::string>> memory;
    std::size_t total = 0;
    for (const MemoryPart& part : memory_) {
      if (part.name[0] != ' ') {
        memory.push_back({part.name, bytes_text(part.bytes)});
        total += part.bytes;
      }
    }
    memory.push_back({"together", bytes_text(total)});
    const bool in_place = std::all_of(adapters_.begin(), adapters_.end(), [](const AdapterSummary& adapter) {
      return adapter.kind->sites == weight_sites;
    });
    const Index with_adapter = in_place ? all : all + trainable;
    std::string adapters;
    for (const AdapterSummary& adapter : adapters_) {
      adapters += adapter_text(adapter);
    }
    const std::string text =
        "model     " + s_.model.model + " (" + session_.checkpoint().kind + ", " + c.model_type +
        "): " + with_commas(all) + " parameters, " + std::to_string(c.layers) + " layers, width " +
        std::to_string(c.dim) + "; " + engine().precision() + " by " + engine().backend() + "\n" + adapters +
        "trainable " + with_commas(trainable) + " of " + with_commas(with_adapter) + " (" +
        fixed(100.0 * static_cast<double>(trainable) / static_cast<double>(with_adapter), 4) + " %)\n" + "data      " +
        s_.data.data + ": " + counts_text(data_) + "\n" + test_text("valid     ", valid_) +
        test_text("retain    ", retain_) + "training  " + masking_text() + "\n" + "steps     " +
        std::to_string(batches_->total()) + " of " + std::to_string(s_.data.batch_size * s_.grad_accum) +
        " examples, rate " + significant(training_.settings.rate, 3) + " " + s_.schedule + "\n" +
        "memory    expected at most\n" + columns_text(memory, 10);
    std::fputs(text.c_str(), stderr);
  }

  [[nodiscard]] std::string adapter_text(const AdapterSummary& adapter) const {
    std::vector<std::vector<std::string>> table = {{"site", "shape", "modules", "trainable"}};
    for (const PlacementRow& row : adapter.rows) {
      table.push_back({row.site, row.shape, std::to_string(row.modules), with_commas(row.trainable)});
    }
    const std::string positions =
        adapter.positions.all ? ""
                              : ", positions " + words_of(adapter.positions) + (adapter.tied ? ", tied" : ", untied");
    return "adapter   " + std::string(adapter.kind->name) +
           (s_.init_adapter.empty() ? "" : " from " + s_.init_adapter) + " on layers " + words_of(adapter.layers) +
           positions + "\n" + columns_text(table, 10);
  }
  [[nodiscard]] Index trainable() const {
    Index count = 0;
    for (const AdapterSummary& adapter : adapters_) {
      count += adapter.trainable;
    }
    return count;
  }
  [[nodiscard]] static std::string test_text(const char* name, const TestSet& set) {
    return set.text().empty() ? "" : name + set.text() + "\n";
  }

  [[nodiscard]] std::string masking_text() const {
    const std::string what = s_.data.train_on == "all" ? "all tokens" : "completions only";
    const text::ChatTemplate* const chat = data_.dialogues > 0 ? session_.chat() : nullptr;
    return what + ": " + with_commas(data_.labelled) + " of " + with_commas(data_.tokens) + " tokens carry loss" +
           (data_.dialogues == 0 ? ""
            : chat != nullptr    ? "; rendered by the chat template"
                                 : "; no chat template");
  }

  void train_all() {
    Progress progress(batches_->total(), s_.report_every);
    start_seconds_ = process_seconds();
    begin_ = Clock::now();
    for (Index step = 0; step < batches_->total() && !interrupted(); ++step) {
      const train::StepReport report = engine().step(batches_->at(step));
      io::Json record = {{"step", report.step},     {"loss", report.loss},
                         {"lr", report.rate},       {"grad_norm", report.gradient_norm},
                         {"tokens", report.tokens}, {"seconds", report.seconds}};
      tokens_ += report.tokens;
      losses_.push_back({report.step, report.loss});
      progress.step(report);
      const bool last = report.step == batches_->total();
      const bool epoch_ends = report.step % batches_->per_epoch() == 0;
      const bool is_due = s_.eval_every > 0 && report.step % s_.eval_every == 0;
      if (!valid_.empty() && !interrupted() && (last || epoch_ends || is_due)) {
        const Score found = validate(report.step);
        record["valid_loss"] = found.loss;
        record["valid_accuracy"] = found.accuracy;
        progress.line("step " + std::to_string(report.step) + "  valid loss " + fixed(found.loss, 4) + "  perplexity " +
                      significant(found.perplexity, 5) + "  accuracy " + fixed(100 * found.accuracy, 2) + " %");
      }
      folder_.log(record);
      if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
        fail("train.439",
             "the loss or its gradient is not finite at step " + std::to_string(report.step) +
                 "; the log is kept, the adapter is not: lower --lr, or warm up",
             folder_.path());
      }
      if (s_.save_every > 0 && report.step % s_.save_every == 0 && !last) {
        std::string number = std::to_string(report.step);
        number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
        engine().save_adapter(folder_.path("step-" + number), s_.model.model, format_named(s_.format));
      }
    }
    if (interrupted()) {
      progress.line("interrupted after step " + std::to_string(losses_.empty() ? 0 : losses_.back().step) + ", saving");
    }
  }

  const Score& validate(Index step) {
    valid_score_ = valid_.measure(engine(), s_.data.batch_size);
    valid_losses_.push_back({step, valid_score_.loss});
    return valid_score_;
  }

  /// What run.json says of the test sets: the last validation, and the text to be retained as it is known now.
  [[nodiscard]] io::Json scores() {
    io::Json scores = io::Json::object();
    if (!valid_.empty()) {
      scores["valid_loss"] = valid_score_.loss;
      scores["valid_accuracy"] = valid_score_.accuracy;
    }
    if (!retain_.empty()) {
      scores["retain_perplexity"] = retain_.measure(engine(), s_.data.batch_size).perplexity;
    }
    return scores;
  }

  int finish() {
    const double train_seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    engine().save_adapter(folder_.path(), s_.model.model, format_named(s_.format));
    folder_.write("loss.svg",
                  loss_svg({{adapter_name(), losses_, valid_losses_}}, adapter_name() + ": " + s_.data.data));
    const io::Json run = run_json(train_seconds);
    folder_.write("run.json", run.dump(2) + "\n");
    if (s_.json) {
      std::printf("%s\n", run.at("result").dump().c_str());
    } else {
      std::printf("%s\n", folder_.path().c_str());
    }
    std::fprintf(stderr, "saved %s after %s, %s tokens/s, peak memory %s\n", folder_.path().c_str(),
                 duration_text(train_seconds).c_str(),
                 with_commas(static_cast<Index>(static_cast<double>(tokens_) / std::max(train_seconds, 1e-9))).c_str(),
                 bytes_text(peak_memory()).c_str());
    return interrupted() ? exit_interrupted : exit_success;
  }

  [[nodiscard]] io::Json run_json(double train_seconds) {
    const models::LlamaConfig& c = session_.config();
    const auto steps = static_cast<Index>(losses_.size());
    const io::Json after = interrupted() ? io::Json::object() : scores();
    io::Json result = {{"out", folder_.path()},
                       {"status", interrupted() ? "interrupted" : "finished"},
                       {"steps", steps},
                       {"loss", losses_.empty() ? io::Json() : io::Json(losses_.back().loss)},
                       {"valid_loss", valid_losses_.empty() ? io::Json() : io::Json(valid_losses_.back().loss)},
                       {"tokens", tokens_},
                       {"tokens_per_second", static_cast<double>(tokens_) / std::max(train_seconds, 1e-9)}};
    io::Json memory = io::Json::object();
    for (const MemoryPart& part : memory_) {
      memory[part.name.substr(part.name.find_first_not_of(' '))] = part.bytes;
    }
    return {
        {"graft", std::to_string(GRAFT_VERSION_MAJOR) + "." + std::to_string(GRAFT_VERSION_MINOR) + "." +
                      std::to_string(GRAFT_VERSION_PATCH)},
        {"settings", settings_json()},
        {"model",
         {{"path", s_.model.model},
          {"kind", session_.checkpoint().kind},
          {"model_type", c.model_type},
          {"parameters", models::parameter_count(c)},
          {"trainable", trainable()},
          {"layers", c.layers},
          {"dim", c.dim},
          {"vocab", c.vocab},
          {"precision", engine().precision()},
          {"backend", engine().backend()}}},
        {"data", counts_json(s_.data.data, data_)},
        {"valid", valid_.json()},
        {"valid_examples", valid_.size()},
        {"retain", retain_.json()},
        {"scores", {{"before", before_}, {"after", after}}},
        {"machine", machine_json()},
        {"memory", {{"forecast_bytes", memory}, {"peak_bytes", peak_memory()}}},
        {"times", {{"start_to_first_step", start_seconds_}, {"training", train_seconds}, {"all", process_seconds()}}},
        {"result", result}};
  }

  /// Every setting as it was used, under the names of the flags.
  [[nodiscard]] io::Json settings_json() {
    io::Json adapters = io::Json::array();
    for (const AdapterSummary& adapter : adapters_) {
      adapters.push_back(json_of(adapter));
    }
    io::Json json = {{"model", s_.model.model},
                     {"tokenizer", s_.model.tokenizer},
                     {"chat_template", s_.model.chat_template},
                     {"dtype", engine().precision()},
                     {"threads", lane_count()},
                     {"data", s_.data.data},
                     {"valid", s_.valid},
                     {"choices", s_.choices},
                     {"retain", s_.retain},
                     {"val_split", s_.val_split},
                     {"max_seq_len", window_},
                     {"train_on", s_.data.train_on},
                     {"eos", !s_.data.no_eos},
                     {"adapter", adapter_name()},
                     {"adapters", adapters},
                     {"init_adapter", s_.init_adapter},
                     {"lr", training_.settings.rate},
                     {"schedule", s_.schedule},
                     {"warmup_steps", training_.warmup},
                     {"lr_min", s_.lr_min},
                     {"optimizer", s_.optimizer},
                     {"weight_decay", s_.weight_decay},
                     {"clip", s_.clip},
                     {"grad_checkpoint", s_.recompute},
                     {"batch_size", s_.data.batch_size},
                     {"grad_accum", s_.grad_accum},
                     {"epochs", s_.epochs},
                     {"steps", training_.settings.total_steps},
                     {"seed", s_.seed},
                     {"shuffle", !s_.no_shuffle},
                     {"eval_every", s_.eval_every},
                     {"save_every", s_.save_every},
                     {"report_every", s_.report_every},
                     {"format", s_.format},
                     {"out", s_.out}};
    return json;
  }

  [[nodiscard]] std::string adapter_name() const { return names_of(adapters_); }

  const FinetuneSettings& s_;
  RunFolder folder_;
  std::vector<AdapterWords> words_;  // none where an adapter goes on
  Session session_;
  Index window_;
  train::Dataset data_;
  TestSet valid_, retain_;
  std::optional<Batches> batches_;
  TrainingRequest training_;
  std::vector<AdapterSummary> adapters_;
  std::vector<MemoryPart> memory_;
  std::vector<LossPoint> losses_, valid_losses_;
  Score valid_score_;
  io::Json before_;  // scores
  Index tokens_ = 0;
  double start_seconds_ = 0;
  Clock::time_point begin_;
};

}  // namespace

int finetune(const FinetuneSettings& settings) {
  if (!settings.init_adapter.empty()) {
    refuse_plain_flags(settings.adapter, "has no meaning beside --init-adapter, which brings its own");
  }
  check_numbers(settings);
  (void)shape_named(settings.schedule);
  (void)format_named(settings.format);
  return Run(settings).run();
}

}  // namespace graft::program
