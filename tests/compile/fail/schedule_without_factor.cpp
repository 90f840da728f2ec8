// expect: After = Flat\]|'Flat' does not satisfy 'schedule'
// SPDX-License-Identifier: Apache-2.0
#include <graft/schedules/warm_up.hpp>

struct Flat {};
graft::schedules::WarmUp<Flat> rates;
