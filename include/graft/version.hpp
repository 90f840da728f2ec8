// SPDX-License-Identifier: Apache-2.0
// The version, in one place: CMake reads these three numbers.
#pragma once

#define GRAFT_VERSION_MAJOR 0
#define GRAFT_VERSION_MINOR 1
#define GRAFT_VERSION_PATCH 0
