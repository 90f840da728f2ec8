// SPDX-License-Identifier: Apache-2.0
// GraftSite: what stands at one site of one layer: the phases of its modules, each on the rows of one block that are its own.
#pragma once

#include <algorithm>  // lower_bound
#include <span>

#include <graft/adapters/attached.hpp>

namespace graft {

/// Every operation is a loop over the modules of one site, for the rows that belong to each: no virtual call, no copy.
template <class Pass>
class GraftSite {
  using T = typename Pass::Scalar;
  using Member = typename Pass::Member;

 public:
  /// `one` is a single site.
  GraftSite(Pass& pass, Index layer, Sites one) : pass_(&pass), layer_(layer), one_(one) {}

  /// Whether some module here needs x for its gradients, x or dy of all rows at once, or a copy of x or dy that it may edit. @{
  [[nodiscard]] bool needs_input() const {
    return any([]<class M>(const M& m)
                 requires linear<M>
               { return m.needs_input(); });
  }
  [[nodiscard]] bool needs_all_inputs() const {
    return any([]<class M>(const M& m)
                 requires(linear<M> && !sums_by_block<M>)
               { return m.needs_input(); });
  }
  [[nodiscard]] bool needs_all_output_gradients() const {
    return any([]<class M>(const M& m)
                 requires(linear<M> && !sums_by_block<M>)
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

  /// Sums over the rows of one block, at the end of its segment; what x holds matters where needs_input().
  template <class B>
  [[gnu::noinline]] void block_gradients(const B& be, Block b, In<T> x, In<T> dy) const {
    each([&](Member& member, auto&, auto& grafted, auto& cache) {
      if constexpr (sums_by_block<std::remove_cvref_t<decltype(grafted.module)>>) {
        BlockShare share{b.begin / pass_->block_rows_, true};
        const auto add = [&](Block own) {
          grafted.module.block_gradients(be, cache, share, own, x.middle_rows(own.begin - b.begin, own.rows),
                                         dy.middle_rows(own.begin - b.begin, own.rows));
          share.first = false;
        };
        for (const RowRange run : member.runs) {
          if (const Block own = b.part(run); own.rows > 0) {
            add(own);
          }
        }
        if (share.first) {  // nothing here is the module's: its share is zero
          add({b.begin, 0, b.lane, b.offset});
        }
      }
    });
  }
  /// Sums over rows, outside the segment; x and dy are wide where somebody here reads all of them.
  template <class B>
  [[gnu::noinline]] void gradients(const B& be, const Slab<T>& x, const Slab<T>& dy) const {
    each([&](Member& member, auto&, auto& grafted, auto& cache) {
      auto& m = grafted.module;
      if constexpr (sums_by_block<std::remove_cvref_t<decltype(m)>>) {
        m.gradients(be, cache);
      } else if constexpr (requires { m.gradients(be, cache, RowRange{}, View<const T>{}, View<const T>{}); }) {
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
  template <class M>
  static constexpr bool linear = requires(const M& m) { m.needs_input(); };

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
          visit(member, caches, part.modules[static_cast<std::size_t>(m)], caches.caches[static_cast<std::size_t>(m)]);
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
          visit(member, caches, part.modules[static_cast<std::size_t>(m)], caches.caches[static_cast<std::size_t>(m)]);
        }
      });
    }
  }

  Pass* pass_;
  Index layer_;
  Sites one_;
};

}  // namespace graft
