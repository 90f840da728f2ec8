// SPDX-License-Identifier: Apache-2.0
// The contract of a backend: every operation in float, and with bf16 weights, equals Reference in double within a bound
// derived from the length of its sums; strides, odd sizes, one row and no row included; the thread count changes no bit.
#pragma once

#include <algorithm>  // max
#include <cmath>
#include <cstdint>
#include <cstring>  // memcmp
#include <limits>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <graft/backend.hpp>
#include <graft/backends/reference.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace graft::test {

/// A float matrix inside a wider one (odd stride, odd alignment) beside the same numbers in double.
struct Twin {
  Tensor<float> storage;
  View<float> f;
  Tensor<double> exact;

  Twin(Index rows, Index cols, std::uint64_t seed, double size = 1.0)
      : storage(rows, cols + 3), f(storage.view().middle_cols(1, cols)), exact(rows, cols) {
    const Random random(seed);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        const auto number = static_cast<std::uint64_t>(i * cols + j);
        f(i, j) = static_cast<float>(size * (2.0 * random.uniform(number) - 1.0));  // within +-size
        exact(i, j) = static_cast<double>(f(i, j));
      }
    }
    border();
  }
  [[nodiscard]] View<double> d() { return exact.view(); }

  /// The frame around f, which no operation may touch.
  void border() {
    for (Index i = 0; i < storage.rows(); ++i) {
      for (const Index j : {Index{0}, f.cols + 1, f.cols + 2}) {
        storage(i, j) = -77.0f;
      }
    }
  }
  [[nodiscard]] bool border_is_whole() const {
    for (Index i = 0; i < storage.rows(); ++i) {
      for (const Index j : {Index{0}, f.cols + 1, f.cols + 2}) {
        if (storage(i, j) != -77.0f) {
          return false;
        }
      }
    }
    return true;
  }
};

inline constexpr double unit = std::numeric_limits<float>::epsilon();

/// |found - expected| <= bound everywhere, and nothing was written beside the matrix.
inline void check_close(Twin& found, double bound) {
  double error = 0;
  for (Index i = 0; i < found.f.rows; ++i) {
    for (Index j = 0; j < found.f.cols; ++j) {
      const double difference = std::abs(static_cast<double>(found.f(i, j)) - found.exact(i, j));
      error = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(error, difference);
    }
  }
  CHECK(error <= bound);
  CHECK(found.border_is_whole());
}

/// Numbers rounded to bf16, in all three types.
struct BfTwin {
  Tensor<bf16> storage;
  View<bf16> h;
  Tensor<double> exact;

  BfTwin(Index rows, Index cols, std::uint64_t seed)
      : storage(rows, cols + 3), h(storage.view().middle_cols(1, cols)), exact(rows, cols) {
    const Random random(seed);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        h(i, j) = bf16(static_cast<float>(2.0 * random.uniform(static_cast<std::uint64_t>(i * cols + j)) - 1.0));
        exact(i, j) = to<double>(h(i, j));
      }
    }
  }
};

/// The extents that products and rows are tried with: one, odd, around the widths of registers, tiles and panels.
inline const std::vector<std::vector<Index>> product_shapes = {{1, 1, 1},    {1, 17, 5},    {3, 4, 64},     {5, 33, 1},
                                                               {37, 8, 129}, {64, 530, 31}, {131, 65, 257}, {0, 5, 3},
                                                               {4, 0, 3},    {2, 2100, 65}, {20, 7, 0}};

