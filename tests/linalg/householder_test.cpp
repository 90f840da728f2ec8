// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/householder.hpp>

#include <cmath>
#include <string>

#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/linalg/orthonormal.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

Tensor<double> householder_golden(const io::Safetensors& file, const std::string& name) {
  const io::TensorRef& tensor = file.at("householder." + name);
  Tensor<double> values(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, values.view());
  return values;
}

}  // namespace

TEST_CASE("the Householder map gives torch's columns", "[linalg]") {
  const auto file = io::Safetensors::open(test::golden("linalg/orthonormal.safetensors"));
  for (const std::string name : {"a-48x4", "b-10x10-minus-1", "c-7x1", "d5"}) {
    INFO(name);
    const auto x = householder_golden(file, name + ".original");
    const auto weight = householder_golden(file, name + ".weight");
    const auto q = linalg::householder_columns(x.view());
    const bool has_base = file.find("householder." + name + ".base") != nullptr;
    const auto base = has_base ? householder_golden(file, name + ".base") : Tensor<double>();
    for (Index i = 0; i < weight.rows(); ++i) {
      for (Index j = 0; j < weight.cols(); ++j) {
        double sum = has_base ? 0 : q(i, j);
        for (Index k = 0; has_base && k < q.rows(); ++k) {
          sum += base(i, k) * q(k, j);
        }
        CHECK(std::abs(sum - weight(i, j)) < 1e-14);
      }
    }
  }
}

TEST_CASE("minus the unit matrix is the start of torch's map: the base's own first columns", "[linalg]") {
  Tensor<double> x(5, 2);
  x(0, 0) = x(1, 1) = -1;
  const auto q = linalg::householder_columns(x.view());
  for (Index i = 0; i < 5; ++i) {
    CHECK((q(i, 0) == (i == 0) && q(i, 1) == (i == 1)));
  }
}

TEST_CASE("a completed basis is orthogonal and begins with the rows that it was given", "[linalg]") {
  const auto file = io::Safetensors::open(test::golden("linalg/orthonormal.safetensors"));
  const auto weight = householder_golden(file, "a-48x4.weight");
  Tensor<double> rows(4, 48);
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j < 48; ++j) {
      rows(i, j) = weight(j, i);
    }
  }
  const auto whole = linalg::complete_basis(rows.view());
  CHECK(linalg::orthonormality_error(whole.view()) < 1e-14);
  for (Index j = 0; j < 48; ++j) {
    CHECK(whole(3, j) == rows(3, j));
  }
  Tensor<double> unit(1, 3);
  unit(0, 0) = 1;  // already a unit vector
  CHECK(linalg::orthonormality_error(linalg::complete_basis(unit.view()).view()) < 1e-15);
}

TEST_CASE("square matrices have no Householder map and need no completion", "[linalg]") {
  const Tensor<double> square(3, 3);
  CHECK(test::error_of([&] { (void)linalg::householder_columns(square.view()); }).id() == "shape.178");
  CHECK(test::error_of([&] { (void)linalg::complete_basis(square.view()); }).id() == "shape.178");
}
