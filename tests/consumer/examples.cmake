# SPDX-License-Identifier: MIT
#
# The examples as a project of their own, against the installed library; the quickstart is also run.

cmake_minimum_required(VERSION 3.21)
include("${CMAKE_CURRENT_LIST_DIR}/must.cmake")

set(build "${WORK}/examples")
file(REMOVE_RECURSE "${build}")
must("${CMAKE_COMMAND}" -S "${SOURCE}/examples" -B "${build}" ${toolchain} "-DCMAKE_PREFIX_PATH=${STAGE}"
  "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror")
must("${CMAKE_COMMAND}" --build "${build}" --config "${CONFIG}")
must("${build}/quickstart")
