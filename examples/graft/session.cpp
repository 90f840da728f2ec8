// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <algorithm>  // any_of, count_if, find
#include <cstdio>
#include <future>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <graft/adapters/full.hpp>
#include <graft/interchange/control_vector.hpp>
#include <graft/interchange/gguf_lora.hpp>
#include <graft/interchange/open_any.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/text/known_chat_templates.hpp>
#include <graft/text/pcre2.hpp>

#include "adapter_words.hpp"
#include "countdown.hpp"

namespace graft::program {

void use_threads([[maybe_unused]] Index count) {
  if (count < 0) {
    fail("train.431", "--threads is " + std::to_string(count) + ", expected a positive number", "--threads");
  }
#if defined(_OPENMP)
  if (count > 0) {
    omp_set_num_threads(static_cast<int>(count));
  }
#endif
}

namespace {

bool multiplies_bf16_natively() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") != 0;  // every processor with AMX has it too
#else
  return false;
#endif
}

/// Whether the adapter is the weights themselves, which bf16 cannot hold.
bool holds_weights(const models::AdapterFile& file) {
  return std::any_of(file.parts.begin(), file.parts.end(),
                     [](const models::AdapterPart& part) { return part.adapter == adapters::Full::name; });
}

Index count_f16(const models::Checkpoint& checkpoint) {
  return std::count_if(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                       [](const io::TensorRef& tensor) { return tensor.dtype == io::Dtype::f16; });
}

}  // namespace

models::AdapterFile open_any_adapter(const std::string& path, const std::string& positions,
                                     const models::LlamaConfig& config) {
  if (path.ends_with(".gguf")) {
    const bool vector = io::Gguf::open(path).get<std::string_view>("general.architecture") == "controlvector";
    return vector ? interchange::open_control_vector(path, config) : interchange::open_gguf_lora(path, config);
  }
  std::optional<Positions> given;
  if (!positions.empty()) {
    given = parse_positions(positions);
  }
  return interchange::open_any_adapter(path, given, config.layers, &text::compile_pcre2);
}

std::string resolve_device(const std::string& device) {
  if (device == "auto") {
    return has_cuda_device() ? "cuda" : "cpu";
  }
  if (device != "cpu" && device != "cuda") {
    fail("train.431", "--device is \"" + device + "\", expected auto, cpu or cuda", "--device");
  }
  return device;
}

std::string resolve_dtype(const std::string& dtype, const std::string& device, bool trains_weights) {
  if (dtype == "auto") {
    return !trains_weights && (device == "cuda" || multiplies_bf16_natively()) ? "bf16" : "fp32";
  }
  if (dtype != "fp32" && dtype != "bf16") {
    fail("train.431", "--dtype is \"" + dtype + "\", expected auto, fp32 or bf16", "--dtype");
  }
  return dtype;
}

Session::Session(const ModelSettings& settings, const std::string& adapter, bool trains_weights) {
  const std::string device = resolve_device(settings.device);  // refused before anything is read
  (void)resolve_dtype(settings.dtype, device, false);
  use_threads(settings.threads);
  const auto note = [&](const std::string& path, const std::string& text) {
    if (!settings.quiet) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), text.c_str());
    }
  };
  checkpoint_ = models::open_checkpoint(settings.model);
  std::optional<models::AdapterFile> file;
  if (!adapter.empty()) {
    file = open_any_adapter(adapter, settings.positions, checkpoint_.config);
    trains_weights = holds_weights(*file);
    for (const std::string& warning : file->warnings) {
      note(adapter, warning);
    }
  }
  const std::string dtype = resolve_dtype(settings.dtype, device, trains_weights);
  if (const Index halves = count_f16(checkpoint_); halves > 0) {
    note(settings.model, std::to_string(halves) + " F16 tensors are converted to " + dtype);
  }
  auto reading = std::async(std::launch::async, [&] { read_tokenizer(settings); });
  const auto make = device == "cuda" ? (dtype == "bf16" ? make_bf16_cuda_engine : make_fp32_cuda_engine)
                                      : (dtype == "bf16" ? make_bf16_engine : make_fp32_engine);
  engine_ = make(checkpoint_);
  reading.get();
  if (file) {
    engine_->load_adapter(*file);
  }
  read_chat(settings);
}

Session Session::without_weights(const ModelSettings& settings) {
  use_threads(settings.threads);
  Session session;
  session.checkpoint_ = models::open_checkpoint(settings.model);
  session.read_tokenizer(settings);
  session.read_chat(settings);
  return session;
}

