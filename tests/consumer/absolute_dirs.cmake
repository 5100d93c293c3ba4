# SPDX-License-Identifier: MIT
#
# A distribution may give absolute install directories, and installs through DESTDIR: alarmwheel.pc must then name
# the directories as given, without DESTDIR.

cmake_minimum_required(VERSION 3.21)
include("${CMAKE_CURRENT_LIST_DIR}/must.cmake")

set(build "${WORK}/absolute_dirs")
file(REMOVE_RECURSE "${build}")
must("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${build}" ${toolchain}
  -DALARMWHEEL_BUILD_TESTS=OFF -DALARMWHEEL_BUILD_EXAMPLES=OFF
  -DCMAKE_INSTALL_PREFIX=/opt/aw -DCMAKE_INSTALL_LIBDIR=/opt/libraries -DCMAKE_INSTALL_INCLUDEDIR=/opt/headers)
must("${CMAKE_COMMAND}" --build "${build}" --config "${CONFIG}")
set(ENV{DESTDIR} "${build}/stage")
must("${CMAKE_COMMAND}" --install "${build}" --config "${CONFIG}")
unset(ENV{DESTDIR})

set(ENV{PKG_CONFIG_PATH} "${build}/stage/opt/libraries/pkgconfig")
foreach(pair IN ITEMS "prefix=/opt/aw" "libdir=/opt/libraries" "includedir=/opt/headers")
  string(REGEX REPLACE "=.*" "" name "${pair}")
  string(REGEX REPLACE ".*=" "" expected "${pair}")
  must_output(value "${PKG_CONFIG}" --variable=${name} alarmwheel)
  if(NOT value STREQUAL expected)
    fail("alarmwheel.pc: ${name} is ${value}, not ${expected}")
  endif()
endforeach()
must_output(flags "${PKG_CONFIG}" --cflags --libs alarmwheel)
if(NOT flags STREQUAL "-I/opt/headers -L/opt/libraries -lalarmwheel")
  fail("alarmwheel.pc: ${flags}")
endif()
if(NOT EXISTS "${build}/stage/opt/headers/alarmwheel/base.h" OR NOT EXISTS "${build}/stage/opt/libraries/libalarmwheel.a")
  fail("files are not where the directories say")
endif()
