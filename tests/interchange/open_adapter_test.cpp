// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/open_adapter.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

Error opened(const test::TempFolder& folder) {
  return test::error_of([&] { (void)interchange::open_adapter(folder.path()); });
}

}  // namespace

TEST_CASE("a PEFT LoRA is known by its peft_type") {
  const auto file = interchange::open_adapter(test::golden("adapters/lora"));
  CHECK(file.peft_type == "LORA");
  CHECK(file.base_model == "tiny-llama-gqa");
  CHECK_FALSE(file.base);
}

TEST_CASE("a folder that is no adapter says what it lacks") {
  const test::TempFolder folder;
  CHECK(opened(folder).id() == "adapter.658");
  (void)folder.write("adapter_config.json", R"({"peft_type": "ADALORA"})");
  CHECK(std::string(opened(folder).what()).find("adapter_model.safetensors") != std::string::npos);
  (void)folder.write("adapter_model.bin", "pickle");
  CHECK(std::string(opened(folder).what()).find("pickle") != std::string::npos);
  (void)folder.write("adapter_model.safetensors", "");
  const Error other = opened(folder);
  CHECK(other.id() == "adapter.658");
  CHECK(std::string(other.what()).find("ADALORA") != std::string::npos);
  (void)folder.write("adapter_config.json", "[]");
  CHECK(opened(folder).id() == "adapter.658");
  (void)folder.write("adapter_config.json", "{");
  CHECK(opened(folder).id() == "io.210");
  (void)folder.write("adapter_config.json", "{}");
  CHECK(opened(folder).id() == "io.212");
}

TEST_CASE("a folder that pyreft saved is refused with the name of its reader") {
  const Error error = test::error_of([] { (void)interchange::open_adapter(test::golden("reft/loreft-tied/saved")); });
  CHECK(error.id() == "adapter.658");
  CHECK(std::string(error.what()).find("open_pyreft") != std::string::npos);
}
