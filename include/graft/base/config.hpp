// SPDX-License-Identifier: Apache-2.0
// The only home of macros: how a function is marked for a GPU, how a pointer is promised unaliased.
#pragma once

#if defined(__CUDACC__)
#define GRAFT_HD __host__ __device__
#else
#define GRAFT_HD
#endif

#if defined(__GNUC__) || defined(__clang__)
#define GRAFT_RESTRICT __restrict__
#else
#define GRAFT_RESTRICT
#endif
