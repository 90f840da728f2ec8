// SPDX-License-Identifier: Apache-2.0
#include "flags.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>  // replace
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <utility>  // pair
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/nearest.hpp>
#include <graft/io/path.hpp>
#include <graft/version.hpp>

#include "checkpoints.hpp"
#include "commands.hpp"
#include "config_file.hpp"
#include "exports.hpp"
#include "processes.hpp"

namespace graft::program {

namespace {

/// Flags of one dash and many letters, which other programs have taught people to type.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> long_shorts = {
    {{"-sw", "--share-weights"}, {"-wd", "--weight-decay"}, {"-type", "--adapter"}}};

void add_model_flags(CLI::App& app, ModelSettings& model) {
  app.add_option("-m,--model,--model-dir,--base", model.model, "Hugging Face folder, .gguf file or llama2.c .bin file")
      ->type_name("PATH");
  app.add_option("--tokenizer", model.tokenizer, "tokenizer.json, .gguf or llama2.c .bin (default: the model's own)")
      ->type_name("PATH");
  app.add_option("--chat-template", model.chat_template,
                 "auto (the checkpoint's own), none, or chatml, smollm2, qwen2, llama2, llama3, mistral, gemma, "
                 "zephyr, plain")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--dtype", model.dtype, "auto, fp32 or bf16 (auto: bf16 where the processor multiplies it)")
      ->type_name("TYPE")
      ->capture_default_str();
  app.add_option("--device", model.device, "auto, cpu or cuda (auto: the first CUDA device, if there is one)")
      ->type_name("DEVICE")
      ->capture_default_str();
  app.add_option("-t,--threads", model.threads, "threads (default: all cores)")->type_name("N");
}

void add_data_flags(CLI::App& app, DataSettings& data) {
  app.add_option("-f,--data,--file,--train-file,--data-dir,--jsonl-train", data.data,
                 "JSONL or JSON list of {prompt, completion}, {instruction, input, output}, {messages}, {question, "
                 "answer}, {text} or {input_ids, labels}; a .txt file; or a folder with train, valid and test")
      ->type_name("PATH");
  app.add_option("-c,--max-seq-len,--seq-len,--max-seq-length,--sequence-len", data.max_seq_len,
                 "longer examples are cut here, and counted")
      ->type_name("TOKENS");
  app.add_option("--train-on", data.train_on, "completion (answers only) or all tokens")
      ->type_name("WHAT")
      ->capture_default_str();
  app.add_flag_callback(
      "--mask-prompt,--assistant-loss-only,--train-on-completions", [&data] { data.train_on = "completion"; },
      "the same as --train-on completion");
  app.add_flag("--no-eos", data.no_eos, "do not end texts and untemplated answers with EOS");
  app.add_option("-b,--batch-size,--micro-batch-size", data.batch_size, "examples in a batch")
      ->type_name("N")
      ->capture_default_str();
}

void add_positions_flag(CLI::App& app, std::string& positions) {
  app.add_option("--positions", positions, "of a folder of pyreft, which does not hold them: f7+l7 or all")
      ->type_name("P");
}

void add_answer_flags(CLI::App& app, AnswerSettings& answer) {
  app.add_option("-n,--max-tokens", answer.max_tokens, "tokens of an answer at most")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--temperature,--temp", answer.temperature, "0 takes the likeliest token")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--top-p", answer.top_p, "draw from the likeliest tokens of this mass")
      ->type_name("P")
      ->capture_default_str();
  app.add_option("--seed", answer.seed, "of the draws")->type_name("N")->capture_default_str();
}

