// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/basis.hpp>

#include "support/catch.hpp"
#include "support/householder_basis.hpp"
#include "support/paths.hpp"
#include "support/tensors.hpp"

#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/linalg/orthonormal.hpp>

using namespace graft;
using namespace graft::adapters::policies;

namespace {
Tensor<double> golden_tensor(const io::Safetensors& file, const std::string& name) {
  Tensor<double> values(file.at(name).rows(), file.at(name).cols());
  io::decode_rows(file.at(name), 0, values.view());
  return values;
}
Tensor<double> transposed(const Tensor<double>& x) {
  Tensor<double> turned(x.cols(), x.rows());
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) {
      turned(j, i) = x(i, j);
    }
  }
  return turned;
}
}  // namespace

TEST_CASE("an orthonormal basis starts with orthonormal rows, comes back to them, and does not decay") {
  const backends::Reference be;
  Orthonormal::Chart<float> chart;
  Parameter<float> trained = chart.start(6, 33, Random(5));
  CHECK_FALSE(trained.decays);
  CHECK(linalg::orthonormality_error(trained.value) < 1e-6);
  const Tensor<float> before = trained.storage.clone();
  chart.retract(be, trained);
  CHECK(test::relative_error(trained.value, before.view()) < 1e-6);  // it was there already
  for (Index i = 0; i < trained.size(); ++i) {
    trained.value(i / 33, i % 33) += static_cast<float>(0.05 * Random(6).normal(static_cast<std::uint64_t>(i)));
  }
  CHECK(linalg::orthonormality_error(trained.value) > 1e-2);
  chart.retract(be, trained);
  CHECK(linalg::orthonormality_error(trained.value) < 1e-6);
}

TEST_CASE("a free basis starts within 1/sqrt(d), decays, and stays where the optimizer puts it") {
  Free::Chart<double> chart;
  Parameter<double> trained = chart.start(4, 16, Random(5));
  CHECK(trained.decays);
  CHECK(test::largest(trained.value) <= 0.25);
  CHECK(test::largest(trained.value) > 0.2);
  trained.value(0, 0) = 9;
  chart.retract(backends::Reference{}, trained);
  CHECK(trained.value(0, 0) == 9);
}

TEST_CASE("the test kit's Householder map and its pull-back equal torch's") {
  const auto file = io::Safetensors::open(test::golden("reft/loreft-tied/io.safetensors"));
  for (const std::string i : {"I0.", "I1."}) {
    CAPTURE(i);
    const backends::Reference be;
    test::Householder::Chart<double> chart;
    Parameter<double> trained = chart.start(4, 48, Random(1));
    chart.adopt(be, trained, transposed(golden_tensor(file, i + "base")).view());
    be.copy(golden_tensor(file, i + "original").view(), trained.value);
    chart.retract(be, trained);
    CHECK(test::relative_error(chart.rows(trained), golden_tensor(file, i + "R").view()) < 1e-14);
    be.copy(golden_tensor(file, "grad." + i + "R").view(), chart.rows_gradient(trained));
    chart.pull(be, trained);
    CHECK(test::relative_error(trained.gradient.view(), golden_tensor(file, "grad." + i + "original").view()) < 1e-12);
    CHECK(test::largest(chart.rows_gradient(trained)) == 0);
  }
}
