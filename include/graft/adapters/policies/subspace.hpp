// SPDX-License-Identifier: Apache-2.0
// The words of the ReFT papers, each an empty struct: what the subspace is set to, what is taken away, where training starts.
#pragma once

#include <string_view>

#include <graft/ops/activation.hpp>

namespace graft::adapters::policies {

/// The source is W h + b (LoReFT, NoReFT, DiReFT).
struct Affine {
  static constexpr std::string_view name = "affine";  ///< in files
  static constexpr bool reads_hidden = true;          ///< W exists
};
/// The source is f(W h + b): pyreft's act_fn.
template <ops::Activation F>
struct Activated {
  static constexpr std::string_view name = ops::activation_name(F);  ///< in files
  static constexpr bool reads_hidden = true;                         ///< W exists
  static constexpr ops::Activation activation = F;                   ///< f
};
/// The source is b (ConsReFT, LobiReFT).
struct Constant {
  static constexpr std::string_view name = "constant";  ///< in files
  static constexpr bool reads_hidden = false;           ///< W does not exist
};

/// h + R'(source - R h): what the subspace held is replaced.
struct Difference {
  static constexpr std::string_view name = "difference";  ///< in files
  static constexpr bool subtracts = true;                 ///< R h is taken away
};
/// h + R'(source - R h - b2): pyreft's NoReFT with add_bias.
struct BiasedDifference {
  static constexpr std::string_view name = "biased difference";  ///< in files
  static constexpr bool subtracts = true;                        ///< R h is taken away
  static constexpr bool has_bias = true;                         ///< and b2 with it
};
/// h + R' source: the source is added.
struct Direct {
  static constexpr std::string_view name = "direct";  ///< in files
  static constexpr bool subtracts = false;            ///< R h stays
};

/// pyreft's start: W, b and b2 uniform in +-1/sqrt(d) (a constant source in [0, 1)). The untrained edit already changes h.
struct RandomStart {
  static constexpr bool is_identity = false;  ///< the untrained edit changes h
};
/// W = R (Difference) or W = 0 (Direct), b = 0: the untrained edit does nothing and all gradients flow (methods.md E).
/// A constant source under Difference has no such start; it begins at b = 0. Nor has an activated one: f(W h) is R h for no
/// W, and a relu at W = 0 never wakes; it begins as RandomStart does.
struct IdentityStart {
  static constexpr bool is_identity = true;  ///< the untrained edit does nothing
};

}  // namespace graft::adapters::policies
