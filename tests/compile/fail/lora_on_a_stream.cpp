// expect: At<sites, A>: A adds to a linear map; it belongs on site::query ... site::down, not on a stream or a norm
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora.hpp>
#include <graft/adapters/stack.hpp>

graft::At<graft::site::residual, graft::adapters::Lora<>> at;
