// expect: Select = Nothing\]|'Nothing' does not satisfy 'selector'
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/pmss.hpp>

struct Nothing {};
graft::adapters::Pmss<4, Nothing> update;
