// SPDX-License-Identifier: Apache-2.0
// EveryMethod: all published adapters in one stack, so that a test program compiles one model run for all of them; a case
// switches on what it is about.
#pragma once

#include <cstddef>  // size_t
#include <tuple>

#include <graft/adapters/bias.hpp>
#include <graft/adapters/bottleneck.hpp>
#include <graft/adapters/curlora.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/ia3.hpp>
#include <graft/adapters/inserted.hpp>
#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/lora_xs.hpp>
#include <graft/adapters/olora.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/red.hpp>
#include <graft/adapters/stack.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/adapters/vera.hpp>

#include "support/chosen_parts.hpp"

namespace graft::test {

template <class A>
using OnLinear = At<site::linear, A>;
template <class A>
using OnStream = At<site::stream, A>;
template <class A>
using AfterHalfBlocks = At<site::attention | site::feed_forward | site::residual, A>;
template <class A>
using Filling = At<A::sites, A>;
template <class A>
using BesideFeedForward = At<site::feed_forward, A>;

using EveryMethod =
    Stack<OnLinear<adapters::Lora<>>, OnLinear<adapters::RsLora<>>, OnLinear<adapters::Pmss<>>,
          OnLinear<adapters::TwoStagePmss<>>, OnLinear<adapters::CurLora<>>, OnLinear<adapters::Dora<>>,
          OnLinear<adapters::Ia3>, OnLinear<adapters::Loha<>>, OnLinear<adapters::Lokr>, OnLinear<adapters::Bias>,
          OnLinear<adapters::Pissa<>>, OnLinear<adapters::Olora<>>, OnLinear<adapters::LoraXs<>>,
          OnLinear<adapters::Vera<>>, OnStream<adapters::LoReft<>>, OnStream<adapters::NoReft<>>,
          OnStream<adapters::DiReft<>>, OnStream<adapters::DiReftOrthonormal<>>, OnStream<adapters::ConsReft<>>,
          OnStream<adapters::LobiReft<>>, OnStream<adapters::BiasedNoReft<>>,
          OnStream<adapters::ActivatedLoReft<ops::Activation::relu>>, OnStream<adapters::Red>,
          AfterHalfBlocks<adapters::SeriesAdapter<>>,
          BesideFeedForward<adapters::ParallelAdapter<ops::Activation::tanh>>, Filling<adapters::PromptTuning>,
          Filling<adapters::PrefixTuning>>;
constexpr std::size_t method_count = std::tuple_size_v<decltype(EveryMethod::parts)>;
constexpr std::size_t first_reft = 14;  // from here on the parts edit streams

/// The chosen parts as they are given, no others.
template <class... Ats>
[[nodiscard]] EveryMethod only(const Ats&... chosen) {
  return chosen_parts<EveryMethod>(chosen...);
}

/// The part of that number at a rank, where it has one, and a placement.
[[nodiscard]] inline EveryMethod only_number(std::size_t method, Index rank, const Placement& placement) {
  EveryMethod stack = only();
  std::size_t i = 0;
  const auto choose = [&](auto& at) {
    if (i++ == method) {
      if constexpr (requires { at.adapter.rank; }) {
        at.adapter.rank = rank;
      }
      at.placement = placement;
    }
  };
  std::apply([&](auto&... at) { (choose(at), ...); }, stack.parts);
  return stack;
}

}  // namespace graft::test
