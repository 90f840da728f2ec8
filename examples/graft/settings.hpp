// SPDX-License-Identifier: Apache-2.0
// What the flags of each subcommand say, as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <graft/base/index.hpp>

namespace graft::program {

struct ModelSettings {
  std::string model;
  std::string tokenizer;               // empty: the model's own
  std::string chat_template = "auto";  // or "none", or a name
  std::string dtype = "auto";
  std::string device = "auto";
  Index threads = 0;      // 0: all cores
  std::string positions;  // of a pyreft folder, whose files do not hold them; empty: the folder says them
  bool quiet = false;     // no notes on stderr
};

struct DataSettings {
  std::string data;
  Index max_seq_len = 0;  // 0: a default that depends on the subcommand
  std::string train_on = "completion";
  bool no_eos = false;
  Index batch_size = 8;
};

/// What was said of one adapter; what was not said is empty.
struct AdapterWords {
  std::string name;
  std::map<std::string, double> settings;  // rank, alpha, ... as its recipe calls them
  std::string target;
  std::string layers;
  Index last_layers = 0;  // 0: layers decides
  std::string positions;
  bool share_weights = false;
  std::string skeletons;  // PMSS: a file of graft select
};

struct FinetuneSettings {
  ModelSettings model;
  DataSettings data;
  std::string valid;
  std::vector<std::string> choices;  // the answers of --valid, where it asks questions
  std::string retain;                // text that the model should still know afterwards
  double val_split = 0;              // below 1 a share of the records, from 1 on a number of them

  std::vector<std::string> adapters;  // as typed: NAME, NAME:key=value,... or FILE.json; empty: lora
  AdapterWords adapter;               // what the plain flags say of the only one
  std::string init_adapter;

  std::optional<double> lr;
  std::string schedule = "linear";
  double warmup = 0;  // below 1 a share of the steps, from 1 on a number of them
  double lr_min = 0;
  std::string optimizer = "adamw";
  double lora_plus = 1;  // of B's rate to A's
  double weight_decay = 0;
  double clip = 1;
  bool recompute = false;
  Index grad_accum = 1;
  double epochs = 1;
  Index steps = 0;  // 0: --epochs decides
  std::uint64_t seed = 0;
  bool no_shuffle = false;
  bool group_by_length = false;

  std::string out;
  std::string format = "auto";
  bool overwrite = false;
  Index eval_every = 0;
  Index save_every = 0;
  Index keep = 3;  // checkpoints; 0: all
  bool keep_best = false;
  Index patience = 0;  // validations without a better one; 0: no end of it
  std::string resume;  // auto, a run or one of its checkpoints
  std::string on_nonfinite = "stop";
  double spike = 0;
  Index report_every = 0;
  std::vector<std::string> samples;  // prompts that are answered before and after
  Index sample_count = 2;            // without them: as many of the data's own
  Index sample_tokens = 32;          // of an answer
  Index probe = 4;                   // prompts that the adapter's edits are measured on; 0: none
  bool dry_run = false;
  bool json = false;

  std::map<std::string, std::vector<std::string>> words;  // every flag as it was given, by its first name
};

struct EvalSettings {
  ModelSettings model;
  DataSettings data;
  std::vector<std::string> choices;
  std::string adapter;
  std::string logits;
  std::string task;  // empty: loss and accuracy of a data file
  bool apply_chat_template = false;
  Index limit = 0;       // items of a task; 0: all
  Index max_tokens = 0;  // 0: the task's own
  bool json = false;
};

struct PreviewSettings {
  FinetuneSettings tuning;  // model, data and adapters
  Index count = 3;
  std::string html;
  bool json = false;
};

/// How an answer is drawn.
struct AnswerSettings {
  Index max_tokens = 128;
  double temperature = 0;
  double top_p = 1;
  std::uint64_t seed = 0;
};

struct GenerateSettings {
  ModelSettings model;
  std::string adapter;
  std::optional<std::string> prompt;
  std::optional<std::string> chat;
  std::string system;
  AnswerSettings answer;
  bool json = false;
};

struct ChatSettings {
  ModelSettings model;
  std::vector<std::string> adapters;  // folders
  std::string system;
  AnswerSettings answer{.max_tokens = 256};
};

struct InspectSettings {
  std::string path;
  std::string positions;  // as in ModelSettings
  bool json = false;
};

struct MergeSettings {
  std::string model;
  std::string adapter;
  std::string positions;  // as in ModelSettings
  std::string out;
  std::string format = "auto";  // as --out ends, else hf
  std::string dtype = "auto";   // as the checkpoint has it; bf16 where that is quantised or F16
  bool overwrite = false;
  bool json = false;
};

struct ExportSettings {
  std::string model;
  std::string adapter;
  std::string positions;  // as in ModelSettings
  std::string to;
  std::string out;
  std::string dtype = "fp32";  // of the receipt's arithmetic
  bool overwrite = false;
  bool json = false;
};

struct SelectSettings {
  std::string model;
  Index threads = 0;
  std::string target;
  std::string layers = "all";
  Index rank = 64;
  Index columns = 0;  // 0: the rank
  Index rows = 0;
  bool clamp = false;
  std::string selector = "pivoted-qr";
  std::uint64_t seed = 0;
  bool report = false;
  std::string update;  // a tuned model: what the choice keeps of its difference from the model
  std::vector<std::string> compare;
  Index draws = 1;
  std::string out;
  bool overwrite = false;
  bool json = false;
};

struct ReportSettings {
  std::vector<std::string> runs;
  std::string svg;
  std::string html;
  bool json = false;
};

struct CompareSettings {
  std::string study;
  std::string out;
  std::string results;            // empty: out/results
  std::vector<std::string> only;  // adapters or tasks; empty: all
  bool dry_run = false;
};

}  // namespace graft::program
