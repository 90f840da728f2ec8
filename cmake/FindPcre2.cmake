# SPDX-License-Identifier: Apache-2.0
# Finds PCRE2's 8-bit library as the target Pcre2::Pcre2.
find_path(Pcre2_INCLUDE_DIR pcre2.h)
find_library(Pcre2_LIBRARY pcre2-8)
mark_as_advanced(Pcre2_INCLUDE_DIR Pcre2_LIBRARY)

if(Pcre2_INCLUDE_DIR)
  file(STRINGS ${Pcre2_INCLUDE_DIR}/pcre2.h lines REGEX "define PCRE2_(MAJOR|MINOR) ")
  string(REGEX REPLACE "#define PCRE2_(MAJOR|MINOR) +" "" numbers "${lines}")
  list(JOIN numbers "." Pcre2_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Pcre2 REQUIRED_VARS Pcre2_LIBRARY Pcre2_INCLUDE_DIR VERSION_VAR Pcre2_VERSION)

if(Pcre2_FOUND AND NOT TARGET Pcre2::Pcre2)
  add_library(Pcre2::Pcre2 UNKNOWN IMPORTED)
  set_target_properties(Pcre2::Pcre2 PROPERTIES
    IMPORTED_LOCATION ${Pcre2_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Pcre2_INCLUDE_DIR})
endif()
