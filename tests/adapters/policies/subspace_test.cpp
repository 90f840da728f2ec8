// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/subspace.hpp>

#include <concepts>

#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"

using namespace graft;
using namespace graft::adapters;

TEST_CASE("each published name is the combination of words that its paper or library means by it") {
  using Start = policies::IdentityStart;
  STATIC_REQUIRE(
      std::same_as<LoReft<4>, Subspace<4, policies::Orthonormal, policies::Affine, policies::Difference, Start>>);
  STATIC_REQUIRE(std::same_as<NoReft<4>, Subspace<4, policies::Free, policies::Affine, policies::Difference, Start>>);
  STATIC_REQUIRE(std::same_as<DiReft<4>, Subspace<4, policies::Free, policies::Affine, policies::Direct, Start>>);
  STATIC_REQUIRE(std::same_as<NodiReft<4>, DiReft<4>>);
  STATIC_REQUIRE(std::same_as<DiReftOrthonormal<4>,
                              Subspace<4, policies::Orthonormal, policies::Affine, policies::Direct, Start>>);
  STATIC_REQUIRE(
      std::same_as<ConsReft<4>, Subspace<4, policies::Orthonormal, policies::Constant, policies::Difference, Start>>);
  STATIC_REQUIRE(
      std::same_as<LobiReft<4>, Subspace<4, policies::Orthonormal, policies::Constant, policies::Direct, Start>>);
  STATIC_REQUIRE(
      std::same_as<BiasedNoReft<4>, Subspace<4, policies::Free, policies::Affine, policies::BiasedDifference, Start>>);
  using Relu = policies::Activated<ops::Activation::relu>;
  STATIC_REQUIRE(std::same_as<ActivatedLoReft<ops::Activation::relu, 4, Start>,
                              Subspace<4, policies::Orthonormal, Relu, policies::Difference, Start>>);
  STATIC_REQUIRE(Relu::name == "relu");
}
