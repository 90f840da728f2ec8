// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/pyreft.hpp>

#include <filesystem>
#include <string>

#include "support/catch.hpp"
#include "support/pyreft_folder.hpp"

using namespace graft;

namespace {

const std::string pyreft_key = "layer_0_comp_block_output_unit_pos_nunit_1#0";

}  // namespace

TEST_CASE("folders of pyreft are read and give pyreft's logits: every class, tied, untied, at modules, in bf16") {
  test::GoldenBase base("llama-gqa");
  for (const std::string name :
       {"loreft-tied", "loreft-untied", "loreft-mlp", "loreft-o_proj-all", "loreft-bf16", "noreft-tied",
        "nodireft-untied", "direft-all", "direft-down_proj", "consreft-tied", "lobireft-tied"}) {
    INFO(name);
    const test::ReftCase golden(name);
    const auto file = interchange::open_pyreft(golden.saved, golden.positions);
    CHECK(file.peft_type == "pyreft");
    REQUIRE_FALSE(file.warnings.empty());
    CHECK(file.warnings.back().find("act_fn") != std::string::npos);
    auto attached = models::load_adapter<test::ReftFamily>(test::reference, base.model, base.fingerprint, file);
    // R is stored in fp32, or rounded from the product that torch makes in fp32
    CHECK(golden.logits_error(base.model, attached) < (name.starts_with("noreft") ? 1e-11 : 1e-6));
  }
}

TEST_CASE("older spellings of a file's name are found, and graft.json says the positions") {
  const test::PyreftDraft draft("loreft-tied");
  std::filesystem::rename(draft.bin(pyreft_key), draft.bin("layer.0.repr.block_output.unit.pos.nunit.1#0"));
  std::filesystem::rename(draft.bin("layer_2_comp_block_output_unit_pos_nunit_1#0"),
                          draft.bin("layer.2.comp.block_output.unit.pos.nunit.1#0"));
  CHECK(draft.open().tensors.tensors().size() == 6);
  CHECK(draft.error(std::nullopt).id() == "adapter.767");
  (void)draft.folder.write("graft.json", R"({"positions": {"first": 2, "last": 3}, "base_model_name_or_path": "tiny",
      "base_model": )" + models::to_json(models::Fingerprint{}).dump() +
                                             "}");
  const auto file = draft.open(std::nullopt);
  CHECK(file.parts.at(0).placement.positions == ends(2, 3));
  CHECK(file.base_model == "tiny");
  CHECK(draft.open(ends(1, 1)).parts.at(0).placement.positions == ends(1, 1));
}

TEST_CASE("modules of another rank are exceptions of their part") {
  test::PyreftDraft draft("noreft-tied");
  draft.config["representations"][0][4] = 2;
  draft.rewrite(pyreft_key, [](auto& tensors) {
    for (io::TensorRef& tensor : tensors) {
      if (!tensor.shape.empty()) {
        tensor.shape[0] = 2;
        tensor.bytes /= 2;
      }
    }
  });
  const auto file = draft.open();
  REQUIRE(file.parts.size() == 1);
  CHECK(file.parts[0].settings["rank"] == 2);
  CHECK(file.parts[0].exceptions.at("model.layers.2.subspace")["rank"] == 4);
}

TEST_CASE("NoReFT's second bias is taken off the first, NodiReFT's is passed over with a warning") {
  const auto second = [](const std::string& name, const std::string& key) {
    const test::PyreftDraft draft(name);
    const auto before = draft.open();
    draft.rewrite(key, [](auto& tensors) {
      std::erase_if(tensors, [](const io::TensorRef& t) { return t.name == "proj_layer.bias"; });
      tensors.push_back(*std::find_if(tensors.begin(), tensors.end(),
                                      [](const io::TensorRef& t) { return t.name == "learned_source.bias"; }));
      tensors.back().name = "proj_layer.bias";
    });
    return draft.open();
  };
  const auto bias = [](const models::AdapterFile& file, const std::string& name) {
    Tensor<double> b(1, 4);
    io::decode_rows(file.tensors.at(name), 0, b.view());
    return b;
  };
  const auto noreft = bias(second("noreft-tied", pyreft_key), "model.layers.0.subspace.b");
  CHECK((noreft(0, 0) == 0 && noreft(0, 3) == 0));
  const auto nodireft = second("nodireft-untied", pyreft_key);
  CHECK(bias(nodireft, "model.layers.0.prefix.subspace.b")(0, 0) != 0);
  CHECK(nodireft.warnings.front().find("proj_layer.bias") != std::string::npos);
}

TEST_CASE("missing, left over, transposed and misfitting tensors are errors that name them") {
  const auto broken = [](const std::string& name, auto change) {
    const test::PyreftDraft draft(name);
    draft.rewrite(pyreft_key, change);
    return draft.error();
  };
  const auto drop = [](const char* name) {
    return [name](auto& tensors) { std::erase_if(tensors, [&](const io::TensorRef& t) { return t.name == name; }); };
  };
  const Error missing = broken("loreft-tied", [](auto& t) {
    for (io::TensorRef& tensor : t) {
      tensor.name = tensor.name == "weight" ? "weights" : tensor.name;
    }
  });
  CHECK(missing.id() == "adapter.764");
  CHECK(test::says(missing, "\"weights\""));
  CHECK(broken("loreft-tied", drop("rotate_layer")).id() == "adapter.764");
  CHECK(broken("noreft-tied", drop("learned_source.bias")).id() == "adapter.764");
  const Error extra = broken("loreft-tied", [](auto& t) {
    t.push_back(t.front());
    t.back().name = "gate";
  });
  CHECK(extra.id() == "adapter.764");
  CHECK(test::says(extra, "\"gate\""));
  const Error transposed = broken("loreft-tied", [](auto& t) { std::swap(t.back().shape[0], t.back().shape[1]); });
  CHECK(transposed.id() == "adapter.765");  // "weight", the last by name
  CHECK(test::says(transposed, "it is transposed"));
  CHECK(broken("consreft-tied", [](auto& t) {
          for (io::TensorRef& tensor : t) {
            if (tensor.name.ends_with("original")) {
              tensor.shape = {12, 16};
            }
          }
        }).id() == "adapter.766");
  test::PyreftDraft rank("loreft-tied");
  rank.config["representations"][0][4] = 5;
  CHECK(rank.error().id() == "adapter.765");
}

TEST_CASE("a folder that lacks a file, or holds more than interventions, is refused") {
  const test::PyreftDraft draft("loreft-tied");
  std::filesystem::remove(draft.bin(pyreft_key));
  const Error absent = draft.error();
  CHECK(absent.id() == "adapter.763");
  CHECK(test::says(absent, pyreft_key));
  const test::PyreftDraft with_model("loreft-tied");
  (void)with_model.folder.write("pytorch_model.bin", "");
  CHECK(with_model.error().id() == "adapter.769");
}

TEST_CASE("prefix and suffix apart need positions at both ends, and every place has the same number of interventions") {
  test::PyreftDraft draft("loreft-untied");
  CHECK(draft.error(ends(2, 2)).id() == "none");
  CHECK(draft.error(every_position).id() == "adapter.768");
  CHECK(draft.error(ends(2, 0)).id() == "adapter.768");
  for (const char* list : {"representations", "intervention_types", "intervention_dimensions"}) {
    draft.config[list].erase(3);
  }
  const Error uneven = draft.error(ends(2, 2));
  CHECK(uneven.id() == "adapter.768");
  CHECK(test::says(uneven, "model.layers.2"));
}