void add_adapter_flags(CLI::App& app, FinetuneSettings& s) {
  AdapterWords& one = s.adapter;
  const auto add_setting = [&]<class T>(const char* flags, const char* name, const char* what, T) {
    return app.add_option_function<T>(
        flags, [&one, name](const T& value) { one.settings[name] = static_cast<double>(value); }, what);
  };
  app.add_option(
         "-a,--adapter,--tuner-type,--fine-tune-type", s.adapters,
         "lora (default), rslora, dora, pissa, olora, lora-xs, vera, loha, lokr, ia3, bitfit, pmss, curlora, loreft, "
         "noreft, "
         "direft (also nodireft), direft-orthonormal, consreft, lobireft, red, bottleneck, parallel, prompt, prefix or "
         "full. "
         "Several stand together, each with its own settings: --adapter lora:rank=8,target=q_proj+v_proj --adapter "
         "\"loreft:rank=4,layers=3;9\"; or a JSON file that lists them")
      ->type_name("NAME")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_setting("-r,--rank,--lora-rank,--lora_r,--reft-rank", "rank", "rank (LoRA 8, PMSS 64, ReFT 4)", Index{})
      ->type_name("N");
  add_setting("--alpha,--lora-alpha,--lora_alpha", "alpha", "LoRA 16: scale alpha/rank; PMSS twice the rank", double{})
      ->type_name("X");
  add_setting("--dropout,--lora-dropout,--lora_dropout", "dropout", "dropout of the adapter (0)", double{})
      ->type_name("P");
  add_setting("--columns", "columns", "PMSS: columns c of the skeleton (default: the rank)", Index{})->type_name("N");
  add_setting("--rows", "rows", "PMSS: rows r of the skeleton (default: the rank)", Index{})->type_name("N");
  app.add_flag_callback(
      "--clamp-rank", [&one] { one.settings["clamp"] = 1; }, "PMSS: lower the rank where a matrix is smaller");
  app.add_option("--skeletons", one.skeletons, "PMSS: columns and rows that graft select has chosen")
      ->type_name("FILE");
  app.add_option("--target,--target-modules,--lora-modules", one.target,
                 "q_proj,v_proj,... or all-linear; ReFT: residual, attention, mlp")
      ->type_name("NAMES");
  app.add_option("-l,--layers,--reft-layers", one.layers, "all (default), 8;19 or 4-11")->type_name("LIST");
  app.add_option("--num-layers", one.last_layers, "the last N layers")->type_name("N");
  app.add_option("-p,--positions,--position", one.positions, "ReFT: f7+l7 (first and last of the prompt) or all")
      ->type_name("P");
  app.add_flag("--share-weights,--tied", one.share_weights, "ReFT: one edit for first and last positions");
  app.add_option("--init-adapter,--resume-adapter-file", s.init_adapter,
                 "go on with this adapter: its kind, places, settings and numbers")
      ->type_name("DIR");
}

void add_learning_flags(CLI::App& app, FinetuneSettings& s) {
  app.add_option("-e,--epochs,--num-epochs", s.epochs, "passes over the data")->type_name("X")->capture_default_str();
  app.add_option("--steps,--iters,--max-steps", s.steps, "steps, whatever --epochs says")->type_name("N");
  app.add_option("--lr,--learning-rate", s.lr, "learning rate (LoRA 2e-4, PMSS 1e-4, ReFT 2e-4, full 2e-5)")
      ->type_name("X");
  app.add_option("--schedule,--lr-scheduler", s.schedule, "constant, linear or cosine")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--warmup,--warmup-ratio,--warmup-steps", s.warmup, "a share (0.1) or a number (100) of the steps")
      ->type_name("X");
  app.add_option("--lr-min", s.lr_min, "where the cosine ends")->type_name("X");
  app.add_option("--optimizer", s.optimizer, "adamw or sgd")->type_name("NAME")->capture_default_str();
  app.add_option("--loraplus-lr-ratio,--lora-plus", s.lora_plus,
                 "LoRA+: B of a LoRA learns at this many times the rate (the paper: 16)")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--weight-decay", s.weight_decay, "decoupled weight decay (0)")->type_name("X");
  app.add_option("--clip,--grad-clip,--max-grad-norm", s.clip, "largest norm of the gradient; 0: no limit")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--grad-accum,--gradient-accumulation-steps", s.grad_accum, "batches in a step")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--grad-checkpoint,--gradient-checkpointing,--recompute", s.recompute,
               "keep only the inputs of the blocks and compute each again on the way back: less memory, more time");
  app.add_option("--seed", s.seed, "of starts, order and dropout")->type_name("N")->capture_default_str();
  app.add_flag("--group-by-length,--group_by_length,--sort-by-length", s.group_by_length,
               "batches of like lengths, the longest first");
  app.add_flag("--no-shuffle", s.no_shuffle, "keep the order of the file");
}

