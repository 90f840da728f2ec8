// SPDX-License-Identifier: Apache-2.0
// LlamaRun: one batch through a Llama with its grafts: embedding, blocks, labelled rows of the head, and all of it back.
#pragma once

#include <algorithm>  // max, min
#include <concepts>
#include <cstdint>
#include <span>
#include <utility>  // move
#include <vector>

#include <graft/adapters/graft_pass.hpp>
#include <graft/core/arena.hpp>
#include <graft/models/key_store.hpp>
#include <graft/models/llama.hpp>
#include <graft/models/run_options.hpp>

namespace graft::models {

/// Owns the arena and every view in it. Calls go forward(), then loss() or logits(), then backward(); each uses what the
/// one before left. A dry pass over the same layout finds the peak before any memory is touched.
template <class Model, class AttachedType>
class LlamaRun {
 public:
  using P = typename Model::Precision;  ///< the model's
  using B = typename Model::Backend;    ///< the model's
  using S = typename P::Stored;         ///< storage
  using C = typename P::Computed;       ///< arithmetic
  using K = typename P::Kept;           ///< what is kept for the backward

  /// Labelled rows that the head has in hand at once: (rows x vocabulary) logits never exist for more.
  static constexpr Index head_rows = 256;

  /// tokens(T) of a ragged batch => the residual stream after the last block, in hidden(). `labelled` is how many rows
  /// loss() will be asked for at most; `store` extends earlier calls (generation). `between`(l, x) meets the stream x(T,D)
  /// that enters block l, or that leaves the last (l = layers), and may rewrite it by operations of `be`.
  template <class Between = NobodyBetween>
  void forward(const B& be, const Model& model, std::span<AttachedType* const> bank, const Ragged& batch,
               std::span<const std::int32_t> tokens, Index labelled, const RunOptions& options = {},
               KeyStore<C>* store = nullptr, Between&& between = {}) {
    require(static_cast<Index>(tokens.size()) == batch.tokens() && batch.tokens() > 0, "shape.146",
            "LlamaRun: the batch and its tokens disagree in length, or are empty");
    for (const std::int32_t token : tokens) {
      if (token < 0 || token >= model.config.vocab) {
        fail("train.410", "token id " + std::to_string(token) + " lies outside the vocabulary of " +
                              std::to_string(model.config.vocab));
      }
    }
    tokens_ = tokens;
    const auto burst = be.burst();
    measure(be, model, bank, batch, labelled, options);
    arena_.reserve();
    if (nll_.rows() < labelled) {
      nll_ = Tensor<C>(labelled, 1);
    }
    lay_out(be, model, batch, labelled);
    positions_ = positions_of(batch, std::move(positions_));
    be.rope_rotations(std::span<const Index>(positions_), std::span<const double>(model.frequencies), rotations_);
    spans_.clear();
    key_rows_.clear();
    if (store != nullptr) {
      spans_ = store->spans(batch);
      key_rows_ = store->rows(batch);
    } else {
      for (Index i = 0; i < batch.sequences(); ++i) {
        require(batch.start[static_cast<std::size_t>(i)] == 0, "shape.142",
                "LlamaRun: a sequence that starts later needs the store that holds its beginning");
        spans_.push_back({batch.begin(i), batch.length(i), batch.begin(i), batch.length(i)});
      }
    }
    pass_ = {batch.tokens(), rotations_, spans_, key_rows_};
    const View<C> first = input_of(0);
    be.for_each_block(batch.tokens(), [&](Block b) {
      const View<C> x = first.middle_rows(b.begin, b.rows);
      be.gather_rows(model.embedding,
                     tokens.subspan(static_cast<std::size_t>(b.begin), static_cast<std::size_t>(b.rows)), x);
      if (model.config.embedding_scale != 1) {
        be.scale(C(static_cast<real_type<C>>(model.config.embedding_scale)), x);
      }
      grafts_.layer(0).at(site::embedded).edit(be, b, x);
    });
    for (Index l = 0; l < model.layer_count(); ++l) {
      const auto i = static_cast<std::size_t>(l);
      between(l, input_of(l));
      model.blocks[i].forward(be, pass_, grafts_.layer(l), input_of(l), kept_[i], scratch_[i],
                              store != nullptr ? store->k[i].view() : View<C>{},
                              store != nullptr ? store->v[i].view() : View<C>{}, input_of(l + 1));
    }
    between(model.layer_count(), stream_);
  }

