// SPDX-License-Identifier: Apache-2.0
#include <graft/models/load_tokenizer.hpp>

#include <graft/models/open_checkpoint.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

/// llama2.c's tokenizer.bin: 259 tokens that the format demands, and one word.
std::string llama2c_tokenizer() {
  std::string bytes = test::raw(std::int32_t{8});
  for (int i = 0; i < 260; ++i) {
    std::string piece = i == 0 ? "<unk>" : i == 1 ? "\n<s>\n" : i == 2 ? "</s>" : i == 259 ? "a" : "<0x00>";
    if (i >= 3 && i < 259) {
      const char* const digits = "0123456789ABCDEF";
      piece = std::string("<0x") + digits[(i - 3) / 16] + digits[(i - 3) % 16] + ">";
    }
    bytes += test::raw(0.0f) + test::raw(static_cast<std::int32_t>(piece.size())) + piece;
  }
  return bytes;
}

models::Checkpoint checkpoint_at(const std::string& path, Index vocab) {
  models::Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.config.vocab = vocab;
  return checkpoint;
}

}  // namespace

TEST_CASE("a folder's tokenizer.json is found, with the special tokens of the tokenizer_config.json beside it") {
  const std::string folder = test::golden("tokenizer/bytelevel-smollm");
  for (const std::string& named : {std::string(), folder, folder + "/tokenizer.json"}) {
    const auto tokenizer = models::load_tokenizer(checkpoint_at(folder, 0), named);
    REQUIRE(tokenizer.has_value());
    REQUIRE(tokenizer->eos().has_value());
    CHECK(tokenizer->token(*tokenizer->eos()) == "<|im_end|>");
    CHECK_FALSE(tokenizer->chat_template().empty());
  }
}

TEST_CASE("a tokenizer.json without its config has no template") {
  const test::TempFolder folder;
  (void)folder.write("tokenizer.json", test::slurp(test::golden("tokenizer/bytelevel-smollm/tokenizer.json")));
  const auto tokenizer = models::load_tokenizer(checkpoint_at(folder.path(), 0));
  REQUIRE(tokenizer.has_value());
  CHECK(tokenizer->chat_template().empty());
}

TEST_CASE("a chat_template.jinja beside tokenizer.json is the template, whatever tokenizer_config.json says") {
  const test::TempFolder folder;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    (void)folder.write(name, test::slurp(test::golden("tokenizer/bytelevel-smollm/") + name));
    (void)folder.write("chat_template.jinja", "{{ messages }}");
    const auto tokenizer = models::load_tokenizer(checkpoint_at(folder.path(), 0));
    REQUIRE(tokenizer.has_value());
    CHECK(tokenizer->chat_template() == "{{ messages }}");
    CHECK(tokenizer->eos().has_value() == (std::string(name) == "tokenizer_config.json"));
  }
}

TEST_CASE("the arrays that a model file carries are its tokenizer") {
  models::Checkpoint checkpoint = checkpoint_at("model.gguf", 260);
  io::TokenizerData data;
  data.model = "llama";
  data.tokens = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
  data.scores = {0, 0, 0, -2, -3, -1};
  data.types = {2, 3, 3, 1, 1, 1};
  data.bos = 1;
  data.add_bos = true;
  data.add_space_prefix = false;
  checkpoint.tokenizer = data;
  const auto tokenizer = models::load_tokenizer(checkpoint);
  REQUIRE(tokenizer.has_value());
  CHECK(tokenizer->encode("ab", true) == std::vector<std::int32_t>{1, 5});
}

TEST_CASE("llama2.c's tokenizer stands beside the model, under either of its names") {
  for (const char* name : {"tok260.bin", "tokenizer.bin"}) {
    const test::TempFolder folder;
    (void)folder.write(name, llama2c_tokenizer());
    const auto tokenizer = models::load_tokenizer(checkpoint_at(folder.path("model.bin"), 260));
    REQUIRE(tokenizer.has_value());
    CHECK(tokenizer->vocab_size() == 260);
    CHECK(tokenizer->bos() == 1);
  }
}

TEST_CASE("a model without a tokenizer has none, and a name that is no tokenizer is refused") {
  const test::TempFolder folder;
  CHECK_FALSE(models::load_tokenizer(checkpoint_at(folder.path(), 260)).has_value());
  CHECK_FALSE(models::load_tokenizer(checkpoint_at(folder.path("model.bin"), 260)).has_value());
  const Error error = test::error_of(
      [&] { (void)models::load_tokenizer(checkpoint_at(folder.path(), 260), folder.write("vocab.txt", "a")); });
  CHECK(error.id() == "model.530");
  CHECK(error.where() == folder.path("vocab.txt"));
  CHECK(test::error_of([&] { (void)models::read_tokenizer(folder.path("no.json"), 1); }).id() == "io.201");
}

TEST_CASE("SmolLM2's own arrays make a tokenizer that knows its template and its end token", "[real]") {
  const models::Checkpoint checkpoint = models::open_checkpoint(test::smollm2());
  const auto tokenizer = models::load_tokenizer(checkpoint);
  REQUIRE(tokenizer.has_value());
  CHECK(tokenizer->vocab_size() == 49152);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->encode("The capital of France is Paris.", false) ==
        std::vector<std::int32_t>{504, 3575, 282, 4649, 314, 7042, 30});
}
