// SPDX-License-Identifier: Apache-2.0
// receipt: how far the logits of what was exported are from those of the model with its adapter, and how far they may be.
#pragma once

#include <algorithm>  // max, max_element
#include <array>
#include <cmath>  // abs, sqrt
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/view.hpp>

namespace graft::train {

/// How far logits may be apart, as a share of the largest magnitude among the expected ones.
struct Tolerance {
  std::string_view dtype;  ///< of the numbers that were written
  double largest = 0;      ///< of any difference
  double rms = 0;          ///< of the root of the mean squared difference
};

/// For each type of number that an export may hold (docs/interop.md derives them).
inline constexpr std::array<Tolerance, 4> tolerances = {
    {{"fp32", 1e-4, 5e-5}, {"f16", 5e-2, 2.5e-2}, {"bf16", 5e-2, 2.5e-2}, {"q8_0", 1e-1, 5e-2}}};

/// That of a type of number; another name is train.447.
[[nodiscard]] inline const Tolerance& tolerance_of(std::string_view dtype) {
  for (const Tolerance& tolerance : tolerances) {
    if (tolerance.dtype == dtype) {
      return tolerance;
    }
  }
  fail("train.447",
       "there is no tolerance for numbers of type \"" + std::string(dtype) + "\", expected fp32, f16, bf16 or q8_0");
}

/// What two models answered to the same tokens. Differences are shares of `scale`.
struct Receipt {
  Index tokens = 0;      ///< rows of logits that were compared
  double scale = 0;      ///< the largest magnitude among the expected logits
  double largest = 0;    ///< difference
  double mean = 0;       ///< of the magnitudes of the differences
  double rms = 0;        ///< root of the mean squared difference
  double agreement = 0;  ///< share of the rows whose largest logit is the same token's

  /// Whether the differences are within bounds; one that is not a number is not.
  [[nodiscard]] bool within(const Tolerance& bound) const { return largest <= bound.largest && rms <= bound.rms; }
};

/// Keeps the logits of one model, then meets those of another, row by row in the same order.
class LogitComparison {
 public:
  /// Rows (n,V) of the model that is right.
  void expect(View<const float> rows) {
    columns_ = rows.cols;
    for (Index i = 0; i < rows.rows; ++i) {
      expected_.insert(expected_.end(), rows.row(i), rows.row(i) + rows.cols);
    }
  }
  /// The next rows (n,V) of the other; rows that nobody expects, or of another width, are train.448.
  void meet(View<const float> rows) {
    if (rows.cols != columns_ || (met_ + rows.rows) * columns_ > std::ssize(expected_)) {
      refuse(met_ + rows.rows, rows.cols);
    }
    for (Index i = 0; i < rows.rows; ++i, ++met_) {
      const auto expected =
          std::span(expected_).subspan(static_cast<std::size_t>(met_ * columns_), static_cast<std::size_t>(columns_));
      const std::span<const float> found(rows.row(i), static_cast<std::size_t>(columns_));
      for (std::size_t j = 0; j < expected.size(); ++j) {
        const double difference = std::abs(static_cast<double>(found[j]) - static_cast<double>(expected[j]));
        scale_ = std::max(scale_, std::abs(static_cast<double>(expected[j])));
        largest_ = std::max(largest_, difference);
        sum_ += difference;  // what is not a number stays in the sums
        squares_ += difference * difference;
      }
      const auto likeliest = [](std::span<const float> row) {
        return std::max_element(row.begin(), row.end()) - row.begin();
      };
      agree_ += likeliest(expected) == likeliest(found) ? 1 : 0;
    }
  }
  /// The comparison of all rows; rows that were expected and never met are train.448.
  [[nodiscard]] Receipt receipt() const {
    if (met_ * columns_ != std::ssize(expected_) || met_ == 0) {
      refuse(met_, columns_);
    }
    const double unit = scale_ > 0 ? scale_ : 1;
    const auto count = static_cast<double>(met_ * columns_);
    return {met_,
            scale_,
            largest_ / unit,
            sum_ / count / unit,
            std::sqrt(squares_ / count) / unit,
            static_cast<double>(agree_) / static_cast<double>(met_)};
  }

 private:
  [[noreturn]] void refuse(Index rows, Index columns) const {
    const Index expected = columns_ > 0 ? std::ssize(expected_) / columns_ : 0;
    fail("train.448", "logits of " + std::to_string(rows) + " tokens x " + std::to_string(columns) +
                          " were compared, expected " + std::to_string(expected) + " x " + std::to_string(columns_));
  }

  std::vector<float> expected_;  // (T,V)
  Index columns_ = 0;
  Index met_ = 0;
  Index agree_ = 0;
  double scale_ = 0, largest_ = 0, sum_ = 0, squares_ = 0;
};

}  // namespace graft::train
