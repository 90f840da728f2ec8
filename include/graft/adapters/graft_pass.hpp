// SPDX-License-Identifier: Apache-2.0
// GraftPass: a bank of attached stacks bound to one batch. Layers meet it site by site; it sends each row to its adapter.
#pragma once

#include <span>

#include <graft/adapters/attached.hpp>
#include <graft/core/arena.hpp>

namespace graft {

template <class AttachedType>
class GraftPass;

/// The bank holds adapter i at [i - 1]; rows of sequences with adapter 0 go through none. One pass serves one forward
/// and the backward after it. Everything here is a loop over the modules at a site: no virtual call, no copy.
template <scalar T, class... Ats>
class GraftPass<Attached<T, Stack<Ats...>>> {
 public:
  using AttachedType = Attached<T, Stack<Ats...>>;  ///< what the bank holds

  /// Binds the bank to a batch.
  void begin(std::span<AttachedType* const> bank, const Ragged& batch, Index block_rows, Random dropout) {
    members_.resize(bank.size());
    tokens_ = batch.tokens();
    block_rows_ = block_rows;
    for (std::size_t k = 0; k < bank.size(); ++k) {
      Member& member = members_[k];
      member.attached = bank[k];
      member.runs = rows_of_adapter(batch, static_cast<Index>(k) + 1);
      std::uint64_t number = 0;
      each_part(member, [&](auto& part, auto& caches) {
        caches.caches.resize(part.modules.size());
        caches.random.clear();
        for (std::size_t m = 0; m < part.modules.size(); ++m) {
          caches.random.push_back(dropout.child(number++));
        }
        using A = std::remove_cvref_t<decltype(part.adapter)>;
        if constexpr (representation_adapter<A>) {
          for (const Part p : {Part::both, Part::prefix, Part::suffix}) {
            caches.rows[static_cast<int>(p)] = part.modules.empty() ? EditRows{}
                                                                    : edit_rows(batch, part.placement.positions, p,
                                                                                static_cast<Index>(k) + 1, block_rows);
          }
        }
      });
    }
  }

  /// Memory of one layer's modules that lives until the backward.
  void lay_out_kept(Arena& arena, Index layer, bool keep) {
    each_in_layer(layer, keep, [&](auto& grafted, auto& cache, const Extent& extent) {
      grafted.module.lay_out_kept(cache, arena, extent);
    });
  }
  /// Memory of one layer's modules that the layer gives back.
  void lay_out_scratch(Arena& arena, Index layer, bool keep) {
    each_in_layer(layer, keep, [&](auto& grafted, auto& cache, const Extent& extent) {
      grafted.module.lay_out_scratch(cache, arena, extent);
    });
  }
  /// Memory that the modules of all layers use in turn.
  void lay_out_shared(Arena& arena) {
    Index widest = 0;
    for (Member& member : members_) {
      member.attached->for_each_module([&](const auto&, const Placement&, const auto& grafted) {
        widest = (grafted.place.where & site::stream) != 0 ? std::max(widest, grafted.place.outputs) : widest;
      });
    }
    rows_ = arena.slab<T>("scratch: edited rows", false, 0, block_rows_, widest);
  }

  /// What stands at one site of one layer.
  class Site {
   public:
    /// `one` is a single site.
    Site(GraftPass& pass, Index layer, Sites one) : pass_(&pass), layer_(layer), one_(one) {}

    /// Whether some module here needs x or dy for its gradients(), or a copy of x or dy that it may edit. @{
    [[nodiscard]] bool needs_input() const {
      return any([](const auto& m)
                   requires requires { m.needs_input(); }
                 { return m.needs_input(); });
    }
    [[nodiscard]] bool needs_output_gradient() const {
      return any([](const auto& m)
                   requires requires { m.needs_output_gradient(); }
                 { return m.needs_output_gradient(); });
    }
    [[nodiscard]] bool edits_input() const {
      return any([](const auto& m)
                   requires requires { m.edits_input(); }
                 { return m.edits_input(); });
    }
    [[nodiscard]] bool edits_output() const {
      return any([](const auto& m)
                   requires requires { m.edits_output(); }
                 { return m.edits_output(); });
    }
    /// @}

