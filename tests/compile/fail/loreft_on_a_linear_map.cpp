// expect: At<sites, A>: A rewrites hidden rows; it belongs on a stream: site::residual, site::attention, ...
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/stack.hpp>
#include <graft/adapters/subspace.hpp>

graft::At<graft::site::query, graft::adapters::LoReft<>> at;