void Session::read_tokenizer(const ModelSettings& settings) {
  tokenizer_ = models::load_tokenizer(checkpoint_, settings.tokenizer, &text::compile_pcre2);
}

void Session::read_chat(const ModelSettings& settings) {
  const bool named = settings.chat_template != "auto";
  if (!tokenizer_ || settings.chat_template == "none" || (!named && tokenizer_->chat_template().empty())) {
    return;
  }
  try {
    chat_ = text::chat_template_of(*tokenizer_, named ? settings.chat_template : "");
  } catch (const Error& error) {
    if (named) {
      throw;
    }
    chat_error_ = error;  // raised where a conversation is to be rendered
  }
}

const text::Tokenizer& Session::tokenizer() const {
  if (!tokenizer_) {
    fail("train.424", "the model has no tokenizer (name one with --tokenizer)", checkpoint_.path);
  }
  return *tokenizer_;
}

const text::ChatTemplate* Session::chat() const {
  if (chat_error_) {
    throw Error(*chat_error_);
  }
  return chat_ ? &*chat_ : nullptr;
}

std::vector<std::int32_t> Session::stop_ids() const {
  std::vector<std::int32_t> ids = config().eos;
  if (tokenizer_ && tokenizer_->eos() && std::find(ids.begin(), ids.end(), *tokenizer_->eos()) == ids.end()) {
    ids.push_back(*tokenizer_->eos());
  }
  return ids;
}

std::vector<std::int32_t> Session::ids_of(const std::string& text) const {
  std::vector<std::int32_t> ids = train::opening(tokenizer());
  const auto rest = tokenizer().encode(text, false);
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

train::GenerateOptions Session::answering(const AnswerSettings& settings) const {
  train::GenerateOptions options;
  options.most = settings.max_tokens;
  options.sampling = {settings.temperature, settings.top_p, settings.seed};
  options.stop = stop_ids();
  return options;
}

void check_answer(const AnswerSettings& settings) {
  const auto refuse = [](const char* flag, const std::string& value, const char* expected) {
    fail("train.431", std::string(flag) + " is " + value + ", expected " + expected, flag);
  };
  if (settings.max_tokens < 1) {
    refuse("--max-tokens", std::to_string(settings.max_tokens), "at least 1");
  }
  if (!(settings.temperature >= 0)) {
    refuse("--temperature", std::to_string(settings.temperature), "at least 0");
  }
  if (!(settings.top_p > 0 && settings.top_p <= 1)) {
    refuse("--top-p", std::to_string(settings.top_p), "more than 0 and at most 1");
  }
}

train::DatasetOptions Session::options(const DataSettings& data, Index longest) const {
  if (data.train_on != "completion" && data.train_on != "all") {
    fail("train.431", "--train-on is \"" + data.train_on + "\", expected completion or all", "--train-on");
  }
  train::DatasetOptions options;
  options.tokenizer = tokenizer_ ? &*tokenizer_ : nullptr;
  options.chat = chat_ ? &*chat_ : nullptr;
  options.vocab = config().vocab;
  options.longest = longest;
  options.train_on_all = data.train_on == "all";
  options.close = !data.no_eos;
  return options;
}

std::vector<train::Example> Session::examples_of(const DataSettings& data, const std::vector<io::Json>& records) const {
  std::vector<train::Example> examples;
  for (const io::Json& record : records) {
    examples.push_back(train::make_example(train::read_record(record, "records"), options(data, 0), "records"));
  }
  return examples;
}

train::Choices Session::load_choices(const DataSettings& data, const std::string& path, Index longest,
                                     const std::vector<std::string>& answers) const {
  if (chat_error_) {
    throw Error(*chat_error_);
  }
  return train::load_choices(path, options(data, longest), answers);
}

train::ExampleFile Session::open(const DataSettings& data, const std::string& path, Index longest,
                                 bool keep_unlabelled) const {
  train::DatasetOptions options = this->options(data, longest);
  options.keep_unlabelled = keep_unlabelled;
  Countdown countdown("reading " + path, "records");
  train::ExampleFile file(path, options, [&](Index done, Index all) { countdown.at(done, all); });
  countdown.clear();
  if (chat_error_ && file.counts().dialogues > 0) {
    throw Error(*chat_error_);
  }
  return file;
}

}  // namespace graft::program
