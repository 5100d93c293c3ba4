# SPDX-License-Identifier: MIT
#
# What is installed: headers, libraries, the CMake package, alarmwheel.pc and the manual pages; nothing else.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/alarmwheel")

install(FILES ${alarmwheel_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/alarmwheel" COMPONENT Development)

# An export set each, so that a package may ship one library without the other.
foreach(kind IN ITEMS static shared)
  if(TARGET alarmwheel_${kind})
    install(TARGETS alarmwheel_${kind} EXPORT alarmwheel-${kind}-targets
      RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Runtime
      LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime NAMELINK_COMPONENT Development
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Development)
    install(EXPORT alarmwheel-${kind}-targets NAMESPACE alarmwheel::
      DESTINATION "${package_dir}" COMPONENT Development)
  endif()
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/alarmwheel-config.cmake.in"
  "${PROJECT_BINARY_DIR}/alarmwheel-config.cmake"
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/alarmwheel-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/alarmwheel-config.cmake"
  "${PROJECT_BINARY_DIR}/alarmwheel-config-version.cmake"
  DESTINATION "${package_dir}" COMPONENT Development)

# alarmwheel.pc is written at install time, when `cmake --install --prefix` has had its say: so `prefix=` is
# literal and true. A directory given as absolute stays as it was given.
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
set(pc_libs_private "")
foreach(library IN LISTS alarmwheel_system_libraries)
  string(APPEND pc_libs_private " -l${library}")
endforeach()
string(STRIP "${pc_libs_private}" pc_libs_private)
set(pc_prefix "@CMAKE_INSTALL_PREFIX@")
configure_file("${PROJECT_SOURCE_DIR}/cmake/alarmwheel.pc.in" "${PROJECT_BINARY_DIR}/alarmwheel.pc.in" @ONLY)
configure_file("${PROJECT_SOURCE_DIR}/cmake/install-pc.cmake.in" "${PROJECT_BINARY_DIR}/install-pc.cmake" @ONLY)
install(SCRIPT "${PROJECT_BINARY_DIR}/install-pc.cmake" COMPONENT Development)

foreach(section IN ITEMS 3 7)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}"
    COMPONENT Development FILES_MATCHING PATTERN "*.${section}")
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT Development)
