# SPDX-License-Identifier: Apache-2.0
# cmake -D program=... -D folder=... -P compare.cmake: runs an example in its folder and compares what it prints.
execute_process(COMMAND ${program} WORKING_DIRECTORY ${folder} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
file(READ ${folder}/expected.txt expected)
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "printed:\n${printed}\nexpected:\n${expected}")
endif()
