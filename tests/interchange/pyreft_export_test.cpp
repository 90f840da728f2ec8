// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/pyreft_export.hpp>

#include <string>

#include <graft/adapters/lora.hpp>

#include "support/catch.hpp"
#include "support/pyreft_folder.hpp"

using namespace graft;

TEST_CASE("what is written as pyreft's is read again with pyreft's logits, positions and base from graft.json") {
  test::GoldenBase base("llama-gqa");
  for (const std::string name : {"loreft-tied", "loreft-untied", "loreft-mlp", "noreft-tied", "nodireft-untied",
                                 "direft-all", "consreft-tied", "lobireft-tied"}) {
    INFO(name);
    const test::ReftCase golden(name);
    auto loaded = models::load_adapter<test::ReftFamily>(test::reference, base.model, base.fingerprint,
                                                         interchange::open_pyreft(golden.saved, golden.positions));
    const test::TempFolder folder;
    interchange::write_pyreft(folder.path("a"), loaded, base.fingerprint, "tiny-llama-gqa");
    const auto file = interchange::open_pyreft(folder.path("a"));
    CHECK(file.base_model == "tiny-llama-gqa");
    CHECK(file.base == base.fingerprint);
    auto again = models::load_adapter<test::ReftFamily>(test::reference, base.model, base.fingerprint, file);
    CHECK(golden.logits_error(base.model, again) < 1e-6);
    const auto mine = io::parse_json(test::slurp(folder.path("a/config.json")), "mine");
    const auto theirs = io::parse_json(test::slurp(golden.saved + "/config.json"), "theirs");
    for (const auto& [key, value] : mine.items()) {
      CAPTURE(key);
      CHECK(value == theirs[key]);
    }
    for (const auto& key : mine["sorted_keys"]) {
      const std::string bin = "/intkey_" + key.get<std::string>() + ".bin";
      const auto written = io::open_torch_zip(folder.path("a") + bin);
      const auto original = io::open_torch_zip(golden.saved + bin);
      for (const io::TensorRef& tensor : original.tensors()) {
        CAPTURE(tensor.name);
        if (tensor.name == "proj_layer.bias") {
          continue;  // NodiReFT's, which pyreft never reads
        }
        CHECK(written.at(tensor.name).shape == tensor.shape);
        CHECK(written.at(tensor.name).dtype == tensor.dtype);
      }
    }
  }
}

TEST_CASE("what pyreft has no place for is refused in words, and nothing is left behind") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto refused = [&](const auto& stack) {
    auto attached = attach(test::reference, base.model, stack, 3);
    return test::error_of([&] { interchange::write_pyreft(folder.path("a"), attached, base.fingerprint, "tiny"); });
  };
  using Two = Stack<At<site::stream, adapters::LoReft<>>, At<site::stream, adapters::LobiReft<>>>;
  const auto two = [](Positions first, Positions second, Layers layers = only_layers({1})) {
    Two stack;
    std::get<0>(stack.parts).placement = {.layers = only_layers({0}), .positions = first, .sites = site::residual};
    std::get<1>(stack.parts).placement = {.layers = layers, .positions = second, .sites = site::residual};
    return stack;
  };
  CHECK(refused(two(ends(2, 2), ends(1, 1))).id() == "adapter.771");
  CHECK(refused(two(ends(2, 2), ends(2, 2), only_layers({0}))).id() == "adapter.771");
  const Stack<At<site::linear, adapters::Lora<>>> lora{At<site::linear, adapters::Lora<>>{{.rank = 2}, {}}};
  const Error other = refused(lora);
  CHECK(other.id() == "adapter.770");
  CHECK(test::says(other, "self_attn.q_proj"));
  using Square = Stack<At<site::residual, adapters::ConsReft<>>>;
  CHECK(refused(Square{At<site::residual, adapters::ConsReft<>>{{.rank = 48}, {}}}).id() == "adapter.770");
  CHECK(folder.entries() == 0);
}
