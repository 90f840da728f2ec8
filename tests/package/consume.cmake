# SPDX-License-Identifier: Apache-2.0
# cmake -D way=subdirectory|installed|missing ... -P consume.cmake: configures, builds and runs the consumer that way.
set(work ${build}/package/${way})
file(REMOVE_RECURSE ${work})
set(configure ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${work}/build -G ${generator}
  -DCMAKE_CXX_COMPILER=${compiler} -DCMAKE_CXX_COMPILER_LAUNCHER=${launcher})

if(way STREQUAL "subdirectory")
  list(APPEND configure -DGRAFT_SOURCE=${source})
else()
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${work}/prefix
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND configure -DCMAKE_PREFIX_PATH=${work}/prefix)
endif()

if(way STREQUAL "installed")  # one_line.py compiles the same program, and runs both
  file(READ ${source}/README.md readme)
  if(NOT readme MATCHES "\n```cpp\n(.*)")
    message(FATAL_ERROR "${source}/README.md: no ```cpp block, hence no program to compile")
  endif()
  string(REGEX REPLACE "\n```\n.*" "\n" program "${CMAKE_MATCH_1}")
  file(WRITE ${work}/readme.cpp "${program}")
  list(APPEND configure -DREADME_PROGRAM=${work}/readme.cpp)
endif()

if(way STREQUAL "missing")
  execute_process(COMMAND ${configure} -DGRAFT_COMPONENTS=absent RESULT_VARIABLE code
    OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(code EQUAL 0 OR NOT output MATCHES "installed without the[ \n]+component 'absent'")
    message(FATAL_ERROR "a component that was not installed is not refused in words:\n${output}")
  endif()
  return()
endif()

execute_process(COMMAND ${configure} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${work}/build/consumer COMMAND_ERROR_IS_FATAL ANY)
