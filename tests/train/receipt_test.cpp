// SPDX-License-Identifier: Apache-2.0
#include <graft/train/receipt.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

View<const float> logit_rows(const std::vector<float>& numbers, Index columns) {
  return {numbers.data(), std::ssize(numbers) / columns, columns};
}

}  // namespace

TEST_CASE("a receipt gives differences as shares of the largest expected logit, however the rows come") {
  const std::vector<float> expected = {1, -8, 2, 0, 3, 4, 5, 1, 1};
  const std::vector<float> found = {1, -8, 2, 0, 5, 4, 5, 1, 2};
  train::LogitComparison comparison;
  comparison.expect(logit_rows(expected, 3));
  comparison.meet(logit_rows({found.begin(), found.begin() + 3}, 3));
  comparison.meet(logit_rows({found.begin() + 3, found.end()}, 3));
  const train::Receipt receipt = comparison.receipt();
  CHECK(receipt.tokens == 3);
  CHECK(receipt.scale == 8);
  CHECK(receipt.largest == 2.0 / 8);
  CHECK(receipt.mean == Approx(3.0 / 9 / 8));
  CHECK(receipt.rms == Approx(std::sqrt(5.0 / 9) / 8));
  CHECK(receipt.agreement == Approx(2.0 / 3));
}

TEST_CASE("a receipt is within a tolerance or it is not, and what is not a number never is") {
  const auto within = [](float found, std::string_view dtype) {
    train::LogitComparison comparison;
    const std::vector<float> expected = {1, 0}, other = {1, found};
    comparison.expect(logit_rows(expected, 2));
    comparison.meet(logit_rows(other, 2));
    return comparison.receipt().within(train::tolerance_of(dtype));
  };
  CHECK(within(5e-5f, "fp32"));
  CHECK_FALSE(within(9e-5f, "fp32"));  // the largest is, the rms is not
  CHECK(within(0.03f, "bf16"));
  CHECK_FALSE(within(0.06f, "f16"));
  CHECK(within(0.06f, "q8_0"));
  CHECK_FALSE(within(std::numeric_limits<float>::quiet_NaN(), "q8_0"));
  CHECK(test::error_of([] { (void)train::tolerance_of("int4"); }).id() == "train.447");
}

TEST_CASE("logits of other tokens, or of another vocabulary, are no receipt") {
  const std::vector<float> logits = {1, 2, 3, 4, 5, 6};
  const auto refused = [&](Index columns, Index rows) {
    train::LogitComparison comparison;
    comparison.expect(logit_rows(logits, 3));
    const Error error = test::error_of([&] {
      comparison.meet(logit_rows({logits.begin(), logits.begin() + rows * columns}, columns));
      (void)comparison.receipt();
    });
    CHECK(error.id() == "train.448");
    CHECK(test::says(error, "expected 2 x 3"));
  };
  refused(2, 3);
  refused(3, 1);
  train::LogitComparison longer;
  longer.expect(logit_rows({1, 2, 3}, 3));
  CHECK(test::error_of([&] { longer.meet(logit_rows(logits, 3)); }).id() == "train.448");
  CHECK(test::error_of([] { (void)train::LogitComparison().receipt(); }).id() == "train.448");
}
