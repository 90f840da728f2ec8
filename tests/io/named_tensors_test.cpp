// SPDX-License-Identifier: Apache-2.0
#include <graft/io/named_tensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

io::TensorRef named(const std::string& name) {
  io::TensorRef tensor;
  tensor.name = name;
  return tensor;
}

}  // namespace

TEST_CASE("tensors are found by name in whatever order they came, and their memory lives as long as they do") {
  auto memory = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = memory;
  io::NamedTensors tensors("a.bin", {named("b"), named("a"), named("c")}, std::move(memory));
  CHECK(tensors.tensors()[0].name == "a");
  CHECK(tensors.tensors()[2].name == "c");
  CHECK(tensors.find("b") == &tensors.tensors()[1]);
  CHECK(tensors.find("bb") == nullptr);
  CHECK(tensors.path() == "a.bin");
  auto kept = tensors.keepalive();
  tensors = {};
  CHECK_FALSE(watched.expired());
  kept.reset();
  CHECK(watched.expired());
  CHECK(tensors.find("b") == nullptr);
}

TEST_CASE("a missing tensor is io.225 with the nearest name") {
  const io::NamedTensors tensors("a.bin", {named("rotate_layer"), named("weight")}, nullptr);
  const Error error = test::error_of([&] { (void)tensors.at("rotate_layers"); });
  CHECK(error.id() == "io.225");
  CHECK(test::says(error, "\"rotate_layer\""));
  CHECK(test::says(error, "a.bin"));
}
