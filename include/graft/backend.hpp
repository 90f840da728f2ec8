// SPDX-License-Identifier: Apache-2.0
// backend: the narrow waist. An object that performs every primitive operation; layers and adapters call nothing else.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include <graft/backends/reference.hpp>

namespace graft {

namespace detail {
struct BlockVisitor {
  void operator()(Block) const {}
};
}  // namespace detail

/// Carries rows through segments, block by block.
template <class B>
concept has_segments = requires(const B& be, Index n, detail::BlockVisitor body) {
  be.for_each_block(n, body);
  { be.block_rows } -> std::convertible_to<Index>;
  { be.rows_of_block(n) } -> std::convertible_to<Index>;
  { be.lanes() } -> std::convertible_to<Index>;
  be.burst();
  be.finish();
};

/// Keeps frozen matrices in a form of its own.
template <class B, class S>
concept has_weights = std::constructible_from<typename B::template Weight<S>, View<const S>> &&
                      std::constructible_from<typename B::template Weight<S>, Tensor<S>&&>;

/// c = alpha op(a) op(b) + beta c, with a stored a and a frozen b, or with both computed.
template <class B, class S, class C>
concept has_gemm = requires(const B& be, C one, View<const S> s, View<const C> c, View<C> out,
                            const typename B::template Weight<S>& w) {
  be.gemm_nt(one, s, w, one, out);
  be.gemm_nn(one, s, w, one, out);
  be.gemm_nt(one, c, c, one, out);
  be.gemm_nn(one, c, c, one, out);
  be.gemm_tn(one, c, c, one, out);
};

/// Norms, rotations, activations, losses, copies and sums of the rows of a block.
template <class B, class C>
concept has_row_operations = requires(const B& be, C one, View<const C> in, View<C> out, const ops::RmsNorm<C>& norm,
                                      std::span<const std::int32_t> labels) {
  be.rms_norm(norm, in, out);
  be.rms_norm_vjp(norm, in, in, out);
  be.rms_norm_gain_vjp(1e-5, in, in, out);
  be.rope(ops::Turn::forward, in, out);
  be.gated_activation(ops::Activation::silu, in, in, out);
  be.gated_activation_vjp(ops::Activation::silu, in, in, in, out, out);
  be.activation(ops::Activation::relu, in, out);
  be.activation_vjp(ops::Activation::relu, in, in, out);
  be.cross_entropy(out, labels, one, out);
  be.copy(in, out);
  be.fill(one, out);
  be.add(one, in, out);
  be.scale(one, out);
  be.multiply_columns(in, in, out);
  be.add_bias(in, out);
  be.rescale_columns(in, in, out);
  be.add_column_dots(in, in, out);
  be.multiply_rows(in, in, one, out);
  be.add_row_dots(in, in, out);
  be.invert(out);
  be.add_bias(one, in, out);
  be.dropout(0.5, Random(1), Index{0}, in, out);
};

/// Rows and columns that are chosen by an index list.
template <class B, class S, class C>
concept has_selections = requires(const B& be, C one, View<const C> in, View<C> out, std::span<const Index> list,
                                  const typename B::template Weight<S>& w, std::span<const std::uint64_t> bits) {
  be.gather_rows(in, list, out);
  be.gather_rows(w, list, out);
  be.gather_cols(in, list, out);
  be.gather_cols(w, list, out);
  be.scatter_rows(in, list, out);
  be.scatter_add_rows(one, in, list, out);
  be.scatter_add_cols(one, in, list, out);
  be.keep_cols(bits, out);
};

/// Attention over ragged sequences, and its gradient.
template <class B, class C>
concept has_attention = requires(const B& be, View<const C> in, View<C> out, const ops::AttentionShape& shape,
                                 std::span<const ops::AttentionSpan> spans) {
  be.attention(shape, spans, in, in, in, out, out);
  be.attention_vjp(shape, spans, in, in, in, in, in, in, out, out, out);
};

/// Sums over whole matrices: gradients of biases, the norm that clips, the way back to orthonormal rows.
template <class B, class C>
concept has_parameter_operations = requires(const B& be, C one, View<const C> in, View<C> out) {
  be.add_column_sums(one, in, out);
  be.squared_norm(in);
  be.squared_norm(std::span<const View<const C>>());
  be.row_norms(in, out);
  be.orthonormalize(out, out);
};

/// Everything that a model of precision (S, C) asks for. Changing the backend is one word in a program.
template <class B, class S = float, class C = float>
concept backend = has_segments<B> && has_weights<B, S> && has_gemm<B, S, C> && has_row_operations<B, C> &&
                  has_selections<B, S, C> && has_attention<B, C> && has_parameter_operations<B, C>;

static_assert(backend<backends::Reference> && backend<backends::Reference, bf16, float>);
static_assert(backend<backends::Reference, std::complex<double>, std::complex<double>>);

}  // namespace graft