template <class B>
void check_products(const B& be) {
  const backends::Reference reference;
  for (const auto& shape : product_shapes) {
    const Index m = shape[0];
    const Index n = shape[1];
    const Index k = shape[2];
    INFO("M " << m << ", N " << n << ", K " << k);
    for (const double beta : {0.0, 1.0, -0.5}) {
      const double bound = unit * (1.5 * static_cast<double>(k) + 4.0);
      const auto alpha = 1.5f;
      Twin c(m, n, 3);
      {
        Twin a(m, k, 1), b(n, k, 2), y(m, n, 3);
        be.gemm_nt(alpha, a.f, b.f, static_cast<float>(beta), y.f);
        reference.gemm_nt(1.5, a.d(), b.d(), beta, y.d());
        check_close(y, bound);
      }
      {
        Twin a(m, k, 1), b(k, n, 2), y(m, n, 3);
        be.gemm_nn(alpha, a.f, b.f, static_cast<float>(beta), y.f);
        reference.gemm_nn(1.5, a.d(), b.d(), beta, y.d());
        check_close(y, bound);
      }
      {
        Twin a(k, m, 1), b(k, n, 2), y(m, n, 3);
        be.gemm_tn(alpha, a.f, b.f, static_cast<float>(beta), y.f);
        reference.gemm_tn(1.5, a.d(), b.d(), beta, y.d());
        check_close(y, bound);
      }
      {
        BfTwin a(m, k, 1), w(n, k, 2);
        const typename B::template Weight<bf16> weight{View<const bf16>(w.h)};
        Twin y(m, n, 3);
        be.gemm_nt(alpha, a.h, weight, static_cast<float>(beta), y.f);
        reference.gemm_nt(1.5, a.exact.view(), w.exact.view(), beta, y.d());
        check_close(y, bound);
      }
      {
        BfTwin a(m, k, 1), w(k, n, 2);
        const typename B::template Weight<bf16> weight{View<const bf16>(w.h)};
        Twin y(m, n, 3);
        be.gemm_nn(alpha, a.h, weight, static_cast<float>(beta), y.f);
        reference.gemm_nn(1.5, a.exact.view(), w.exact.view(), beta, y.d());
        check_close(y, bound);
      }
    }
    {
      Twin a(m, k, 1), w(n, k, 2), y(m, n, 3);
      const typename B::template Weight<float> weight{View<const float>(w.f)};
      be.gemm_nt(1.0f, a.f, weight, 0.0f, y.f);
      reference.gemm_nt(1.0, a.d(), w.d(), 0.0, y.d());
      check_close(y, unit * (static_cast<double>(k) + 4.0));
    }
    {
      Twin a(m, k, 1), w(k, n, 2), y(m, n, 3);
      const typename B::template Weight<float> weight{View<const float>(w.f)};
      be.gemm_nn(1.0f, a.f, weight, 0.0f, y.f);
      reference.gemm_nn(1.0, a.d(), w.d(), 0.0, y.d());
      check_close(y, unit * (static_cast<double>(k) + 4.0));
    }
  }
  {  // beta 0 ignores what c holds, NaN included
    Twin a(3, 4, 1), b(5, 4, 2), y(3, 5, 3);
    y.f(1, 2) = std::numeric_limits<float>::quiet_NaN();
    be.gemm_nt(1.0f, a.f, b.f, 0.0f, y.f);
    reference.gemm_nt(1.0, a.d(), b.d(), 0.0, y.d());
    check_close(y, unit * 8.0);
  }
}

inline const std::vector<std::vector<Index>> row_shapes = {{0, 3},  {1, 1},  {1, 576}, {3, 15},
                                                           {2, 16}, {7, 33}, {5, 130}};

