// SPDX-License-Identifier: Apache-2.0
// Trainer: one optimizer step after another on what is attached to a model. The loss is the mean over the labelled tokens
// of the whole accumulated batch, however it was cut.
#pragma once

#include <algorithm>  // min
#include <chrono>
#include <cmath>
#include <vector>

#include <graft/models/llama_run.hpp>
#include <graft/optimizer.hpp>
#include <graft/schedule.hpp>
#include <graft/train/batch.hpp>

namespace graft::train {

/// What does not change from step to step.
struct TrainerSettings {
  double rate = 1e-4;      ///< the schedule's factor multiplies it
  double clip = 0;         ///< largest 2-norm of all gradients together; 0 = none
  Index total_steps = 1;   ///< what the schedule counts to
  std::uint64_t seed = 0;  ///< of dropout
  bool recompute = false;  ///< keep only the inputs of the blocks, and run each forward again in the backward
};

/// What one step did; `loss` and `gradient_norm` are taken before the update and before clipping.
struct StepReport {
  Index step = 0;            ///< from 1
  double loss = 0;           ///< mean over the labelled tokens
  double rate = 0;           ///< with the schedule's factor
  double gradient_norm = 0;  ///< of all gradients together
  Index tokens = 0;          ///< that went through the model
  Index labelled = 0;        ///< that the loss counts
  double seconds = 0;        ///< wall clock
};

/// Holds the optimizer's state and the memory of the passes. Model and attached outlive it.
template <class Model, class AttachedType, optimizer Optimizer, schedule Schedule>
class Trainer {
 public:
  using B = typename Model::Backend;  ///< the backend
  using C = typename Model::C;        ///< of the parameters

  /// Backend, model and attached outlive this; nothing attached is train.401.
  Trainer(const B& be, const Model& model, AttachedType& attached, Optimizer method, Schedule rates,
          TrainerSettings settings)
      : be_(be), model_(model), attached_(attached), optimizer_(method), schedule_(rates), settings_(settings) {
    attached_.for_each_parameter([&](const std::string& name, Parameter<C>& p) {
      parameters_.push_back(&p);
      states_.push_back(start_state(optimizer_, name, p));
    });
    if (states_.empty()) {
      fail("train.401", "nothing is trained: no module is attached to the model");
    }
  }

  /// Accumulates the gradients of all batches, then moves the parameters once.
  StepReport step(std::span<const Batch> batches) {
    const auto begin = std::chrono::steady_clock::now();
    StepReport report;
    for (const Batch& batch : batches) {
      report.tokens += batch.ragged.tokens();
      report.labelled += batch.labelled();
    }
    if (report.labelled == 0) {
      fail("train.402", "a batch has no labelled token: nothing can be learnt from it");
    }
    for (Parameter<C>* const p : parameters_) {
      be_.fill(0, p->gradient.view());
    }
    const double mean = 1.0 / static_cast<double>(report.labelled);
    double total = 0;
    AttachedType* const bank[] = {&attached_};
    std::uint64_t part = 0;
    for (const Batch& batch : batches) {
      const Random dropout(settings_.seed + static_cast<std::uint64_t>(steps_), part++ << 32);
      run_.forward(be_, model_, bank, batch.ragged, batch.tokens, batch.labelled(),
                   {.keep = true, .recompute = settings_.recompute, .dropout = dropout});
      total += run_.loss(be_, model_, batch.rows, batch.targets, static_cast<C>(mean));
      run_.backward(be_, model_);
    }
    report.loss = total * mean;
    report.rate = settings_.rate * schedule_.factor(steps_, settings_.total_steps);
    report.gradient_norm = update(report.rate);
    report.step = steps_;
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

  /// The same of one batch.
  StepReport step(const Batch& batch) { return step(std::span(&batch, 1)); }

  /// Steps taken so far.
  [[nodiscard]] Index steps() const { return steps_; }
  /// Memory of the last pass, by name.
  [[nodiscard]] const Arena& arena() const { return run_.arena(); }
  /// Calls visit(name, tensor) for the optimizer's state, in the order of the parameters.
  template <class Visitor>
  void for_each_state(Visitor&& visit) {
    std::size_t i = 0;
    attached_.for_each_parameter([&](const std::string& name, Parameter<C>&) {
      states_[i++].for_each_tensor([&](const char* part, Tensor<C>& tensor) { visit(name + "." + part, tensor); });
    });
  }

 private:
  double update(double rate) {
    double squares = 0;
    for (const Parameter<C>* const p : parameters_) {
      squares += be_.squared_norm(p->gradient.view());
    }
    const double norm = std::sqrt(squares);
    const double scale = settings_.clip > 0 ? std::min(1.0, settings_.clip / (norm + 1e-6)) : 1.0;
    ++steps_;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      optimizer_.step(be_, *parameters_[i], states_[i], rate, static_cast<C>(scale), steps_);
    }
    attached_.after_step(be_);
    return norm;
  }

  const B& be_;
  const Model& model_;
  AttachedType& attached_;
  Optimizer optimizer_;
  Schedule schedule_;
  TrainerSettings settings_;
  models::LlamaRun<Model, AttachedType> run_;
  std::vector<Parameter<C>*> parameters_;
  std::vector<typename Optimizer::template State<C>> states_;
  Index steps_ = 0;
};

}  // namespace graft::train
