# SPDX-License-Identifier: Apache-2.0
# How a component of graft is made: an INTERFACE target, and the headers that belong to it.
include_guard()

# graft_component(name [TARGET target] [NEEDS package...])
# Makes the INTERFACE target graft_<name> (or `target`), known as graft::<name> here and after installation.
# Where a needed package was not found the target is not made and one status line says so.
function(graft_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET" "NEEDS")
  foreach(package IN LISTS arg_NEEDS)
    if(NOT ${package}_FOUND)
      if(GRAFT_DEVELOP AND NOT package MATCHES "^(Dnnl|CUDA|MPI)$")
        message(FATAL_ERROR "graft: graft::${name} needs ${package}, which was not found "
                            "(bash tests/run.sh installs it)")
      endif()
      message(STATUS "graft: graft::${name} is off (${package} not found)")
      return()
    endif()
  endforeach()
  set(target graft_${name})
  if(arg_TARGET)
    set(target ${arg_TARGET})
  endif()
  add_library(${target} INTERFACE)
  add_library(graft::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    VERIFY_INTERFACE_HEADER_SETS ${GRAFT_DEVELOP}
    INTERFACE_HEADER_SETS_TO_VERIFY headers)
  set_property(GLOBAL APPEND PROPERTY GRAFT_COMPONENTS ${name})
  set_property(GLOBAL PROPERTY GRAFT_TARGET_${name} ${target})
  message(STATUS "graft: graft::${name} is on")
endfunction()

# graft_headers(target part... [EXCEPT part...])
# A part is a folder or a header (without .hpp) under include/graft. Headers enter the file set `headers`, each of which
# must compile alone; .inl, .cuh and .cu enter `textual`: installed, never compiled alone.
function(graft_headers target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "EXCEPT")
  set(base ${PROJECT_SOURCE_DIR}/include/graft)
  set(headers "")
  set(textual "")
  foreach(part IN LISTS arg_UNPARSED_ARGUMENTS)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${base}/${part}/*.hpp)
    file(GLOB single CONFIGURE_DEPENDS ${base}/${part}.hpp)
    list(APPEND headers ${found} ${single})
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${base}/${part}/*.inl ${base}/${part}/*.cuh ${base}/${part}/*.cu)
    list(APPEND textual ${found})
  endforeach()
  foreach(part IN LISTS arg_EXCEPT)
    list(REMOVE_ITEM headers ${base}/${part}.hpp)
  endforeach()
  target_sources(${target} INTERFACE
    FILE_SET headers TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers}
    FILE_SET textual TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${textual})
endfunction()