template <class B>
void check_rows(const B& be) {
  const backends::Reference reference;
  for (const auto& shape : row_shapes) {
    const Index t = shape[0];
    const Index d = shape[1];
    const auto n = static_cast<double>(d);
    INFO("T " << t << ", D " << d);
    Twin gain(1, d, 9);
    for (const double offset : {0.0, 1.0}) {
      const ops::RmsNorm<float> norm{gain.f, 1e-5, offset};
      const ops::RmsNorm<double> exact{gain.d(), 1e-5, offset};
      // x may be as small as rms = sqrt(1e-5); the smallest row of these seeds stands above it, so 1/rms <= 400.
      Twin x(t, d, 1), y(t, d, 2);
      be.rms_norm(norm, x.f, y.f);
      reference.rms_norm(exact, x.d(), y.d());
      check_close(y, unit * (n + 8.0) * std::max(1.0, largest(View<const double>(y.d()))));

      Twin dy(t, d, 3), dx(t, d, 4);
      be.rms_norm_vjp(norm, x.f, dy.f, dx.f);
      reference.rms_norm_vjp(exact, x.d(), dy.d(), dx.d());
      check_close(dx, unit * (n + 8.0) * 4.0 * std::max(1.0, largest(View<const double>(dx.d()))));
    }
    {
      Twin x(t, d, 1), dy(t, d, 3), dgain(1, d, 4);
      be.rms_norm_gain_vjp(1e-5, x.f, dy.f, dgain.f);
      reference.rms_norm_gain_vjp(1e-5, x.d(), dy.d(), dgain.d());
      check_close(dgain,
                  unit * (n + static_cast<double>(t) + 8.0) * std::max(1.0, largest(View<const double>(dgain.d()))));
    }
    for (const auto kind : {ops::Activation::silu, ops::Activation::gelu_tanh}) {
      Twin gate(t, d, 1, 12.0), up(t, d, 2), da(t, d, 3), a(t, d, 4), dgate(t, d, 5), dup(t, d, 6);
      be.gated_activation(kind, gate.f, up.f, a.f);
      reference.gated_activation(kind, gate.d(), up.d(), a.d());
      check_close(a, 12.0 * 12.0 * unit);  // |f| <= 12; the argument of exp carries an error of 12 ulp
      be.gated_activation_vjp(kind, gate.f, up.f, da.f, dgate.f, dup.f);
      reference.gated_activation_vjp(kind, gate.d(), up.d(), da.d(), dgate.d(), dup.d());
      check_close(dgate, 12.0 * 12.0 * unit);
      check_close(dup, 12.0 * 12.0 * unit);
      be.gated_activation_vjp(kind, gate.f, up.f, da.f, da.f, dup.f);  // dgate may be da
      reference.gated_activation_vjp(kind, gate.d(), up.d(), da.d(), da.d(), dup.d());
      check_close(da, 12.0 * 12.0 * unit);
    }
    for (const auto kind : {ops::Activation::silu, ops::Activation::gelu_tanh, ops::Activation::relu,
                            ops::Activation::tanh, ops::Activation::linear}) {
      Twin x(t, d, 1), y(t, d, 2), dy(t, d, 3), dx(t, d, 4);
      be.activation(kind, x.f, y.f);
      reference.activation(kind, x.d(), y.d());
      check_close(y, 12.0 * 12.0 * unit);
      be.activation_vjp(kind, x.f, dy.f, dx.f);
      reference.activation_vjp(kind, x.d(), dy.d(), dx.d());
      check_close(dx, 12.0 * 12.0 * unit);
      be.gated_activation(kind, x.f, dy.f, y.f);
      reference.gated_activation(kind, x.d(), dy.d(), y.d());
      check_close(y, 12.0 * 12.0 * unit);
    }
    {
      Twin x(t, d, 1), y(t, d, 2), bias(1, d, 3), sum(1, d, 4), copied(t, d, 5), filled(t, d, 6);
      be.add(0.7f, x.f, y.f);
      reference.add(static_cast<double>(0.7f), x.d(), y.d());
      be.scale(-1.3f, y.f);
      reference.scale(static_cast<double>(-1.3f), y.d());
      be.add_bias(bias.f, y.f);
      reference.add_bias(bias.d(), y.d());
      be.add_bias(-0.5f, bias.f, y.f);
      reference.add_bias(-0.5, bias.d(), y.d());
      check_close(y, 8.0 * unit);
      be.add_column_sums(0.5f, y.f, sum.f);
      reference.add_column_sums(0.5, y.d(), sum.d());
      check_close(sum, 8.0 * unit * (static_cast<double>(t) + 1.0));
      be.rescale_columns(bias.f, x.f, y.f);
      reference.rescale_columns(bias.d(), x.d(), y.d());
      check_close(y, 12.0 * unit);
      be.add_column_dots(x.f, y.f, sum.f);
      reference.add_column_dots(x.d(), y.d(), sum.d());
      check_close(sum, 32.0 * unit * (static_cast<double>(t) + 1.0));
      be.multiply_columns(bias.f, x.f, copied.f);
      reference.multiply_columns(bias.d(), x.d(), copied.d());
      check_close(copied, 4.0 * unit);
      be.multiply_columns(bias.f, copied.f, copied.f);  // in place
      reference.multiply_columns(bias.d(), copied.d(), copied.d());
      check_close(copied, 12.0 * unit);
      Twin column(t, 1, 9), dots(t, 1, 10);
      be.multiply_rows(column.f, x.f, 0.5f, copied.f);
      reference.multiply_rows(column.d(), x.d(), 0.5, copied.d());
      check_close(copied, 16.0 * unit);
      be.add_row_dots(x.f, copied.f, dots.f);
      reference.add_row_dots(x.d(), copied.d(), dots.d());
      check_close(dots, 32.0 * unit * (n + 1.0));
      be.invert(filled.f);
      reference.invert(filled.d());
      check_close(filled, unit * largest(View<const double>(filled.d())));
      be.copy(x.f, copied.f);
      reference.copy(x.d(), copied.d());
      check_close(copied, 0.0);
      be.fill(2.5f, filled.f);
      reference.fill(2.5, filled.d());
      check_close(filled, 0.0);
      CHECK(be.squared_norm(x.f) ==
            Approx(reference.squared_norm(x.d())).epsilon(1e-14 * (n * static_cast<double>(t) + 1)));
      const View<const float> both[] = {x.f, filled.f};
      CHECK(be.squared_norm(std::span<const View<const float>>(both)) ==
            Approx(reference.squared_norm(x.d()) + reference.squared_norm(filled.d()))
                .epsilon(1e-14 * (n * static_cast<double>(t) + 1)));
      Twin norms(1, t, 8);
      be.row_norms(x.f, norms.f);
      reference.row_norms(x.d(), norms.d());
      check_close(norms, unit * std::max(1.0, std::sqrt(n)));

      Tensor<bf16> rounded(t, d), expected(t, d);
      be.copy(View<const float>(x.f), rounded.view());
      reference.copy(View<const float>(x.f), expected.view());
      CHECK(identical(rounded.view(), expected.view()));
      be.copy(View<const bf16>(rounded.view()), copied.f);
      reference.copy(View<const bf16>(expected.view()), copied.d());
      check_close(copied, 0.0);
      BfTwin half_bias(1, d, 7);
      be.add_bias(View<const bf16>(half_bias.h), copied.f);
      reference.add_bias(View<const double>(half_bias.exact.view()), copied.d());
      check_close(copied, 2.0 * unit);
    }
    {
      const Random random(11);
      Twin x(t, d, 1), y(t, d, 2);
      be.dropout(0.3, random, 5, x.f, y.f);
      reference.dropout(0.3, random, 5, x.d(), y.d());
      check_close(y, 2.0 * unit);
    }
  }
}

