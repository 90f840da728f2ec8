// SPDX-License-Identifier: Apache-2.0
#include <graft/models/checkpoint.hpp>

#include <complex>
#include <limits>
#include <string>

#include <graft/models/huggingface.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"

using namespace graft;
using models::Checkpoint;
using test::contains;
using test::error_of;
using test::ModelDraft;
using test::raw;

namespace {

const std::string gate = "model.layers.1.mlp.gate_proj.weight";

Error open_error(const ModelDraft& draft) {
  const test::TempFolder folder;
  draft.write_folder(folder);
  return error_of([&] { (void)models::open_huggingface(folder.path()); });
}

/// The error of loading tensor `gate` as T, once number 100 of it (row 2 of 48 columns) is `bytes`.
template <class T>
Error load_error(io::Dtype dtype, const std::string& bytes) {
  const test::TempFolder folder;
  ModelDraft draft("llama-mha");
  test::TensorDraft& tensor = draft.at(gate);
  tensor.dtype = dtype;
  tensor.bytes = std::string(96 * 48 * bytes.size(), '\0');
  tensor.bytes.replace(100 * bytes.size(), bytes.size(), bytes);
  draft.write_folder(folder);
  const Checkpoint checkpoint = models::open_huggingface(folder.path());
  return error_of([&] { (void)models::load_tensor<T>(checkpoint, gate, 96, 48); });
}

}  // namespace

TEST_CASE("a loaded embedding is what the golden hidden states begin with") {
  for (const char* name : {"llama-gqa", "gemma"}) {
    const Checkpoint checkpoint = models::open_huggingface(test::golden(std::string("models/") + name));
    const auto golden = io::Safetensors::open(test::golden(std::string("models/") + name + "/io.safetensors"));
    const auto ids = io::read_integers(golden.at("input_ids"));
    const auto hidden = io::in_place<double>(golden.at("hidden.0"));
    REQUIRE(hidden);
    const auto embedding = models::load_tensor<double>(checkpoint, "model.embed_tokens.weight", 131, 48);
    for (std::size_t t = 0; t < ids.size(); ++t) {
      for (Index j = 0; j < 48; ++j) {
        CHECK((*hidden)(static_cast<Index>(t), j) == embedding(ids[t], j) * checkpoint.config.embedding_scale);
      }
    }
  }
}

TEST_CASE("a tensor loads into every type, and in chunks of rows the same as at once") {
  const Checkpoint checkpoint = models::open_huggingface(test::golden("models/llama-mha"));
  const auto file = io::in_place<float>(checkpoint.tensor(gate));
  REQUIRE(file);
  const auto single = models::load_tensor<float>(checkpoint, gate, 96, 48);
  const auto brain = models::load_tensor<bf16>(checkpoint, gate, 96, 48);
  const auto complex = models::load_tensor<std::complex<double>>(checkpoint, gate, 96, 48);
  for (Index i = 0; i < 96; ++i) {
    for (Index j = 0; j < 48; ++j) {
      CHECK((single(i, j) == (*file)(i, j) && brain(i, j) == bf16((*file)(i, j))));
      CHECK((complex(i, j).real() == (*file)(i, j) && complex(i, j).imag() == 0));
    }
  }
}

TEST_CASE("asking for a tensor that is absent or of another shape names key, expected and found") {
  const Checkpoint checkpoint = models::open_huggingface(test::golden("models/llama-mha"));
  CHECK(checkpoint.has(gate));
  CHECK_FALSE(checkpoint.has("model.layers.2.mlp.gate_proj.weight"));
  const Error absent = error_of([&] { (void)checkpoint.tensor("model.layers.1.mlp.gate.weight"); });
  CHECK_THAT(absent.what(), contains("model.510") && contains("nearest name in the checkpoint is \"" + gate + "\""));
  const Error shape = error_of([&] { (void)models::load_tensor<float>(checkpoint, gate, 48, 96); });
  CHECK_THAT(shape.what(), contains("model.512") && contains(gate) && contains("[96, 48], expected 48 x 96") &&
                               contains("model.safetensors"));
}

TEST_CASE("NaN and infinite weights of any type are refused with their row") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(load_error<float>(io::Dtype::f32, raw(3e38f)).id() == "none");
  CHECK(load_error<float>(io::Dtype::f32, raw(-nan)).id() == "model.513");
  CHECK(load_error<float>(io::Dtype::f32, raw(-infinity)).id() == "model.513");
  CHECK(load_error<double>(io::Dtype::f64, raw(double{nan})).id() == "model.513");
  CHECK(load_error<bf16>(io::Dtype::bf16, raw(bf16(nan))).id() == "model.513");
  CHECK(load_error<float>(io::Dtype::f16, raw(std::uint16_t{0x7c00})).id() == "model.513");
  CHECK(load_error<std::complex<float>>(io::Dtype::f32, raw(nan)).id() == "model.513");
  CHECK_THAT(load_error<float>(io::Dtype::f32, raw(nan)).what(),
             contains(gate) && contains("NaN") && contains("row 2") && contains("model.safetensors"));
}

TEST_CASE("a missing tensor is named, with the nearest that is there") {
  ModelDraft draft("llama-mha");
  draft.tensors.erase(draft.find(gate));
  CHECK_THAT(open_error(draft).what(), contains("model.510") && contains(gate) && contains("nearest"));
  ModelDraft untied("llama-gqa");
  untied.config["tie_word_embeddings"] = false;
  CHECK_THAT(open_error(untied).what(), contains("model.510") && contains("\"lm_head.weight\" is missing"));
}

TEST_CASE("an extra tensor is named; the frequencies of old files are not extra") {
  ModelDraft draft("llama-mha");
  draft.tensors.push_back({"model.layers.1.self_attn.q_proj.bias", io::Dtype::f32, {48}, std::string(192, '\0')});
  CHECK_THAT(open_error(draft).what(), contains("model.511") && contains("q_proj.bias\" [48]") && contains("ignored"));
  draft.tensors.back() = {"zzz", io::Dtype::f32, {1}, raw(1.0f)};
  CHECK_THAT(open_error(draft).what(), contains("model.511") && contains("\"zzz\""));
  draft.tensors.back() = {"model.layers.1.self_attn.rotary_emb.inv_freq", io::Dtype::f32, {1}, raw(1.0f)};
  CHECK(open_error(draft).id() == "none");
}

TEST_CASE("a transposed or otherwise shaped tensor names key, expected and found") {
  ModelDraft draft("llama-mha");
  draft.at(gate).shape = {48, 96};
  CHECK_THAT(open_error(draft).what(),
             contains("model.512") && contains(gate) && contains("[48, 96], expected [96, 48]: it is transposed"));
  draft.at(gate).shape = {96 * 48};
  CHECK_THAT(open_error(draft).what(), contains("[4608], expected [96, 48]") && !contains("transposed"));
}

TEST_CASE("weights in integers are refused") {
  ModelDraft draft("llama-mha");
  draft.at(gate).dtype = io::Dtype::i32;
  CHECK_THAT(open_error(draft).what(), contains("model.514") && contains(gate) && contains("I32") && contains("BF16"));
}
