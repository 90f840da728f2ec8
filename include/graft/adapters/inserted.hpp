// SPDX-License-Identifier: Apache-2.0
// Inserted: learnt rows in the place of the placeholders before each sequence: h_p <- E_p for p = 0 .. P-1.
// Prompt tuning: Lester et al., arXiv 2104.08691. Prefix tuning: Li and Liang, arXiv 2101.00190.
#pragma once

#include <algorithm>  // min

#include <graft/adapter.hpp>
#include <graft/adapters/policies/inserted.hpp>

namespace graft::adapters {

/// E(P,d) overwrites rows of a stream, so the gradient of those rows is that of E and goes no further down. The tokens stand
/// behind at positions P, P + 1, ... and attend to all placeholders that their window reaches.
template <class What>
struct Inserted {
  static constexpr std::string_view name = "inserted";  ///< in files and messages
  static constexpr Sites sites = What::sites;           ///< all of which it fills

  Index tokens = 16;     ///< P
  double spread = 0.02;  ///< standard deviation of the normal start

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("tokens", tokens);
    visit("spread", spread);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("what", policy_name<What>());
  }
  /// Placeholders that a sequence needs.
  [[nodiscard]] Index inserted() const { return tokens; }
  /// P d numbers.
  [[nodiscard]] Index trained(const Place& place) const { return tokens * place.outputs; }

  /// One E. Keeps nothing; the placeholders go through the blocks as tokens do.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for the rows that it fills: P of each sequence.
    struct Cache {
      Slab<T> delta;  ///< (E,d) upstream gradient
    };

    Module() = default;
    /// Normal numbers; less than one token is adapter.741.
    template <class B>
    Module(const Inserted& recipe, const B&, const Place& place, Random random)
        : rows_(checked_tokens(recipe, place), place.outputs) {
      for (Index i = 0; i < rows_.size(); ++i) {
        const double number = recipe.spread * random.normal(static_cast<std::uint64_t>(i));
        rows_.value(i / place.outputs, i % place.outputs) = T(static_cast<real_type<T>>(number));
      }
    }

    /// Calls visit(name, parameter) for E.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("rows", rows_);
    }

    /// Nothing lives until the backward.
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}
    /// delta, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.delta = arena.slab<T>("adapter: gradients", true, extent.keep ? extent.rows : 0, 0, rows_.value.cols);
    }

    /// h(E,d) = E_p, whatever stood there.
    template <class B>
    void edit(const B& be, Cache&, Block block, View<T> h) const {
      for (Index i = 0; i < block.rows;) {
        const Index p = (block.begin + i) % count();
        const Index run = std::min(count() - p, block.rows - i);
        be.copy(rows_.value.middle_rows(p, run), h.middle_rows(i, run));
        i += run;
      }
    }
    /// dh(E,d) = 0: what was overwritten has no say.
    template <class B>
    void edit_vjp(const B& be, Cache& cache, Block block, View<T> dh) const {
      be.copy(dh, cache.delta.at(block));
      be.fill(0, dh);
    }
    /// Adds the gradients of all sequences, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run) {
      for (Index first = run.begin; first < run.begin + run.rows; first += count()) {
        be.add(1, cache.delta.wide().middle_rows(first, count()), rows_.gradient.view());
      }
    }

   private:
    [[nodiscard]] Index count() const { return rows_.value.rows; }

    static Index checked_tokens(const Inserted& recipe, const Place& place) {
      if (recipe.tokens < 1) {
        fail("adapter.741", "an inserting adapter needs at least 1 token; found " + std::to_string(recipe.tokens),
             place.name);
      }
      return recipe.tokens;
    }

    Parameter<T> rows_;
  };
};

/// Learnt rows before the embedded tokens.
using PromptTuning = Inserted<policies::VirtualTokens>;
/// Learnt keys and values before those of the tokens, in every block.
using PrefixTuning = Inserted<policies::KeysAndValues>;

static_assert(inserting_adapter<PromptTuning> && inserting_adapter<PrefixTuning>);

}  // namespace graft::adapters
