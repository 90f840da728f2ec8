// SPDX-License-Identifier: Apache-2.0
#include <graft/core/weight.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

TEST_CASE("a mapped weight is used in place until somebody wants to write") {
  const auto file = test::normal<float>(3, 4, 1);
  DenseWeight<float> weight(file.view());
  CHECK(weight.view().data == file.data());
  CHECK((weight.rows() == 3 && weight.cols() == 4));

  const View<float> numbers = weight.writable();
  CHECK(numbers.data != file.data());
  CHECK(test::identical(numbers, file.view()));
  numbers(2, 3) = 42;
  CHECK(weight.view()(2, 3) == 42);
  CHECK(file(2, 3) != 42);
  CHECK(weight.writable().data == numbers.data);  // copied once only
}

TEST_CASE("a strided weight becomes contiguous when it is written") {
  const auto file = test::normal<float>(3, 9, 1);
  const auto part = file.view().middle_cols(2, 4);
  DenseWeight<float> weight(part);
  CHECK(test::identical(weight.writable(), part));
  CHECK(weight.writable().contiguous());
}

TEST_CASE("an owned weight is written where it lies, and keeps its place when moved") {
  auto numbers = test::normal<float>(2, 2, 1);
  const float* place = numbers.data();
  DenseWeight<float> weight(std::move(numbers));
  CHECK(weight.view().data == place);
  DenseWeight<float> moved(std::move(weight));
  CHECK(moved.view().data == place);
  CHECK(moved.writable().data == place);
}

TEST_CASE("a weight without numbers is empty") {
  DenseWeight<bf16> weight;
  CHECK(weight.view().empty());
  CHECK(weight.writable().empty());
}