template <class B>
void check_rope(const B& be) {
  const backends::Reference reference;
  for (const Index half : {1, 3, 16, 32}) {
    for (const Index heads : {1, 3}) {
      const std::vector<Index> positions = {0, 1, 2, 1000};
      std::vector<double> frequencies;
      for (Index i = 0; i < half; ++i) {
        frequencies.push_back(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half)));
      }
      Twin rotations(4, 2 * half, 1), x(4, heads * 2 * half, 2);
      be.rope_rotations(positions, frequencies, rotations.f);
      reference.rope_rotations(positions, frequencies, rotations.d());
      check_close(rotations, unit);
      for (const auto turn : {ops::Turn::forward, ops::Turn::back}) {
        be.rope(turn, rotations.f, x.f);
        reference.rope(turn, rotations.d(), x.d());
        check_close(x, 8.0 * unit);
      }
    }
  }
}

template <class B>
void check_cross_entropy(const B& be) {
  const backends::Reference reference;
  for (const Index classes : {1, 7, 64, 1025, 49152}) {
    INFO("V " << classes);
    const Index rows = classes == 49152 ? 2 : 3;
    std::vector<std::int32_t> labels = {0, static_cast<std::int32_t>(classes - 1),
                                        static_cast<std::int32_t>(classes / 2)};
    labels.resize(static_cast<std::size_t>(rows));
    for (const double size : {1.0, 30.0}) {
      Twin logits(rows, classes, 1, size), nll(rows, 1, 2);
      const Tensor<float> before = logits.storage.clone();
      be.cross_entropy(logits.f, labels, 0.0f, nll.f);
      reference.cross_entropy(logits.d(), labels, 0.0, nll.d());
      check_close(nll, unit * (4.0 * size + static_cast<double>(classes)));
      CHECK(identical(logits.storage.view(), before.view()));
      be.cross_entropy(logits.f, labels, 0.25f, nll.f);
      reference.cross_entropy(logits.d(), labels, 0.25, nll.d());
      check_close(nll, unit * (4.0 * size + static_cast<double>(classes)));
      check_close(logits,
                  0.25 * unit * (2.0 * size + 8.0));  // exp turns the rounding of its argument into a relative error
    }
  }
  Twin logits(2, 5, 1), nll(2, 1, 2);
  const std::vector<std::int32_t> wrong = {0, 5};
  CHECK_THROWS_AS(be.cross_entropy(logits.f, wrong, 0.0f, nll.f), Error);
}

