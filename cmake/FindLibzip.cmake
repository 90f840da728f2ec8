# SPDX-License-Identifier: Apache-2.0
# Finds libzip as the target Libzip::Libzip. Its packaged config demands its command line tools, which nobody needs here.
find_path(Libzip_INCLUDE_DIR zip.h)
find_library(Libzip_LIBRARY zip)
mark_as_advanced(Libzip_INCLUDE_DIR Libzip_LIBRARY)

if(EXISTS "${Libzip_INCLUDE_DIR}/zipconf.h")
  file(STRINGS ${Libzip_INCLUDE_DIR}/zipconf.h lines REGEX "define LIBZIP_VERSION ")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" Libzip_VERSION "${lines}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libzip REQUIRED_VARS Libzip_LIBRARY Libzip_INCLUDE_DIR VERSION_VAR Libzip_VERSION)

if(Libzip_FOUND AND NOT TARGET Libzip::Libzip)
  add_library(Libzip::Libzip UNKNOWN IMPORTED)
  set_target_properties(Libzip::Libzip PROPERTIES
    IMPORTED_LOCATION ${Libzip_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Libzip_INCLUDE_DIR})
endif()
