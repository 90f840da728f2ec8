// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/paired_rows.hpp>

#include <graft/ops/elementwise.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using backends::PairedRows;

TEST_CASE("rows in pairs hold every number where BA16a64b2a has it, and zeros in what is missing to a group") {
  for (const backends::Isa isa : {backends::Isa::baseline, backends::Isa::avx2, backends::Isa::avx512}) {
    if (isa > backends::best_isa()) {
      continue;
    }
    for (const Index rows : {1, 2, 31, 32, 45, 64}) {
      for (const Index cols : {1, 63, 64, 65, 192}) {
        CAPTURE(static_cast<int>(isa), rows, cols);
        Tensor<bf16> wider(rows, cols + 3);
        ops::copy(test::normal<float>(rows, cols + 3, 1).view(), wider.view());
        const View<const bf16> b = wider.view().middle_cols(2, cols);
        const PairedRows found = backends::paired(isa, b);
        REQUIRE(found.rows == rows);
        REQUIRE(found.cols == cols);
        Index wrong = 0;
        const bf16* next = found.data;
        for (Index right = 0; right < cols; right += 64) {
          for (Index down = 0; down < rows; down += 32) {
            for (Index pair = 0; pair < 16; ++pair) {
              for (Index j = right; j < right + 64; ++j) {
                for (Index i = down + 2 * pair; i < down + 2 * pair + 2; ++i) {
                  wrong += (next++)->bits != (i < rows && j < cols ? b(i, j).bits : 0);
                }
              }
            }
          }
        }
        CHECK(wrong == 0);
      }
    }
  }
}
