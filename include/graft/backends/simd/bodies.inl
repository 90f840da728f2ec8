// SPDX-License-Identifier: Apache-2.0
// bodies: everything that one instruction set does; included inside a struct that says how many floats it holds (width).
#include <graft/backends/simd/lanes.inl>

#include <graft/backends/simd/activation.inl>
#include <graft/backends/simd/adamw.inl>
#include <graft/backends/simd/elementwise.inl>
#include <graft/backends/simd/narrow.inl>
#include <graft/backends/simd/rms_norm.inl>
#include <graft/backends/simd/rope.inl>

#include <graft/backends/simd/cross_entropy.inl>

#include <graft/backends/simd/attention.inl>
