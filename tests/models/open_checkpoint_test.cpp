// SPDX-License-Identifier: Apache-2.0
#include <graft/models/open_checkpoint.hpp>

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
