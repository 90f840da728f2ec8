// expect: At<sites, A>: A does not stand at one of these sites; A::sites are its places
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/bottleneck.hpp>
#include <graft/adapters/stack.hpp>

graft::At<graft::site::residual, graft::adapters::ParallelAdapter<>> at;
