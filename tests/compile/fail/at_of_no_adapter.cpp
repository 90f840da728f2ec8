// expect: At<sites, A>: A is not an adapter: its Module<T> lacks a phase or the mirror image of one
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora.hpp>
#include <graft/adapters/stack.hpp>

struct OneWay {
  template <graft::scalar T>
  struct Module : graft::adapters::Lora<>::Module<T> {
    void add_vjp() = delete;
  };
};
graft::At<graft::site::query, OneWay> at;
