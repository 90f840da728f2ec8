// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/asked_tensors.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

/// "a" of 2 x 3 and "b" of three numbers.
interchange::AskedTensors two_tensors() {
  static const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  const View<const float> a(numbers.data(), 2, 3);
  const View<const float> b(numbers.data(), 1, 3);
  return interchange::AskedTensors(
      io::NamedTensors("file", {io::tensor_ref("a", a), io::tensor_ref("b", b, {3})}, nullptr));
}

}  // namespace

TEST_CASE("what is asked for comes in double, a vector as a row, and then nothing is left") {
  auto tensors = two_tensors();
  CHECK((tensors.has("a") && !tensors.has("c")));
  CHECK(tensors.get("a", 2, 0)(1, 2) == 6);
  const Error left = test::error_of([&] { tensors.nothing_left(); });
  CHECK(left.id() == "adapter.820");
  CHECK(test::says(left, "\"b\" [3]"));
  const Tensor<double> b = tensors.get("b", 1, 3);
  CHECK((b.rows() == 1 && b.cols() == 3 && b(0, 1) == 2));
  tensors.nothing_left();
  auto passed = two_tensors();
  (void)passed.get("b", 0, 0);
  passed.pass_over("a");
  passed.nothing_left();
}

TEST_CASE("what is missing or of another shape is an error that says what is near") {
  auto tensors = two_tensors();
  const Error missing = test::error_of([&] { (void)tensors.get("aa", 0, 0); });
  CHECK(missing.id() == "adapter.820");
  CHECK(test::says(missing, "\"a\""));
  const Error turned = test::error_of([&] { (void)tensors.get("a", 3, 2); });
  CHECK(turned.id() == "adapter.821");
  CHECK(test::says(turned, "it is transposed"));
  const Error other = test::error_of([&] { (void)tensors.get("a", 0, 4); });
  CHECK(other.id() == "adapter.821");
  CHECK(test::says(other, "any x 4"));
}

TEST_CASE("a matrix is transposed") {
  auto tensors = two_tensors();
  const Tensor<double> a = tensors.get("a", 2, 3);
  const Tensor<double> t = interchange::detail::transposed(a.view());
  CHECK((t.rows() == 3 && t.cols() == 2 && t(2, 1) == 6 && t(0, 1) == 4));
}