template <class B>
void check_selections(const B& be) {
  const backends::Reference reference;
  const std::vector<Index> list = {4, 0, 4, 2};
  const std::vector<std::int32_t> ids = {1, 5, 3};
  for (const Index d : {1, 16, 37}) {
    Twin from(6, d, 1), out(4, d, 2), onto(6, d, 3);
    be.gather_rows(from.f, std::span(list), out.f);
    reference.gather_rows(from.d(), std::span(list), out.d());
    check_close(out, 0.0);
    be.scatter_add_rows(0.5f, out.f, std::span(list), onto.f);
    reference.scatter_add_rows(0.5, out.d(), std::span(list), onto.d());
    check_close(onto, 4.0 * unit);
    Twin three(3, d, 4);
    be.scatter_rows(three.f, std::span<const std::int32_t>(ids), onto.f);
    reference.scatter_rows(three.d(), std::span<const std::int32_t>(ids), onto.d());
    check_close(onto, 4.0 * unit);

    BfTwin table(6, d, 5);
    const typename B::template Weight<bf16> weight{View<const bf16>(table.h)};
    be.gather_rows(weight, std::span<const std::int32_t>(ids), three.f);
    reference.gather_rows(table.exact.view(), std::span<const std::int32_t>(ids), three.d());
    check_close(three, 0.0);

    Twin wide(d, 6, 6), picked(d, 4, 7);
    be.gather_cols(wide.f, std::span(list), picked.f);
    reference.gather_cols(wide.d(), std::span(list), picked.d());
    check_close(picked, 0.0);
    be.scatter_add_cols(-2.0f, picked.f, std::span(list), wide.f);
    reference.scatter_add_cols(-2.0, picked.d(), std::span(list), wide.d());
    check_close(wide, 8.0 * unit);
    const std::vector<Index> outside = {0, 6, 0, 0};
    CHECK_THROWS_AS(be.gather_rows(from.f, std::span(outside), out.f), Error);
  }
}

/// One way to attend: shapes, and the spans of a batch.
struct AttentionCase {
  const char* name;
  ops::AttentionShape shape;
  std::vector<ops::AttentionSpan> spans;
  Index queries;
  Index keys;
};

inline std::vector<AttentionCase> attention_cases() {
  const double scale = 0.35;
  return {
      {"ragged, two groups", {4, 2, 7, scale}, {{0, 1, 0, 1}, {1, 70, 1, 70}, {71, 5, 71, 5}}, 76, 76},
      {"one key head", {3, 1, 16, scale}, {{0, 9, 0, 9}}, 9, 9},
      {"a head each, wide", {2, 2, 64, scale}, {{0, 130, 0, 130}}, 130, 130},
      {"sliding window", {2, 1, 8, scale, 5}, {{0, 3, 0, 3}, {3, 80, 3, 80}}, 83, 83},
      {"window and sinks", {2, 1, 8, scale, 6, 3}, {{0, 75, 0, 75}, {75, 2, 75, 2}}, 77, 77},
      {"window of one", {2, 2, 5, scale, 1}, {{0, 20, 0, 20}}, 20, 20},
      {"more sinks than keys", {2, 2, 5, scale, 2, 50}, {{0, 20, 0, 20}}, 20, 20},
      {"decode", {6, 2, 10, scale}, {{0, 1, 0, 40}, {1, 1, 40, 1}, {2, 1, 41, 100}}, 3, 141},
      {"decode in a window", {4, 2, 10, scale, 8, 2}, {{0, 1, 0, 40}}, 1, 40},
      {"a chunk after a cache", {4, 2, 9, scale}, {{0, 66, 0, 90}, {66, 3, 90, 10}}, 69, 100},
      {"several blocks of keys", {4, 2, 6, scale}, {{0, 70, 0, 1100}, {70, 520, 1100, 520}}, 590, 1620},
      {"a window longer than a block", {2, 1, 5, scale, 530}, {{0, 1100, 0, 1100}}, 1100, 1100},
      {"sinks blocks away", {2, 1, 5, scale, 20, 3}, {{0, 40, 0, 1300}, {40, 1, 1300, 1100}}, 41, 2400},
      {"no query", {2, 1, 4, scale}, {{0, 0, 0, 3}, {0, 2, 3, 2}}, 2, 5},
      {"nothing", {2, 1, 4, scale}, {}, 0, 0},
  };
}

