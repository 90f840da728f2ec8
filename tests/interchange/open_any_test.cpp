// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/open_any.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using interchange::open_any_adapter;

TEST_CASE("one call opens the folders of every program") {
  CHECK(open_any_adapter(test::golden("adapters/lora"), {}, 3).peft_type == "LORA");
  CHECK(open_any_adapter(test::golden("mlx/dora"), {}, 3).peft_type == "mlx-lm DoRA");
  CHECK(open_any_adapter(test::golden("adapterhub/loreft-prefix"), {}, 3).peft_type == "AdapterHub ReFT");
  CHECK(open_any_adapter(test::golden("adapterhub/loreft-untied"), {}, 3).peft_type == "AdapterHub ReFT");
  const auto pyreft = open_any_adapter(test::golden("reft/loreft-tied/saved"), ends(2, 3));
  CHECK(pyreft.peft_type == "pyreft");
  CHECK(pyreft.parts[0].placement.positions == ends(2, 3));
}

TEST_CASE("positions are for folders that do not say their own") {
  const auto error = [](const std::string& name, std::optional<Positions> positions) {
    return test::error_of([&] { (void)open_any_adapter(test::golden(name), positions, 3); }).id();
  };
  CHECK(error("reft/loreft-tied/saved", {}) == "adapter.767");
  CHECK(error("adapters/lora", ends(1, 1)) == "adapter.830");
  CHECK(error("adapterhub/loreft-untied", every_position) == "adapter.830");
}

TEST_CASE("a file of torch.save is not opened without its component, and never as a pickle of PEFT") {
  const Error error =
      test::error_of([] { (void)interchange::open_adapter(test::golden("adapterhub/loreft-untied"), 3); });
  CHECK(error.id() == "adapter.658");
  CHECK(test::says(error, "open_any_adapter"));
  const test::TempFolder folder;
  CHECK(test::error_of([&] { (void)open_any_adapter(folder.path()); }).id() == "adapter.658");
  (void)folder.write("adapter_config.json", "{}");
  (void)folder.write("pytorch_adapter.bin", "no zip");
  CHECK(test::error_of([&] { (void)open_any_adapter(folder.path()); }).id() == "io.260");
}
