// SPDX-License-Identifier: Apache-2.0
// The numbers of a model are proved by llama_run_test and by the golden files; here is where its weights come to lie.
#include <graft/models/llama.hpp>

#include <graft/models/attach.hpp>
#include <graft/models/open_checkpoint.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
using B = backends::Reference;
using FloatModel = models::Llama<Uniform<float>, B>;
}  // namespace

TEST_CASE("weights that a file holds in the stored type are used where they lie, others are decoded") {
  const auto checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  const FloatModel model = FloatModel::load(checkpoint);
  CHECK(static_cast<const void*>(model.blocks[1].up.weight.view().data) == checkpoint.tensor(name).data);
  const auto wide = models::Llama<Uniform<double>, B>::load(checkpoint);
  CHECK(static_cast<const void*>(wide.blocks[1].up.weight.view().data) != checkpoint.tensor(name).data);
  CHECK(test::identical(wide.blocks[1].up.weight.view(), model.blocks[1].up.weight.view()));
}

TEST_CASE("a model outlives the checkpoint that it was read from") {
  const auto read = [] { return FloatModel::load(models::open_checkpoint(test::golden("models/llama-gqa"))); };
  const FloatModel model = read();
  const auto wide = models::Llama<Uniform<double>, B>::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  CHECK(test::identical(model.embedding.view(), wide.embedding.view()));
}

TEST_CASE("a tied head is the embedding, an untied one a weight of its own") {
  const FloatModel tied = FloatModel::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  CHECK(&tied.head() == &tied.embedding);
  const FloatModel untied = FloatModel::load(models::open_checkpoint(test::golden("models/llama-mha")));
  CHECK(&untied.head() == &untied.untied_head);
}

TEST_CASE("training a mapped weight changes a copy, never the file") {
  const auto checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  FloatModel model = FloatModel::load(checkpoint);
  auto attached = attach(B{}, model, Stack{At<site::up, adapters::Full>{}}, 1);
  attached.for_each_parameter([](const std::string&, Parameter<float>& p) { p.value(0, 0) = 123; });
  CHECK(model.blocks[1].up.weight.view()(0, 0) == 123);
  const FloatModel again = FloatModel::load(checkpoint);
  CHECK(again.blocks[1].up.weight.view()(0, 0) != 123);
}