  /// (T,D) the residual stream after the last block, before the final norm, for operations of the backend; gone after a backward that recomputes.
  [[nodiscard]] View<const C> hidden() const { return stream_; }
  /// (T,D) the residual stream that entered block l; empty unless the block keeps it (with a graft below or in it).
  [[nodiscard]] View<const K> hidden(Index l) const { return kept_[static_cast<std::size_t>(l)].x; }

  /// out(N,V) = logits of the rows in `rows`.
  void logits(const B& be, const Model& model, std::span<const Index> rows, View<C> out) {
    const auto burst = be.burst();
    const Index chunk = head_input_.rows;
    for (Index first = 0; first < out.rows; first += chunk) {
      const Index count = std::min(chunk, out.rows - first);
      head_forward(be, model, rows.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                   out.middle_rows(first, count));
    }
  }

  /// Sum over the labelled rows of the negative log-likelihood: row rows[i] (rising) predicts labels[i]. After a forward that
  /// keeps, dL/dlogits = scale (softmax - onehot), and the gradient starts on its way down. nll of each row: row_nll().
  [[nodiscard]] double loss(const B& be, const Model& model, std::span<const Index> rows,
                            std::span<const std::int32_t> labels, C scale = C{}) {
    const auto total = static_cast<Index>(rows.size());
    require(total <= nll_.rows(), "shape.143", "LlamaRun: more rows are labelled than forward was told");
    const auto burst = be.burst();
    const bool trains = keep_ && scale != C{};
    if (trains) {
      be.for_each_block(dx_.rows, [&](Block b) { be.fill(0, dx_.middle_rows(b.begin, b.rows)); });
    }
    const Index chunk = logits_.rows;
    for (Index first = 0; first < total; first += chunk) {
      const Index count = std::min(chunk, total - first);
      const auto list = rows.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      const View<C> logits = logits_.middle_rows(0, count);
      head_forward(be, model, list, logits);
      be.for_each_block(count, [&](Block b) {
        be.cross_entropy(logits.middle_rows(b.begin, b.rows),
                         labels.subspan(static_cast<std::size_t>(first + b.begin), static_cast<std::size_t>(b.rows)),
                         trains ? scale : C{}, nll_.view().middle_rows(first + b.begin, b.rows));
        if (trains) {
          head_backward(be, model, list, logits, b);
        }
      });
      if (trains) {
        head_gradients(be, model, list);
      }
    }
    be.finish();
    double sum = 0;
    for (Index i = 0; i < total; ++i) {
      sum += static_cast<double>(real_part(nll_(i, 0)));
    }
    return sum;
  }
  [[nodiscard]] View<const C> row_nll() const { return nll_.view(); }  ///< (N,1) of the last loss()
  /// Multiplies what loss() left of the gradient in some rows, where how much they count follows from their likelihood. A
  /// trained head or last norm has taken its gradient by then: train.411.
  void weigh(const B& be, const Model& model, RowRange rows, C factor) {
    if (grafts_.any(0, site::head | site::final_norm | (model.config.tied_head ? site::embedding : site::none))) {
      fail("train.411", "a loss that weighs whole sequences needs a frozen head, with its norm and its embedding");
    }
    be.scale(factor, dx_.middle_rows(rows.begin, rows.rows));
  }

