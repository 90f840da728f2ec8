// SPDX-License-Identifier: Apache-2.0
#include <graft/models/write_huggingface.hpp>

#include <graft/models/open_checkpoint.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/gguf_builder.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

/// Copies a golden checkpoint through the writer, in S.
template <class S>
models::Checkpoint rewritten(const models::Checkpoint& from, const std::string& folder) {
  models::write_huggingface<S>(folder, from.config, models::hf_config_json(from.config, models::hf_dtype<S>),
                               [&](const models::TensorSpec& spec, View<float> values) {
                                 const auto read =
                                     models::load_tensor<float>(from, spec.name, values.rows, values.cols);
                                 std::copy_n(read.data(), read.size(), values.data);
                               });
  return models::open_checkpoint(folder);
}

}  // namespace

TEST_CASE("what is written opens as the same configuration and the same numbers, for every family") {
  for (const char* name : {"llama-gqa", "llama-mha", "llama-headdim", "llama3-rope", "mistral-window", "qwen2-bias",
                           "qwen3-qknorm", "gemma"}) {
    INFO(name);
    const models::Checkpoint golden = models::open_checkpoint(test::golden(std::string("models/") + name));
    const test::TempFolder folder;
    const models::Checkpoint wide = rewritten<float>(golden, folder.path("fp32"));
    CHECK(wide.config == golden.config);
    CHECK(wide.tensors.size() == golden.tensors.size());  // a tied head is not written twice
    const models::Checkpoint narrow = rewritten<bf16>(golden, folder.path("bf16"));
    CHECK(narrow.config == golden.config);
    for (const io::TensorRef& tensor : golden.tensors) {
      const auto expected = models::load_tensor<float>(golden, tensor.name, tensor.rows(), tensor.cols());
      const auto found = models::load_tensor<float>(wide, tensor.name, tensor.rows(), tensor.cols());
      const auto rounded = models::load_tensor<float>(narrow, tensor.name, tensor.rows(), tensor.cols());
      bool same = true;
      for (Index i = 0; i < expected.size(); ++i) {
        same = same && found.data()[i] == expected.data()[i] &&
               rounded.data()[i] == static_cast<float>(bf16(expected.data()[i]));
      }
      CHECK(same);
    }
  }
}

TEST_CASE("a configuration that no config.json says is model.505") {
  models::LlamaConfig config = models::open_checkpoint(test::golden("models/llama-gqa")).config;
  config.rope_scaling.kind = models::RopeScaling::Kind::factors;
  config.rope_scaling.factors.assign(static_cast<std::size_t>(config.head_dim / 2), 2.0f);
  CHECK(test::error_of([&] { (void)models::hf_config_json(config, "float32"); }).id() == "model.505");
  config.rope_scaling = {};
  config.qkv_bias = true;  // without the output's
  CHECK(test::error_of([&] { (void)models::hf_config_json(config, "float32"); }).id() == "model.505");
}

TEST_CASE("a number that is not finite leaves no model behind") {
  const models::LlamaConfig config = models::open_checkpoint(test::golden("models/llama-gqa")).config;
  const test::TempFolder folder;
  const Error error = test::error_of([&] {
    models::write_huggingface<bf16>(folder.path(), config, models::hf_config_json(config, "bfloat16"),
                                    [](const models::TensorSpec&, View<float> values) {
                                      values(values.rows - 1, 0) = std::numeric_limits<float>::infinity();
                                    });
  });
  CHECK(error.id() == "model.513");
  CHECK(folder.entries() == 0);
}

TEST_CASE("the tokenizer's files are carried along as they are, or written from the arrays of a model file") {
  const test::TempFolder folder;
  models::Checkpoint checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  CHECK_FALSE(models::carry_tokenizer(folder.path(), checkpoint));  // the golden model has none
  CHECK(folder.entries() == 0);
  checkpoint.path = test::golden("tokenizer/bytelevel-smollm");
  CHECK(models::carry_tokenizer(folder.path(), checkpoint));
  CHECK(test::slurp(folder.path("tokenizer.json")) == test::slurp(checkpoint.path + "/tokenizer.json"));
  CHECK(test::slurp(folder.path("tokenizer_config.json")) == test::slurp(checkpoint.path + "/tokenizer_config.json"));

  const test::TempFolder other;
  io::TokenizerData& arrays = checkpoint.tokenizer.emplace();
  arrays.model = "gpt2";
  arrays.pre = "gpt-2";
  arrays.tokens = {"a", "b", "ab"};
  arrays.merges = {"a b"};
  CHECK(models::carry_tokenizer(other.path(), checkpoint));
  CHECK(models::read_tokenizer(other.path(), 3).encode("abba", false) == std::vector<std::int32_t>{2, 1, 0});
}