void add_measuring_flags(CLI::App& app, FinetuneSettings& s) {
  app.add_option("--valid,--eval-file", s.valid, "evaluated at the start and after every epoch")->type_name("FILE");
  app.add_option("--val-split,--val_set_size", s.val_split, "hold out a share (0.1) or a number (200) of the records")
      ->type_name("X");
  app.add_option("--choices", s.choices, "--valid asks questions: choose the likeliest of these answers, as in yes,no")
      ->delimiter(',')
      ->type_name("A,B,...");
  app.add_option("--retain", s.retain, "text whose perplexity is measured before and after: what the model should keep")
      ->type_name("FILE");
  app.add_option("--eval-every,--steps-per-eval", s.eval_every, "evaluate every N steps, too")->type_name("N");
  app.add_option("--report-every,--steps-per-report", s.report_every, "a progress line every N steps")->type_name("N");
  app.add_option("--sample", s.samples,
                 "answer this prompt before and after training (for report --html; several: repeat the flag)")
      ->type_name("TEXT")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--samples", s.sample_count, "without --sample: answer the first N prompts of the data")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--sample-tokens", s.sample_tokens, "tokens of such an answer")->type_name("N")->capture_default_str();
  app.add_option("--probe", s.probe,
                 "prompts on which the adapter's edits are measured at the end, into edits.json; 0: none")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--keep-best", s.keep_best, "the adapter in the end is that of the best validation, not the last");
  app.add_option("--patience,--early-stopping-patience", s.patience,
                 "stop after N validations without a better one (0: never)")
      ->type_name("N");
}

void add_survival_flags(CLI::App& app, FinetuneSettings& s) {
  app.add_option("--save-every,--save-steps", s.save_every,
                 "a checkpoint every N steps: DIR/step-N, an adapter that eval reads and all that resuming needs")
      ->type_name("N");
  app.add_option("--keep,--ckpt-keep-n,--save-total-limit", s.keep,
                 "the last N checkpoints stay, and the best (0: all)")
      ->type_name("N")
      ->capture_default_str();
  app.add_option(
         "--resume,--resume-from-checkpoint", s.resume,
         "go on bit for bit. auto: from the last checkpoint in --out, or from the start where there is none; DIR: a "
         "run or one of its checkpoints, with the settings that it was started with")
      ->type_name("auto|DIR");
  app.add_flag_callback("--auto-resume,--continue", [&s] { s.resume = "auto"; }, "the same as --resume auto");
  app.add_option(
         "--on-nonfinite", s.on_nonfinite,
         "where loss or gradient becomes infinite or NaN: stop, with a checkpoint of the step before, or skip the "
         "batch")
      ->type_name("stop|skip")
      ->capture_default_str();
  app.add_option("--spike", s.spike, "skip a batch whose loss is above X times the running mean (0: none)")
      ->type_name("X");
}

void add_output_flags(CLI::App& app, FinetuneSettings& s) {
  app.add_option("-o,--out,--output-dir,--adapter-path,--output-adapter", s.out,
                 "folder for the adapter, log.jsonl, run.json, config.json and loss.svg")
      ->type_name("DIR");
  app.add_option("--format", s.format, "of the adapter: peft, graft, or auto (peft for LoRA, which PEFT then loads)")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_flag("--overwrite", s.overwrite, "replace the run that the folder holds");
  app.add_flag("--dry-run", s.dry_run, "check everything, say what would happen, write nothing");
  app.add_flag("--json", s.json, "the result as one JSON object on stdout");
}

/// The flags of finetune, in groups that follow the work.
void add_finetune_flags(CLI::App& app, FinetuneSettings& s) {
  const auto group = [&](const char* title) { app.option_defaults()->group(title); };
  group("What to train on what (the three that every run needs: --model, --data, --out)");
  add_model_flags(app, s.model);
  add_data_flags(app, s.data);
  group("The adapter: what learns, and where it stands");
  add_adapter_flags(app, s);
  group("Learning: how long, how fast");
  add_learning_flags(app, s);
  group("Measuring: how well it does on what it does not train on");
  add_measuring_flags(app, s);
  group("Surviving: checkpoints, resuming, batches that would spoil the run");
  add_survival_flags(app, s);
  group("What it writes");
  add_output_flags(app, s);
}

void add_config_flag(CLI::App& app, std::string& config) {
  app.add_option(
         "--config", config,
         "JSON or YAML with any of these flags as keys, or with those of PEFT and axolotl; flags beside it rule. "
         "config.json of a run repeats it")
      ->type_name("FILE")
      ->group("Settings from a file");
}

