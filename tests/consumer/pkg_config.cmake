# SPDX-License-Identifier: MIT
#
# Compiles the consumers with nothing but what pkg-config says about the staged alarmwheel.pc.

cmake_minimum_required(VERSION 3.21)
include("${CMAKE_CURRENT_LIST_DIR}/must.cmake")

set(build "${WORK}/pkg_config_${KIND}")
file(REMOVE_RECURSE "${build}")
file(MAKE_DIRECTORY "${build}")
file(GLOB_RECURSE pc "${STAGE}/*/alarmwheel.pc")
get_filename_component(directory "${pc}" DIRECTORY)
get_filename_component(libraries "${directory}" DIRECTORY)
set(ENV{PKG_CONFIG_PATH} "${directory}")
set(ENV{LD_LIBRARY_PATH} "${libraries}")

must("${PKG_CONFIG}" --validate alarmwheel)
must_output(version "${PKG_CONFIG}" --modversion alarmwheel)
if(NOT version STREQUAL VERSION)
  fail("alarmwheel.pc is of version ${version}")
endif()
must_output(flags "${PKG_CONFIG}" --cflags alarmwheel)
if(flags MATCHES "-D|-W|-f|-std")
  fail("alarmwheel.pc leaks flags: ${flags}")
endif()

if(KIND STREQUAL "static")
  must_output(flags "${PKG_CONFIG}" --static --cflags --libs alarmwheel)
  string(APPEND flags " -static")
else()
  must_output(flags "${PKG_CONFIG}" --cflags --libs alarmwheel)
endif()
separate_arguments(flags UNIX_COMMAND "${flags}")

set(project "${CMAKE_CURRENT_LIST_DIR}/project")
must("${CC}" -std=c11 -o "${build}/consumer_c" "${project}/consumer.c" ${flags})
must("${CXX}" -std=c++11 -o "${build}/consumer_cxx" "${project}/consumer.cpp" ${flags})
foreach(program IN ITEMS consumer_c consumer_cxx)
  must_link("${build}/${program}" ${KIND})
  must("${build}/${program}")
endforeach()
