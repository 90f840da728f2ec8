// SPDX-License-Identifier: Apache-2.0
#include <graft/models/run_options.hpp>

#include <graft/models/llama_run.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

TEST_CASE("who stands between the blocks meets the stream once before each and once behind the last") {
  const backends::Reference be;
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  const Model model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 3);
  models::LlamaRun<Model, Attached<double, Stack<>>> run;
  Ragged batch;
  batch.push(3, 1);
  const std::vector<std::int32_t> tokens = {1, 2, 3};
  std::vector<Index> met;
  run.forward(be, model, {}, batch, tokens, 1, {}, nullptr, [&](Index l, View<double> x) {
    met.push_back(l);
    CHECK((x.rows == 3 && x.cols == model.config.dim));
    if (l == model.layer_count()) {
      be.fill(0.5, x);
    }
  });
  CHECK(met == std::vector<Index>{0, 1, 2});
  CHECK(run.hidden()(2, 0) == 0.5);
}
