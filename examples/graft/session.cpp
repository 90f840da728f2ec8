// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <algorithm>  // any_of, count_if, find
#include <cstdio>
#include <future>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <graft/adapters/full.hpp>
#include <graft/interchange/open_any.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/text/known_chat_templates.hpp>
#include <graft/text/pcre2.hpp>

#include "adapter_words.hpp"

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

std::string resolve_dtype(const std::string& dtype, bool trains_weights) {
  if (dtype == "auto") {
    return !trains_weights && multiplies_bf16_natively() ? "bf16" : "fp32";
  }
  if (dtype != "fp32" && dtype != "bf16") {
    fail("train.431", "--dtype is \"" + dtype + "\", expected auto, fp32 or bf16", "--dtype");
  }
  return dtype;
}

Session::Session(const ModelSettings& settings, const std::string& adapter, bool trains_weights) {
  (void)resolve_dtype(settings.dtype, false);  // refused before anything is read
  use_threads(settings.threads);
  checkpoint_ = models::open_checkpoint(settings.model);
  std::optional<models::AdapterFile> file;
  if (!adapter.empty()) {
    std::optional<Positions> positions;
    if (!settings.positions.empty()) {
      positions = parse_positions(settings.positions);
    }
    file = interchange::open_any_adapter(adapter, positions, checkpoint_.config.layers, &text::compile_pcre2);
    trains_weights = holds_weights(*file);
    for (const std::string& warning : file->warnings) {
      std::fprintf(stderr, "%s: %s\n", adapter.c_str(), warning.c_str());
    }
  }
  const std::string dtype = resolve_dtype(settings.dtype, trains_weights);
  if (const Index halves = count_f16(checkpoint_); halves > 0) {
    std::fprintf(stderr, "%s: %td F16 tensors are converted to %s\n", settings.model.c_str(), halves, dtype.c_str());
  }
  auto reading = std::async(std::launch::async, [&] {
    return models::load_tokenizer(checkpoint_, settings.tokenizer, &text::compile_pcre2);
  });
  engine_ = dtype == "bf16" ? make_bf16_engine(checkpoint_) : make_fp32_engine(checkpoint_);
  tokenizer_ = reading.get();
  if (file) {
    engine_->load_adapter(*file);
  }
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

train::Choices Session::load_choices(const DataSettings& data, const std::string& path, Index longest,
                                     const std::vector<std::string>& answers) const {
  if (chat_error_) {
    throw Error(*chat_error_);
  }
  return train::load_choices(path, options(data, longest), answers);
}

train::Dataset Session::load(const DataSettings& data, const std::string& path, Index longest,
                             bool keep_unlabelled) const {
  train::DatasetOptions options = this->options(data, longest);
  options.keep_unlabelled = keep_unlabelled;
  train::Dataset dataset = train::load_dataset(path, options);
  if (chat_error_ && dataset.dialogues > 0) {
    throw Error(*chat_error_);
  }
  return dataset;
}

}  // namespace graft::program
