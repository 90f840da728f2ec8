// expect: Basis = Loose\]|'Loose' does not satisfy 'basis'
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/subspace.hpp>

struct Loose {
  template <graft::scalar T>
  struct Chart : graft::adapters::policies::detail::PlainChart<T> {};
};
graft::adapters::Subspace<4, Loose> edits;
