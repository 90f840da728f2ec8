// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/layer_names.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace graft;
using interchange::detail::layer_in;
using interchange::detail::layers_named;

TEST_CASE("the layer of a name is the number behind the start, or none") {
  CHECK(layer_in("model.layers.12.mlp", "layers.") == 12);
  CHECK(layer_in("layers.0", "layers.") == 0);
  CHECK(layer_in("layers.x", "layers.") == -1);
  CHECK(layer_in("layers.", "layers.") == -1);
  CHECK(layer_in("lm_head", "layers.") == -1);
  CHECK(layer_in("layers.99999999999999999999", "layers.") >= 100'000);
}

TEST_CASE("the layers of a file are one more than its largest, and never absurdly many") {
  std::vector<io::TensorRef> tensors(3);
  tensors[0].name = "layers.1.a";
  tensors[1].name = "layers.4.a";
  tensors[2].name = "head";
  CHECK(layers_named(tensors, "layers.") == 5);
  tensors[2].name = "layers.99999999";
  CHECK(layers_named(tensors, "layers.") == 4096);
  CHECK(layers_named({}, "layers.") == 0);
}
