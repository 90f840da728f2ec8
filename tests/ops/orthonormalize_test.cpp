// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/orthonormalize.hpp>

#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/linalg/orthonormal.hpp>

#include "support/catch.hpp"
#include "support/paths.hpp"
#include "support/tensors.hpp"

using namespace graft;
using test::rows_of;

namespace {
/// Golden matrices stand d x r; the rows of R are their columns.
template <scalar T>
Tensor<T> read_transposed(const std::string& name) {
  const auto file = io::Safetensors::open(test::golden("linalg/orthonormal.safetensors"));
  const io::TensorRef& ref = file.at(name);
  Tensor<double> stored(ref.rows(), ref.cols());
  io::decode_rows(ref, 0, stored.view());
  Tensor<T> turned(stored.cols(), stored.rows());
  for (Index i = 0; i < turned.rows(); ++i) {
    for (Index j = 0; j < turned.cols(); ++j) {
      turned(i, j) = static_cast<T>(stored(j, i));
    }
  }
  return turned;
}

template <scalar T>
void orthonormalize(Tensor<T>& rows) {
  auto scratch = test::normal<T>(4 * rows.rows(), rows.cols(), 99);  // what it holds must not matter
  ops::orthonormalize(rows.view(), scratch.view());
}
}  // namespace

TEST_CASE("orthonormalize finds the polar factor that LAPACK finds") {
  const std::string name = GENERATE("a-48x4", "b-16x16", "c-9x1");
  CAPTURE(name);
  auto rows = read_transposed<double>("orthonormalise." + name + ".matrix");
  const auto polar = read_transposed<double>("orthonormalise." + name + ".polar");
  orthonormalize(rows);
  CHECK(test::relative_error(rows.view(), polar.view()) <= 1e-12);
  CHECK(linalg::orthonormality_error(rows.view()) <= 16 * 16 * test::epsilon<double>);
}

TEST_CASE("orthonormalize of a scaled permutation is the permutation") {
  auto rows = rows_of<double>({{0, 3, 0}, {0, 0, -0.5}});
  orthonormalize(rows);
  CHECK(test::relative_error(rows.view(), rows_of<double>({{0, 1, 0}, {0, 0, -1}}).view()) <=
        8 * test::epsilon<double>);
}

TEST_CASE("float rows stay orthonormal to 1e-6 through a hundred steps of an optimizer") {
  const auto [r, d] =
      GENERATE(std::pair<Index, Index>(1, 9), std::pair<Index, Index>(4, 48), std::pair<Index, Index>(16, 96));
  CAPTURE(r, d);
  auto rows = test::normal<float>(r, d, 1);
  orthonormalize(rows);
  for (std::uint64_t step = 0; step < 100; ++step) {
    const auto gradient = test::normal<float>(r, d, 100 + step);
    ops::add(0.01F, gradient.view(), rows.view());
    orthonormalize(rows);
    REQUIRE(linalg::orthonormality_error(rows.view()) <= 1e-6);
  }
}

TEST_CASE("rows of condition number 1000 become orthonormal") {
  const Index r = 4;
  const Index d = 12;
  auto rows = test::normal<float>(r, d, 5);
  orthonormalize(rows);
  auto bent = rows.clone();
  for (Index j = 0; j < d; ++j) {  // the last row: the first, and a thousandth of its own
    bent(3, j) = rows(0, j) + 2e-3F * rows(3, j);
  }
  orthonormalize(bent);
  CHECK(linalg::orthonormality_error(bent.view()) <= 1e-6);
}

TEST_CASE("orthonormalize does not depend on the size of the rows") {
  const double factor = GENERATE(1e-6, 1e6);
  auto rows = test::normal<double>(3, 7, 2);
  auto scaled = rows.clone();
  ops::scale(factor, scaled.view());
  orthonormalize(rows);
  orthonormalize(scaled);
  CHECK(test::relative_error(scaled.view(), rows.view()) <= 64 * test::epsilon<double>);
}

TEST_CASE("orthonormalize refuses more rows than columns, and too little scratch") {
  Tensor<float> tall(3, 2);
  Tensor<float> rows(2, 5);
  Tensor<float> low(7, 5);
  Tensor<float> narrow(8, 4);
  Tensor<float> enough(12, 5);
  CHECK_THROWS_WITH(ops::orthonormalize(tall.view(), enough.view()),
                    test::contains("shape.130: orthonormalize: R(r,d)"));
  CHECK_THROWS_WITH(ops::orthonormalize(rows.view(), low.view()), test::contains("shape.130: orthonormalize: scratch"));
  CHECK_THROWS_WITH(ops::orthonormalize(rows.view(), narrow.view()), test::contains("shape.130"));
}
