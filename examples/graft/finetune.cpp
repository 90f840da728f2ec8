// SPDX-License-Identifier: Apache-2.0
// graft finetune: checks everything, says what will happen, trains, saves; goes on where a run was broken off.
#include <algorithm>  // all_of, any_of, count_if, find, max, min
#include <chrono>
#include <cmath>  // ceil, isfinite
#include <cstdint>
#include <cstdio>
#include <filesystem>  // file_size
#include <limits>
#include <utility>  // move, pair

#include <graft/backends/isa.hpp>
#include <graft/train/epoch_batches.hpp>
#include <graft/version.hpp>

#include "adapter_words.hpp"
#include "checkpoints.hpp"
#include "commands.hpp"
#include "data_files.hpp"
#include "dry_run.hpp"
#include "interrupt.hpp"
#include "loss_svg.hpp"
#include "machine.hpp"
#include "memory_forecast.hpp"
#include "processes.hpp"
#include "progress.hpp"
#include "run_folder.hpp"
#include "run_settings.hpp"
#include "samples.hpp"
#include "session.hpp"
#include "test_set.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

using Clock = std::chrono::steady_clock;

/// What the words ask for, each kind at most once.
std::vector<AdapterRequest> requests_of(const std::vector<AdapterWords>& adapters, const models::LlamaConfig& config) {
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

/// Steps of the whole run.
Index steps_of(const train::EpochBatches& batches, const FinetuneSettings& s) {
  return s.steps > 0
             ? s.steps
             : std::max<Index>(
                   1, static_cast<Index>(std::ceil(s.epochs * static_cast<double>(batches.per_epoch()) - 1e-9)));
}

/// Takes --val-split of the records away from the training set.
io::SpilledList<std::uint32_t> hold_out(io::SpilledList<std::uint32_t>& chosen, const FinetuneSettings& s) {
  const Index count = chosen.size();
  const auto held =
      s.val_split < 1 ? static_cast<Index>(s.val_split * static_cast<double>(count)) : static_cast<Index>(s.val_split);
  if (held >= count) {
    fail("train.431",
         "--val-split holds out " + std::to_string(held) + " of " + std::to_string(count) +
             " records, which leaves none to train on",
         "--val-split");
  }
  io::SpilledList<std::uint32_t> places, kept, valid;
  io::SpilledList<std::uint8_t> is_out;
  for (Index i = 0; i < count; ++i) {
    places.push_back(static_cast<std::uint32_t>(i));
    is_out.push_back(0);
  }
  train::shuffle(count, Random(s.seed, std::uint64_t{1} << 47), [&](Index i, Index j) { places.swap(i, j); });
  for (Index i = 0; i < held; ++i) {
    is_out.set(Index{places[i]}, 1);
  }
  Index i = 0;
  chosen.for_each([&](std::uint32_t number) { (is_out[i++] != 0 ? valid : kept).push_back(number); });
  chosen = std::move(kept);
  return valid;
}

void require_prompts(Index without, const Positions& positions, const std::string& path) {
  if (without > 0) {
    fail("train.438",
         with_commas(without) + " of the examples have an empty prompt, in which " + words_of(positions) +
             " names no position (use --positions all)",
         path);
  }
}

/// One finetuning run from its settings to its files.
class Run {
 public:
  explicit Run(const FinetuneSettings& settings)
      : s_(settings),
        resumption_(resumption_of(s_.resume, s_.out)),
        folder_(s_.out, s_.overwrite || s_.out.empty() || goes_on() || resumption_.anew),  // a dry run needs none
        checkpoints_(s_.out, s_.keep),
        words_(s_.init_adapter.empty() ? adapters_of(s_) : std::vector<AdapterWords>()),
        session_(s_.model, s_.init_adapter, trains_weights(words_)),
        window_(window_of(s_.data, session_.config(), 1024)),
        data_(session_.open(s_.data, s_.data.data, window_)) {
    io::SpilledList<std::uint32_t> chosen = data_.kept();
    if (!s_.valid.empty()) {
      valid_ = TestSet(session_, s_.data, s_.valid, window_, s_.choices);
    } else if (s_.val_split > 0) {
      valid_ = TestSet(data_, hold_out(chosen, s_));
    }
    if (!s_.retain.empty()) {
      retain_ = TestSet(session_, s_.data, s_.retain, window_, {});
    }
    if (s_.init_adapter.empty()) {
      engine().attach(requests_of(words_, session_.config()), s_.seed);
    }
    engine().check_format(s_.out, format_named(s_.format));
    adapters_ = engine().summary();
    if (!s_.init_adapter.empty()) {
      check_kinds(s_, adapters_);
    }
    batches_.emplace(data_,
                     train::BatchOptions{s_.data.batch_size, s_.grad_accum, engine().inserted(), !s_.no_shuffle,
                                         s_.group_by_length, s_.seed, processes_.rank(), processes_.size()},
                     std::move(chosen));
    total_steps_ = steps_of(*batches_, s_);
    training_.optimizer = s_.optimizer;
    training_.weight_decay = s_.weight_decay;
    training_.lora_plus = s_.lora_plus;
    training_.schedule = shape_named(s_.schedule);
    training_.settings = {
        s_.lr.value_or(default_rate(adapters_)), s_.clip, s_.spike, total_steps_, s_.seed, s_.recompute};
    training_.warmup =
        static_cast<Index>(s_.warmup < 1 ? std::ceil(s_.warmup * static_cast<double>(total_steps_)) : s_.warmup);
    training_.lowest_rate = training_.settings.rate > 0 ? s_.lr_min / training_.settings.rate : 0;
    for (const AdapterSummary& adapter : adapters_) {
      if (!adapter.positions.all) {
        require_prompts(data_.counts().without_prompt, adapter.positions, s_.data.data);
        require_prompts(valid_.without_prompt(), adapter.positions, s_.valid);
        require_prompts(retain_.without_prompt(), adapter.positions, s_.retain);
      }
    }
    memory_ = forecast_memory(session_, engine().forecast(batches_->largest(), largest_measured(), training_));
    identity_ = {engine().base(), data_fingerprints(s_), identity_settings(resolved())};
    // Nothing has been written up to here, so all have looked at the same folder.
    processes_.require_same(to_json(identity_).dump() + resumption_.checkpoint + (resumption_.finished ? " finished " : " ") +
                            std::string(backends::isa_names[static_cast<std::size_t>(backends::chosen_isa())]));
  }

  int run() {
    announce();
    if (s_.dry_run) {
      return dry_run();
    }
    if (resumption_.finished) {
      return say_finished();
    }
    listen_for_interrupt();
    engine().begin_training(training_);
    begin_ = Clock::now();
    if (goes_on()) {
      go_on();
    } else {
      begin_anew();
    }
    train_all();
    return processes_.leads() ? finish() : interrupted() ? exit_interrupted : exit_success;
  }

 private:
  Engine& engine() { return session_.engine(); }
  /// Where samples and probes come from.
  [[nodiscard]] std::vector<train::Example> shown_examples() const {
    constexpr Index enough = 64;
    return valid_.empty() ? data_.at(data_.kept().slice(0, enough)) : valid_.first(enough);
  }

  void announce() {
    const models::LlamaConfig& c = session_.config();
    const Index all = models::parameter_count(c);
    const Index trainable = this->trainable();
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
        s_.data.data + ": " + counts_text(data_.counts()) + "\n" + test_text("valid     ", valid_) +
        test_text("retain    ", retain_) + "training  " + masking_text() + "\n" + "steps     " +
        std::to_string(total_steps_) + " of " + std::to_string(s_.data.batch_size * s_.grad_accum) +
        " examples, rate " + significant(training_.settings.rate, 3) + " " + s_.schedule +
        (processes_.size() > 1 ? ", by " + std::to_string(processes_.size()) + " processes" : "") + "\n" +
        "memory    forecast of the peak\n" + memory_.text(10);
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
  /// The larger of the batches that are evaluated.
  [[nodiscard]] train::Batch largest_measured() {
    train::Batch valid = valid_.largest(s_.data.batch_size, engine().inserted());
    train::Batch retain = retain_.largest(s_.data.batch_size, engine().inserted());
    return valid.ragged.tokens() < retain.ragged.tokens() ? retain : valid;
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
    const text::ChatTemplate* const chat = data_.counts().dialogues > 0 ? session_.chat() : nullptr;
    return what + ": " + with_commas(data_.counts().labelled) + " of " + with_commas(data_.counts().tokens) +
           " tokens carry loss" +
           (data_.counts().dialogues == 0 ? ""
            : chat != nullptr             ? "; rendered by the chat template"
                                          : "; no chat template");
  }

  int dry_run() {
    engine().begin_training(training_);
    const DryRun found = try_steps(engine(), *batches_, data_.counts(), total_steps_, memory_.total);
    std::fputs("dry run: nothing was kept, nothing was written\n", stderr);
    if (s_.json) {
      const io::Json json = {{"parameters", models::parameter_count(session_.config())},
                             {"trainable", trainable()},
                             {"steps", total_steps_},
                             {"tokens", found.tokens},
                             {"seconds", found.seconds},
                             {"forecast_peak_bytes", memory_.total},
                             {"peak_bytes", found.peak}};
      std::printf("%s\n", json.dump().c_str());
    }
    return exit_success;
  }

  [[nodiscard]] bool goes_on() const { return !resumption_.checkpoint.empty() || resumption_.finished; }

  /// The same command as that of a run that has ended has nothing to do.
  int say_finished() {
    const std::string path = folder_.path("run.json");
    const io::Json run = io::parse_json(io::read_text(path), path);
    train::check_same_run(train::run_identity_from(io::json_get<io::Json>(run, "identity", path), path), identity_,
                          path);
    std::fprintf(stderr, "%s has finished already\n", folder_.path().c_str());
    std::printf("%s\n", s_.json ? run.at("result").dump().c_str() : folder_.path().c_str());
    return exit_success;
  }

  void begin_anew() {
    folder_.create();
    checkpoints_.clear();
    folder_.write("config.json", config_json(resolved()).dump(2) + "\n");
    if (!valid_.empty()) {
      (void)validate(0);
    }
    before_ = scores();
    samples_.emplace(session_, s_, shown_examples(), data_.counts().dialogues > 0);
    samples_->answer(session_, "before");
  }

  /// What the loop remembers beside the trainer, and the last step's log line.
  [[nodiscard]] io::Json notes() {
    const auto score = [](const Score& s) { return io::Json{s.loss, s.perplexity, s.accuracy, s.tokens}; };
    io::Json losses = io::Json::array();
    for (const LossPoint& point : valid_losses_) {
      losses.push_back({point.step, point.loss});
    }
    return {{"epoch", steps_ / batches_->per_epoch()},
            {"step_of_epoch", steps_ % batches_->per_epoch()},
            {"record", last_record_},
            {"validation_is_due", validation_waits_},
            {"valid_losses", losses},
            {"valid_score", score(valid_score_)},
            {"before", before_},
            {"samples", samples_->json()},
            {"tokens", tokens_},
            {"seconds", train_seconds()},
            {"step_seconds", step_seconds_},
            {"peak_bytes", peak()},
            {"best_step", best_step_},
            {"best_score", score(best_score_)},
            {"waited", waited_},
            {"left_out", left_out_},
            {"left_out_in_a_row", left_out_in_a_row_}};
  }

  void go_on() {
    const std::string& where = resumption_.checkpoint;
    const io::Json notes = engine().load_checkpoint(where, identity_);
    processes_.wait();  // nothing is taken away that another still reads
    const auto number = [](const io::Json& json) {  // JSON has no word for what is not finite
      return json.is_number() ? json.get<double>() : std::numeric_limits<double>::infinity();
    };
    const auto score = [&](const char* key) {
      const io::Json part = io::json_get<io::Json>(notes, key, where);
      return Score{number(part.at(0)), number(part.at(1)), number(part.at(2)), part.at(3).get<Index>()};
    };
    io::Json record = io::json_get<io::Json>(notes, "record", where);
    steps_ = record.empty() ? 0 : io::json_get<Index>(record, "step", where);
    valid_score_ = score("valid_score");
    best_score_ = score("best_score");
    before_ = io::json_get<io::Json>(notes, "before", where);
    samples_.emplace(session_, s_, shown_examples(), data_.counts().dialogues > 0);
    samples_->remember(notes.value("samples", io::Json()));
    tokens_ = io::json_get<Index>(notes, "tokens", where);
    seconds_before_ = io::json_get<double>(notes, "seconds", where);
    step_seconds_ = io::json_get_or(notes, "step_seconds", 0.0, where);
    peak_before_ = io::json_get_or(notes, "peak_bytes", std::size_t{0}, where);
    best_step_ = io::json_get<Index>(notes, "best_step", where);
    waited_ = io::json_get<Index>(notes, "waited", where);
    left_out_ = io::json_get<Index>(notes, "left_out", where);
    left_out_in_a_row_ = io::json_get<Index>(notes, "left_out_in_a_row", where);
    for (const io::Json& point : io::json_get<io::Json>(notes, "valid_losses", where)) {
      valid_losses_.push_back({point.at(0).get<Index>(), number(point.at(1))});
    }
    checkpoints_.clear_remains();
    checkpoints_.prune(s_.keep_best ? best_step_ : -1);
    if (processes_.leads()) {
      std::remove(folder_.path("run.json").c_str());  // of the run that was interrupted
    }
    for (const io::Json& logged : folder_.reopen(steps_)) {
      note_loss(logged);
    }
    std::fprintf(stderr, "goes on after step %td from %s\n", steps_, where.c_str());
    if (!record.empty()) {
      note_loss(record);
      settle(std::move(record), io::json_get<bool>(notes, "validation_is_due", where), false);
    }
  }

  void note_loss(const io::Json& record) {
    if (const auto loss = record.find("loss"); loss != record.end() && loss->is_number()) {
      losses_.push_back({record.at("step").get<Index>(), loss->get<double>()});
    }
  }

  void train_all() {
    progress_.emplace(total_steps_, batches_->per_epoch(), s_.report_every, steps_);
    if (!valid_losses_.empty()) {
      progress_->valid(valid_losses_.back().loss);
    }
    start_seconds_ = process_seconds();
    begin_ = Clock::now();
    while (steps_ < total_steps_ && !asked_to_end() && !stops_early()) {
      const std::vector<train::Batch> batches = batches_->at(steps_);
      const train::StepReport report = engine().step(batches);
      io::Json record = {{"step", report.step},
                         {"epoch", static_cast<double>(report.step) / static_cast<double>(batches_->per_epoch())},
                         {"lr", report.rate},
                         {"tokens", report.tokens},
                         {"seconds", report.seconds}};
      if (std::isfinite(report.loss)) {
        record["loss"] = report.loss;
      }
      if (std::isfinite(report.gradient_norm)) {
        record["grad_norm"] = report.gradient_norm;
      }
      if (report.verdict == train::Verdict::applied) {
        left_out_in_a_row_ = 0;
      } else {
        record["skipped"] = leave_out(report, batches);
      }
      steps_ = report.step;
      tokens_ += report.tokens;
      step_seconds_ += report.seconds;
      note_loss(record);
      progress_->step(report);
      const bool epoch_ends = steps_ % batches_->per_epoch() == 0;
      const bool is_due = s_.eval_every > 0 && steps_ % s_.eval_every == 0;
      settle(std::move(record), !valid_.empty() && (steps_ == total_steps_ || epoch_ends || is_due),
             s_.save_every > 0 && steps_ % s_.save_every == 0 && steps_ != total_steps_);
    }
    if (interrupted()) {
      if (steps_ > 0) {
        save_checkpoint();
      }
      progress_->line("interrupted after step " + std::to_string(steps_) + ", saving; graft finetune --resume " +
                      folder_.path() + " goes on");
    } else if (stops_early()) {
      progress_->line("stopped early: " + std::to_string(waited_) + " validations without a better one");
    }
  }

  /// What follows an update: validation, the log line, a checkpoint. A wish to end leaves a validation that is due to the
  /// run that goes on, so that nobody waits for it.
  void settle(io::Json record, bool validation_is_due, bool save_is_due) {
    bool improved = false;
    const bool validates = validation_is_due && !asked_to_end();
    if (validates) {
      const Score found = validate(steps_);
      record["valid_loss"] = found.loss;
      record["valid_accuracy"] = found.accuracy;
      improved = best_step_ < 0 || found.loss < best_score_.loss;
      waited_ = improved ? 0 : waited_ + 1;
      const std::string text = "step " + std::to_string(steps_) + "  valid loss " + fixed(found.loss, 4) +
                               "  perplexity " + significant(found.perplexity, 5) + "  accuracy " +
                               fixed(100 * found.accuracy, 2) + " %" + (improved ? "  (best)" : "") + "\n";
      if (progress_) {
        progress_->valid(found.loss);
        progress_->line(text.substr(0, text.size() - 1));
      } else {
        std::fputs(text.c_str(), stderr);
      }
      if (improved) {
        best_step_ = steps_;
        best_score_ = found;
      }
    }
    folder_.log(record);
    last_record_ = std::move(record);
    validation_waits_ = validation_is_due && !validates;
    if (save_is_due || (improved && s_.keep_best)) {
      save_checkpoint();
    }
  }

  /// Writes the checkpoint of this step. One that cannot be written (train.464) leaves those before it as they are.
  void save_checkpoint() {
    if (!processes_.leads()) {
      return;
    }
    const std::string path = checkpoints_.path(steps_);
    const std::vector<Index> before = checkpoints_.steps();
    try {
      folder_.sync();
      engine().save_adapter(path, s_.model.model, format_named(s_.format));
      engine().save_checkpoint(path, identity_, notes());
    } catch (const Error& error) {
      checkpoints_.clear_remains();
      if (error.id() != "io.202") {
        throw;
      }
      fail("train.464",
           "the checkpoint of step " + std::to_string(steps_) + " cannot be written (" + error.what() + "); " +
               (before.empty() ? "there is none before it"
                               : "that of step " + std::to_string(before.back()) +
                                     " is whole: make room, and the same command with --resume auto goes on from it"),
           folder_.path());
    }
    checkpoints_.prune(s_.keep_best ? best_step_ : -1);
  }

  /// Goes past a batch that would have spoiled the adapter, or stops there; says why.
  std::string leave_out(const train::StepReport& report, std::span<const train::Batch> batches) {
    constexpr Index too_many = 10;
    const std::string step = "step " + std::to_string(report.step);
    std::string why = "the loss " + significant(report.loss, 5) + " is a spike";
    if (report.verdict == train::Verdict::not_finite) {
      why = processes_.first_text(engine().first_non_finite(batches));
      why = (why.empty() ? "the sum of the losses" : why) + " is not finite";
      if (s_.on_nonfinite == "stop") {
        stop_before(step + " was not taken: " + why);
      }
    }
    if (++left_out_in_a_row_ >= too_many) {
      stop_before(std::to_string(too_many) + " batches in a row were left out, the last at " + step + ": " + why);
    }
    ++left_out_;
    engine().skip();
    progress_->line(step + "  left out: " + why);
    return why;
  }

  /// Ends the run where its adapter is still good (train.439).
  [[noreturn]] void stop_before(const std::string& why) {
    std::string kept = "the adapter of step " + std::to_string(steps_) + " is kept in " + checkpoints_.path(steps_);
    try {
      save_checkpoint();
    } catch (const Error& error) {
      kept = std::string("no checkpoint could be kept (") + error.what() + ")";
    }
    processes_.wait();  // who fails ends the others, too
    fail("train.439",
         why + "; " + kept + ": lower --lr or warm up in a new run, or leave such batches out with --on-nonfinite skip",
         folder_.path());
  }

  /// Whether any process has been asked to end; all must learn it at the same step.
  [[nodiscard]] bool asked_to_end() const {
    const bool asked = processes_.any(interrupted());
    if (asked) {
      interrupted_elsewhere();
    }
    return asked;
  }
  [[nodiscard]] bool stops_early() const { return s_.patience > 0 && waited_ >= s_.patience; }
  [[nodiscard]] double train_seconds() const {
    return seconds_before_ + std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  /// Bytes of the largest resident set, that of the run that this one goes on with among them.
  [[nodiscard]] std::size_t peak() const { return std::max(peak_before_, peak_memory()); }

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
    const double train_seconds = this->train_seconds();
    const std::vector<Index> saved = checkpoints_.steps();
    if (s_.keep_best && best_step_ != steps_ && std::find(saved.begin(), saved.end(), best_step_) != saved.end()) {
      (void)engine().load_checkpoint(checkpoints_.path(best_step_), identity_);
      valid_score_ = best_score_;
      std::fprintf(stderr, "the adapter is that of step %td, with the best valid loss %s\n", best_step_,
                   fixed(best_score_.loss, 4).c_str());
    }
    engine().save_adapter(folder_.path(), s_.model.model, format_named(s_.format));
    folder_.write("loss.svg",
                  loss_svg({{adapter_name(), losses_, valid_losses_}}, adapter_name() + ": " + s_.data.data));
    if (!interrupted()) {
      samples_->answer(session_, "after");
      if (const io::Json edits = edits_json(session_, shown_examples(), s_.probe); !edits.is_null()) {
        folder_.write("edits.json", edits.dump() + "\n");
      }
    }
    const io::Json run = run_json(train_seconds);
    folder_.write("run.json", run.dump(2) + "\n");
    if (s_.json) {
      std::printf("%s\n", run.at("result").dump().c_str());
    } else {
      std::printf("%s\n", folder_.path().c_str());
    }
    const std::size_t on_device = engine().device_peak();
    std::fprintf(stderr, "saved %s after %s, %s tokens/s, peak memory %s%s\n", folder_.path().c_str(),
                 duration_text(train_seconds).c_str(),
                 with_commas(static_cast<Index>(static_cast<double>(tokens_) / std::max(train_seconds, 1e-9))).c_str(),
                 bytes_text(peak()).c_str(),
                 on_device > 0 ? (", " + bytes_text(on_device) + " of the device").c_str() : "");
    return interrupted() ? exit_interrupted : exit_success;
  }

  [[nodiscard]] io::Json run_json(double train_seconds) {
    const models::LlamaConfig& c = session_.config();
    const io::Json after = interrupted() ? io::Json::object() : scores();
    io::Json result = {{"out", folder_.path()},
                       {"status", interrupted()   ? "interrupted"
                                  : stops_early() ? "stopped early"
                                                  : "finished"},
                       {"steps", steps_},
                       {"left_out", left_out_},
                       {"best_step", best_step_ < 0 ? io::Json() : io::Json(best_step_)},
                       {"loss", losses_.empty() ? io::Json() : io::Json(losses_.back().loss)},
                       {"valid_loss", valid_losses_.empty() ? io::Json() : io::Json(valid_losses_.back().loss)},
                       {"adapter_bytes", std::filesystem::file_size(folder_.path("adapter_model.safetensors"))},
                       {"tokens", tokens_},
                       {"tokens_per_second", static_cast<double>(tokens_) / std::max(train_seconds, 1e-9)}};
    io::Json parts = io::Json::array();
    for (const MemoryPart& part : memory_.parts) {
      if (part.name[0] != ' ') {
        parts.push_back({{"name", part.name}, {"bytes", part.bytes}});
      }
    }
    return {{"graft", std::to_string(GRAFT_VERSION_MAJOR) + "." + std::to_string(GRAFT_VERSION_MINOR) + "." +
                          std::to_string(GRAFT_VERSION_PATCH)},
            {"settings", settings_json(resolved())},
            {"identity", to_json(identity_)},
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
            {"data", counts_json(s_.data.data, data_.counts())},
            {"valid", valid_.json()},
            {"valid_examples", valid_.size()},
            {"retain", retain_.json()},
            {"scores", {{"before", before_}, {"after", after}}},
            {"machine", machine_json()},
            {"processes", processes_.size()},
            {"samples", samples_->json()},
            {"memory",
             {{"forecast_bytes", memory_.json()},
              {"parts", parts},
              {"forecast_peak_bytes", memory_.total},
              {"peak_bytes", peak()},
              {"device_peak_bytes", engine().device_peak()}}},
            {"times",
             {{"start_to_first_step", start_seconds_},
              {"steps", step_seconds_},
              {"training", train_seconds},
              {"all", seconds_before_ + process_seconds()}}},
            {"result", result}};
  }

  [[nodiscard]] ResolvedRun resolved() { return {s_, adapters_, words_, training_, window_, engine().precision()}; }
  [[nodiscard]] std::string adapter_name() const { return names_of(adapters_); }

  const FinetuneSettings& s_;
  Processes processes_;
  Resumption resumption_;
  RunFolder folder_;
  Checkpoints checkpoints_;
  std::vector<AdapterWords> words_;  // none where an adapter goes on
  Session session_;
  Index window_;
  train::ExampleFile data_;
  TestSet valid_, retain_;
  std::optional<train::EpochBatches> batches_;
  Index total_steps_ = 0;
  TrainingRequest training_;
  std::vector<AdapterSummary> adapters_;
  MemoryForecast memory_;
  std::vector<LossPoint> losses_, valid_losses_;
  Score valid_score_;
  io::Json before_;  // scores
  std::optional<Samples> samples_;
  train::RunIdentity identity_;
  std::optional<Progress> progress_;
  io::Json last_record_ = io::Json::object();  // the log line of the last step
  bool validation_waits_ = false;              // is due at that step, but left to the run that goes on
  Index steps_ = 0;
  Index tokens_ = 0;
  Index best_step_ = -1;  // none yet
  Score best_score_;
  Index waited_ = 0;  // validations since the best
  Index left_out_ = 0, left_out_in_a_row_ = 0;
  double seconds_before_ = 0;  // of the run that this one goes on with
  std::size_t peak_before_ = 0;
  double step_seconds_ = 0;  // of the steps alone
  double start_seconds_ = 0;
  Clock::time_point begin_;
};

}  // namespace

int finetune(const FinetuneSettings& settings) {
  join_processes();
  if (!settings.init_adapter.empty()) {
    refuse_plain_flags(settings.adapter, "has no meaning beside --init-adapter, which brings its own");
  }
  (void)shape_named(settings.schedule);
  (void)format_named(settings.format);
  const DataFiles files = data_files(settings.data.data);
  FinetuneSettings found = settings;
  found.data.data = training_file(settings.data.data, files);
  if (found.valid.empty() && found.val_split == 0) {
    found.valid = files.valid;  // a folder's own
  }
  check_settings(found);
  if (const Index count = Processes().size(); found.data.batch_size < count) {
    fail("train.511",
         "--batch-size is " + std::to_string(found.data.batch_size) + ", expected at least one example for each of the " +
             std::to_string(count) + " processes",
         "--batch-size");
  }
  const int code = Run(found).run();
  leave_processes();
  return code;
}

}  // namespace graft::program
