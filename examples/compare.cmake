# SPDX-License-Identifier: Apache-2.0
# cmake -D program=... -D expected=... -D root=... -P compare.cmake: runs an example in the root and compares what it prints.
execute_process(COMMAND ${program} WORKING_DIRECTORY ${root} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
file(READ ${expected} expected_text)
if(NOT printed STREQUAL expected_text)
  message(FATAL_ERROR "printed:\n${printed}\nexpected:\n${expected_text}")
endif()
