// SPDX-License-Identifier: Apache-2.0
// village OUT: all that the embedded model is made of, from one seed: stories, task, tokenizer, random start.
#include <cmath>
#include <cstdio>
#include <exception>

#include <graft/models/write_huggingface.hpp>

#include "byte_pairs.hpp"
#include "language.hpp"

namespace {

using namespace graft;

constexpr std::uint64_t seed = 2026;

std::string line(const io::Json& json) {
  return json.dump() + "\n";
}

/// The stories of pretraining, or those set aside, whose first sentence is the prompt.
std::vector<village::Story> stories(std::uint64_t stream, std::size_t count) {
  std::vector<village::Story> drawn;
  for (std::size_t i = 0; i < count; ++i) {
    drawn.push_back(village::draw_story(Random(seed, stream).child(i)));
  }
  return drawn;
}

void write_items(const std::string& path, std::uint64_t stream, std::size_t count, bool heldout) {
  std::string lines;
  for (const village::Item& item : village::draw_items(Random(seed, stream), count, heldout)) {
    lines += line({{"prompt", item.prompt}, {"completion", item.answer ? " yes" : " no"}});
  }
  io::write_text(path, lines);
}

models::LlamaConfig shape(Index vocab, std::int32_t eos) {
  models::LlamaConfig c;
  c.model_type = "llama";
  c.vocab = vocab;
  c.dim = 128;
  c.layers = 4;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 32;
  c.ffn = 384;
  c.context = 256;
  c.norm_eps = 1e-5;
  c.tied_head = true;
  c.eos = {eos};
  return c;
}

/// Normal with deviation 0.02, as transformers starts LLaMA; the maps that write into the stream by 1/sqrt(2L) less, as
/// GPT-2 does; norms at one.
void write_start(const std::string& folder, const models::LlamaConfig& config) {
  std::uint64_t stream = 100;
  models::write_huggingface<float>(
      folder, config, models::hf_config_json(config, models::hf_dtype<float>),
      [&](const models::TensorSpec& spec, View<float> values) {
        const Random random(seed, stream++);
        const bool into_stream =
            spec.name.find("o_proj") != std::string::npos || spec.name.find("down_proj") != std::string::npos;
        const double deviation = into_stream ? 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers)) : 0.02;
        for (Index i = 0; i < values.size(); ++i) {
          values.data[i] = spec.shape.size() == 1
                               ? 1.0f
                               : static_cast<float>(deviation * random.normal(static_cast<std::uint64_t>(i)));
        }
      });
}

void make(const std::string& out) {
  (void)io::make_folder(out);
  std::string lines;
  std::vector<std::string> texts;
  for (const village::Story& story : stories(1, 40000)) {
    lines += line({{"text", story.text}});
    texts.push_back(story.text);
  }
  io::write_text(io::join(out, "pretraining.jsonl"), lines);
  lines.clear();
  for (const village::Story& story : stories(2, 200)) {
    lines += line({{"prompt", story.text.substr(0, story.opening)}, {"completion", story.text.substr(story.opening)}});
  }
  io::write_text(io::join(out, "stories.jsonl"), lines);
  write_items(io::join(out, "train.jsonl"), 3, 800, false);
  write_items(io::join(out, "heldout.jsonl"), 4, 400, true);
  const io::TokenizerData tokenizer = village::train_byte_pairs(texts, 1024, "<|end|>");
  const models::LlamaConfig config = shape(static_cast<Index>(tokenizer.tokens.size()), tokenizer.eos);
  const std::string start = io::join(out, "start");
  write_start(start, config);
  models::write_tokenizer(start, tokenizer, config.context);
  std::printf("%s: %zu stories, %zu tokens of vocabulary, %td parameters\n", out.c_str(), texts.size(),
              tokenizer.tokens.size(), models::parameter_count(config));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr,
                 "village OUT: writes pretraining.jsonl, stories.jsonl, train.jsonl, heldout.jsonl and start/\n");
    return 2;
  }
  try {
    make(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
