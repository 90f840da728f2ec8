// SPDX-License-Identifier: Apache-2.0
// The version, in one place: CMake reads these three numbers.
#pragma once

/// A version 0.x promises nothing about the next, but reads the files of those before it. @{
#define GRAFT_VERSION_MAJOR 0
#define GRAFT_VERSION_MINOR 1
#define GRAFT_VERSION_PATCH 0
/// @}
