# SPDX-License-Identifier: MIT
#
# cmake -D COMPILER=path -D NAMES=... -D FLAGS="..." [-D EMULATED=names -D EMULATOR=path] [-D NOTE=text] -D TRIES=n
#       -D SOURCES=root -D OUTPUT=file -P builds.cmake
#
# Builds the library and the stress program in one step with this compiler and these flags, and runs it for a short
# time. NOTE is a property (IBT, BTI) that each object of the library must carry, or a program that has it loses it.
# A compiler, emulator or libc that is not there is a skip: the line "SKIP" says so to CTest.

if(NOT COMPILER)
  message("SKIP: no ${NAMES}")
  return()
endif()
if(EMULATED AND NOT EMULATOR)
  message("SKIP: none of ${EMULATED}")
  return()
endif()
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")

get_filename_component(folder "${OUTPUT}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
file(WRITE "${OUTPUT}.c" "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n")
execute_process(COMMAND "${COMPILER}" ${FLAGS} -o "${OUTPUT}" "${OUTPUT}.c"
  RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
if(result EQUAL 0)
  execute_process(COMMAND ${EMULATOR} "${OUTPUT}" RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
endif()
if(NOT result EQUAL 0)
  message("SKIP: ${COMPILER} ${FLAGS} makes no program that runs here")
  return()
endif()

file(GLOB_RECURSE sources "${SOURCES}/src/*.c" "${SOURCES}/src/*.S")
list(FILTER sources EXCLUDE REGEX "/src/(profile|aw-prof)/") # the profiler is no part of it
set(support "")
if(COMPILER MATCHES "musl")
  set(support "${SOURCES}/tests/support/musl_unwind.c")
endif()
file(GLOB program "${SOURCES}/tests/stress/*.c")
list(FILTER program EXCLUDE REGEX "/stress_(children|signals)[.]c$") # programs of their own
execute_process(
  COMMAND "${COMPILER}" -std=c11 -D_GNU_SOURCE -O2 -g ${FLAGS} -pthread "-I${SOURCES}/include" -o "${OUTPUT}"
    ${sources} ${program} ${support}
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${COMPILER} ${FLAGS} does not compile it")
endif()

if(NOTE)
  find_program(READELF NAMES readelf)
  execute_process(
    COMMAND "${COMPILER}" -std=c11 -D_GNU_SOURCE -O2 ${FLAGS} -r -nostdlib "-I${SOURCES}/include"
      -o "${OUTPUT}.o" ${sources}
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${COMPILER} ${FLAGS} -r fails")
  endif()
  execute_process(COMMAND "${READELF}" -n "${OUTPUT}.o" OUTPUT_VARIABLE text)
  if(NOT text MATCHES "Properties:[^\n]*${NOTE}")
    message(FATAL_ERROR "not every object has the property ${NOTE}:\n${text}")
  endif()
endif()

set(emulated "")
if(EMULATOR)
  set(emulated "--emulated")
endif()
foreach(options "--beside 0" "--beside 1" "--nested --beside 0")
  separate_arguments(list UNIX_COMMAND "${options} --tries ${TRIES} ${emulated}")
  execute_process(COMMAND ${EMULATOR} "${OUTPUT}" ${list} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "stress_calls ${options}: ${result}")
  endif()
endforeach()
