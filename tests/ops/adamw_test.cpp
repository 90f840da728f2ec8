// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/adamw.hpp>

#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/paths.hpp"
#include "support/tensors.hpp"

using namespace graft;
using test::rows_of;

namespace {
template <scalar T>
Tensor<T> read(const io::Safetensors& file, const std::string& name) {
  const io::TensorRef& ref = file.at(name);
  Tensor<T> values(ref.rows(), ref.cols());
  io::decode_rows(ref, 0, values.view());
  return values;
}

/// The worst relative error of the values after each of torch's steps.
template <scalar T>
double worst_of_steps(const std::string& optimizer, const std::string& shape, ops::AdamWStep step) {
  const auto file = io::Safetensors::open(test::golden("train/optimizers.safetensors"));
  auto value = read<T>(file, "start." + shape);
  const auto gradients = read<T>(file, "grad." + shape);  // the steps one after another
  const auto expected = read<double>(file, optimizer + "." + shape);
  Tensor<T> m(1, value.size());
  Tensor<T> v(1, value.size());
  const Index steps = gradients.size() / value.size();
  REQUIRE(steps == 12);
  double worst = 0;
  for (Index t = 0; t < steps; ++t) {
    step.number = t + 1;
    const auto flat = [&](const auto& all) { return all.view().reshape(steps, value.size()).middle_rows(t, 1); };
    ops::adamw(step, 1, flat(gradients), m.view(), v.view(), value.view().reshape(1, value.size()));
    worst = std::max(worst, test::relative_error(value.view().reshape(1, value.size()), flat(expected)));
  }
  return worst;
}
}  // namespace

TEST_CASE("adamw follows torch's twelve steps") {
  const std::string shape = GENERATE("matrix", "vector");
  const auto [name, step] = GENERATE(table<std::string, ops::AdamWStep>({
      {"adamw", {0.01, 0.9, 0.999, 1e-8, 0.0, 1}},
      {"adamw-wd", {0.01, 0.9, 0.999, 1e-8, 0.1, 1}},
      {"adamw-betas", {0.003, 0.8, 0.95, 1e-6, 0.05, 1}},
  }));
  CAPTURE(shape, name);
  const double roundings = 12 * 8;  // twelve steps of fewer than eight operations on the value
  CHECK(worst_of_steps<double>(name, shape, step) <= roundings * test::epsilon<double>);
  CHECK(worst_of_steps<float>(name, shape, step) <= roundings * test::epsilon<float>);
}

TEST_CASE("the first step of adamw moves every value by the rate, against the sign of its gradient") {
  const auto gradient = rows_of<float>({{1e-3, -50, 2}});
  Tensor<float> m(1, 3);
  Tensor<float> v(1, 3);
  Tensor<float> value(1, 3);
  ops::adamw({.rate = 0.5, .epsilon = 0}, 1, gradient.view(), m.view(), v.view(), value.view());
  CHECK(test::relative_error(value.view(), rows_of<float>({{-0.5, 0.5, -0.5}}).view()) <= 4 * test::epsilon<float>);
}

TEST_CASE("adamw with scale s does what it does to gradients multiplied by s") {
  const auto gradient = test::normal<double>(3, 4, 1);
  auto quarter = gradient.clone();
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 4; ++j) {
      quarter(i, j) *= 0.25;
    }
  }
  Tensor<double> m(3, 4), v(3, 4), value(3, 4), other_m(3, 4), other_v(3, 4), other(3, 4);
  ops::adamw({}, 0.25, gradient.view(), m.view(), v.view(), value.view());
  ops::adamw({}, 1, quarter.view(), other_m.view(), other_v.view(), other.view());
  CHECK(test::identical(value.view(), other.view()));
  CHECK(test::identical(v.view(), other_v.view()));
}

TEST_CASE("adamw decays a value whose gradient is zero by rate times decay") {
  const Tensor<double> gradient(1, 1);
  Tensor<double> m(1, 1), v(1, 1);
  auto value = rows_of<double>({{8}});
  ops::adamw({.rate = 0.5, .decay = 0.25}, 1, gradient.view(), m.view(), v.view(), value.view());
  CHECK(value(0, 0) == 7.0);
}

TEST_CASE("adamw refuses matrices that disagree") {
  const Tensor<float> gradient(2, 3);
  Tensor<float> right(2, 3);
  Tensor<float> wrong(3, 2);
  CHECK_THROWS_WITH(ops::adamw({}, 1, gradient.view(), wrong.view(), right.view(), right.view()),
                    test::contains("shape.131: adamw: "));
  CHECK_THROWS_WITH(ops::adamw({}, 1, gradient.view(), right.view(), wrong.view(), right.view()),
                    test::contains("shape.131"));
  CHECK_THROWS_WITH(ops::adamw({}, 1, gradient.view(), right.view(), right.view(), wrong.view()),
                    test::contains("shape.131"));
}