  /// Sends the gradient that loss() left down to the lowest graft, adding to the gradients of all parameters.
  void backward(const B& be, const Model& model) {
    require(keep_, "shape.144", "LlamaRun: backward needs a forward that keeps");
    const auto burst = be.burst();
    for (Index l = model.layer_count() - 1; l >= 0; --l) {
      const std::optional<Reach> reach = grafts_.reach(l);
      if (!reach) {
        return;
      }
      const auto i = static_cast<std::size_t>(l);
      if (recompute_ && keeps(l)) {
        if constexpr (!std::same_as<K, C>) {
          be.for_each_block(stream_.rows, [&](Block b) {
            be.copy(kept_[i].x.middle_rows(b.begin, b.rows), stream_.middle_rows(b.begin, b.rows));
          });
        }
        model.blocks[i].forward(be, pass_, grafts_.layer(l), input_of(l), kept_[i], scratch_[i], {}, {}, stream_);
      }
      model.blocks[i].backward(be, pass_, grafts_.layer(l), kept_[i], scratch_[i], *reach, dx_);
    }
    if (grafts_.any(0, site::embedded)) {
      const auto embedded = grafts_.layer(0).at(site::embedded);
      be.for_each_block(dx_.rows, [&](Block b) { embedded.edit_vjp(be, b, dx_.middle_rows(b.begin, b.rows)); });
      embedded.edit_gradients(be);
    }
    const C factor(static_cast<real_type<C>>(model.config.embedding_scale));
    grafts_.layer(0).at(site::embedding).each_run([&](auto& module, auto&, RowRange run) {
      if constexpr (requires { module.embedding_gradients(be, factor, tokens_, dx_); }) {
        module.embedding_gradients(
            be, factor, tokens_.subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.rows)),
            dx_.middle_rows(run.begin, run.rows));
      }
    });
  }

  /// What the last layout asked for, by name; the forecast that users see.
  [[nodiscard]] const Arena& arena() const { return arena_; }

  /// Lays the memory of a pass out without touching any.
  void measure(const B& be, const Model& model, std::span<AttachedType* const> bank, const Ragged& batch,
               Index labelled, const RunOptions& options) {
    keep_ = options.keep;
    recompute_ = options.recompute;
    grafts_.begin(bank, batch, be.rows_of_block(batch.tokens()), options.dropout, options.continues);
    arena_.measure(be.lanes());
    lay_out(be, model, batch, labelled);
  }

 private:
  void lay_out(const B& be, const Model& model, const Ragged& batch, Index labelled) {
    const LlamaConfig& c = model.config;
    const Index t = batch.tokens();
    const Index lane = be.rows_of_block(t);
    const Index layers = model.layer_count();
    const Index chunk = std::min(head_rows, std::max<Index>(labelled, 1));
    constexpr bool rounds = !std::same_as<S, C>;
    rotations_ = arena_.template take<C>("rope rotations", t, c.head_dim);
    stream_ = arena_.template take<C>("residual stream", t, c.dim);
    dx_ = arena_.template take<C>("gradient of the residual stream", keep_ ? t : 0, c.dim);
    grafts_.lay_out_shared(arena_);

    kept_.assign(static_cast<std::size_t>(layers), {});
    scratch_.assign(static_cast<std::size_t>(layers), {});
    for (Index l = 0; l < layers; ++l) {
      layers::BlockKept<P>& kept = kept_[static_cast<std::size_t>(l)];
      if (keeps(l)) {
        kept.x = arena_.template take<K>("kept: block input", t, c.dim);
      }
      if (keeps_all(l)) {
        kept.seen = lay_out_activations<K>(true, c, t, 0);
        kept.lse = arena_.template take<C>("kept: attention output", t, c.heads);
      }
      if (keeps_grafts(l)) {
        grafts_.lay_out_kept(arena_, l, true);
      }
    }
    const std::size_t mark = arena_.mark();  // from here on, layers and head take turns
    for (Index l = 0; l < layers; ++l) {
      arena_.rewind(mark);
      if (!keeps_grafts(l)) {
        grafts_.lay_out_kept(arena_, l, keeps(l));
      }
      if (!keeps_all(l)) {
        kept_[static_cast<std::size_t>(l)].lse = arena_.template take<C>("scratch: activations of a block", t, c.heads);
      }
      grafts_.lay_out_scratch(arena_, l, keeps(l) || edits_only(l));
      scratch_[static_cast<std::size_t>(l)] = lay_out_scratch(c, t, lane, l);
    }
    arena_.rewind(mark);
    logits_ = arena_.template take<C>("head: logits of a chunk", chunk, c.vocab);
    rounded_logits_ = arena_.template take<S>("head: logits of a chunk", rounds && keep_ ? chunk : 0, c.vocab);
    head_input_ = arena_.template take<C>("head", chunk, c.dim);
    head_normed_ = arena_.template take<C>("head", chunk, c.dim);
    head_operand_ = arena_.template take<S>("head", rounds ? chunk : 0, c.dim);
    head_gradient_ = arena_.template take<C>("head", keep_ ? chunk : 0, c.dim);
    head_normed_gradient_ = arena_.template take<C>("head", keep_ ? chunk : 0, c.dim);
  }

  /// Rows for every token where lane_rows is 0; else r, gate and up only for those that a lane has in hand.
  template <class T>
  [[nodiscard]] layers::Activations<T> lay_out_activations(bool kept, const LlamaConfig& c, Index t, Index lane_rows) {
    const auto name = [&](std::string_view part) {
      return kept ? part : std::string_view("scratch: activations of a block");
    };
    const auto take = [&](std::string_view part, Index cols) { return arena_.template take<T>(name(part), t, cols); };
    const auto slab = [&](std::string_view part, Index cols) {
      return arena_.template slab<T>(name(part), lane_rows == 0, t, lane_rows, cols);
    };
    layers::Activations<T> a;
    a.q = take("kept: queries, keys, values", c.q_dim());
    a.k = take("kept: queries, keys, values", c.kv_dim());
    a.v = take("kept: queries, keys, values", c.kv_dim());
    a.q_raw = c.qk_norm ? take("kept: queries, keys, values", c.q_dim()) : a.q;
    a.k_raw = c.qk_norm ? take("kept: queries, keys, values", c.kv_dim()) : a.k;
    a.o = take("kept: attention output", c.q_dim());
    a.r = slab("kept: after the attention", c.dim);
    a.gate = slab("kept: gate and up", c.ffn);
    a.up = slab("kept: gate and up", c.ffn);
    return a;
  }

  [[nodiscard]] layers::BlockScratch<P> lay_out_scratch(const LlamaConfig& c, Index t, Index lane, Index l) {
    const auto at = [&](Sites one) { return grafts_.layer(l).at(one); };
    const auto slab = [&](bool wide, Index cols) {
      return arena_.template slab<C>("scratch: rows in hand", wide, t, lane, cols);
    };
    const auto reads = [&](Sites one) { return at(one).needs_all_inputs(); };
    const auto pulls = [&](Sites one) { return at(one).needs_all_output_gradients(); };
    const bool back = keeps(l);
    const bool wide_h = back && (reads(site::query) || reads(site::key) || reads(site::value) || reads(site::gate) ||
                                 reads(site::up) || reads(site::feed_forward));
    const bool wide_dh = back && (reads(site::attention_norm) || reads(site::feed_forward_norm));
    layers::BlockScratch<P> s;
    layers::BlockKept<P>& kept = kept_[static_cast<std::size_t>(l)];
    s.linear = layers::LinearScratch<P>::lay_out(arena_, lane, std::max({c.dim, c.ffn, c.q_dim()}));
    if constexpr (std::same_as<K, C>) {
      s.x = {kept.x, 0};
      s.now = kept.seen;
    } else if (back) {
      s.x = slab(false, c.dim);
    }
    if (!std::same_as<K, C> || !keeps_all(l)) {
      s.now = lay_out_activations<C>(false, c, t, back && !keeps_all(l) ? 0 : lane);
    }
    s.h = slab(wide_h, c.dim);
    s.y = slab(false, c.dim);
    s.a = slab(back && reads(site::down), c.ffn);
    if (!back) {
      return s;
    }
    s.da = slab(false, c.ffn);
    s.dgate = slab(pulls(site::gate), c.ffn);
    s.dup = slab(pulls(site::up), c.ffn);
    s.dh = slab(wide_dh, c.dim);
    s.dy_down = slab(pulls(site::down) || pulls(site::feed_forward), c.dim);
    s.dy_output = slab(pulls(site::output), c.dim);
    s.dq = slab(true, c.q_dim()).data;
    s.dk = slab(true, c.kv_dim()).data;
    s.dv = slab(true, c.kv_dim()).data;
    s.d_o = slab(true, c.q_dim()).data;
    s.dq_raw = slab(pulls(site::query), c.qk_norm ? c.q_dim() : 0);
    s.dk_raw = slab(pulls(site::key), c.qk_norm ? c.kv_dim() : 0);
    return s;
  }

  /// Whether block l keeps its activations: the gradient passes through more than the edits of its output.
  [[nodiscard]] bool keeps(Index l) const {
    const std::optional<Reach> reach = grafts_.reach(l);
    return keep_ && reach && *reach != Reach::edits_only;
  }
  [[nodiscard]] bool edits_only(Index l) const { return keep_ && grafts_.reach(l) == Reach::edits_only; }
  /// Whether block l keeps all that its backward reads.
  [[nodiscard]] bool keeps_all(Index l) const { return keeps(l) && !recompute_; }
  /// Whether the grafts of layer l keep theirs. What edits the embedded tokens stands before block 0, which recomputes.
  [[nodiscard]] bool keeps_grafts(Index l) const {
    return keeps_all(l) || edits_only(l) || (keeps(l) && l == 0 && grafts_.any(0, site::embedded));
  }
  /// The residual stream where it enters block l: kept there at once, where it is kept as it is.
  [[nodiscard]] View<C> input_of(Index l) const {
    if constexpr (std::same_as<K, C>) {
      const auto i = static_cast<std::size_t>(l);
      return i < kept_.size() && !kept_[i].x.empty() ? kept_[i].x : stream_;
    } else {
      return stream_;
    }
  }

  void head_forward(const B& be, const Model& model, std::span<const Index> list, View<C> logits) const {
    be.for_each_block(logits.rows, [&](Block b) {
      const auto part = list.subspan(static_cast<std::size_t>(b.begin), static_cast<std::size_t>(b.rows));
      const View<C> x = head_input_.middle_rows(b.begin, b.rows);
      const View<C> h = head_normed_.middle_rows(b.begin, b.rows);
      be.gather_rows(stream_, part, x);
      be.rms_norm(model.last_norm(), x, h);
      const View<S> scratch = head_operand_.rows == 0 ? head_operand_ : head_operand_.middle_rows(b.begin, b.rows);
      be.gemm_nt(1, operand<P>(be, h, scratch), model.head(), 0, logits.middle_rows(b.begin, b.rows));  // (T,D)(V,D)'
    });
  }
  void head_backward(const B& be, const Model& model, std::span<const Index> list, View<C> dlogits, Block b) const {
    const auto part = list.subspan(static_cast<std::size_t>(b.begin), static_cast<std::size_t>(b.rows));
    const View<C> dh = head_normed_gradient_.middle_rows(b.begin, b.rows);
    const View<C> dx = head_gradient_.middle_rows(b.begin, b.rows);
    const View<S> scratch = rounded_logits_.rows == 0 ? rounded_logits_ : rounded_logits_.middle_rows(b.begin, b.rows);
    be.gemm_nn(1, operand<P>(be, dlogits.middle_rows(b.begin, b.rows), scratch), model.head(), 0, dh);  // (T,V)(V,D)
    be.fill(0, dx);
    be.rms_norm_vjp(model.last_norm(), head_input_.middle_rows(b.begin, b.rows), dh, dx);
    be.scatter_rows(dx, part, dx_);
  }
  /// Gradients of the head and the final norm, where they are trained; a tied head adds to the embedding's.
  void head_gradients(const B& be, const Model& model, std::span<const Index> list) {
    const auto layer = grafts_.layer(0);
    layer.at(model.config.tied_head ? site::embedding : site::head)
        .each_run([&](auto& module, auto& cache, RowRange run) {
          if constexpr (requires { module.gradients(be, cache, run, head_normed_, logits_); }) {
            const RowRange own = where_listed(list, run);
            module.gradients(be, cache, own, head_normed_.middle_rows(own.begin, own.rows),
                             logits_.middle_rows(own.begin, own.rows));
          }
        });
    layer.at(site::final_norm).each_run([&](auto& module, auto&, RowRange run) {
      if constexpr (requires { module.norm_gradients(be, 0.0, head_input_, head_normed_gradient_); }) {
        const RowRange own = where_listed(list, run);
        module.norm_gradients(be, model.config.norm_eps, head_input_.middle_rows(own.begin, own.rows),
                              head_normed_gradient_.middle_rows(own.begin, own.rows));
      }
    });
  }
  Arena arena_;
  GraftPass<AttachedType> grafts_;
  std::span<const std::int32_t> tokens_;
  std::vector<ops::AttentionSpan> spans_;
  std::vector<Index> positions_, key_rows_;
  layers::BatchPass<C> pass_;
  std::vector<layers::BlockKept<P>> kept_;
  std::vector<layers::BlockScratch<P>> scratch_;
  Tensor<C> nll_;  // that the processor reads
  View<C> rotations_, stream_, dx_;
  View<C> logits_, head_input_, head_normed_, head_gradient_, head_normed_gradient_;
  View<S> rounded_logits_, head_operand_;
  bool keep_ = false, recompute_ = false;
};

}  // namespace graft::models
