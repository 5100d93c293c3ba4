# SPDX-License-Identifier: MIT
#
# Builds and runs the consumer project, which takes alarmwheel in by METHOD, and installs it: nothing of
# alarmwheel may come along then.

cmake_minimum_required(VERSION 3.21)
include("${CMAKE_CURRENT_LIST_DIR}/must.cmake")

set(build "${WORK}/${METHOD}_${KIND}")
file(REMOVE_RECURSE "${build}")
must("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/project" -B "${build}" ${toolchain}
  "-DMETHOD=${METHOD}" "-DKIND=${KIND}" "-DALARMWHEEL_SOURCE=${SOURCE}" "-DVERSION=${VERSION}" "-DPROFILE=${PROFILE}"
  "-DCMAKE_PREFIX_PATH=${MOVED}" "-DCMAKE_INSTALL_PREFIX=${build}/installed")
must("${CMAKE_COMMAND}" --build "${build}" --config "${CONFIG}")
must("${CMAKE_CTEST_COMMAND}" --test-dir "${build}" -C "${CONFIG}" --no-tests=error --output-on-failure)
file(GLOB_RECURSE programs "${build}/bin/consumer_*")
list(LENGTH programs count)
if(NOT count EQUAL 5)
  fail("expected five programs, found: ${programs}")
endif()
if(PROFILE AND METHOD STREQUAL "find_package" AND NOT EXISTS "${build}/bin/profile")
  fail("the component profile was not used")
endif()
foreach(program IN LISTS programs)
  must_link("${program}" ${KIND})
endforeach()

must("${CMAKE_COMMAND}" --install "${build}" --config "${CONFIG}")
file(GLOB_RECURSE installed RELATIVE "${build}/installed" "${build}/installed/*")
if(NOT installed STREQUAL "bin/consumer_c11")
  fail("the consumer installed: ${installed}")
endif()
