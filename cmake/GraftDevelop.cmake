# SPDX-License-Identifier: Apache-2.0
# What only the developers of graft need: warnings, sanitizers, the compiler cache and a build type.
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

set(CMAKE_CXX_EXTENSIONS OFF)

find_program(GRAFT_CCACHE ccache)
mark_as_advanced(GRAFT_CCACHE)
if(GRAFT_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GRAFT_CCACHE})
endif()

add_library(graft_dev INTERFACE)
target_compile_options(graft_dev INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)
# GCC 12 takes "text" + std::string for an overlapping copy at -O2, inside libstdc++ itself.
target_compile_options(graft_dev INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(GRAFT_SANITIZE)
  # -g1 suffices for the lines in a report, and spares GCC following every variable through optimised code.
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_compile_options(graft_dev INTERFACE ${sanitizers})
  # GCC's flow analysis sees through the sanitizers' code and reports libstdc++'s std::function (GCC bug 105562).
  target_compile_options(graft_dev INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(graft_dev INTERFACE ${sanitizers})
endif()
