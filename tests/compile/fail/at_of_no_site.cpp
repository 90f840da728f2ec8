// expect: At<sites, A>: no site is named
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora.hpp>
#include <graft/adapters/stack.hpp>

graft::At<graft::site::none, graft::adapters::Lora<>> at;
