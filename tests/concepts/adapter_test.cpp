// SPDX-License-Identifier: Apache-2.0
#include <graft/adapter.hpp>

#include <graft/adapters/full.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {

/// Takes one thing away from LoRA or LoReFT, to show that the concept asks for it.
template <class M>
struct Recipe {
  template <class T>
  using Module = M;
};
using LoraModule = adapters::Lora<>::Module<double>;
using EditModule = adapters::LoReft<>::Module<double>;
struct WithoutGradients : LoraModule {
  void gradients() = delete;
};
struct WithoutMemory : LoraModule {
  void lay_out_kept() = delete;
};
struct Unwalked : LoraModule {
  void for_each_parameter() = delete;
};
struct SilentAboutInput : LoraModule {
  void needs_input() const {}
};
struct WithoutMirrorOfRead : LoraModule {
  void read_vjp() = delete;
};
struct WithoutMirrorOfAdd : LoraModule {
  void add_vjp() = delete;
};
struct WithoutMirrorOfInput : adapters::Pmss<>::Module<double> {
  void edit_input_vjp() = delete;
};
struct WithoutMirrorOfOutput : adapters::Pmss<>::Module<double> {
  void read_output_vjp() = delete;
};
struct MirrorOfNothing : LoraModule {
  void add() = delete;
};
struct WithoutEdit : EditModule {
  void edit() = delete;
};
struct WithoutMirror : EditModule {
  void edit_vjp() = delete;
};

}  // namespace

TEST_CASE("what adds to linear maps and what rewrites rows are told apart by what they do") {
  STATIC_REQUIRE(weight_adapter<adapters::Lora<>>);
  STATIC_REQUIRE(weight_adapter<adapters::Pmss<>>);
  STATIC_REQUIRE(weight_adapter<adapters::Full>);
  STATIC_REQUIRE(representation_adapter<adapters::LoReft<>>);
  STATIC_REQUIRE_FALSE(weight_adapter<adapters::LoReft<>>);
  STATIC_REQUIRE_FALSE(representation_adapter<adapters::Lora<>>);
}

TEST_CASE("a module that lacks a part of its contract is no module") {
  STATIC_REQUIRE(adapter<Recipe<LoraModule>>);
  STATIC_REQUIRE(adapter<Recipe<EditModule>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutGradients>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMemory>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<Unwalked>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<SilentAboutInput>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMirrorOfRead>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMirrorOfAdd>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMirrorOfInput>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMirrorOfOutput>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<MirrorOfNothing>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutEdit>>);
  STATIC_REQUIRE_FALSE(adapter<Recipe<WithoutMirror>>);
  STATIC_REQUIRE_FALSE(adapter<int>);
}