/// The flags of eval.
void add_eval_flags(CLI::App& app, EvalSettings& s) {
  add_model_flags(app, s.model);
  add_data_flags(app, s.data);
  app.add_option("-a,--adapter,--adapter-path,--lora", s.adapter,
                 "a folder of graft, PEFT, pyreft, mlx-lm or AdapterHub, or a GGUF adapter")
      ->type_name("DIR");
  add_positions_flag(app, s.model.positions);
  app.add_option("--choices", s.choices,
                 "the records are questions: choose the likeliest of these answers, as in yes,no")
      ->delimiter(',')
      ->type_name("A,B,...");
  app.add_option("--logits", s.logits, "write the logits of every token, tokens x vocabulary")->type_name("OUT.npy");
  app.add_option("--task", s.task,
                 "judge answers as a benchmark does: arc_easy, arc_challenge, openbookqa, boolq, sst2, commonsense, "
                 "choice, gsm8k, drop, qa or perplexity; list explains them")
      ->type_name("NAME");
  app.add_flag("--apply-chat-template", s.apply_chat_template,
               "--task: ask through the chat template (default: the prompt as it stands)");
  app.add_option("--limit", s.limit, "--task: the first N items only")->type_name("N");
  app.add_option("--max-tokens,--max-new-tokens", s.max_tokens,
                 "--task: tokens of an answer at most (default: the task's)")
      ->type_name("N");
  app.add_flag("--json", s.json, "one JSON object on stdout");
}

/// Its long name without dashes.
std::string own_name(const CLI::Option& option) {
  return option.get_lnames().empty() ? std::string() : option.get_lnames().front();
}

/// What a configuration may name of a subcommand.
std::vector<KnownFlag> known_flags(const CLI::App& app) {
  std::vector<KnownFlag> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (const std::string name = own_name(*option); !name.empty() && name != "help" && name != "config") {
      flags.push_back({option->get_lnames(), option->get_expected_max() > 0, option->count() > 0});
    }
  }
  return flags;
}

/// Every flag that was given, but those that say how a run is begun and not what it is.
std::map<std::string, std::vector<std::string>> given_words(const CLI::App& app) {
  std::map<std::string, std::vector<std::string>> words;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = own_name(*option);
    const bool begins = name == "help" || name == "config" || name == "resume" || name == "auto-resume" ||
                        name == "overwrite" || name == "dry-run" || name == "json";
    if (!name.empty() && !begins && option->count() > 0) {
      words[name] = option->results();
    }
  }
  return words;
}

/// Reads a configuration as if its flags had been typed; `add` is what declares them.
template <class Settings, class AddFlags>
ConfigLine<Settings> line_of(const io::Json& config, const std::string& path, const AddFlags& add) {
  ConfigLine<Settings> line;
  CLI::App app;
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add(app, line.settings);
  line.words = config_words(config, path, known_flags(app));
  try {
    app.parse(std::vector<std::string>(line.words.rbegin(), line.words.rend()));
  } catch (const CLI::ParseError& error) {
    fail("train.459", error.what(), path);
  }
  line.given = given_words(app);
  return line;
}

/// What each row of a table of formats is, a line each.
std::string lines_of(const auto& table) {
  std::string text;
  for (const auto& row : table) {
    const std::string name(row.name);
    text += "  " + name + std::string(name.size() < 14 ? 14 - name.size() : 1, ' ') + std::string(row.what) + "\n";
  }
  return text;
}

[[noreturn]] void refuse(const std::string& what) {
  fail("train.430", what, "command line");
}

/// The flag of `app` that the unknown one was most likely meant to be.
std::string nearest_flag(const CLI::App& app, const std::string& unknown) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return io::nearest_name(unknown.substr(0, unknown.find('=')), names, [](const std::string& name) { return name; });
}

void require_given(const std::string& value, const char* flag, const char* what) {
  if (value.empty()) {
    refuse(std::string(flag) + " is missing: expected " + what + " (graft --help)");
  }
}

}  // namespace

ConfigLine<FinetuneSettings> finetune_line(const io::Json& config, const std::string& path) {
  return line_of<FinetuneSettings>(config, path, add_finetune_flags);
}

ConfigLine<EvalSettings> eval_line(const io::Json& config, const std::string& path) {
  return line_of<EvalSettings>(config, path, add_eval_flags);
}

