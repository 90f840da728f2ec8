# SPDX-License-Identifier: Apache-2.0
# cmake -D source=... -D build=... -P clone.cmake: what examples/06_your_own_adapter/README.md tells to type, in a tree that is
# this one but for the copy: a folder of one's own needs no edit outside it.
set(tree ${build}/package/clone)
file(REMOVE_RECURSE ${tree}/examples)  # what is built stays: an unchanged tree costs nothing the second time
file(MAKE_DIRECTORY ${tree}/examples)
file(GLOB entries RELATIVE ${source} ${source}/*)
list(FILTER entries EXCLUDE REGEX "^(build.*|examples|\\..*)$")
foreach(entry IN LISTS entries)
  file(CREATE_LINK ${source}/${entry} ${tree}/${entry} SYMBOLIC)
endforeach()
file(GLOB entries RELATIVE ${source}/examples ${source}/examples/*)
list(REMOVE_ITEM entries 06_your_own_adapter)
foreach(entry IN LISTS entries)
  file(CREATE_LINK ${source}/examples/${entry} ${tree}/examples/${entry} SYMBOLIC)
endforeach()
file(COPY ${source}/examples/06_your_own_adapter DESTINATION ${tree}/examples)  # cp would copy a link, and sed follow it

# The commands of the page, as they stand there.
file(READ ${source}/examples/06_your_own_adapter/README.md page)
if(NOT page MATCHES "\n```sh\n(cp [^\n]*\nsed [^\n]*\n)cmake --preset dev")
  message(FATAL_ERROR "examples/06_your_own_adapter/README.md: no ```sh block of cp, sed and cmake --preset dev")
endif()
execute_process(COMMAND bash -ec "${CMAKE_MATCH_1}" WORKING_DIRECTORY ${tree} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --preset dev -G ${generator} -DCMAKE_CXX_COMPILER=${compiler}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}
  WORKING_DIRECTORY ${tree} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${tree}/build/dev --target example_07_mine example_07_mine_tests
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${tree}/build/dev -R 07_mine --no-tests=error
    --output-on-failure
  OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
message("${output}")

file(GLOB saved ${tree}/build/village-mine/*)
if(NOT output MATCHES "out of 2" OR NOT saved)
  message(FATAL_ERROR "the copy's two tests did not run, or it saved no adapter in ${tree}/build/village-mine")
endif()
