# SPDX-License-Identifier: Apache-2.0
# Installs every component with an export file of its own, so that find_package(graft COMPONENTS ...) asks a consumer's
# machine only for the libraries of the components that were asked for.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/graft)
get_property(components GLOBAL PROPERTY GRAFT_COMPONENTS)
foreach(component IN LISTS components)
  get_property(target GLOBAL PROPERTY GRAFT_TARGET_${component})
  install(TARGETS ${target} EXPORT graft-${component}
    FILE_SET headers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILE_SET textual DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  if(component STREQUAL "cuda")
    install(TARGETS graft_cuda_kernels EXPORT graft-cuda ARCHIVE)
  endif()
  install(EXPORT graft-${component} NAMESPACE graft:: DESTINATION ${package_dir})
endforeach()

configure_package_config_file(cmake/graftConfig.cmake.in graftConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(graftConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  ${PROJECT_BINARY_DIR}/graftConfig.cmake
  ${PROJECT_BINARY_DIR}/graftConfigVersion.cmake
  cmake/FindDnnl.cmake
  cmake/FindLibzip.cmake
  cmake/FindPcre2.cmake
  DESTINATION ${package_dir})
