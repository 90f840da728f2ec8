// SPDX-License-Identifier: Apache-2.0
// attention: tile by tile, forward and backward, so that no tokens x tokens matrix exists (Dao, "FlashAttention-2", 2023). The
// operands of products are fp32, or are rounded to bf16 for tensor cores; all sums are fp32. Nothing is summed by atomics: keys'
// gradients and queries' gradients are each made by the team that owns the rows.
#pragma once

#include <cmath>

#include <graft/backends/cuda/tile.cuh>
#include <graft/core/view.hpp>
#include <graft/ops/attention.hpp>

namespace graft::backends::cuda {

/// Rows [first, first + side) of the queries, or of the keys, of one span.
struct AttentionTile {
  ops::AttentionSpan span;  ///< whose
  Index first = 0;          ///< counted in the span
};

/// How tiles lie in shared memory: `side` rows of queries and of keys, heads padded to a multiple of 16.
template <class Operand>
struct AttentionLayout {
  Index side;   ///< rows of a tile, a multiple of 16
  Index width;  ///< columns of a head, padded

  /// For heads of `head_dim`.
  GRAFT_HD AttentionLayout(Index rows, Index head_dim) : side(rows), width((head_dim + 15) / 16 * 16) {}
  [[nodiscard]] GRAFT_HD Index operand_bytes() const { return side * (width + 8) * Index{sizeof(Operand)}; }  ///< rows of q ..
  [[nodiscard]] GRAFT_HD Index sum_bytes() const { return side * (width + 8) * Index{sizeof(float)}; }        ///< of o ..
  [[nodiscard]] GRAFT_HD Index score_bytes() const { return side * (side + 8) * Index{sizeof(float)}; }       ///< q k'
  [[nodiscard]] GRAFT_HD Index weight_bytes() const { return side * (side + 8) * Index{sizeof(Operand)}; }    ///< p
  [[nodiscard]] GRAFT_HD Index row_bytes() const { return side * Index{sizeof(float)}; }                      ///< a number a row

  /// The side that a team's shared memory has room for.
  template <class Kernel>
  [[nodiscard]] static Index side_for(Index head_dim, Index shared_bytes) {
    for (const Index rows : {Index{64}, Index{32}}) {
      if (Kernel::shared_bytes({rows, head_dim}) <= shared_bytes) {
        return rows;
      }
    }
    return 16;
  }
};

/// A walk through the team's memory.
template <class Operand, class Team>
struct AttentionMemory {
  const Team& team;
  AttentionLayout<Operand> layout;
  Index used = 0;

  [[nodiscard]] GRAFT_HD Tile<Operand> operand() { return take<Operand>(layout.operand_bytes(), layout.width + 8); }
  [[nodiscard]] GRAFT_HD Tile<float> sum() { return take<float>(layout.sum_bytes(), layout.width + 8); }
  [[nodiscard]] GRAFT_HD Tile<float> score() { return take<float>(layout.score_bytes(), layout.side + 8); }
  [[nodiscard]] GRAFT_HD Tile<Operand> weight() { return take<Operand>(layout.weight_bytes(), layout.side + 8); }
  [[nodiscard]] GRAFT_HD float* row() { return take<float>(layout.row_bytes(), 1).data; }

