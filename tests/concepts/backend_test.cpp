// SPDX-License-Identifier: Apache-2.0
#include <graft/backend.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {

/// A backend by inheritance: one operation is its own, the others are the specification's.
struct OwnScale : backends::Reference {
  template <scalar T>
  void scale(Same<T> alpha, View<T> y) const {
    Reference::scale(alpha, y);
  }
};

/// Takes away one operation each, to show that the concept asks for it.
struct WithoutAttention : backends::Reference {
  void attention() = delete;
};
struct WithoutGradientOfWeights : backends::Reference {
  void gemm_tn() = delete;
};
struct WithoutRope : backends::Reference {
  void rope() = delete;
};
struct WithoutGather : backends::Reference {
  void gather_cols() = delete;
};
struct WithoutRetraction : backends::Reference {
  void orthonormalize() = delete;
};
struct WithoutSegments : backends::Reference {
  void for_each_block() = delete;
};
struct ForgetfulWeight {};
struct WithoutWeights : backends::Reference {
  template <storable S>
  using Weight = ForgetfulWeight;
};
struct ChangesItself : backends::Reference {
  template <scalar T>
  void fill(Same<T>, View<T>) {}  // not const: two threads could not share it
};

}  // namespace

TEST_CASE("the reference is a backend for every precision, complex numbers included") {
  STATIC_REQUIRE(backend<backends::Reference>);
  STATIC_REQUIRE(backend<backends::Reference, double, double>);
  STATIC_REQUIRE(backend<backends::Reference, bf16, float>);
  STATIC_REQUIRE(backend<backends::Reference, std::complex<double>, std::complex<double>>);
}

TEST_CASE("a backend inherits what it does not make its own") {
  STATIC_REQUIRE(backend<OwnScale, bf16, float>);
}

TEST_CASE("what lacks one primitive operation is no backend") {
  STATIC_REQUIRE_FALSE(backend<WithoutAttention>);
  STATIC_REQUIRE_FALSE(backend<WithoutGradientOfWeights>);
  STATIC_REQUIRE_FALSE(backend<WithoutRope>);
  STATIC_REQUIRE_FALSE(backend<WithoutGather>);
  STATIC_REQUIRE_FALSE(backend<WithoutRetraction>);
  STATIC_REQUIRE_FALSE(backend<WithoutSegments>);
  STATIC_REQUIRE_FALSE(backend<WithoutWeights>);
  STATIC_REQUIRE_FALSE(backend<int>);
}

TEST_CASE("a backend does its work while constant") {
  STATIC_REQUIRE_FALSE(backend<ChangesItself>);
}
