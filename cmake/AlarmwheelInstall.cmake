# SPDX-License-Identifier: MIT
#
# What is installed: headers, libraries, the CMake package, the .pc files, aw-prof and the manual pages; nothing else.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/alarmwheel")

install(FILES ${alarmwheel_headers} ${alarmwheel_profile_headers}
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/alarmwheel" COMPONENT Development)

# An export set each, so that a package may ship one library without the other.
function(alarmwheel_install_library target export)
  install(TARGETS ${target} EXPORT ${export}
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Runtime
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime NAMELINK_COMPONENT Development
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Development)
  install(EXPORT ${export} NAMESPACE alarmwheel:: DESTINATION "${package_dir}" COMPONENT Development)
endfunction()
foreach(kind IN ITEMS static shared)
  if(TARGET alarmwheel_${kind})
    alarmwheel_install_library(alarmwheel_${kind} alarmwheel-${kind}-targets)
  endif()
  if(TARGET alarmwheel_profile_${kind})
    alarmwheel_install_library(alarmwheel_profile_${kind} alarmwheel-profile-${kind}-targets)
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
function(alarmwheel_install_pc name)
  set(pc_name ${name})
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc.in" @ONLY)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/install-pc.cmake.in" "${PROJECT_BINARY_DIR}/install-${name}-pc.cmake" @ONLY)
  install(SCRIPT "${PROJECT_BINARY_DIR}/install-${name}-pc.cmake" COMPONENT Development)
endfunction()
alarmwheel_install_pc(alarmwheel)
if(ALARMWHEEL_BUILD_PROFILE)
  alarmwheel_install_pc(alarmwheel-profile)
endif()

if(TARGET aw-prof)
  install(TARGETS aw-prof RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Runtime)
  install(TARGETS aw-prof-preload LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/alarmwheel" COMPONENT Runtime)
  install(FILES "${PROJECT_SOURCE_DIR}/docs/man/aw-prof.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1"
    COMPONENT Runtime)
endif()
foreach(section IN ITEMS 3 7)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}"
    COMPONENT Development FILES_MATCHING PATTERN "*.${section}")
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT Development)
