// SPDX-License-Identifier: Apache-2.0
#include <graft/models/llama2c.hpp>

#include <algorithm>
#include <string>

#include <graft/models/huggingface.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"

using namespace graft;
using models::Checkpoint;
using test::contains;
using test::error_of;
using test::ModelDraft;
using test::raw;

namespace {

/// The file that llama2.c's legacy export makes of a golden model.
std::string exported(const std::string& name) {
  ModelDraft draft(name);
  const auto number = [&](const char* key) { return draft.config.at(key).get<std::int32_t>(); };
  const bool tied = draft.config.at("tie_word_embeddings").get<bool>();
  std::string file = raw(number("hidden_size")) + raw(number("intermediate_size")) + raw(number("num_hidden_layers")) +
                     raw(number("num_attention_heads")) + raw(number("num_key_value_heads")) +
                     raw(tied ? number("vocab_size") : -number("vocab_size")) + raw(number("max_position_embeddings"));
  file += draft.at("model.embed_tokens.weight").bytes;
  for (const std::string kind :
       {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"}) {
    for (int layer = 0; layer < number("num_hidden_layers"); ++layer) {
      const test::TensorDraft& tensor = draft.at("model.layers." + std::to_string(layer) + "." + kind + ".weight");
      const bool query = kind == "self_attn.q_proj";
      const bool key = kind == "self_attn.k_proj";
      file += query || key ? test::paired(tensor, number(query ? "num_attention_heads" : "num_key_value_heads"))
                           : tensor.bytes;
    }
  }
  file += draft.at("model.norm.weight").bytes;
  file += std::string(static_cast<std::size_t>(number("max_position_embeddings") * number("head_dim")) * sizeof(float),
                      '\0');
  return tied ? file : file + draft.at("lm_head.weight").bytes;
}

Error open_error(const std::string& bytes) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.bin", bytes);
  return error_of([&] { (void)models::open_llama2c(path); });
}

}  // namespace

TEST_CASE("a model that went through llama2.c is the Hugging Face model again, tied head or not") {
  for (const std::string name : {"llama-mha", "llama-gqa"}) {
    INFO(name);
    const test::TempFolder folder;
    const Checkpoint bin = models::open_llama2c(folder.write("a.bin", exported(name)));
    const Checkpoint hf = models::open_huggingface(test::golden("models/" + name));
    CHECK((bin.config.kv_heads == hf.config.kv_heads && bin.config.head_dim == hf.config.head_dim));
    CHECK(
        (bin.config.tied_head == hf.config.tied_head && bin.config.norm_eps == 1e-5 && bin.config.rope_theta == 10000));
    REQUIRE(bin.tensors.size() == hf.tensors.size());
    for (const io::TensorRef& tensor : hf.tensors) {
      const auto left = models::load_tensor<float>(bin, tensor.name, tensor.rows(), tensor.cols());
      const auto right = models::load_tensor<float>(hf, tensor.name, tensor.rows(), tensor.cols());
      CHECK(std::equal(left.data(), left.data() + left.size(), right.data()));
    }
  }
}

TEST_CASE("a llama2.c file of another size or version than its header says is one error") {
  const std::string whole = exported("llama-gqa");
  CHECK(open_error(whole).id() == "none");
  CHECK_THAT(open_error(whole.substr(0, 20)).what(),
             contains("model.522") && contains("20 bytes") && contains("a.bin"));
  CHECK_THAT(open_error(whole.substr(0, whole.size() - 4)).what(), contains("model.522") && contains("truncated"));
  CHECK_THAT(open_error(whole + "more").what(),
             contains("model.522") && contains("promises " + std::to_string(whole.size())));
  CHECK_THAT(open_error("24ka" + whole.substr(4)).what(), contains("model.522") && contains("version 0"));
  std::string absurd = whole;
  absurd.replace(8, 4, raw(std::int32_t{2000000000}));
  CHECK_THAT(open_error(absurd).what(), contains("model.504") && contains("layers"));
  absurd = whole;
  absurd.replace(4, 4, raw(std::int32_t{1000000}));
  CHECK(open_error(absurd).id() == "model.522");
  CHECK(open_error(std::string(1000, '\0')).id() == "model.504");
}

TEST_CASE("stories260K has the sizes that its README gives", "[shared]") {
  const Checkpoint checkpoint = models::open_llama2c(test::shared("data/models/stories260K.bin"));
  const models::LlamaConfig& c = checkpoint.config;
  CHECK((c.dim == 64 && c.ffn == 172 && c.layers == 5 && c.heads == 8 && c.kv_heads == 4 && c.vocab == 512 &&
         c.context == 512));
  CHECK((c.tied_head && c.head_dim == 8));
  CHECK(models::parameter_count(c) == (1056540 - 28) / 4 - 512 * 8);  // the file's floats, RoPE's tables aside
}
