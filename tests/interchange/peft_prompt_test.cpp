// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_prompt.hpp>

#include "support/catch.hpp"
#include "support/peft_folder.hpp"

using namespace graft;

TEST_CASE("a prompt or prefix of another size than its configuration or the model is one error") {
  const auto shape = [](const std::string& name, const io::Json& changes) { return test::refused_peft(name, changes); };
  CHECK(shape("prompt-tuning", {{"num_virtual_tokens", 5}}).id() == "adapter.651");
  CHECK(shape("prompt-tuning", {{"token_dim", 47}}).id() == "adapter.651");
  CHECK(shape("prefix-tuning", {{"num_layers", 4}}).id() == "adapter.670");
  CHECK(shape("prefix-tuning", {{"token_dim", 17}}).id() == "adapter.651");
  CHECK(shape("prompt-tuning", {{"num_transformer_submodules", 2}}).id() == "adapter.670");
  CHECK(shape("prompt-tuning", {{"num_virtual_tokens", nullptr}}).id() == "io.212");
  CHECK(shape("prompt-tuning", {{"modules_to_save", {"norm"}}}).id() == "adapter.670");
  CHECK(shape("prompt-tuning", {{"r", 4}}).id() == "adapter.671");
  const Error turned =
      test::broken_peft("prompt-tuning", [](auto& d) { std::swap(d.tensors[0].shape[0], d.tensors[0].shape[1]); });
  CHECK(turned.id() == "adapter.651");
  CHECK(test::says(turned, "transposed"));
  CHECK(test::broken_peft("prefix-tuning", [](auto& d) { d.tensors[0].name = "prompt"; }).id() == "adapter.650");
  const Tensor<float> bad = test::numbers(4, 48, std::nanf(""));
  CHECK(test::broken_peft("prompt-tuning", [&](auto& d) {
          d.tensors[0].data = reinterpret_cast<const std::byte*>(bad.data());
        }).id() == "model.513");
  CHECK(test::broken_peft("prompt-tuning", [](auto& d) {
          d.tensors.push_back(d.tensors[0]);
          d.tensors.back().name = "prompt_embeddings_2";
        }).id() == "adapter.652");
}

TEST_CASE("a prefix that came from a projection is read, and the user learns that graft goes on without it") {
  const auto file = test::changed_peft("prefix-tuning", {{"prefix_projection", true}});
  REQUIRE(file.warnings.size() == 1);
  CHECK(file.warnings[0].find("prefix_projection") != std::string::npos);
  CHECK(file.parts[0].settings["tokens"] == 3);
  CHECK(file.tensors.find("model.layers.2.self_attn.values.inserted.rows") != nullptr);
}