template <class B>
void check_attention_operations(const B& be) {
  const backends::Reference reference;
  for (const AttentionCase& c : attention_cases()) {
    INFO(c.name);
    const Index wide = c.shape.heads * c.shape.head_dim;
    const Index narrow = c.shape.kv_heads * c.shape.head_dim;
    // A score is a sum of head_dim products; p carries its rounding relatively, the sums over keys add their length.
    const double bound = 2.0 * unit * static_cast<double>(c.shape.head_dim + c.keys + 8);
    Twin q(c.queries, wide, 1), k(c.keys, narrow, 2), v(c.keys, narrow, 3), o(c.queries, wide, 4);
    Twin lse(c.queries, c.shape.heads, 5);
    be.attention(c.shape, c.spans, q.f, k.f, v.f, o.f, lse.f);
    reference.attention(c.shape, c.spans, q.d(), k.d(), v.d(), o.d(), lse.d());
    check_close(o, bound);
    check_close(lse, bound * 4.0);
    Twin d_o(c.queries, wide, 6), dq(c.queries, wide, 7), dk(c.keys, narrow, 8), dv(c.keys, narrow, 9);
    be.attention_vjp(c.shape, c.spans, q.f, k.f, v.f, o.f, lse.f, d_o.f, dq.f, dk.f, dv.f);
    reference.attention_vjp(c.shape, c.spans, q.d(), k.d(), v.d(), o.d(), lse.d(), d_o.d(), dq.d(), dk.d(), dv.d());
    const auto group = static_cast<double>(c.shape.heads / c.shape.kv_heads);
    check_close(dq, bound * 4.0);
    check_close(dk, bound * 4.0 * group);
    check_close(dv, bound * 4.0 * group);
  }
  // Scores of several hundred neither overflow nor vanish.
  const std::vector<ops::AttentionSpan> spans = {{0, 40, 0, 40}};
  const ops::AttentionShape shape{1, 1, 8, 40.0};
  Twin q(40, 8, 1), k(40, 8, 2), v(40, 8, 3), o(40, 8, 4), lse(40, 1, 5);
  be.attention(shape, spans, q.f, k.f, v.f, o.f, lse.f);
  reference.attention(shape, spans, q.d(), k.d(), v.d(), o.d(), lse.d());
  check_close(o, 2.0 * 40.0 * 8.0 * unit * 8.0);
}

