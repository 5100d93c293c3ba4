# SPDX-License-Identifier: MIT
#
# Installs this build into the staging directory, looks at what is there, and makes a second copy elsewhere: the
# CMake package must work from wherever it is moved to.

cmake_minimum_required(VERSION 3.21)
include("${CMAKE_CURRENT_LIST_DIR}/must.cmake")

file(REMOVE_RECURSE "${STAGE}" "${MOVED}")
must("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${STAGE}" --config "${CONFIG}")

file(GLOB_RECURSE installed RELATIVE "${STAGE}" "${STAGE}/*")
foreach(file IN LISTS installed)
  if(NOT file MATCHES "^include/alarmwheel/[a-z]+\\.(h|hpp)$"
     AND NOT file MATCHES "libalarmwheel(-profile)?\\.(a|so|so\\.[0-9.]+)$"
     AND NOT file MATCHES "/cmake/alarmwheel/alarmwheel-[a-z-]+\\.cmake$"
     AND NOT file MATCHES "/pkgconfig/alarmwheel(-profile)?\\.pc$"
     AND NOT file MATCHES "^share/man/man([137])/[a-zA-Z0-9_-]+\\.[137]$"
     AND NOT file STREQUAL "bin/aw-prof"
     AND NOT file MATCHES "/alarmwheel/aw-prof-preload\\.so$"
     AND NOT file MATCHES "^share/doc/alarmwheel/LICENSE$")
    fail("installed, but not meant to be: ${file}")
  endif()
endforeach()
file(GLOB headers RELATIVE "${SOURCE}/include" "${SOURCE}/include/alarmwheel/*.h" "${SOURCE}/include/alarmwheel/*.hpp")
foreach(header IN LISTS headers)
  if(NOT "include/${header}" IN_LIST installed)
    fail("not installed: ${header}")
  endif()
endforeach()

# The text files that users read must not name the machine that built them.
file(GLOB_RECURSE texts "${STAGE}/*.cmake" "${STAGE}/*.h" "${STAGE}/*.hpp" "${STAGE}/*.[137]")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  foreach(path IN ITEMS "${SOURCE}/" "${BUILD}/")
    string(FIND "${content}" "${path}" at)
    if(NOT at EQUAL -1)
      fail("${text} names ${path}")
    endif()
  endforeach()
endforeach()

file(COPY "${STAGE}/" DESTINATION "${MOVED}")
file(GLOB_RECURSE pc "${MOVED}/*.pc")
file(REMOVE ${pc})
