// SPDX-License-Identifier: Apache-2.0
// attention by tiles: 64 queries of one head meet all their keys, through the gemm door; one tile row of scores exists at
// a time. Backward recomputes p = exp(s - lse) tile by tile (Dao et al., "FlashAttention", 2022, without the online softmax).
#pragma once

#include <algorithm>  // max, min
#include <span>

#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/level.hpp>
#include <graft/core/parallel.hpp>
#include <graft/ops/attention.hpp>

namespace graft::backends::simd {

/// Queries that are multiplied at once.
inline constexpr Index tile_rows = 64;

/// Rows of a tile: consecutive tokens of one head (step 1), or all heads of a group at one token (step 0: a decode step).
struct Tile {
  Index rows = 0;      ///< at most tile_rows
  Index position = 0;  ///< of the first row, among the span's keys
  Index step = 1;      ///< positions from one row to the next
  Index lo = 0;        ///< keys [lo, hi) are seen by some row
  Index hi = 0;        ///< one past the last key that some row sees

  /// Keys before the window are left out, but not where sinks stand in front of them.
  constexpr Tile(const ops::AttentionShape& shape, Index row_count, Index first_position, Index row_step)
      : rows(row_count), position(first_position), step(row_step) {
    lo = shape.window > 0 && shape.sinks == 0 ? std::max(Index{0}, position - shape.window + 1) : 0;
    hi = position + (rows - 1) * step + 1;
  }
  [[nodiscard]] constexpr Index keys() const { return hi - lo; }  ///< that the tile meets
  /// The columns of scores that row i sees, counted from lo.
  [[nodiscard]] constexpr Visible seen_by(const ops::AttentionShape& shape, Index i) const {
    const Index at = position + i * step;
    const Index first = shape.window > 0 ? std::max(Index{0}, at - shape.window + 1) : 0;
    const Index sinks = std::min(shape.sinks, first);  // what the window covers is not counted twice
    return {sinks, first - lo, at + 1 - lo};
  }
};

/// o and lse of one tile.
template <class Level, class Gemm>
void attend(const ops::AttentionShape& shape, const Tile& tile, View<const float> q, View<const float> k,
            View<const float> v, View<float> o, View<float> lse) {
  const Index stride = round_up(tile.keys(), Index{16});
  float* const memory = scratch<Purpose::scores, float>((tile.rows + 1) * stride + tile.rows);
  const View<float> s(memory, tile.rows, tile.keys(), stride);
  float* const sums = memory + tile.rows * stride;
  Gemm::nt(static_cast<float>(shape.scale), q, k.middle_rows(tile.lo, tile.keys()), 0.0f, s);
  for (Index i = 0; i < tile.rows; ++i) {
    sums[i] = Level::softmax_row(tile.seen_by(shape, i), tile.keys(), s.row(i), lse(i, 0));
  }
  Gemm::nn(1.0f, s, v.middle_rows(tile.lo, tile.keys()), 0.0f, o);
  for (Index i = 0; i < tile.rows; ++i) {
    Level::scale_row(1.0f / sums[i], o.cols, o.row(i));
  }
}

/// dq of one tile; its shares of dk and dv are added.
template <class Level, class Gemm>
void attend_vjp(const ops::AttentionShape& shape, const Tile& tile, View<const float> q, View<const float> k,
                View<const float> v, View<const float> o, View<const float> lse, View<const float> d_o, View<float> dq,
                View<float> dk, View<float> dv) {
  const Index stride = round_up(tile.keys(), Index{16});
  float* const memory = scratch<Purpose::scores, float>(2 * tile.rows * stride);
  const View<float> p(memory, tile.rows, tile.keys(), stride);
  const View<float> ds(memory + tile.rows * stride, tile.rows, tile.keys(), stride);
  const View<const float> keys = k.middle_rows(tile.lo, tile.keys());
  const auto scale = static_cast<float>(shape.scale);
  Gemm::nt(scale, q, keys, 0.0f, p);
  Gemm::nt(1.0f, d_o, v.middle_rows(tile.lo, tile.keys()), 0.0f, ds);
  for (Index i = 0; i < tile.rows; ++i) {
    const float delta = Level::dot_row(d_o.row(i), o.row(i), o.cols);
    Level::softmax_vjp_row(tile.seen_by(shape, i), tile.keys(), lse(i, 0), delta, scale, p.row(i), ds.row(i));
  }
  Gemm::nn(1.0f, ds, keys, 0.0f, dq);
  Gemm::tn(1.0f, p, d_o, 1.0f, dv.middle_rows(tile.lo, tile.keys()));
  Gemm::tn(1.0f, ds, q, 1.0f, dk.middle_rows(tile.lo, tile.keys()));
}

/// Tiles of a span. A decode step is one tile of all heads of a group: with 3 rows the gemm door is four times as quick as
/// dot products of our own (1024 keys: 8 us against 32).
[[nodiscard]] constexpr Index tiles_of(const ops::AttentionSpan& span) {
  return ceil_div(span.query_rows, tile_rows);
}

/// Parallel over (sequence, key head, query tile); every task writes rows of its own.
template <class Level, class Gemm>
void attention(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const float> q,
               View<const float> k, View<const float> v, View<float> o, View<float> lse) {
  Index tiles = 0;
  for (const ops::AttentionSpan& span : spans) {
    tiles += tiles_of(span);
  }
  const Index group = shape.heads / shape.kv_heads;
  const Index width = shape.head_dim;
  parallel_for(tiles * shape.kv_heads, [&](Index task, Index) {
    const Index kv_head = task % shape.kv_heads;
    Index number = task / shape.kv_heads;
    auto span = spans.begin();
    for (; number >= tiles_of(*span); ++span) {
      number -= tiles_of(*span);
    }
    const View<const float> keys = k.middle_rows(span->key_begin, span->key_rows).middle_cols(kv_head * width, width);
    const View<const float> values = v.middle_rows(span->key_begin, span->key_rows).middle_cols(kv_head * width, width);
    const Index first = number * tile_rows;
    const Index row = span->query_begin + first;
    const Index position = span->key_rows - span->query_rows + first;
    if (span->query_rows == 1) {
      const Index q0 = row * q.stride + kv_head * group * width;
      const Index o0 = row * o.stride + kv_head * group * width;
      attend<Level, Gemm>(shape, Tile(shape, group, position, 0), {q.data + q0, group, width}, keys, values,
                          {o.data + o0, group, width}, {lse.row(row) + kv_head * group, group, 1});
      return;
    }
    const Index rows = std::min(tile_rows, span->query_rows - first);
    for (Index head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      attend<Level, Gemm>(shape, Tile(shape, rows, position, 1),
                          q.middle_rows(row, rows).middle_cols(head * width, width), keys, values,
                          o.middle_rows(row, rows).middle_cols(head * width, width),
                          lse.middle_rows(row, rows).middle_cols(head, 1));
    }
  });
}

/// Parallel over (sequence, key head): dk and dv are summed inside one task, tile by tile, head by head.
template <class Level, class Gemm>
void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const float> q,
                   View<const float> k, View<const float> v, View<const float> o, View<const float> lse,
                   View<const float> d_o, View<float> dq, View<float> dk, View<float> dv) {
  const Index group = shape.heads / shape.kv_heads;
  const Index width = shape.head_dim;
  parallel_for(static_cast<Index>(spans.size()) * shape.kv_heads, [&](Index task, Index) {
    const ops::AttentionSpan& span = spans[static_cast<std::size_t>(task / shape.kv_heads)];
    const Index kv_head = task % shape.kv_heads;
    const auto of_keys = [&](auto view) {
      return view.middle_rows(span.key_begin, span.key_rows).middle_cols(kv_head * width, width);
    };
    const View<float> dkeys = of_keys(dk);
    const View<float> dvalues = of_keys(dv);
    for (Index j = 0; j < span.key_rows; ++j) {
      Level::fill_row(0.0f, width, dkeys.row(j));
      Level::fill_row(0.0f, width, dvalues.row(j));
    }
    for (Index first = 0; first < span.query_rows; first += tile_rows) {
      const Index rows = std::min(tile_rows, span.query_rows - first);
      const Tile tile(shape, rows, span.key_rows - span.query_rows + first, 1);
      for (Index head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const auto of_tile = [&](auto view, Index begin, Index cols) {
          return view.middle_rows(span.query_begin + first, rows).middle_cols(begin, cols);
        };
        const Index at = head * width;
        attend_vjp<Level, Gemm>(shape, tile, of_tile(q, at, width), of_keys(k), of_keys(v), of_tile(o, at, width),
                                of_tile(lse, head, 1), of_tile(d_o, at, width), of_tile(dq, at, width), dkeys, dvalues);
      }
    }
  });
}

}  // namespace graft::backends::simd
