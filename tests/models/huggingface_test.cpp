// SPDX-License-Identifier: Apache-2.0
#include <graft/models/huggingface.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;
using test::ModelDraft;

namespace {

Error open_error(const test::TempFolder& folder) {
  return error_of([&] { (void)models::open_huggingface(folder.path()); });
}

/// llama-gqa in two shards, with an index that `change` may spoil.
template <class Change>
Error sharded_error(Change change) {
  const test::TempFolder folder;
  const ModelDraft draft("llama-gqa");
  (void)folder.write("config.json", draft.config.dump());
  std::vector<test::TensorDraft> first(draft.tensors.begin(), draft.tensors.begin() + 10);
  std::vector<test::TensorDraft> second(draft.tensors.begin() + 10, draft.tensors.end());
  io::Json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", io::Json::object()}};
  for (const auto& tensor : draft.tensors) {
    index["weight_map"][tensor.name] = tensor.name <= first.back().name ? "a.safetensors" : "b.safetensors";
  }
  change(index["weight_map"], first, second);
  ModelDraft::write_tensors(folder.path("a.safetensors"), first);
  ModelDraft::write_tensors(folder.path("b.safetensors"), second);
  (void)folder.write("model.safetensors.index.json", index.dump());
  return open_error(folder);
}

}  // namespace

TEST_CASE("every golden model opens with the parameter count that transformers gives") {
  for (const char* name : {"llama-mha", "llama-gqa", "llama3-rope", "llama-headdim", "mistral-window", "qwen2-bias",
                           "qwen3-qknorm", "gemma"}) {
    const std::string folder = test::golden(std::string("models/") + name);
    const models::Checkpoint checkpoint = models::open_huggingface(folder);
    const io::Json golden = io::parse_json(test::slurp(folder + "/io.json"), name);
    INFO(name);
    CHECK(models::parameter_count(checkpoint.config) == golden.at("parameters").get<Index>());
    CHECK(checkpoint.kind == "Hugging Face");
  }
}

TEST_CASE("a model in shards is the model in one file, byte by byte") {
  const auto whole = models::open_huggingface(test::golden("models/llama-gqa"));
  const auto sharded = models::open_huggingface(test::golden("models/llama-gqa-sharded"));
  REQUIRE(whole.tensors.size() == sharded.tensors.size());
  for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
    CHECK(whole.tensors[i].name == sharded.tensors[i].name);
    REQUIRE(whole.tensors[i].bytes == sharded.tensors[i].bytes);
    CHECK(std::memcmp(whole.tensors[i].data, sharded.tensors[i].data, whole.tensors[i].bytes) == 0);
  }
}

TEST_CASE("an index that promises what the shards do not hold is refused") {
  using Drafts = std::vector<test::TensorDraft>;
  const std::string name = "model.norm.weight";  // the last, in b
  CHECK(sharded_error([](io::Json&, Drafts&, Drafts&) {}).id() == "none");
  const Error moved = sharded_error([&](io::Json& map, Drafts&, Drafts&) { map[name] = "a.safetensors"; });
  CHECK_THAT(moved.what(),
             contains("model.521") && contains(name) && contains("\"a.safetensors\", which does not hold it"));
  const Error lost = sharded_error([&](io::Json&, Drafts&, Drafts& second) { second.pop_back(); });
  CHECK(lost.id() == "model.521");
  const Error silent = sharded_error([&](io::Json& map, Drafts&, Drafts&) { map.erase(name); });
  CHECK_THAT(silent.what(), contains("model.521") && contains(name) && contains("index does not say"));
  const Error twice = sharded_error([&](io::Json&, Drafts& first, Drafts& second) { first.push_back(second.back()); });
  CHECK(twice.id() == "model.521");
  const Error outside = sharded_error([&](io::Json& map, Drafts&, Drafts&) { map[name] = "../b.safetensors"; });
  CHECK_THAT(outside.what(), contains("model.521") && contains("same folder"));
  const Error absent = sharded_error([&](io::Json& map, Drafts&, Drafts&) { map[name] = "c.safetensors"; });
  CHECK_THAT(absent.what(), contains("io.201") && contains("c.safetensors"));
}

TEST_CASE("a folder without config.json or weights says what was looked for") {
  const test::TempFolder folder;
  CHECK_THAT(open_error(folder).what(), contains("model.520") && contains("config.json") && contains(folder.path()));
  (void)folder.write("config.json", ModelDraft("llama-mha").config.dump());
  (void)folder.write("pytorch_model.bin", "x");
  CHECK_THAT(open_error(folder).what(),
             contains("model.520") && contains("neither model.safetensors nor model.safetensors.index.json"));
}

TEST_CASE("the end tokens of generation_config.json join those of config.json") {
  const test::TempFolder folder;
  const ModelDraft draft("llama-mha");
  draft.write_folder(folder);
  (void)folder.write("generation_config.json", R"({"eos_token_id": [7, 2, 9], "temperature": 0.6})");
  CHECK(models::open_huggingface(folder.path()).config.eos == std::vector<std::int32_t>{2, 7, 9});
}

TEST_CASE("a tied head that was saved all the same must equal the embedding") {
  const test::TempFolder folder;
  ModelDraft draft("llama-gqa");
  test::TensorDraft head = draft.at("model.embed_tokens.weight");
  head.name = "lm_head.weight";
  draft.tensors.push_back(head);
  draft.write_folder(folder);
  CHECK_FALSE(models::open_huggingface(folder.path()).has("lm_head.weight"));
  draft.tensors.back().bytes[5] ^= 1;
  draft.write_folder(folder);
  CHECK_THAT(open_error(folder).what(), contains("model.511") && contains("tie_word_embeddings"));
}

TEST_CASE("a broken file of the folder is named itself") {
  const test::TempFolder folder;
  ModelDraft draft("llama-mha");
  draft.write_folder(folder);
  (void)folder.write("config.json", "{");
  CHECK_THAT(open_error(folder).what(), contains("io.210") && contains("config.json"));
  (void)folder.write("config.json", draft.config.dump());
  const std::string whole = test::slurp(folder.path("model.safetensors"));
  (void)folder.write("model.safetensors", whole.substr(0, whole.size() / 2));
  CHECK_THAT(open_error(folder).what(), contains("io.223") && contains("model.safetensors") && contains("truncated"));
}
