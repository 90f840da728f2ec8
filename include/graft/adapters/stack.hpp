// SPDX-License-Identifier: Apache-2.0
// At binds an adapter to sites, Stack composes several; both are types, so a wrong pairing does not compile.
#pragma once

#include <tuple>
#include <utility>  // move

#include <graft/adapter.hpp>
#include <graft/adapters/full.hpp>
#include <graft/adapters/placement.hpp>

namespace graft {

/// `A` at the sites `S`: At<site::query | site::value, adapters::Lora<8>>.
template <Sites S, class A>
struct At {
  static_assert(adapter<A>,
                "At<sites, A>: A is not an adapter: its Module<T> lacks a phase or the mirror image of one");
  static_assert(
      std::same_as<A, adapters::Full> || !weight_adapter<A> || (S & ~site::linear) == 0,
      "At<sites, A>: A adds to a linear map; it belongs on site::query ... site::down, not on a stream or a norm");
  static_assert(!representation_adapter<A> || (S & ~site::stream) == 0,
                "At<sites, A>: A rewrites hidden rows; it belongs on a stream: site::residual, site::attention, ...");
  static_assert((S & ~sites_of<A>()) == 0,
                "At<sites, A>: A does not stand at one of these sites; A::sites are its places");
  static_assert(S != site::none, "At<sites, A>: no site is named");

  using Adapter = A;                 ///< the recipe
  static constexpr Sites sites = S;  ///< where it may stand; the placement narrows them

  A adapter{};            ///< hyper-parameters
  Placement placement{};  ///< layers, sites and positions, chosen at run time
};

/// Adapters that are trained together, in the order in which they act where they meet.
template <class... Ats>
struct Stack {
  std::tuple<Ats...> parts{};  ///< in the order in which they act

  Stack() = default;
  /// For hyper-parameters and placements other than the types' defaults.
  explicit(sizeof...(Ats) == 1) Stack(Ats... entries)
    requires(sizeof...(Ats) > 0)
      : parts(std::move(entries)...) {}
};

}  // namespace graft