 private:
  template <class T>
  [[nodiscard]] GRAFT_HD Tile<T> take(Index bytes, Index stride) {
    T* const data = team.template memory<T>(used);
    used += bytes;
    return {data, stride, 1};
  }
};

/// Rows [begin, begin + count) and columns [column, column + head_dim) of x, zeros around them.
template <class Team, class Operand>
GRAFT_HD void load_tile(const Team& team, const AttentionLayout<Operand>& layout, View<const float> x, Index begin,
                        Index count, Index column, Index head_dim, Tile<Operand> into) {
  team.grid(layout.side, layout.width, [&](Index i, Index c) {
    into(i, c) = Operand(i < count && c < head_dim ? x(begin + i, column + c) : 0.0f);
  });
}
template <class Team>
GRAFT_HD void clear_tile(const Team& team, Tile<float> tile, Index rows, Index cols) {
  team.grid(rows, cols, [&](Index i, Index j) { tile(i, j) = 0; });
}

/// Whether some query of [first, last) of a span may look at some key of [from, to).
[[nodiscard]] GRAFT_HD inline bool tiles_meet(const ops::AttentionShape& shape, const ops::AttentionSpan& span, Index first,
                                              Index last, Index from, Index to) {
  const Index shift = span.key_rows - span.query_rows;
  return from <= shift + last - 1 && (from < shape.sinks || shape.window == 0 || to - 1 > shift + first - shape.window);
}
/// The smaller of two.
[[nodiscard]] GRAFT_HD inline Index smaller(Index a, Index b) {
  return a < b ? a : b;
}

/// o and lse of one tile of queries for one head, with a running maximum: task = tile * heads + head.
template <class Operand>
struct Attention {
  using Layout = AttentionLayout<Operand>;
  ops::AttentionShape shape;
  const AttentionTile* tiles;
  Index side;
  View<const float> q, k, v;
  View<float> o, lse;

  [[nodiscard]] static Index shared_bytes(const Layout& l) {
    return 3 * l.operand_bytes() + l.score_bytes() + l.weight_bytes() + l.sum_bytes() + 2 * l.row_bytes();
  }
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    using std::exp;
    using std::log;
    const AttentionTile tile = tiles[task / shape.heads];
    const ops::AttentionSpan& span = tile.span;
    const Index head = task % shape.heads;
    const Index own = head * shape.head_dim;
    const Index group = head / (shape.heads / shape.kv_heads) * shape.head_dim;
    const Index rows = smaller(side, span.query_rows - tile.first);
    const Index row0 = span.query_begin + tile.first;
    const Layout layout(side, shape.head_dim);
    AttentionMemory<Operand, Team> memory{team, layout};
    const Tile<Operand> tq = memory.operand(), tk = memory.operand(), tv = memory.operand();
    const Tile<float> scores = memory.score(), sums = memory.sum();
    const Tile<Operand> weights = memory.weight();
    float* const largest = memory.row();
    float* const total = memory.row();
    const auto scale = static_cast<float>(shape.scale);

    load_tile(team, layout, q, row0, rows, own, shape.head_dim, tq);
    clear_tile(team, sums, side, layout.width);
    team.each(side, [&](Index i) {
      largest[i] = -INFINITY;
      total[i] = 0;
    });
    for (Index from = 0; from < span.key_rows; from += side) {
      const Index keys = smaller(side, span.key_rows - from);
      if (!tiles_meet(shape, span, tile.first, tile.first + rows, from, from + keys)) {
        continue;
      }
      team.sync();
      load_tile(team, layout, k, span.key_begin + from, keys, group, shape.head_dim, tk);
      load_tile(team, layout, v, span.key_begin + from, keys, group, shape.head_dim, tv);
      clear_tile(team, scores, side, side);
      team.sync();
      team.multiply(scores, tq.read(), tk.turned(), side, side, layout.width);
      team.sync();
      team.parts(side, [&](Index i, const auto& part) {
        const auto seen = [&](Index j) {
          return i < rows && j < keys && ops::attends(shape, span, tile.first + i, from + j);
        };
        const float before = largest[i];
        const float here = part.max(side, [&](Index j) { return seen(j) ? scale * scores(i, j) : -INFINITY; });
        const float now = before > here ? before : here;
        const float kept = now == -INFINITY ? 1.0f : exp(before - now);
        const float sum = part.sum(side, [&](Index j) {
          const float weight = seen(j) ? exp(scale * scores(i, j) - now) : 0.0f;
          weights(i, j) = Operand(weight);
          return weight;
        });
        part.each(layout.width, [&](Index c) { sums(i, c) *= kept; });
        if (part.leads()) {
          largest[i] = now;
          total[i] = total[i] * kept + sum;
        }
      });
      team.sync();
      team.multiply(sums, weights.read(), tv.read(), side, layout.width, side);
    }
    team.sync();
    team.grid(rows, shape.head_dim, [&](Index i, Index c) {
      o(row0 + i, own + c) = sums(i, c) / total[i];
    });
    team.each(rows, [&](Index i) { lse(row0 + i, head) = largest[i] + log(total[i]); });
  }
};

