// SPDX-License-Identifier: Apache-2.0
// adapter: a recipe (hyper-parameters) that makes modules (trained parameters with forward and backward side by side).
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <graft/backend.hpp>
#include <graft/core/arena.hpp>
#include <graft/core/parameter.hpp>
#include <graft/core/random.hpp>
#include <graft/core/site.hpp>

namespace graft {

/// The pass that an adapter's memory is laid out for: rows it will see, rows a lane has in hand, and whether a backward
/// follows. `dropout` drives the masks of this pass; without a backward nothing is dropped.
struct Extent {
  Index rows = 0;       ///< that the modules will see
  Index lane_rows = 0;  ///< that a lane has in hand
  bool keep = false;    ///< a backward follows
  Random dropout{0};    ///< the masks of this pass
  std::span<const std::uint64_t>
      subspaces{};         ///< of each edited row (Ragged::subspace); empty where all carry the whole
  bool continues = false;  ///< goes on from this run's last pass, with its keys: no parameter has moved since
};

/// Where a module is made: a linear map of `outputs` x `inputs`, or a stream of `outputs` == `inputs` columns.
struct Place {
  Index layer = 0;           ///< 0 for what stands once a model
  Sites where = site::none;  ///< a single site
  Index outputs = 0;         ///< N, or the width of the stream
  Index inputs = 0;          ///< M, or the width of the stream
  std::string name;          ///< module path, for errors and files
};

/// The word that files hold for a policy: its `name`, or "custom" where it has none.
template <class Policy>
[[nodiscard]] constexpr std::string_view policy_name() {
  if constexpr (requires { std::string_view(Policy::name); }) {
    return Policy::name;
  } else {
    return "custom";
  }
}

// A module adds to a frozen linear map in four phases, each of which it may leave out with its mirror image:
//
//   read(be, cache, block, x)            read_vjp(be, cache, block, dx)            dx += what reading x gives back
//   edit_input(be, cache, block, x)      edit_input_vjp(be, cache, block, dx)      on a copy of x, and its gradient
//   read_output(be, cache, block, y)     read_output_vjp(be, cache, block, dy)     y = W x, and a copy of dy
//   add(be, cache, block, y)             add_vjp(be, cache, block, dy)             y += ...
//
// then gradients(be, cache, range, x, dy) adds the sums over rows to the parameters, outside the segment. A module whose sums
// are small leaves them block by block instead, block_gradients(be, cache, share, block, x, dy), and gradients(be, cache) adds
// them up in order: no x or dy is kept for it. merge(be, base, into), where all of this is a change of the weight `base`, adds
// that change to `into`. Or a module edits rows of a stream: edit(be, cache, block, h), edit_vjp(be, cache, block, dh),
// gradients(be, cache, range).

/// Which share a call of block_gradients() makes. A block in which several sequences go through one adapter calls it for each
/// run of them: the first call overwrites the block's share, the others add to it.
struct BlockShare {
  Index block = 0;    ///< number of the block in the batch
  bool first = true;  ///< of the calls for this block
};

namespace detail {
template <class M>
concept has_memory = requires(M& m, typename M::Cache& cache, Arena& arena, const Extent& extent) {
  m.lay_out_kept(cache, arena, extent);
  m.lay_out_scratch(cache, arena, extent);
};
// Whether a module has the phase of that name, and its mirror image.
template <class M>
concept reads = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<const double> x) {
  m.read(be, c, Block{}, x);
};
template <class M>
concept reads_back = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<double> dx) {
  m.read_vjp(be, c, Block{}, dx);
};
template <class M>
concept edits_input = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<double> x) {
  m.edit_input(be, c, Block{}, x);
};
template <class M>
concept edits_input_back = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<double> dx) {
  m.edit_input_vjp(be, c, Block{}, dx);
};
template <class M>
concept reads_output = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<const double> y) {
  m.read_output(be, c, Block{}, y);
};
template <class M>
concept reads_output_back = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<double> dy) {
  m.read_output_vjp(be, c, Block{}, dy);
};
template <class M>
concept adds =
    requires(M& m, const backends::Reference& be, typename M::Cache& c, View<double> y) { m.add(be, c, Block{}, y); };
