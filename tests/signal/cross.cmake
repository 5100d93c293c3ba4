# SPDX-License-Identifier: MIT
#
# cmake -D COMPILER=... [-D EMULATOR=...] -D SOURCES=root -D OUTPUT=file -P cross.cmake
#
# Builds the library and cross_guard.c statically with another compiler, and runs it under an emulator. A compiler
# that has no libc to link with is a skip: the line "SKIP" says so to CTest.

get_filename_component(folder "${OUTPUT}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
file(WRITE "${OUTPUT}.c" "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n")
execute_process(COMMAND "${COMPILER}" -static -o "${OUTPUT}" "${OUTPUT}.c"
  RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
if(NOT result EQUAL 0)
  message("SKIP: ${COMPILER} has no static libc")
  return()
endif()

file(GLOB_RECURSE sources "${SOURCES}/src/*.c")
if(COMPILER MATCHES "musl")
  list(APPEND sources "${SOURCES}/tests/support/musl_unwind.c")
endif()
execute_process(
  COMMAND "${COMPILER}" -std=c11 -D_GNU_SOURCE -O2 -static "-I${SOURCES}/include" -o "${OUTPUT}"
    ${sources} "${SOURCES}/tests/signal/cross_guard.c"
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${COMPILER} does not compile it")
endif()
execute_process(COMMAND ${EMULATOR} "${OUTPUT}" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "failed: ${result}")
endif()
