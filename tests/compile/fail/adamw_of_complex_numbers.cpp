// expect: constraints|no matching function for call to
// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/adamw.hpp>

#include <complex>

void step(graft::View<std::complex<double>> x) {
  graft::ops::adamw({}, 1, x, x, x, x);
}