template <class M>
concept adds_back = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<const double> dy) {
  m.add_vjp(be, c, Block{}, dy);
};
// A phase without its mirror image would be skipped in silence, and its gradient with it.
template <class M>
concept mirrored = reads<M> == reads_back<M> && edits_input<M> == edits_input_back<M> &&
                   reads_output<M> == reads_output_back<M> && adds<M> == adds_back<M>;
template <class M>
concept has_edit = requires(M& m, const backends::Reference& be, typename M::Cache& c, Block b, View<double> h) {
  m.edit(be, c, b, h);
  m.edit_vjp(be, c, b, h);
  m.gradients(be, c, RowRange{});
};
template <class M>
concept has_gradients = requires(M& m, const backends::Reference& be, typename M::Cache& c, View<const double> x) {
  m.gradients(be, c, RowRange{}, x, x);
};
template <class M>
concept has_block_gradients =
    requires(M& m, const backends::Reference& be, typename M::Cache& c, View<const double> x) {
      m.block_gradients(be, c, BlockShare{}, Block{}, x, x);
      m.gradients(be, c);
    };
}  // namespace detail

/// Whether gradients() adds up what block_gradients() has left, instead of meeting x and dy of all rows.
template <class M>
concept sums_by_block =
    requires(M& m, const backends::Reference& be, typename M::Cache& cache) { m.gradients(be, cache); };

/// Adds to a frozen linear map (or trains it in place), phase by phase.
template <class M>
concept linear_module = has_parameters<M> && detail::has_memory<M> && detail::mirrored<M> &&
                        (detail::has_gradients<M> || detail::has_block_gradients<M>) && requires(const M& m) {
                          { m.needs_input() } -> std::same_as<bool>;            // the gradients read x
                          { m.needs_output_gradient() } -> std::same_as<bool>;  // the gradients read dy
                        };

/// Rewrites rows of a stream at chosen positions; cannot be merged into a weight.
template <class M>
concept stream_module = has_parameters<M> && detail::has_memory<M> && detail::has_edit<M>;

/// A recipe whose modules run beside the feed-forward, as if it were one map: they read its input, add to its output, and
/// are made without a weight. The parallel bottleneck.
template <class A>
concept half_block_adapter = linear_module<typename A::template Module<double>> &&
                             std::constructible_from<typename A::template Module<double>, const A&,
                                                     const backends::Reference&, const Place&, Random>;

/// A recipe whose modules add to linear maps: Lora, Pmss, Full.
template <class A>
concept weight_adapter = linear_module<typename A::template Module<double>> && !half_block_adapter<A>;

/// A recipe whose modules rewrite hidden rows: the Subspace family.
template <class A>
concept representation_adapter = stream_module<typename A::template Module<double>>;

/// A recipe whose modules fill placeholder rows instead: inserted() of them before each sequence. At every layer, or at none,
/// a placeholder stands at all of A::sites.
template <class A>
concept inserting_adapter = representation_adapter<A> && requires(const A& recipe) {
  { recipe.inserted() } -> std::same_as<Index>;
  { A::sites } -> std::convertible_to<Sites>;
};

/// Where an adapter may stand, as A::sites says or else its kind.
template <class A>
[[nodiscard]] constexpr Sites sites_of() {
  if constexpr (requires { A::sites; }) {
    return A::sites;
  } else {
    return half_block_adapter<A> ? site::feed_forward : site::everything;
  }
}

/// What At takes: a recipe with its modules.
template <class A>
concept adapter = weight_adapter<A> || representation_adapter<A> || half_block_adapter<A>;

}  // namespace graft
