// SPDX-License-Identifier: Apache-2.0
// GraftPass: a bank of attached stacks bound to one batch. Layers meet it site by site; it sends each row to its adapter.
#pragma once

#include <span>
#include <utility>  // move

#include <graft/adapters/graft_site.hpp>
#include <graft/core/arena.hpp>

namespace graft {

template <class AttachedType>
class GraftPass;

/// The bank holds adapter i at [i - 1]; rows of sequences with adapter 0 go through none. One pass serves one forward
/// and the backward after it.
template <scalar T, class... Ats>
class GraftPass<Attached<T, Stack<Ats...>>> {
 public:
  using AttachedType = Attached<T, Stack<Ats...>>;  ///< what the bank holds
  using Scalar = T;                                 ///< of every parameter

  /// Binds the bank to a batch; `continues` where it goes on from the last one (Extent).
  void begin(std::span<AttachedType* const> bank, const Ragged& batch, Index block_rows, Random dropout,
             bool continues = false) {
    continues_ = continues;
    members_.resize(bank.size());
    tokens_ = batch.tokens();
    block_rows_ = block_rows;
    for (std::size_t k = 0; k < bank.size(); ++k) {
      Member& member = members_[k];
      member.attached = bank[k];
      const Index id = static_cast<Index>(k) + 1;
      member.runs = rows_of_adapter(batch, id, std::move(member.runs));
      std::uint64_t number = 0;
      check_placeholders(batch, id, member.attached->inserted());
      Index filled = 0;
      each_part(member, [&](auto& part, auto& caches) {
        caches.caches.resize(part.modules.size());
        caches.random.clear();
        for (std::size_t m = 0; m < part.modules.size(); ++m) {
          caches.random.push_back(dropout.child(number++));
        }
        using A = std::remove_cvref_t<decltype(part.adapter)>;
        if constexpr (inserting_adapter<A>) {
          const RowRange own{filled, AttachedType::inserted_by(part)};
          filled += own.rows;
          EditRows& rows = caches.rows[static_cast<int>(Part::both)];
          rows = placeholder_rows(batch, own, id, block_rows, std::move(rows));
        } else if constexpr (representation_adapter<A>) {
          for (const Part p : {Part::both, Part::prefix, Part::suffix}) {
            EditRows& rows = caches.rows[static_cast<int>(p)];
            if (!part.modules.empty()) {
              rows = edit_rows(batch, part.placement.positions, p, id, block_rows, std::move(rows));
            }
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

  using Site = GraftSite<GraftPass>;  ///< what stands at one site of one layer

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
  template <class Pass>
  friend class GraftSite;

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
            constexpr bool edits = representation_adapter<std::remove_cvref_t<decltype(part.adapter)>>;
            const EditRows& chosen = caches.rows[static_cast<int>(grafted.part)];
            visit(grafted, caches.caches[i],
                  Extent{edits ? static_cast<Index>(chosen.in_batch.size()) : tokens_, block_rows_, keep,
                         caches.random[i], chosen.subspaces, continues_});
          }
        }
      });
    }
  }

  std::vector<Member> members_;
  Slab<T> rows_;  // the chosen rows of a lane's block
  Index tokens_ = 0;
  Index block_rows_ = 0;
  bool continues_ = false;
};

}  // namespace graft
