// SPDX-License-Identifier: Apache-2.0
// attention by tiles: 64 queries of one head meet a block of keys through the gemm door, and their scores stay in the second
// cache (Dao, "FlashAttention-2", 2023). Forward corrects what earlier blocks gave when a larger score turns up; backward
// recomputes p = exp(s - lse), keys outermost. Folding the heads of a group into rows was slower (decisions/0014).
#pragma once

#include <algorithm>  // clamp, fill_n, max, min
#include <cmath>      // log
#include <limits>
#include <span>

#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/level.hpp>
#include <graft/core/parallel.hpp>
#include <graft/ops/attention.hpp>

namespace graft::backends::simd {

/// Queries that are multiplied at once, at most.
inline constexpr Index tile_rows = 64;
/// Keys that they meet at once, at most.
inline constexpr Index key_block = 512;

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
  /// The columns that row i sees, of the `count` keys from `begin` on.
  [[nodiscard]] constexpr Visible seen_by(const ops::AttentionShape& shape, Index i, Index begin, Index count) const {
    const Index at = position + i * step;
    const Index first = shape.window > 0 ? std::max(Index{0}, at - shape.window + 1) : 0;
    const auto column = [&](Index key) { return std::clamp(key - begin, Index{0}, count); };
    return {column(std::min(shape.sinks, first)), column(first), column(at + 1)};  // sinks in the window count once
  }
};

/// o and lse of one tile.
template <class Level, class Gemm>
void attend(const ops::AttentionShape& shape, const Tile& tile, View<const float> q, View<const float> k,
            View<const float> v, View<float> o, View<float> lse) {
  float* const memory = scratch<Purpose::scores, float>(tile.rows * (key_block + 2));
  float* const most = memory + tile.rows * key_block;
  float* const sums = most + tile.rows;
  std::fill_n(most, tile.rows, -std::numeric_limits<float>::infinity());
  std::fill_n(sums, tile.rows, 0.0f);
  for (Index begin = tile.lo; begin < tile.hi; begin += key_block) {
    const Index keys = std::min(key_block, tile.hi - begin);
    const View<float> s(memory, tile.rows, keys, key_block);
    Gemm::nt(static_cast<float>(shape.scale), q, k.middle_rows(begin, keys), 0.0f, s);
    for (Index i = 0; i < tile.rows; ++i) {
      const float correction =
          Level::softmax_row(tile.seen_by(shape, i, begin, keys), keys, s.row(i), most[i], sums[i]);
      if (begin > tile.lo && correction != 1.0f) {
        Level::scale_row(correction, o.cols, o.row(i));
      }
    }
    Gemm::nn(1.0f, s, v.middle_rows(begin, keys), begin == tile.lo ? 0.0f : 1.0f, o);
  }
  for (Index i = 0; i < tile.rows; ++i) {
    Level::scale_row(1.0f / sums[i], o.cols, o.row(i));
    lse(i, 0) = most[i] + std::log(sums[i]);
  }
}

/// What one tile and the keys from `begin` on add to dq, dk and dv; delta(rows, 1) holds the sums of d_o o.
template <class Level, class Gemm>
void attend_vjp(const ops::AttentionShape& shape, const Tile& tile, Index begin, View<const float> q,
                View<const float> k, View<const float> v, View<const float> lse, View<const float> d_o,
                View<const float> delta, View<float> dq, View<float> dk, View<float> dv) {
  const Index stride = round_up(k.rows, Index{16});
  float* const memory = scratch<Purpose::scores, float>(2 * tile.rows * stride);
  const View<float> p(memory, tile.rows, k.rows, stride);
  const View<float> ds(memory + tile.rows * stride, tile.rows, k.rows, stride);
  const auto scale = static_cast<float>(shape.scale);
  Gemm::nt(scale, q, k, 0.0f, p);
  Gemm::nt(1.0f, d_o, v, 0.0f, ds);
  for (Index i = 0; i < tile.rows; ++i) {
    Level::softmax_vjp_row(tile.seen_by(shape, i, begin, k.rows), k.rows, lse(i, 0), delta(i, 0), scale, p.row(i),
                           ds.row(i));
  }
  Gemm::nn(1.0f, ds, k, begin == tile.lo ? 0.0f : 1.0f, dq);
  Gemm::tn(1.0f, p, d_o, 1.0f, dv);
  Gemm::tn(1.0f, ds, q, 1.0f, dk);
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

/// Parallel over (sequence, key head): dq, dk and dv are summed inside one task, keys outermost.
template <class Level, class Gemm>
void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const float> q,
                   View<const float> k, View<const float> v, View<const float> o, View<const float> lse,
                   View<const float> d_o, View<float> dq, View<float> dk, View<float> dv) {
  const Index group = shape.heads / shape.kv_heads;
  const Index width = shape.head_dim;
  parallel_for(static_cast<Index>(spans.size()) * shape.kv_heads, [&](Index task, Index) {
    const ops::AttentionSpan& span = spans[static_cast<std::size_t>(task / shape.kv_heads)];
    const Index kv_head = task % shape.kv_heads;
    const auto of_keys = [&](auto x) {
      return x.middle_rows(span.key_begin, span.key_rows).middle_cols(kv_head * width, width);
    };
    const auto of_head = [&](auto x, Index head, Index cols) {
      return x.middle_rows(span.query_begin, span.query_rows).middle_cols((kv_head * group + head) * cols, cols);
    };
    const View<float> delta(scratch<Purpose::rows, float>(span.query_rows * group), span.query_rows, group);
    for (Index head = 0; head < group; ++head) {
      for (Index i = 0; i < span.query_rows; ++i) {
        delta(i, head) = Level::dot_row(of_head(d_o, head, width).row(i), of_head(o, head, width).row(i), width);
      }
    }
    for (const View<float> sums : {of_keys(dk), of_keys(dv)}) {
      for (Index j = 0; j < sums.rows; ++j) {
        Level::fill_row(0.0f, width, sums.row(j));
      }
    }
    for (Index block = 0; block < span.key_rows; block += key_block) {
      for (Index first = 0; first < span.query_rows; first += tile_rows) {
        const Tile tile(shape, std::min(tile_rows, span.query_rows - first), span.key_rows - span.query_rows + first,
                        1);
        const Index begin = std::max(tile.lo, block);
        const Index keys = std::min(tile.hi, block + key_block) - begin;
        for (Index head = 0; head < group && keys > 0; ++head) {
          const auto of_tile = [&](auto x) { return x.middle_rows(first, tile.rows); };
          attend_vjp<Level, Gemm>(shape, tile, begin, of_tile(of_head(q, head, width)),
                                  of_keys(k).middle_rows(begin, keys), of_keys(v).middle_rows(begin, keys),
                                  of_tile(of_head(lse, head, 1)), of_tile(of_head(d_o, head, width)),
                                  of_tile(delta).middle_cols(head, 1), of_tile(of_head(dq, head, width)),
                                  of_keys(dk).middle_rows(begin, keys), of_keys(dv).middle_rows(begin, keys));
        }
      }
    }
  });
}

}  // namespace graft::backends::simd
