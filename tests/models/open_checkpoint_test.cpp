// SPDX-License-Identifier: Apache-2.0
#include <graft/models/open_checkpoint.hpp>

#include <random>
#include <string>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;

TEST_CASE("what lies under the name decides how a model is read") {
  const test::TempFolder folder;
  CHECK(models::open_checkpoint(test::golden("models/llama-mha")).kind == "Hugging Face");
  CHECK(models::open_checkpoint(folder.write("a.gguf", test::ModelDraft("llama-mha").gguf("llama").bytes())).kind ==
        "GGUF");
  CHECK(error_of([&] { (void)models::open_checkpoint(folder.write("a.bin", "short")); }).id() == "model.522");
}

TEST_CASE("a file with damaged bytes in its header opens or is one Error, never anything else") {
  const test::TempFolder folder;
  const test::ModelDraft draft("llama-mha");
  draft.write_folder(folder);
  const std::string gguf = draft.gguf("llama").bytes();
  const std::string safetensors = test::slurp(folder.path("model.safetensors"));
  const std::string config = draft.config.dump();
  std::mt19937 random(7);
  const auto damaged = [&random](std::string bytes, std::size_t header) {
    for (int change = 0; change < 3; ++change) {
      bytes[random() % header] = static_cast<char>(random() % 4 == 0 ? 0xff : random());
    }
    return bytes;
  };
  int refused = 0;
  const auto open = [&refused](const std::string& path) {
    try {
      const models::Checkpoint checkpoint = models::open_checkpoint(path);
      for (const io::TensorRef& tensor : checkpoint.tensors) {
        (void)models::load_tensor<float>(checkpoint, tensor.name, tensor.rows(), tensor.cols());
      }
    } catch (const Error&) {
      ++refused;
    }
  };
  for (int trial = 0; trial < 100; ++trial) {
    open(folder.write("a.gguf", damaged(gguf, 2000)));
    (void)folder.write("model.safetensors", damaged(safetensors, 2000));
    open(folder.path());
    (void)folder.write("model.safetensors", safetensors);
    (void)folder.write("config.json", damaged(config, config.size()));
    open(folder.path());
    (void)folder.write("config.json", config);
  }
  CHECK(refused > 200);
}

TEST_CASE("the smallest real LLaMA opens as a llama2.c file", "[shared]") {
  CHECK(models::open_checkpoint(test::shared("data/models/stories260K.bin")).kind == "llama2.c");
}

TEST_CASE("a name with nothing or something else under it is refused with advice") {
  const test::TempFolder folder;
  const auto failure = [](const std::string& path) { return error_of([&] { (void)models::open_checkpoint(path); }); };
  CHECK_THAT(failure(folder.path("absent")).what(),
             contains("model.520") && contains("no file or folder") && contains("absent"));
  CHECK_THAT(failure(folder.write("model.pt", "x")).what(),
             contains("model.520") && contains(".gguf") && contains("config.json"));
}