/// delta(T,H) = <do, o> of every row and head; a task is a row.
struct AttentionDelta {
  Index heads, head_dim;
  View<const float> o, d_o;
  View<float> delta;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index row) const {
    team.parts(heads, [&](Index head, const auto& part) {
      const Index begin = head * head_dim;
      const float sum = part.sum(head_dim, [&](Index c) { return o(row, begin + c) * d_o(row, begin + c); });
      if (part.leads()) {
        delta(row, head) = sum;
      }
    });
  }
};

/// What both halves of the backward share: for a tile of queries and one of keys, p = exp(s - lse) and ds = scale p (<do, v> - D).
template <class Operand>
struct AttentionBackward {
  using Layout = AttentionLayout<Operand>;
  ops::AttentionShape shape;
  const AttentionTile* tiles;
  Index side;
  View<const float> q, k, v, lse, d_o, delta;

  template <class Team>
  struct Tiles {
    Tile<Operand> q, k, v, d_o;
    Tile<float> scores, products;
    Tile<Operand> p, ds;

    GRAFT_HD explicit Tiles(AttentionMemory<Operand, Team>& memory)
        : q(memory.operand()),
          k(memory.operand()),
          v(memory.operand()),
          d_o(memory.operand()),
          scores(memory.score()),
          products(memory.score()),
          p(memory.weight()),
          ds(memory.weight()) {}
  };
  [[nodiscard]] static Index tile_bytes(const Layout& l) {
    return 4 * l.operand_bytes() + 2 * l.score_bytes() + 2 * l.weight_bytes();
  }
  /// Loads rows of queries and of their do; rows of keys and values.
  template <class Team>
  GRAFT_HD void load_queries(const Team& team, const Layout& layout, const Tiles<Team>& t, const ops::AttentionSpan& span,
                             Index first, Index rows, Index head) const {
    const Index begin = span.query_begin + first;
    load_tile(team, layout, q, begin, rows, head * shape.head_dim, shape.head_dim, t.q);
    load_tile(team, layout, d_o, begin, rows, head * shape.head_dim, shape.head_dim, t.d_o);
  }
  template <class Team>
  GRAFT_HD void load_keys(const Team& team, const Layout& layout, const Tiles<Team>& t, const ops::AttentionSpan& span,
                          Index from, Index keys, Index group) const {
    const Index begin = span.key_begin + from;
    load_tile(team, layout, k, begin, keys, group * shape.head_dim, shape.head_dim, t.k);
    load_tile(team, layout, v, begin, keys, group * shape.head_dim, shape.head_dim, t.v);
  }
  /// p and ds of the tiles that are loaded; ends in a sync.
  template <class Team>
  GRAFT_HD void weigh(const Team& team, const Layout& layout, const Tiles<Team>& t, const ops::AttentionSpan& span,
                      Index first, Index rows, Index from, Index keys, Index head) const {
    using std::exp;
    clear_tile(team, t.scores, side, side);
    clear_tile(team, t.products, side, side);
    team.sync();
    team.multiply(t.scores, t.q.read(), t.k.turned(), side, side, layout.width);
    team.multiply(t.products, t.d_o.read(), t.v.turned(), side, side, layout.width);
    team.sync();
    const auto scale = static_cast<float>(shape.scale);
    team.grid(side, side, [&](Index i, Index j) {
      float weight = 0;
      float slope = 0;
      if (i < rows && j < keys && ops::attends(shape, span, first + i, from + j)) {
        const Index row = span.query_begin + first + i;
        weight = exp(scale * t.scores(i, j) - lse(row, head));
        slope = scale * weight * (t.products(i, j) - delta(row, head));
      }
      t.p(i, j) = Operand(weight);
      t.ds(i, j) = Operand(slope);
    });
    team.sync();
  }
};

/// dq of one tile of queries for one head: task = tile * heads + head.
template <class Operand>
struct AttentionQueryVjp {
  using Layout = AttentionLayout<Operand>;
  AttentionBackward<Operand> with;
  View<float> dq;