int run_command_line(int count, const char* const* arguments) {
  CLI::App app("Finetunes LLaMA-style models with small adapters: LoRA, PMSS, LoReFT and kin.", "graft");
  app.set_version_flag("--version", std::to_string(GRAFT_VERSION_MAJOR) + "." + std::to_string(GRAFT_VERSION_MINOR) +
                                        "." + std::to_string(GRAFT_VERSION_PATCH));
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // subcommands inherit it
  app.require_subcommand(0, 1);
  app.allow_extras();

  FinetuneSettings tuning;
  CLI::App& finetune_app = *app.add_subcommand("finetune", "train an adapter on a model");
  std::string config;
  add_finetune_flags(finetune_app, tuning);
  add_config_flag(finetune_app, config);
  finetune_app.footer(
      "Example, in graft's own folder:\n"
      "  graft finetune --model examples/models/village --data examples/data/village/train.jsonl --no-eos \\\n"
      "    --valid examples/data/village/heldout.jsonl --choices yes,no --adapter pmss --rank 16 --lr 2e-3 \\\n"
      "    --epochs 4 --batch-size 16 --out build/run\n"
      "Ctrl-C finishes the step, saves with a checkpoint, and exits with 130; graft finetune --resume build/run goes "
      "on.");

  EvalSettings evaluation;
  CLI::App& eval_app = *app.add_subcommand("eval", "loss, perplexity and accuracy on a data file");
  add_eval_flags(eval_app, evaluation);
  eval_app.footer(
      "Example, after that of finetune:\n"
      "  graft eval --model examples/models/village --adapter build/run --data examples/data/village/heldout.jsonl \\\n"
      "    --choices yes,no --no-eos --json\n"
      "A task, as the common evaluation harness defines it (--task list shows them all):\n"
      "  graft eval --model examples/models/village --data examples/data/village/stories.jsonl --task qa --limit 20");

  PreviewSettings previewing;
  CLI::App& preview_app =
      *app.add_subcommand("preview", "the first examples token by token: id, text, what is trained and edited");
  add_model_flags(preview_app, previewing.tuning.model);
  add_data_flags(preview_app, previewing.tuning.data);
  add_adapter_flags(preview_app, previewing.tuning);
  preview_app.add_option("-n,--count,--preview", previewing.count, "examples to show")
      ->type_name("N")
      ->capture_default_str();
  preview_app.add_option("--html", previewing.html, "also write them as one self-contained page")
      ->type_name("OUT.html");
  preview_app.add_flag("--json", previewing.json, "one JSON object on stdout");
  preview_app.footer(
      "Example, in graft's own folder:\n"
      "  graft preview --model examples/models/village --data examples/data/village/train.jsonl --no-eos -n 2 \\\n"
      "    --adapter loreft --positions f2+l2 --html build/preview.html");

  GenerateSettings generation;
  CLI::App& generate_app = *app.add_subcommand("generate", "continue a text or answer a question");
  add_model_flags(generate_app, generation.model);
  generate_app
      .add_option("-a,--adapter,--adapter-path,--lora", generation.adapter,
                  "a folder of graft, PEFT, pyreft, mlx-lm or AdapterHub, or a GGUF adapter")
      ->type_name("DIR");
  add_positions_flag(generate_app, generation.model.positions);
  generate_app.add_option("-p,--prompt", generation.prompt, "text to continue, as it stands")->type_name("TEXT");
  generate_app.add_option("--chat", generation.chat, "question to answer, through the chat template")
      ->type_name("TEXT");
  generate_app.add_option("--system", generation.system, "system turn before --chat")->type_name("TEXT");
  add_answer_flags(generate_app, generation.answer);
  generate_app.add_flag("--json", generation.json, "one JSON object on stdout: text, ids");
  generate_app.footer(
      "Example, after that of finetune:\n"
      "  graft generate --model examples/models/village --adapter build/run --max-tokens 1 \\\n"
      "    --prompt \"Ida got a kite. The kite was not broken. Did Ida like it?\"");

  ChatSettings chatting;
  CLI::App& chat_app = *app.add_subcommand("chat", "talk to a model, with and without its adapters");
  add_model_flags(chat_app, chatting.model);
  chat_app
      .add_option("-a,--adapter,--adapter-path,--lora", chatting.adapters,
                  "what eval takes, or NAME=DIR; several are loaded together: repeat the flag")
      ->type_name("DIR")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_positions_flag(chat_app, chatting.model.positions);
  chat_app.add_option("--system", chatting.system, "system turn before the conversation")->type_name("TEXT");
  add_answer_flags(chat_app, chatting.answer);
  chat_app.footer(
      "Example, after that of finetune:\n"
      "  graft chat --model examples/models/village --adapter build/run --max-tokens 1\n"
      "Lines that begin with a slash are commands: /adapter NAME, /base, /both, /system TEXT, /reset, /help, /quit.");

  InspectSettings inspection;
  CLI::App& inspect_app = *app.add_subcommand("inspect", "what a model, an adapter or a safetensors file holds");
  inspect_app.add_option("path", inspection.path, "file or folder")->type_name("PATH");
  add_positions_flag(inspect_app, inspection.positions);
  inspect_app.add_flag("--json", inspection.json, "one JSON object on stdout");
  inspect_app.footer("Example, in graft's own folder:\n  graft inspect examples/models/village");

  MergeSettings merging;
  CLI::App& merge_app =
      *app.add_subcommand("merge", "write an adapter into its model, as a Hugging Face folder or GGUF file");
  merge_app
      .add_option("-m,--model,--model-dir,--base", merging.model,
                  "Hugging Face folder, .gguf file or llama2.c .bin file")
      ->type_name("PATH");
  merge_app
      .add_option("-a,--adapter,--adapter-path,--lora", merging.adapter,
                  "a folder of graft, PEFT, pyreft, mlx-lm or AdapterHub, or a GGUF adapter")
      ->type_name("DIR");
  add_positions_flag(merge_app, merging.positions);
  merge_app.add_option("-o,--out,--output-dir,--save-path", merging.out, "folder for the merged model, or NAME.gguf")
      ->type_name("DIR");
  merge_app
      .add_option("--format", merging.format, "of the model: " + names_of(merge_formats) + ", or auto: as --out ends")
      ->type_name("NAME")
      ->capture_default_str();
  merge_app
      .add_option("--dtype", merging.dtype,
                  "fp32, bf16, in GGUF f16 or q8_0 too, or auto: that of the model, bf16 where it is F16 or quantised")
      ->type_name("TYPE")
      ->capture_default_str();
  merge_app.add_flag("--overwrite", merging.overwrite, "replace the model that the folder holds");
  merge_app.add_flag("--json", merging.json, "the receipt as one JSON object on stdout");
  merge_app.footer(
      "Example, after that of finetune:\n"
      "  graft merge --model examples/models/village --adapter build/run --out build/merged\n"
      "What was written is read back and compared with model and adapter on prompts; receipt.json says how well, and "
      "what\n"
      "differs too much is not kept. Changes of weights and biases merge, a linear ReFT on attention or mlp at all "
      "positions\n"
      "too; an edit of the residual stream, or of chosen positions, is none.");

  ExportSettings exporting;
  CLI::App& export_app = *app.add_subcommand("export", "write an adapter as the files of another program");
  export_app
      .add_option("-m,--model,--model-dir,--base", exporting.model,
                  "Hugging Face folder, .gguf file or llama2.c .bin file")
      ->type_name("PATH");
  export_app
      .add_option("-a,--adapter,--adapter-path,--lora", exporting.adapter,
                  "a folder of graft, PEFT, pyreft, mlx-lm or AdapterHub, or a GGUF adapter")
      ->type_name("DIR");
  add_positions_flag(export_app, exporting.positions);
  export_app.add_option("--to,--format", exporting.to, names_of(export_formats))->type_name("NAME");
  export_app.add_option("-o,--out,--output-dir,--save-path", exporting.out, "where it goes")->type_name("PATH");
  export_app
      .add_option("--dtype", exporting.dtype, "what the receipt is computed in: fp32, or bf16 for less memory, or auto")
      ->type_name("TYPE")
      ->capture_default_str();
  export_app.add_flag("--overwrite", exporting.overwrite, "replace the adapter that the folder holds");
  export_app.add_flag("--json", exporting.json, "the receipt as one JSON object on stdout");
  export_app.footer(
      "Example, after that of finetune:\n"
      "  graft export --model examples/models/village --adapter build/run --to peft --out build/peft\n"
      "Formats:\n" +
      lines_of(export_formats) +
      "What was written is read back and compared on prompts; receipt.json says how well, and what differs "
      "too much is not kept.");

  ReportSettings reporting;
  CLI::App& report_app = *app.add_subcommand("report", "finished runs side by side");
  report_app.add_option("runs", reporting.runs, "folders that finetune wrote")->type_name("DIR...");
  report_app.add_option("--svg", reporting.svg, "also draw their losses into one picture")->type_name("OUT.svg");
  report_app
      .add_option("--html", reporting.html, "also write everything that is known of them into one page, for a browser")
      ->type_name("OUT.html");
  report_app.add_flag("--json", reporting.json, "one JSON object on stdout");
  report_app.footer("Example, after that of finetune:\n  graft report build/run --html build/report.html");

  CompareSettings comparing;
  CLI::App& compare_app = *app.add_subcommand(
      "compare", "many runs of one study: adapters side by side under one budget, by task and seed");
  compare_app.add_option("study", comparing.study, "JSON that names model, tasks, budget, adapters and seeds")
      ->type_name("STUDY.json");
  compare_app.add_option("-o,--out,--output-dir", comparing.out, "folder for the runs, the tables and the pictures")
      ->type_name("DIR");
  compare_app
      .add_option("--results", comparing.results,
                  "folder of one small JSON a finished run; what is there is not run again (default: DIR/results)")
      ->type_name("DIR");
  compare_app
      .add_option("--only", comparing.only, "run only these adapters, or these tasks (several: repeat the flag)")
      ->type_name("NAME")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  compare_app.add_flag("--dry-run", comparing.dry_run,
                       "check everything, say what would be run and how long it may take, write nothing");
  compare_app.footer(
      "Example, in graft's own folder:\n"
      "  graft compare examples/data/village/study.json --out build/study\n"
      "Ctrl-C ends the run at hand with a checkpoint; the same command goes on. Where all is done it only writes "
      "tables and\n"
      "pictures again: table.md, table.csv, results.json, report.html and an SVG or two for each task "
      "(docs/compare.md).");

  SelectSettings selection;
  CLI::App& select_app = *app.add_subcommand("select", "choose PMSS's columns and rows once, and say what they keep");
  select_app
      .add_option("-m,--model,--model-dir,--base", selection.model,
                  "Hugging Face folder, .gguf file or llama2.c .bin file")
      ->type_name("PATH");
  select_app.add_option("-t,--threads", selection.threads, "threads (default: all cores)")->type_name("N");
  select_app.add_option("-r,--rank", selection.rank, "columns and rows of each matrix")
      ->type_name("N")
      ->capture_default_str();
  select_app.add_option("--columns", selection.columns, "columns c (default: the rank)")->type_name("N");
  select_app.add_option("--rows", selection.rows, "rows r (default: the rank)")->type_name("N");
  select_app.add_flag("--clamp-rank", selection.clamp, "lower the rank where a matrix is smaller");
  select_app.add_option("--target,--target-modules", selection.target, "q_proj,v_proj,... or all-linear")
      ->type_name("NAMES");
  select_app.add_option("-l,--layers", selection.layers, "all, 8;19 or 4-11")->type_name("LIST")->capture_default_str();
  select_app
      .add_option("--selector", selection.selector,
                  "pivoted-qr, two-stage, largest-norm, leverage, random or low-norm (CURLoRA's draws)")
      ->type_name("NAME")
      ->capture_default_str();
  select_app.add_option("--seed", selection.seed, "of selectors that draw")->type_name("N")->capture_default_str();
  select_app.add_option("-o,--out", selection.out, "file for the lists; one that is there is gone on with")
      ->type_name("FILE");
  select_app.add_flag("--report", selection.report, "print what the choice keeps of each matrix");
  select_app
      .add_option("--update,--tuned", selection.update,
                  "print what the choice, and one at random, keeps of what finetuning changed: the finetuned model "
                  "(folder or .gguf, as graft merge writes it; in fp32, or its rounding is measured, too)")
      ->type_name("PATH");
  select_app.add_option("--compare", selection.compare, "report these selectors, too: random,largest-norm")
      ->delimiter(',')
      ->type_name("NAME,...");
  select_app.add_option("--draws", selection.draws, "random and low-norm in a comparison: the mean of N draws")
      ->type_name("N")
      ->capture_default_str();
  select_app.add_flag("--overwrite", selection.overwrite, "replace the file");
  select_app.add_flag("--json", selection.json, "what is reported as one JSON object on stdout");
  select_app.footer(
      "Example, in graft's own folder:\n"
      "  graft select --model examples/models/village --rank 16 --out build/village.skeletons --report\n"
      "Does full finetuning stay in the skeleton?\n"
      "  graft merge --model examples/models/village --adapter build/full --dtype fp32 --out build/tuned\n"
      "  graft select --model examples/models/village --rank 16 --update build/tuned --draws 5\n"
      "Ctrl-C keeps what is done; the same command goes on. finetune --adapter pmss --skeletons FILE uses it.");

  for (CLI::App* sub : {&finetune_app, &preview_app, &eval_app, &generate_app, &chat_app, &inspect_app, &merge_app,
                        &export_app, &report_app, &compare_app, &select_app}) {
    sub->allow_extras();
  }
  app.footer(
      "Example:\n  graft finetune --model examples/models/village --data examples/data/village/train.jsonl --out "
      "build/run\n"
      "Each subcommand explains itself: graft finetune --help. Errors exit with 2.");

  std::vector<std::string> words;
  for (int i = count - 1; i > 0; --i) {  // CLI11 takes them in reverse order
    std::string word = arguments[i];
    for (const auto& [from, to] : long_shorts) {
      word = word == from ? std::string(to) : word;
    }
    words.push_back(std::move(word));
  }
  const auto parse = [&] {
    try {
      app.parse(std::vector<std::string>(words));
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {
        return app.exit(error);
      }
      std::string message = error.what();
      std::replace(message.begin(), message.end(), '\n', ' ');
      refuse(message);
    }
    return -1;
  };
  if (const int code = parse(); code >= 0) {
    return code;
  }
  const bool names_run = !tuning.resume.empty() && tuning.resume != "auto";
  const bool goes_on_there = names_run && tuning.out.empty();
  if (names_run && config.empty()) {
    config = io::join(run_of(tuning.resume), "config.json");  // a run goes on with its own settings
  }
  if (!config.empty()) {
    for (std::string& word : config_words(read_config(config), config, known_flags(finetune_app))) {
      words.insert(words.begin(), std::move(word));  // the last of the line
    }
    (void)parse();
  }
  if (goes_on_there) {
    tuning.out = run_of(tuning.resume);  // wherever it lies by now
  }
  tuning.words = given_words(finetune_app);
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) {
    const auto left = app.remaining();
    const std::vector<std::string> names = {"finetune", "preview", "eval",   "generate", "chat",  "inspect",
                                            "merge",    "export",  "report", "compare",  "select"};
    if (left.empty()) {
      std::fputs(app.help().c_str(), stderr);
      return exit_error;
    }
    refuse("unknown subcommand \"" + left.front() + "\"; did you mean \"" +
           io::nearest_name(left.front(), names, [](const std::string& name) { return name; }) + "\"?");
  }
  for (const std::string& left : app.remaining(true)) {
    refuse(left.starts_with('-')
               ? "unknown flag " + left + "; did you mean " + nearest_flag(*chosen.front(), left) + "?"
               : "unexpected word \"" + left + "\"");
  }
  if (const Index launched = launched_processes(); launched > 1 && chosen.front() != &finetune_app) {
    fail("train.510", "this was started as " + std::to_string(launched) + " processes, but " + chosen.front()->get_name() +
                          " is for one: only finetune shares its work (docs/distributed.md)");
  }
  if (chosen.front() == &inspect_app) {
    require_given(inspection.path, "PATH", "a file or folder to look into");
    return inspect(inspection);
  }
  if (chosen.front() == &report_app) {
    return report(reporting);
  }
  if (chosen.front() == &compare_app) {
    require_given(comparing.study, "STUDY.json", "a study (docs/compare.md)");
    require_given(comparing.out, "--out", "a folder for what comes of it");
    return compare(comparing);
  }
  const char* const model_what = "a Hugging Face folder, a .gguf file or a llama2.c .bin file";
  if (chosen.front() == &finetune_app) {
    require_given(tuning.model.model, "--model", model_what);
    require_given(tuning.data.data, "--data", "a JSONL file to train on");
    if (!tuning.dry_run || !tuning.resume.empty()) {
      require_given(tuning.out, "--out", "a folder for the adapter");
    }
    return finetune(tuning);
  }
  if (chosen.front() == &preview_app) {
    require_given(previewing.tuning.model.model, "--model", model_what);
    require_given(previewing.tuning.data.data, "--data", "a JSONL file to look into");
    return preview(previewing);
  }
  if (chosen.front() == &eval_app && evaluation.task == "list") {
    return evaluate(evaluation);
  }
  if (chosen.front() == &eval_app) {
    require_given(evaluation.model.model, "--model", model_what);
    require_given(evaluation.data.data, "--data", "a JSONL file to evaluate on");
    return evaluate(evaluation);
  }
  if (chosen.front() == &select_app) {
    require_given(selection.model, "--model", model_what);
    if (!selection.report && selection.compare.empty() && selection.update.empty()) {
      require_given(selection.out, "--out", "a file for the skeletons (or --report)");
    }
    return select(selection);
  }
  if (chosen.front() == &chat_app) {
    require_given(chatting.model.model, "--model", model_what);
    return chat(chatting);
  }
  if (chosen.front() == &merge_app) {
    require_given(merging.model, "--model", model_what);
    require_given(merging.adapter, "--adapter", "a folder that finetune wrote");
    require_given(merging.out, "--out", "a folder for the model");
    return merge(merging);
  }
  if (chosen.front() == &export_app) {
    require_given(exporting.model, "--model", model_what);
    require_given(exporting.adapter, "--adapter", "a folder that finetune wrote");
    require_given(exporting.to, "--to", names_of(export_formats).c_str());
    require_given(exporting.out, "--out", "a name for what is written");
    return export_adapter(exporting);
  }
  require_given(generation.model.model, "--model", model_what);
  return generate(generation);
}

}  // namespace graft::program