template <class B>
void check_parameters(const B& be) {
  const backends::Reference reference;
  for (const auto& shape : row_shapes) {
    Twin gradient(shape[0], shape[1], 1), m(shape[0], shape[1], 2), v(shape[0], shape[1], 3),
        value(shape[0], shape[1], 4);
    for (Index i = 0; i < v.f.rows; ++i) {  // a second moment is not negative; exactly 0 at times
      for (Index j = 0; j < v.f.cols; ++j) {
        v.f(i, j) = j % 5 == 0 ? 0.0f : std::abs(v.f(i, j));
        v.exact(i, j) = static_cast<double>(v.f(i, j));
      }
    }
    ops::AdamWStep step;
    step.decay = 0.1;
    step.number = 3;
    be.adamw(step, 0.5f, gradient.f, m.f, v.f, value.f);
    reference.adamw(step, 0.5, gradient.d(), m.d(), v.d(), value.d());
    check_close(m, 4.0 * unit);
    check_close(v, 4.0 * unit);
    // m^ / sqrt(v^) is below 1 / sqrt(1 - beta2) = 32 and more where v was 0 (then |m| / sqrt(1e-3) |g|); times the rate.
    check_close(value, unit * 8.0 + step.rate * 64.0 * unit * largest(View<const double>(value.d())) * 1e3);
  }
  for (const Index r : {1, 4, 16}) {
    Twin rows(r, 40, 7), scratch(4 * r, 40, 8);
    be.orthonormalize(rows.f, scratch.f);
    reference.orthonormalize(rows.d(), scratch.d());
    check_close(rows, 1e-5);  // what the issue asks of R
    CHECK(scratch.border_is_whole());
  }
}

/// Everything above.
template <class B>
void check_backend(const B& be) {
  check_products(be);
  check_rows(be);
  check_rope(be);
  check_cross_entropy(be);
  check_selections(be);
  check_attention_operations(be);
  check_parameters(be);
}

/// The results of all operations that run on several threads, one after another.
template <class B>
[[nodiscard]] std::vector<float> threaded_results(const B& be) {
  std::vector<float> all;
  const auto keep = [&](View<const float> x) {
    for (Index i = 0; i < x.rows; ++i) {
      all.insert(all.end(), x.row(i), x.row(i) + x.cols);
    }
  };
  for (const Index rows : {1, 100, 300}) {
    const Tensor<float> x = normal<float>(rows, 96, 1);
    const typename B::template Weight<float> weight(normal<float>(1100, 96, 2));
    const typename B::template Weight<float> back(normal<float>(96, 1100, 2));
    Tensor<float> y(rows, 1100), z(rows, 1100), w(1100, 96), m(1100, 96), v(1100, 96), sums(1, 96), gain(1, 96);
    be.for_each_block(rows, [&](Block block) {
      const View<const float> part = x.view().middle_rows(block.begin, block.rows);
      be.gemm_nt(1.0f, part, weight, 0.0f, y.view().middle_rows(block.begin, block.rows));
      be.gemm_nn(1.0f, part, back, 0.0f, z.view().middle_rows(block.begin, block.rows));
    });
    keep(y.view());
    keep(z.view());
    be.gemm_tn(1.0f, y.view(), x.view(), 0.0f, w.view());
    keep(w.view());
    be.adamw(ops::AdamWStep{}, 1.0f, w.view(), m.view(), v.view(), w.view());
    keep(w.view());
    all.push_back(static_cast<float>(std::log(be.squared_norm(View<const float>(y.view())))));
    be.add_column_sums(1.0f, x.view(), sums.view());
    be.rms_norm_gain_vjp(1e-5, x.view(), x.view(), gain.view());
    keep(sums.view());
    keep(gain.view());
    const ops::AttentionShape shape{6, 2, 16, 0.25};
    const std::vector<ops::AttentionSpan> spans = {{0, rows, 0, rows}};
    const Tensor<float> k = normal<float>(rows, 32, 3);
    Tensor<float> o(rows, 96), lse(rows, 6), dq(rows, 96), dk(rows, 32), dv(rows, 32);
    be.attention(shape, spans, x.view(), k.view(), k.view(), o.view(), lse.view());
    be.attention_vjp(shape, spans, x.view(), k.view(), k.view(), o.view(), lse.view(), x.view(), dq.view(), dk.view(),
                     dv.view());
    for (const Tensor<float>* result : {&o, &lse, &dq, &dk, &dv}) {
      keep(result->view());
    }
  }
  return all;
}

template <class B>
void check_thread_independence(const B& be) {
#if defined(_OPENMP)
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::vector<float> alone = threaded_results(be);
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    const std::vector<float> together = threaded_results(be);
    REQUIRE(together.size() == alone.size());
    INFO(threads << " threads");
    CHECK(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)) == 0);
  }
  omp_set_num_threads(before);
#else
  CHECK(threaded_results(be) == threaded_results(be));
#endif
}

}  // namespace graft::test
