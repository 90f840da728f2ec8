// SPDX-License-Identifier: Apache-2.0
// attention: o = softmax(scale q k' + causal mask) v for ragged sequences, heads in groups that share keys and values.
// Vaswani et al. 2017; grouped queries, Ainslie et al. 2023; kept for backward: the log-sum-exp of every row (Dao 2022).
#pragma once

#include <cmath>
#include <span>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// The same for every sequence of a batch. Query head h reads key head h / (heads / kv_heads).
struct AttentionShape {
  Index heads = 1;     ///< H
  Index kv_heads = 1;  ///< G, which divides H
  Index head_dim = 1;  ///< K
  double scale = 1;    ///< of q k', before the softmax
  Index window = 0;    ///< a query sees itself and the window - 1 keys before it; 0 = all before it
  Index sinks = 0;     ///< leading keys that every query sees (inserted keys of prefix tuning)
};

/// One sequence: its queries are the last query_rows of its key_rows positions.
struct AttentionSpan {
  Index query_begin = 0;  ///< its first row of q
  Index query_rows = 0;   ///< its rows of q
  Index key_begin = 0;    ///< its first row of k and v
  Index key_rows = 0;     ///< its rows of k and v
};

/// Whether query `i` of a span may look at key `j` of it.
[[nodiscard]] GRAFT_HD constexpr bool attends(const AttentionShape& shape, const AttentionSpan& span, Index i, Index j) {
  const Index position = span.key_rows - span.query_rows + i;
  return j <= position && (j < shape.sinks || shape.window == 0 || j > position - shape.window);
}

namespace detail {
template <scalar T>
[[nodiscard]] T dot(const T* a, const T* b, Index n) {
  T sum{};
  for (Index i = 0; i < n; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}
template <scalar T>
void check_attention(const AttentionShape& s, std::span<const AttentionSpan> spans, View<const T> q, View<const T> k,
                     View<const T> v, View<const T> o, View<const T> lse) {
  require(s.kv_heads > 0 && s.heads % s.kv_heads == 0 && q.cols == s.heads * s.head_dim &&
              k.cols == s.kv_heads * s.head_dim && v.cols == k.cols && v.rows == k.rows && o.rows == q.rows &&
              o.cols == q.cols && lse.rows == q.rows && lse.cols == s.heads,
          "shape.123", "attention: q(T,H*K), k(S,G*K), v(S,G*K), o(T,H*K), lse(T,H) and the head counts disagree");
  for (const AttentionSpan& span : spans) {
    require(span.query_begin >= 0 && span.query_rows >= 0 && span.query_begin + span.query_rows <= q.rows &&
                span.key_begin >= 0 && span.key_rows >= span.query_rows && span.key_begin + span.key_rows <= k.rows,
            "shape.123", "attention: a span lies outside q(T,H*K) or k(S,G*K), or has more queries than keys");
  }
}
}  // namespace detail

/// q(T,H*K), k(S,G*K), v(S,G*K) => o(T,H*K), lse(T,H).
template <scalar T>
void attention(const AttentionShape& shape, std::span<const AttentionSpan> spans, In<T> q, In<T> k, In<T> v, View<T> o,
               View<T> lse) {
  using std::exp;
  using std::log;
  detail::check_attention<T>(shape, spans, q, k, v, o, lse);
  const Index width = shape.head_dim;
  const T scale(static_cast<real_type<T>>(shape.scale));
  for (const AttentionSpan& span : spans) {
    for (Index head = 0; head < shape.heads; ++head) {
      const Index q0 = head * width;
      const Index k0 = head / (shape.heads / shape.kv_heads) * width;
      for (Index i = 0; i < span.query_rows; ++i) {
        const Index row = span.query_begin + i;
        const auto score = [&](Index j) {
          return scale * detail::dot(q.row(row) + q0, k.row(span.key_begin + j) + k0, width);
        };
        T largest = score(span.key_rows - span.query_rows + i);
        for (Index j = 0; j < span.key_rows; ++j) {
          if (attends(shape, span, i, j) && real_part(score(j)) > real_part(largest)) {
            largest = score(j);
          }
        }
        T sum{};
        for (Index c = 0; c < width; ++c) {
          o(row, q0 + c) = T{};
        }
        for (Index j = 0; j < span.key_rows; ++j) {
          if (attends(shape, span, i, j)) {
            const T weight = exp(score(j) - largest);
            sum += weight;
            for (Index c = 0; c < width; ++c) {
              o(row, q0 + c) += weight * v(span.key_begin + j, k0 + c);
            }
          }
        }
        for (Index c = 0; c < width; ++c) {
          o(row, q0 + c) /= sum;
        }
        lse(row, head) = largest + log(sum);
      }
    }
  }
}

/// From o, lse and do: dq (overwritten), dk and dv (overwritten in the rows of the spans). With p = exp(s - lse) and
/// D = <do, o>: dv += p do, ds = p (<do, v> - D), dq += scale ds k, dk += scale ds q.
template <scalar T>
void attention_vjp(const AttentionShape& shape, std::span<const AttentionSpan> spans, In<T> q, In<T> k, In<T> v,
                   In<T> o, In<T> lse, In<T> d_o, View<T> dq, View<T> dk, View<T> dv) {
  using std::exp;
  detail::check_attention<T>(shape, spans, q, k, v, o, lse);
  detail::check_attention<T>(shape, spans, dq, dk, dv, d_o, lse);
  const Index width = shape.head_dim;
  const T scale(static_cast<real_type<T>>(shape.scale));
  for (const AttentionSpan& span : spans) {
    for (Index j = span.key_begin; j < span.key_begin + span.key_rows; ++j) {
      for (Index c = 0; c < k.cols; ++c) {
        dk(j, c) = T{};
        dv(j, c) = T{};
      }
    }
    for (Index head = 0; head < shape.heads; ++head) {
      const Index q0 = head * width;
      const Index k0 = head / (shape.heads / shape.kv_heads) * width;
      for (Index i = 0; i < span.query_rows; ++i) {
        const Index row = span.query_begin + i;
        const T delta = detail::dot(d_o.row(row) + q0, o.row(row) + q0, width);
        for (Index c = 0; c < width; ++c) {
          dq(row, q0 + c) = T{};
        }
        for (Index j = 0; j < span.key_rows; ++j) {
          if (!attends(shape, span, i, j)) {
            continue;
          }
          const Index key = span.key_begin + j;
          const T p = exp(scale * detail::dot(q.row(row) + q0, k.row(key) + k0, width) - lse(row, head));
          const T ds = scale * p * (detail::dot(d_o.row(row) + q0, v.row(key) + k0, width) - delta);
          for (Index c = 0; c < width; ++c) {
            dv(key, k0 + c) += p * d_o(row, q0 + c);
            dq(row, q0 + c) += ds * k(key, k0 + c);
            dk(key, k0 + c) += ds * q(row, q0 + c);
          }
        }
      }
    }
  }
}

}  // namespace graft::ops
