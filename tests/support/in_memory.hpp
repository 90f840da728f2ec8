// SPDX-License-Identifier: Apache-2.0
// InMemory: tensors of a scope lie in this kind of memory, as where two backends are compared.
#pragma once

#include <graft/core/memory.hpp>

namespace graft::test {

/// Puts back at its end what was in use before.
class InMemory {
 public:
  explicit InMemory(const Memory& kind) : before_(use_memory(kind)) {}
  ~InMemory() { (void)use_memory(before_); }
  InMemory(const InMemory&) = delete;
  InMemory& operator=(const InMemory&) = delete;

 private:
  const Memory& before_;
};

}  // namespace graft::test