    /// Shows every module the weight it stands on, before the segments of its layer.
    template <class B, class W>
    [[gnu::noinline]] void prepare(const B& be, const W& weight) const {
      each([&](Member&, auto&, auto& grafted, auto& cache) {
        if constexpr (requires { grafted.module.prepare(be, cache, weight); }) {
          grafted.module.prepare(be, cache, weight);
        }
      });
    }

    /// The four phases and their mirror images, on the rows of one block that belong to each module. None is inlined:
    /// each is called from many places and holds the code of every adapter. @{
    template <class B>
    [[gnu::noinline]] void read(const B& be, Block b, In<T> x) const {
      phase(b, x, [&](auto& m, auto& c, Block p, View<const T> v) {
        if constexpr (requires { m.read(be, c, p, v); }) {
          m.read(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void edit_input(const B& be, Block b, View<T> x) const {
      phase(b, x, [&](auto& m, auto& c, Block p, View<T> v) {
        if constexpr (requires { m.edit_input(be, c, p, v); }) {
          m.edit_input(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void read_output(const B& be, Block b, In<T> y) const {
      phase(b, y, [&](auto& m, auto& c, Block p, View<const T> v) {
        if constexpr (requires { m.read_output(be, c, p, v); }) {
          m.read_output(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void add(const B& be, Block b, View<T> y) const {
      phase(b, y, [&](auto& m, auto& c, Block p, View<T> v) {
        if constexpr (requires { m.add(be, c, p, v); }) {
          m.add(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void add_vjp(const B& be, Block b, In<T> dy) const {
      phase(b, dy, [&](auto& m, auto& c, Block p, View<const T> v) {
        if constexpr (requires { m.add_vjp(be, c, p, v); }) {
          m.add_vjp(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void read_output_vjp(const B& be, Block b, View<T> dy) const {
      phase(b, dy, [&](auto& m, auto& c, Block p, View<T> v) {
        if constexpr (requires { m.read_output_vjp(be, c, p, v); }) {
          m.read_output_vjp(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void edit_input_vjp(const B& be, Block b, View<T> dx) const {
      phase(b, dx, [&](auto& m, auto& c, Block p, View<T> v) {
        if constexpr (requires { m.edit_input_vjp(be, c, p, v); }) {
          m.edit_input_vjp(be, c, p, v);
        }
      });
    }
    template <class B>
    [[gnu::noinline]] void read_vjp(const B& be, Block b, View<T> dx) const {
      phase(b, dx, [&](auto& m, auto& c, Block p, View<T> v) {
        if constexpr (requires { m.read_vjp(be, c, p, v); }) {
          m.read_vjp(be, c, p, v);
        }
      });
    }
    /// @}

    /// Sums over rows, outside the segment; x and dy are wide where somebody here reads them.
    template <class B>
    [[gnu::noinline]] void gradients(const B& be, const Slab<T>& x, const Slab<T>& dy) const {
      each([&](Member& member, auto&, auto& grafted, auto& cache) {
        auto& m = grafted.module;
        if constexpr (requires { m.gradients(be, cache, RowRange{}, View<const T>{}, View<const T>{}); }) {
          for (const RowRange run : member.runs) {
            m.gradients(be, cache, run, m.needs_input() ? x.wide().middle_rows(run.begin, run.rows) : View<T>{},
                        m.needs_output_gradient() ? dy.wide().middle_rows(run.begin, run.rows) : View<T>{});
          }
        }
      });
    }
    /// The same for the gain of a norm, whose rows may be the heads of a token.
    template <class B>
    [[gnu::noinline]] void norm_gradients(const B& be, double epsilon, const Slab<T>& x, const Slab<T>& dy) const {
      each([&](Member& member, auto&, auto& grafted, auto&) {
        if constexpr (requires { grafted.module.norm_gradients(be, epsilon, View<T>{}, View<T>{}); }) {
          const Index heads = x.wide().rows / pass_->tokens_;
          for (const RowRange run : member.runs) {
            grafted.module.norm_gradients(be, epsilon, x.wide().middle_rows(run.begin * heads, run.rows * heads),
                                          dy.wide().middle_rows(run.begin * heads, run.rows * heads));
          }
        }
      });
    }

    /// Edits of a stream, at the chosen rows of one block: h is the block, its first row the block's first. @{
    template <class B>
    [[gnu::noinline]] void edit(const B& be, Block b, View<T> h) const {
      each([&](Member&, auto& caches, auto& grafted, auto& cache) {
        edit_with(be, b, h, caches, grafted,
                  [&](auto& m, Block rows, View<T> chosen) { m.edit(be, cache, rows, chosen); });
      });
    }
    template <class B>
    [[gnu::noinline]] void edit_vjp(const B& be, Block b, View<T> dh) const {
      each_reversed([&](Member&, auto& caches, auto& grafted, auto& cache) {
        edit_with(be, b, dh, caches, grafted,
                  [&](auto& m, Block rows, View<T> chosen) { m.edit_vjp(be, cache, rows, chosen); });
      });
    }
    template <class B>
    [[gnu::noinline]] void edit_gradients(const B& be) const {
      each([&](Member&, auto& caches, auto& grafted, auto& cache) {
        if constexpr (requires { grafted.module.gradients(be, cache, RowRange{}); }) {
          const auto count = static_cast<Index>(caches.rows[static_cast<int>(grafted.part)].in_batch.size());
          if (count > 0) {
            grafted.module.gradients(be, cache, RowRange{0, count});
          }
        }
      });
    }
    /// @}
    /// Calls visit(module, run) for the modules that train the table or head itself.
    template <class Visitor>
    void each_run(Visitor&& visit) const {
      each([&](Member& member, auto&, auto& grafted, auto& cache) {
        for (const RowRange run : member.runs) {
          visit(grafted.module, cache, run);
        }
      });
    }

   private:
    template <class Question>
    [[nodiscard]] bool any(Question question) const {
      bool found = false;
      each([&](Member&, auto&, auto& grafted, auto&) {
        if constexpr (requires { question(grafted.module); }) {
          found = found || question(grafted.module);
        }
      });
      return found;
    }
    template <class V, class Phase>
    void phase(Block b, View<V> rows, Phase run_phase) const {
      each([&](Member& member, auto&, auto& grafted, auto& cache) {
        for (const RowRange run : member.runs) {
          if (const Block own = b.part(run); own.rows > 0) {
            run_phase(grafted.module, cache, own, rows.middle_rows(own.begin - b.begin, own.rows));
          }
        }
      });
    }
    template <class B, class Caches, class G, class Edit>
    void edit_with(const B& be, Block b, View<T> h, Caches& caches, G& grafted, Edit apply) const {
      if constexpr (requires { grafted.module.edit(be, caches.caches[0], b, h); }) {
        const EditRows& rows = caches.rows[static_cast<int>(grafted.part)];
        const auto low = std::lower_bound(rows.in_batch.begin(), rows.in_batch.end(), b.begin);
        const auto high = std::lower_bound(low, rows.in_batch.end(), b.begin + b.rows);
        if (low == high) {
          return;
        }
        const Index first = low - rows.in_batch.begin();
        const Block own{first, high - low, b.lane, 0};
        const auto list =
            std::span(rows.in_block).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(own.rows));
        const View<T> chosen = pass_->rows_.at(own).middle_cols(0, h.cols);
        be.gather_rows(h, list, chosen);
        apply(grafted.module, own, chosen);
        be.scatter_rows(chosen, list, h);
      }
    }
    template <class Visitor>
    void each(Visitor&& visit) const {
      for (Member& member : pass_->members_) {
        pass_->each_part(member, [&](auto& part, auto& caches) {
          const RowRange here = part.at(layer_, one_);
          for (Index m = here.begin; m < here.begin + here.rows; ++m) {
            visit(member, caches, part.modules[static_cast<std::size_t>(m)],
                  caches.caches[static_cast<std::size_t>(m)]);
          }
        });
      }
    }
    template <class Visitor>
    void each_reversed(Visitor&& visit) const {
      for (Member& member : pass_->members_) {  // members own different rows: their order does not matter
        pass_->each_part_reversed(member, [&](auto& part, auto& caches) {
          const RowRange here = part.at(layer_, one_);
          for (Index m = here.begin + here.rows - 1; m >= here.begin; --m) {
            visit(member, caches, part.modules[static_cast<std::size_t>(m)],
                  caches.caches[static_cast<std::size_t>(m)]);
          }
        });
      }
    }

    GraftPass* pass_;
    Index layer_;
    Sites one_;
  };

  /// What stands in one layer; the argument that a block's forward and backward take.
  struct Layer {
    GraftPass* pass;  ///< bound to the batch
    Index index;      ///< of the layer

    [[nodiscard]] Site at(Sites one) const { return Site(*pass, index, one); }  ///< what stands at one site
    /// Site::prepare at every linear map of `block`.
    template <class B, class Block>
    void prepare(const B& be, const Block& block) const {
      for (Sites one = 1; one <= site::down; one <<= 1) {
        at(one).prepare(be, block.linear(one).weight);
      }
    }
  };
  [[nodiscard]] Layer layer(Index index) { return {this, index}; }  ///< what a block's forward takes

  /// Whether a member of the bank stands at one of the sites of a layer.
  [[nodiscard]] bool any(Index layer, Sites sites) const {
    return std::any_of(members_.begin(), members_.end(),
                       [&](const Member& m) { return m.attached->any(layer, sites); });
  }
  /// The furthest reach that any member of the bank asks of a layer.
  [[nodiscard]] std::optional<Reach> reach(Index layer) const {
    std::optional<Reach> furthest;
    for (const Member& member : members_) {
      furthest = std::max(furthest, member.attached->reach(layer));  // nothing is less than any reach
    }
    return furthest;
  }

 private:
  template <class A>
  struct Caches {
    std::vector<typename A::template Module<T>::Cache> caches;
    std::vector<Random> random;
    EditRows rows[3];
  };
  struct Member {
    AttachedType* attached = nullptr;
    std::vector<RowRange> runs;
    std::tuple<Caches<typename Ats::Adapter>...> caches;
  };

  template <class Visitor>
  static void each_part(Member& member, Visitor&& visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit(std::get<I>(member.attached->parts), std::get<I>(member.caches)), ...);
    }(std::index_sequence_for<Ats...>{});
  }
  template <class Visitor>
  static void each_part_reversed(Member& member, Visitor&& visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit(std::get<sizeof...(Ats) - 1 - I>(member.attached->parts), std::get<sizeof...(Ats) - 1 - I>(member.caches)),
       ...);
    }(std::index_sequence_for<Ats...>{});
  }
  template <class Visitor>
  void each_in_layer(Index layer, bool keep, Visitor&& visit) {
    for (Member& member : members_) {
      each_part(member, [&](auto& part, auto& caches) {
        for (Sites one = 1; one < (1u << site::count); one <<= 1) {
          const RowRange here = part.at(layer, one);
          for (Index m = here.begin; m < here.begin + here.rows; ++m) {
            const auto i = static_cast<std::size_t>(m);
            auto& grafted = part.modules[i];
            const bool edits = (one & site::stream) != 0;
            const auto& list = caches.rows[static_cast<int>(grafted.part)].in_batch;
            visit(grafted, caches.caches[i],
                  Extent{edits ? static_cast<Index>(list.size()) : tokens_, block_rows_, keep, caches.random[i]});
          }
        }
      });
    }
  }

  std::vector<Member> members_;
  Slab<T> rows_;  // the chosen rows of a lane's block
  Index tokens_ = 0;
  Index block_rows_ = 0;
};

}  // namespace graft