  [[nodiscard]] static Index shared_bytes(const Layout& l) {
    return AttentionBackward<Operand>::tile_bytes(l) + l.sum_bytes();
  }
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    const ops::AttentionShape& shape = with.shape;
    const AttentionTile tile = with.tiles[task / shape.heads];
    const ops::AttentionSpan& span = tile.span;
    const Index head = task % shape.heads;
    const Index rows = smaller(with.side, span.query_rows - tile.first);
    const Layout layout(with.side, shape.head_dim);
    AttentionMemory<Operand, Team> memory{team, layout};
    const typename AttentionBackward<Operand>::template Tiles<Team> t(memory);
    const Tile<float> sums = memory.sum();
    with.load_queries(team, layout, t, span, tile.first, rows, head);
    clear_tile(team, sums, with.side, layout.width);
    for (Index from = 0; from < span.key_rows; from += with.side) {
      const Index keys = smaller(with.side, span.key_rows - from);
      if (!tiles_meet(shape, span, tile.first, tile.first + rows, from, from + keys)) {
        continue;
      }
      team.sync();
      with.load_keys(team, layout, t, span, from, keys, head / (shape.heads / shape.kv_heads));
      with.weigh(team, layout, t, span, tile.first, rows, from, keys, head);
      team.multiply(sums, t.ds.read(), t.k.read(), with.side, layout.width, with.side);
    }
    team.sync();
    team.grid(rows, shape.head_dim, [&](Index i, Index c) {
      dq(span.query_begin + tile.first + i, head * shape.head_dim + c) = sums(i, c);
    });
  }
};

/// dk and dv of one tile of keys for one head of keys, summed over the heads that read it in their order:
/// task = tile * kv_heads + head.
template <class Operand>
struct AttentionKeyVjp {
  using Layout = AttentionLayout<Operand>;
  AttentionBackward<Operand> with;
  View<float> dk, dv;

  [[nodiscard]] static Index shared_bytes(const Layout& l) {
    return AttentionBackward<Operand>::tile_bytes(l) + 2 * l.sum_bytes();
  }
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    const ops::AttentionShape& shape = with.shape;
    const AttentionTile tile = with.tiles[task / shape.kv_heads];
    const ops::AttentionSpan& span = tile.span;
    const Index group = task % shape.kv_heads;
    const Index readers = shape.heads / shape.kv_heads;
    const Index keys = smaller(with.side, span.key_rows - tile.first);
    const Layout layout(with.side, shape.head_dim);
    AttentionMemory<Operand, Team> memory{team, layout};
    const typename AttentionBackward<Operand>::template Tiles<Team> t(memory);
    const Tile<float> sum_k = memory.sum(), sum_v = memory.sum();
    with.load_keys(team, layout, t, span, tile.first, keys, group);
    clear_tile(team, sum_k, with.side, layout.width);
    clear_tile(team, sum_v, with.side, layout.width);
    for (Index head = group * readers; head < (group + 1) * readers; ++head) {
      for (Index first = 0; first < span.query_rows; first += with.side) {
        const Index rows = smaller(with.side, span.query_rows - first);
        if (!tiles_meet(shape, span, first, first + rows, tile.first, tile.first + keys)) {
          continue;
        }
        team.sync();
        with.load_queries(team, layout, t, span, first, rows, head);
        with.weigh(team, layout, t, span, first, rows, tile.first, keys, head);
        team.multiply(sum_v, t.p.turned(), t.d_o.read(), with.side, layout.width, with.side);
        team.multiply(sum_k, t.ds.turned(), t.q.read(), with.side, layout.width, with.side);
      }
    }
    team.sync();
    team.grid(keys, shape.head_dim, [&](Index i, Index c) {
      dk(span.key_begin + tile.first + i, group * shape.head_dim + c) = sum_k(i, c);
      dv(span.key_begin + tile.first + i, group * shape.head_dim + c) = sum_v(i, c);
    });
  }
};

}  // namespace graft::backends::cuda
