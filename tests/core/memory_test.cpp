// SPDX-License-Identifier: Apache-2.0
#include <graft/core/memory.hpp>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {

int taken = 0;
int given_back = 0;
constexpr Memory counted{[](std::size_t bytes) {
                           ++taken;
                           return graft::detail::take_zeroed(bytes);
                         },
                         [](void* block) {
                           given_back += block != nullptr ? 1 : 0;
                           graft::detail::give_back(block);
                         },
                         host_memory.take_private, host_memory.give_back_private, host_memory.fill};

}  // namespace

TEST_CASE("tensors come from the memory in use and go back to their own") {
  taken = given_back = 0;
  CHECK(&memory() == &host_memory);
  Tensor<float> before(2, 3);
  const Memory& old = use_memory(counted);
  CHECK(&old == &host_memory);
  {
    Tensor<float> own(4, 5);
    CHECK(own(3, 4) == 0.0f);
    before = Tensor<float>(1, 1);  // the host's goes back to the host, unseen here
    CHECK(taken == 2);
    CHECK(given_back == 0);
    (void)use_memory(old);
    CHECK(&memory() == &host_memory);
    Tensor<float> moved = std::move(own);
    CHECK(moved.clone().rows() == 4);  // from the host's
  }
  CHECK(taken == 2);
  CHECK(given_back == 1);
  before = {};
  CHECK(given_back == 2);
}

TEST_CASE("a private block knows its size, moves, and ends once") {
  PrivateBlock block(100);
  CHECK(block.size() == 100);
  CHECK(static_cast<std::byte*>(block.data())[99] == std::byte{0});
  const PrivateBlock moved = std::move(block);
  CHECK(moved.size() == 100);
  CHECK(PrivateBlock(0).data() == nullptr);
}

TEST_CASE("the host's memory is filled byte by byte") {
  const Tensor<int> from(1, 3);
  Tensor<int> to(1, 3);
  to(0, 1) = 7;
  memory().fill(to.data(), from.data(), 3 * sizeof(int));
  CHECK(to(0, 1) == 0);
}
