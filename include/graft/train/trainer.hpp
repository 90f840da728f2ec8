// SPDX-License-Identifier: Apache-2.0
// Trainer: one optimizer step after another on what is attached to a model. The loss is the objective's mean over the whole
// accumulated batch, however it was cut, and among however many processes: over its labelled tokens, unless told otherwise. A
// step that would spoil the parameters is not taken.
#pragma once

#include <algorithm>  // fill, min
#include <chrono>
#include <cmath>
#include <numeric>  // accumulate
#include <vector>

#include <graft/models/llama_run.hpp>
#include <graft/optimizer.hpp>
#include <graft/schedule.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/communicator.hpp>
#include <graft/train/first_non_finite.hpp>
#include <graft/train/loss_mean.hpp>
#include <graft/train/objective.hpp>

namespace graft::train {

/// What does not change from step to step.
struct TrainerSettings {
  double rate = 1e-4;      ///< the schedule's factor multiplies it
  double clip = 0;         ///< largest 2-norm of all gradients together; 0 = none
  double spike = 0;        ///< a loss above this many times the running mean is refused; 0 = none is
  Index total_steps = 1;   ///< what the schedule counts to
  std::uint64_t seed = 0;  ///< of dropout
  bool recompute = false;  ///< keep only the inputs of the blocks, and run each forward again in the backward
};

/// What became of a step: the parameters moved, or they were left alone because loss or gradient is not finite, or because
/// the loss is a spike (TrainerSettings::spike).
enum class Verdict { applied, not_finite, spike };

/// What one step did, on all processes together; `loss` and `gradient_norm` are taken before the update and before clipping.
struct StepReport {
  Index step = 0;                      ///< from 1
  double loss = 0;                     ///< the objective's mean
  double rate = 0;                     ///< with the schedule's factor
  double gradient_norm = 0;            ///< of all gradients together
  Index tokens = 0;                    ///< that went through the model
  Index labelled = 0;                  ///< that are predicted
  double seconds = 0;                  ///< wall clock
  Verdict verdict = Verdict::applied;  ///< whether the parameters moved
};

/// How far a run has come; with the tensors of for_each_stored() all that a trainer remembers. Dropout draws from the seed
/// and `steps`, the schedule reads `steps`.
struct TrainerProgress {
  Index steps = 0;    ///< batches behind it, those left out included
  Index updates = 0;  ///< times the parameters have moved
  LossMean losses;    ///< of the updates
};

/// Holds the optimizer's state and the memory of the passes. Model and attached outlive it. With a communicator of several
/// processes each of them makes one, of the same settings and the same parameters, and calls step() with its share: N processes
/// do what one does that accumulates their shares, those of process 0 first. Every process then makes the same update.
template <class Model, class AttachedType, optimizer Optimizer, schedule Schedule, objective Objective = TokenMean,
          communicator<typename Model::Backend, typename Model::C> Processes = Alone>
class Trainer {
 public:
  using B = typename Model::Backend;        ///< the backend
  using C = typename Model::C;              ///< of the parameters
  using Batch = typename Objective::Batch;  ///< what a step is made of

  /// Backend, model and attached outlive this; nothing attached is train.401.
  Trainer(const B& be, const Model& model, AttachedType& attached, Optimizer method, Schedule rates,
          TrainerSettings settings, Objective lowered = {}, Processes processes = {})
      : be_(be),
        model_(model),
        attached_(attached),
        optimizer_(method),
        schedule_(rates),
        settings_(settings),
        objective_(lowered),
        processes_(processes),
        counts_(static_cast<std::size_t>(first_share + processes.size())) {
    attached_.for_each_parameter([&](const std::string& name, Parameter<C>& p) {
      parameters_.push_back(&p);
      gradients_.push_back(p.gradient.view());
      read_gradients_.push_back(p.gradient.view());
      states_.push_back(start_state(optimizer_, name, p));
    });
    if (states_.empty()) {
      fail("train.401", "nothing is trained: no module is attached to the model");
    }
  }

