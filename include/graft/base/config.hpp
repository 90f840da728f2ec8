// SPDX-License-Identifier: Apache-2.0
// The only home of macros: how a function is marked for a GPU, how a pointer is promised unaliased.
#pragma once

/// Before a function that a GPU may call too.
#if defined(__CUDACC__)
#define GRAFT_HD __host__ __device__
#else
#define GRAFT_HD
#endif

/// After a pointer: nothing else reaches its memory while the function runs.
#if defined(__GNUC__) || defined(__clang__)
#define GRAFT_RESTRICT __restrict__
#else
#define GRAFT_RESTRICT
#endif
