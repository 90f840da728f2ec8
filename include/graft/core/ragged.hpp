// SPDX-License-Identifier: Apache-2.0
// Ragged: sequences stand one after another in the rows of every matrix, with their offsets beside them. No padding exists.
#pragma once

#include <cstdint>
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>

namespace graft {

/// Rows of R that a sequence carries, bit j for row j (SubLoReFT): all of them.
inline constexpr std::uint64_t whole_subspace = ~std::uint64_t{0};

/// What the rows of a batch mean. Sequence i owns rows offsets[i] .. offsets[i + 1].
struct Ragged {
  std::vector<Index> offsets{0};  ///< one more than there are sequences
  std::vector<Index> prompt;      ///< tokens of the sequence that precede its first trained token; ReFT counts in them
  std::vector<Index> start;       ///< position of its first row: 0, or the length of what a cache already holds
  std::vector<Index> adapter;     ///< which adapter of the bank its rows go through; 0 = none
  std::vector<Index> inserted;    ///< placeholders before its first token: rows that an adapter fills (prompt tuning)
  std::vector<std::uint64_t> subspace;  ///< rows of R that edit the sequence; empty where all carry the whole

  [[nodiscard]] Index sequences() const { return static_cast<Index>(offsets.size()) - 1; }  ///< how many there are
  [[nodiscard]] Index tokens() const { return offsets.back(); }  ///< T, the rows of every matrix
  /// Its first row.
  [[nodiscard]] Index begin(Index sequence) const { return offsets[static_cast<std::size_t>(sequence)]; }
  /// The row of its first token, behind the placeholders that this batch holds.
  [[nodiscard]] Index first_token(Index sequence) const {
    const auto i = static_cast<std::size_t>(sequence);
    return begin(sequence) + (inserted[i] > start[i] ? inserted[i] - start[i] : 0);
  }
  /// Its rows in this batch.
  [[nodiscard]] Index length(Index sequence) const { return begin(sequence + 1) - begin(sequence); }

  /// Appends a sequence of `length` rows, placeholders included where start_position is before them.
  void push(Index length, Index prompt_length, Index start_position = 0, Index adapter_id = 1, Index placeholders = 0) {
    require(length > 0 && prompt_length >= 0 && start_position >= 0 && adapter_id >= 0 && placeholders >= 0,
            "shape.110",
            "Ragged: a sequence has at least one row, and no negative prompt, start, adapter or placeholders");
    offsets.push_back(tokens() + length);
    prompt.push_back(prompt_length);
    start.push_back(start_position);
    adapter.push_back(adapter_id);
    inserted.push_back(placeholders);
    if (!subspace.empty()) {
      subspace.push_back(whole_subspace);
    }
  }
  /// The last sequence carries only these rows of R.
  void carry(std::uint64_t rows) {
    if (rows != whole_subspace || !subspace.empty()) {
      subspace.resize(static_cast<std::size_t>(sequences()), whole_subspace);
      subspace.back() = rows;
    }
  }
};

/// The position of every row in its sequence, in the memory of `positions`.
[[nodiscard]] inline std::vector<Index> positions_of(const Ragged& batch, std::vector<Index> positions = {}) {
  positions.clear();
  for (Index i = 0; i < batch.sequences(); ++i) {
    for (Index j = 0; j < batch.length(i); ++j) {
      positions.push_back(batch.start[static_cast<std::size_t>(i)] + j);
    }
  }
  return positions;
}

/// A run of rows [begin, begin + rows).
struct RowRange {
  Index begin = 0;  ///< the first one
  Index rows = 0;   ///< how many
};

/// The rows whose sequences use `adapter`, as maximal runs in rising order, in the memory of `runs`.
[[nodiscard]] inline std::vector<RowRange> rows_of_adapter(const Ragged& batch, Index adapter,
                                                           std::vector<RowRange> runs = {}) {
  runs.clear();
  for (Index i = 0; i < batch.sequences(); ++i) {
    if (batch.adapter[static_cast<std::size_t>(i)] != adapter) {
      continue;
    }
    if (!runs.empty() && runs.back().begin + runs.back().rows == batch.begin(i)) {
      runs.back().rows += batch.length(i);
    } else {
      runs.push_back({batch.begin(i), batch.length(i)});
    }
  }
  return runs;
}

/// The part of `a` that lies in `b`; rows is 0 where they do not meet.
[[nodiscard]] constexpr RowRange intersect(RowRange a, RowRange b) {
  const Index begin = a.begin > b.begin ? a.begin : b.begin;
  const Index a_end = a.begin + a.rows;
  const Index b_end = b.begin + b.rows;
  const Index end = a_end < b_end ? a_end : b_end;
  return {begin, end > begin ? end - begin : 0};
}

/// Where the rows of `run` stand in a rising list of rows.
template <class List>
[[nodiscard]] RowRange where_listed(const List& list, RowRange run) {
  RowRange where;
  for (const Index row : list) {
    where.begin += row < run.begin ? 1 : 0;
    where.rows += row >= run.begin && row < run.begin + run.rows ? 1 : 0;
  }
  return where;
}

}  // namespace graft