  /// Accumulates the gradients of all batches, then moves the parameters once. A loss or gradient that is not finite, or a
  /// spike, leaves all as it was before the call: the report says so, and skip() goes past these batches. Among several
  /// processes `batches` are this one's share, which may be empty; the report and its verdict are the same on all of them.
  StepReport step(std::span<const Batch> batches) {
    const auto begin = std::chrono::steady_clock::now();
    StepReport report;
    std::uint64_t part = count(batches, report);
    const double terms = counts_[0];
    if (report.labelled == 0) {
      fail("train.402", "a batch has no labelled token: nothing can be learnt from it");
    }
    [[maybe_unused]] const auto burst = be_.burst();
    for (Parameter<C>* const p : parameters_) {
      be_.fill(0, p->gradient.view());
    }
    const double mean = 1.0 / terms;
    double total = 0;
    objective_.begin();
    AttachedType* const bank[] = {&attached_};
    for (const Batch& batch : batches) {
      run_.forward(be_, model_, bank, batch.ragged, batch.tokens, batch.labelled(),
                   {.keep = true, .recompute = settings_.recompute, .dropout = dropout(part++)});
      total += objective_.loss(be_, model_, run_, batch, mean);
      run_.backward(be_, model_);
    }
    processes_.sum(be_, std::span<const View<C>>(gradients_));
    processes_.sum(std::span(&total, 1));
    report.step = progress_.steps + 1;
    report.loss = total * mean;
    report.rate = settings_.rate * schedule_.factor(progress_.steps, settings_.total_steps);
    report.gradient_norm = std::sqrt(be_.squared_norm(std::span<const View<const C>>(read_gradients_)));
    report.verdict = judge(report);  // of numbers that are the same bits on every process
    if (report.verdict == Verdict::applied) {
      update(report);
    }
    be_.finish();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

  /// The same of one batch.
  StepReport step(const Batch& batch) { return step(std::span(&batch, 1)); }

  /// Goes past a batch whose step was not taken: schedule, dropout and count move on, the parameters do not.
  void skip() { ++progress_.steps; }

  /// After a step that was not finite: which tensor of it was the first to be so ("the hidden state after block 5"), found
  /// by walking the step again. Empty where all are finite. Of several processes each walks its own share, and asks none.
  [[nodiscard]] std::string first_non_finite(std::span<const Batch> batches) {
    return train::first_non_finite(run_, be_, model_, attached_, objective_, batches, settings_.recompute,
                                   [&](std::uint64_t part) { return dropout(parts_before() + part); });
  }

  /// Steps so far, those that were skipped included.
  [[nodiscard]] Index steps() const { return progress_.steps; }
  /// How far the run has come.
  [[nodiscard]] const TrainerProgress& progress() const { return progress_; }
  /// Goes on from there; the caller has filled the tensors of for_each_stored() (train/checkpoint.hpp).
  void resume(const TrainerProgress& progress) { progress_ = progress; }
  /// Memory of the last pass, by name.
  [[nodiscard]] const Arena& arena() const { return run_.arena(); }
  /// What is trained.
  [[nodiscard]] AttachedType& attached() const { return attached_; }
  /// What is lowered, with what it tells of the last step: of this process's share.
  [[nodiscard]] const Objective& objective() const { return objective_; }
  /// Calls visit(name, view) for all tensors that a run remembers: each parameter's value, and its state as
  /// "<parameter>.optimizer.<part>".
  template <class Visitor>
  void for_each_stored(Visitor&& visit) {
    std::size_t i = 0;
    attached_.for_each_parameter([&](const std::string& name, Parameter<C>& p) {
      visit(name, p.value);
      states_[i++].for_each_tensor(
          [&](const char* part, Tensor<C>& tensor) { visit(name + ".optimizer." + part, tensor.view()); });
    });
  }
  /// Calls visit(name, tensor) for the optimizer's state, in the order of the parameters.
  template <class Visitor>
  void for_each_state(Visitor&& visit) {
    std::size_t i = 0;
    attached_.for_each_parameter([&](const std::string& name, Parameter<C>&) {
      states_[i++].for_each_tensor([&](const char* part, Tensor<C>& tensor) { visit(name + "." + part, tensor); });
    });
  }

 private:
  /// In counts_: terms, tokens, labels, then the batches of each process.
  static constexpr Index first_share = 3;

  /// Counts the step over all processes, and returns how many of its batches come before this process's.
  [[nodiscard]] std::uint64_t count(std::span<const Batch> batches, StepReport& report) {
    std::fill(counts_.begin(), counts_.end(), 0.0);
    for (const Batch& batch : batches) {
      counts_[0] += static_cast<double>(objective_.terms(batch));
      counts_[1] += static_cast<double>(batch.ragged.tokens());
      counts_[2] += static_cast<double>(batch.labelled());
    }
    counts_[static_cast<std::size_t>(first_share + processes_.rank())] = static_cast<double>(batches.size());
    processes_.sum(std::span(counts_));
    report.tokens = static_cast<Index>(counts_[1]);
    report.labelled = static_cast<Index>(counts_[2]);
    return parts_before();
  }
  [[nodiscard]] std::uint64_t parts_before() const {
    const auto shares = counts_.begin() + first_share;
    return static_cast<std::uint64_t>(std::accumulate(shares, shares + processes_.rank(), 0.0));
  }
  /// The masks of this step's batch number `part`, counted over all processes.
  [[nodiscard]] Random dropout(std::uint64_t part) const {
    return Random(settings_.seed + static_cast<std::uint64_t>(progress_.steps), part << 32);
  }
  [[nodiscard]] Verdict judge(const StepReport& report) const {
    if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
      return Verdict::not_finite;
    }
    return progress_.losses.is_spike(report.loss, settings_.spike) ? Verdict::spike : Verdict::applied;
  }
  void update(const StepReport& report) {
    const double scale = settings_.clip > 0 ? std::min(1.0, settings_.clip / (report.gradient_norm + 1e-6)) : 1.0;
    ++progress_.steps;
    ++progress_.updates;
    progress_.losses.add(report.loss);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      optimizer_.step(be_, *parameters_[i], states_[i], report.rate, static_cast<C>(scale), progress_.updates);
    }
    attached_.after_step(be_);
  }

  const B& be_;
  const Model& model_;
  AttachedType& attached_;
  Optimizer optimizer_;
  Schedule schedule_;
  TrainerSettings settings_;
  Objective objective_;
  Processes processes_;
  std::vector<double> counts_;  // of a step
  models::LlamaRun<Model, AttachedType> run_;
  std::vector<Parameter<C>*> parameters_;
  std::vector<View<C>> gradients_;  // theirs
  std::vector<View<const C>> read_gradients_;
  std::vector<typename Optimizer::template State<C>> states_;
  TrainerProgress progress_;
};

}  // namespace graft::train
