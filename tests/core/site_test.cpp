// SPDX-License-Identifier: Apache-2.0
#include <graft/core/site.hpp>

#include <set>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("every site is one bit and has a name of its own") {
  std::set<std::string_view> names;
  for (Index i = 0; i < site::count; ++i) {
    CHECK(site_index(Sites{1} << i) == i);
    names.insert(site_name(Sites{1} << i));
  }
  CHECK(static_cast<Index>(names.size()) == site::count);
  CHECK((site::everything >> site::count) == 0);
}

TEST_CASE("every site stands either in each block or once a model") {
  CHECK((site::in_block | site::once) == site::everything);
  CHECK((site::in_block & site::once) == site::none);
}

TEST_CASE("a module's path is the one that Hugging Face gives it") {
  CHECK(module_path(3, site::up) == "model.layers.3.mlp.up_proj");
  CHECK(module_path(0, site::query) == "model.layers.0.self_attn.q_proj");
  CHECK(module_path(11, site::feed_forward_norm) == "model.layers.11.post_attention_layernorm");
  CHECK(module_path(3, site::residual) == "model.layers.3");
  CHECK(module_path(0, site::final_norm) == "model.norm");
  CHECK(module_path(0, site::embedding) == "model.embed_tokens");
  CHECK(module_path(0, site::head) == "lm_head");
}

TEST_CASE("a projection is found by its short and its long name, and nothing else is one") {
  CHECK(projection_named("q_proj") == site::query);
  CHECK(projection_named("o_proj") == site::output);
  CHECK(projection_named("down_proj") == site::down);
  CHECK(projection_named("mlp.up_proj") == site::up);
  CHECK(projection_named("up") == site::none);
  CHECK(projection_named("lm_head") == site::none);
  CHECK(projection_named("") == site::none);
}
