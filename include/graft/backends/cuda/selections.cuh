// SPDX-License-Identifier: Apache-2.0
// selections: rows and columns chosen by an index list, each place by itself. Where a list names a place twice, the thread of its
// first mention does the others' work, in their order: `next` leads from one to the next.
#pragma once

#include <cstdint>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// out(i, :) = from(list[i], :), converted.
template <class I, class S>
struct GatherRows {
  View<const S> from;
  const I* list;
  View<float> out;
  GRAFT_HD void operator()(Index i, Index j) const { out(i, j) = static_cast<float>(from(list[i], j)); }
};
/// out(:, j) = from(:, list[j]), converted.
template <class I, class S>
struct GatherColumns {
  View<const S> from;
  const I* list;
  View<float> out;
  GRAFT_HD void operator()(Index i, Index j) const { out(i, j) = static_cast<float>(from(i, list[j])); }
};
/// onto(list[i], :) = rows(i, :).
template <class I>
struct ScatterRows {
  View<const float> rows;
  const I* list;
  View<float> onto;
  GRAFT_HD void operator()(Index i, Index j) const { onto(list[i], j) = rows(i, j); }
};

/// next[i]: the following mention of list[i], 0 at the last one, -1 - that where i itself is not the first.
struct Mentions {
  const std::int32_t* next;

  /// Calls visit(i) for all mentions of what i names, if i is the first.
  template <class Visitor>
  GRAFT_HD void each(Index i, const Visitor& visit) const {
    std::int32_t following = next[i];
    if (following < 0) {
      return;
    }
    visit(i);
    while (following != 0) {
      const Index at = following;
      visit(at);
      following = -1 - next[at];
    }
  }
};
/// onto(list[i], :) += alpha rows(i, :).
template <class I>
struct ScatterAddRows {
  float alpha;
  View<const float> rows;
  const I* list;
  Mentions mentions;
  View<float> onto;
  GRAFT_HD void operator()(Index i, Index j) const {
    mentions.each(i, [&](Index at) { onto(list[i], j) += alpha * rows(at, j); });
  }
};
/// onto(:, list[j]) += alpha cols(:, j).
template <class I>
struct ScatterAddColumns {
  float alpha;
  View<const float> cols;
  const I* list;
  Mentions mentions;
  View<float> onto;
  GRAFT_HD void operator()(Index i, Index j) const {
    mentions.each(j, [&](Index at) { onto(i, list[j]) += alpha * cols(i, at); });
  }
};

}  // namespace graft::backends::cuda
