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

# An escape unwinds: gcc has to be told on some machines (riscv64, before 13), and for a static program the linker
# of a wrapper around a glibc system's gcc, too.
file(GLOB_RECURSE sources "${SOURCES}/src/*.c")
list(FILTER sources EXCLUDE REGEX "/src/(profile|aw-prof)/") # the profiler is no part of it
set(options -std=c11 -D_GNU_SOURCE -O2 -fasynchronous-unwind-tables -static
  "-I${SOURCES}/include" "-I${SOURCES}/src")
if(COMPILER MATCHES "musl")
  list(APPEND sources "${SOURCES}/tests/support/musl_unwind.c")
  list(APPEND options -Wl,--eh-frame-hdr)
endif()
execute_process(
  COMMAND "${COMPILER}" ${options} -o "${OUTPUT}" ${sources} "${SOURCES}/tests/signal/cross_guard.c"
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${COMPILER} does not compile it")
endif()
execute_process(COMMAND ${EMULATOR} "${OUTPUT}" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "failed: ${result}")
endif()
