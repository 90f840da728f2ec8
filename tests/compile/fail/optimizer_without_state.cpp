// expect: no class template named .State.|'Forgetful' does not satisfy 'optimizer'
// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer.hpp>

struct Forgetful {};
template <graft::optimizer O>
struct Uses {};
Uses<Forgetful> uses;
