// SPDX-License-Identifier: Apache-2.0
#include "run_settings.hpp"

#include <algorithm>  // replace
#include <utility>    // pair

#include <graft/base/require.hpp>
#include <graft/core/parallel.hpp>

#include "adapter_words.hpp"
#include "checkpoints.hpp"
#include "session.hpp"
#include "words.hpp"

namespace graft::program {

void check_settings(const FinetuneSettings& s) {
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
  at_least(static_cast<double>(s.sample_count), 0, "--samples");
  at_least(static_cast<double>(s.sample_tokens), 1, "--sample-tokens");
  at_least(static_cast<double>(s.probe), 0, "--probe");
  at_least(static_cast<double>(s.keep), 0, "--keep");
  at_least(static_cast<double>(s.patience), 0, "--patience");
  if (s.spike != 0) {
    at_least(s.spike, 1, "--spike");
  }
  if (!(s.lora_plus > 0)) {
    fail("train.431", "--loraplus-lr-ratio is " + significant(s.lora_plus, 6) + ", expected more than 0",
         "--loraplus-lr-ratio");
  }
  if (!(s.epochs > 0)) {
    fail("train.431", "--epochs is " + significant(s.epochs, 6) + ", expected more than 0", "--epochs");
  }
  if (!s.choices.empty() && s.valid.empty()) {
    fail("train.430", "--choices names the answers of --valid, which is missing", "command line");
  }
  if ((s.keep_best || s.patience > 0) && s.valid.empty() && s.val_split == 0) {
    fail("train.430",
         std::string(s.keep_best ? "--keep-best" : "--patience") +
             " compares validations, for which --valid or --val-split is missing",
         "command line");
  }
  if (!s.resume.empty() && s.overwrite) {
    fail("train.430", "--resume goes on with the run that --overwrite would replace: expected one of them",
         "command line");
  }
  if (s.on_nonfinite != "stop" && s.on_nonfinite != "skip") {
    fail("train.431", "--on-nonfinite is \"" + s.on_nonfinite + "\", expected stop or skip", "--on-nonfinite");
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

io::Json settings_json(const ResolvedRun& run) {
  const FinetuneSettings& s = run.settings;
  io::Json adapters = io::Json::array();
  for (const AdapterSummary& adapter : run.adapters) {
    io::Json& json = adapters.emplace_back(json_of(adapter));
    for (const AdapterWords& words : run.words) {
      if (!words.skeletons.empty() && (words.name == adapter.kind->name || words.name == adapter.kind->alias)) {
        json["skeletons"] = words.skeletons;
      }
    }
  }
  io::Json json = {{"model", s.model.model},
                   {"tokenizer", s.model.tokenizer},
                   {"chat_template", s.model.chat_template},
                   {"dtype", run.precision},
                   {"device", resolve_device(s.model.device)},
                   {"threads", lane_count()},
                   {"data", s.data.data},
                   {"valid", s.valid},
                   {"choices", s.choices},
                   {"retain", s.retain},
                   {"val_split", s.val_split},
                   {"max_seq_len", run.window},
                   {"train_on", s.data.train_on},
                   {"eos", !s.data.no_eos},
                   {"adapter", names_of(run.adapters)},
                   {"adapters", adapters},
                   {"init_adapter", s.init_adapter},
                   {"lr", run.training.settings.rate},
                   {"schedule", s.schedule},
                   {"warmup_steps", run.training.warmup},
                   {"lr_min", s.lr_min},
                   {"optimizer", s.optimizer},
                   {"loraplus_lr_ratio", s.lora_plus},
                   {"weight_decay", s.weight_decay},
                   {"clip", s.clip},
                   {"grad_checkpoint", s.recompute},
                   {"batch_size", s.data.batch_size},
                   {"grad_accum", s.grad_accum},
                   {"epochs", s.epochs},
                   {"steps", run.training.settings.total_steps},
                   {"seed", s.seed},
                   {"shuffle", !s.no_shuffle},
                   {"group_by_length", s.group_by_length},
                   {"eval_every", s.eval_every},
                   {"save_every", s.save_every},
                   {"keep", s.keep},
                   {"keep_best", s.keep_best},
                   {"patience", s.patience},
                   {"on_nonfinite", s.on_nonfinite},
                   {"spike", s.spike},
                   {"report_every", s.report_every},
                   {"sample", s.samples},
                   {"samples", s.sample_count},
                   {"sample_tokens", s.sample_tokens},
                   {"probe", s.probe},
                   {"format", s.format},
                   {"out", s.out}};
  return json;
}

io::Json identity_settings(const ResolvedRun& run) {
  io::Json json = settings_json(run);
  for (const char* free :
       {"model", "data", "valid", "retain", "threads", "epochs", "grad_checkpoint", "save_every", "keep",
        "on_nonfinite", "report_every", "sample", "samples", "sample_tokens", "probe", "format", "out"}) {
    json.erase(free);
  }
  return json;
}
std::map<std::string, std::string> data_fingerprints(const FinetuneSettings& s) {
  std::map<std::string, std::string> all;
  for (const auto& [name, path] :
       {std::pair("--data", &s.data.data), std::pair("--valid", &s.valid), std::pair("--retain", &s.retain)}) {
    if (!path->empty()) {
      all[name] = data_fingerprint(*path);
    }
  }
  return all;
}

io::Json config_json(const ResolvedRun& run) {
  const FinetuneSettings& s = run.settings;
  io::Json config = io::Json::object();
  for (const auto& [flag, values] : s.words) {
    std::string key = flag;
    std::replace(key.begin(), key.end(), '-', '_');
    config[key] = values.size() == 1 ? io::Json(values.front()) : io::Json(values);
  }
  const io::Json resolved = settings_json(run);
  for (const char* same : {"model",
                           "chat_template",
                           "dtype",
                           "device",
                           "data",
                           "val_split",
                           "max_seq_len",
                           "train_on",
                           "lr",
                           "schedule",
                           "lr_min",
                           "optimizer",
                           "loraplus_lr_ratio",
                           "weight_decay",
                           "clip",
                           "grad_checkpoint",
                           "batch_size",
                           "grad_accum",
                           "seed",
                           "eval_every",
                           "save_every",
                           "keep",
                           "keep_best",
                           "patience",
                           "on_nonfinite",
                           "spike",
                           "report_every",
                           "samples",
                           "sample_tokens",
                           "probe",
                           "format",
                           "out"}) {
    config[same] = resolved.at(same);
  }
  config["warmup"] = s.warmup;
  config["no_eos"] = s.data.no_eos;
  config["no_shuffle"] = s.no_shuffle;
  config[s.steps > 0 ? "steps" : "epochs"] = s.steps > 0 ? io::Json(s.steps) : io::Json(s.epochs);
  for (const char* key : {"tokenizer", "valid", "choices", "retain", "sample", "init_adapter"}) {
    if (!resolved.at(key).empty() && resolved.at(key) != "") {
      config[key] = resolved.at(key);
    }
  }
  if (s.init_adapter.empty()) {
    for (const char* plain : {"rank", "alpha", "dropout", "columns", "rows", "clamp_rank", "skeletons", "target",
                              "layers", "num_layers", "positions", "share_weights"}) {
      config.erase(plain);  // they stand with their adapter
    }
    config["adapter"] = resolved.at("adapters");
  }
  return config;
}

}  // namespace graft::program
