# SPDX-License-Identifier: MIT
#
# aw_add_check_test(name SOURCES file... LABELS label... [TIMEOUT seconds] [LIBRARIES library...]
#                   [DEFINITIONS def...] [ENVIRONMENT VAR=value...] [RUN_SERIAL] [MEMCHECK])
#
# A test program on Check, linked with the static library, of which it may see the internals. For each function
# __wrap_f in its sources the linker sends it the calls of f (ld --wrap): fakes, and faults. MEMCHECK: also under
# valgrind, where that is installed.

# Kernels with many bits of address randomisation leave older ThreadSanitizers no room; setarch turns it off.
set(alarmwheel_test_launcher "")
if(ALARMWHEEL_SANITIZE MATCHES "thread")
  find_program(ALARMWHEEL_SETARCH setarch)
  mark_as_advanced(ALARMWHEEL_SETARCH)
  if(ALARMWHEEL_SETARCH)
    execute_process(COMMAND "${ALARMWHEEL_SETARCH}" -R true RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(result EQUAL 0)
      set(alarmwheel_test_launcher "${ALARMWHEEL_SETARCH}" -R)
    endif()
  endif()
endif()

# The presets that run some of the tests only build no others.
set(ALARMWHEEL_TEST_LABELS "." CACHE STRING "Regular expression: build the tests of alarmwheel that have such a label")
mark_as_advanced(ALARMWHEEL_TEST_LABELS)

# Check's own limit on a test case would fail on a slow machine; its limit here is for hangs only. ThreadSanitizer's
# runtime has one: if a signal arrives in the instant at which it begins to run handlers that it has put off, and a
# handler calls libc, all signals stay blocked (with gcc 12 once in some thousand signals that come at such a rate, in
# a program of four timers and nothing else). There CTest's limit is first, and the preset repeats what met it.
set(alarmwheel_check_timeout 500)
if(ALARMWHEEL_SANITIZE MATCHES "thread")
  set(alarmwheel_check_timeout 1800)
endif()

set(alarmwheel_test_environment
  CK_DEFAULT_TIMEOUT=${alarmwheel_check_timeout}
  "ASAN_OPTIONS=detect_stack_use_after_return=1:abort_on_error=0"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")

function(aw_add_check_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL;MEMCHECK" "TIMEOUT"
    "SOURCES;LABELS;LIBRARIES;DEFINITIONS;ENVIRONMENT")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES OR NOT arg_LABELS)
    message(FATAL_ERROR "aw_add_check_test(${name}): needs SOURCES and LABELS; "
      "not understood: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()

  if(ALARMWHEEL_COVERAGE)
    list(APPEND arg_SOURCES "${PROJECT_SOURCE_DIR}/tests/support/counted_exit.c")
  endif()
  list(TRANSFORM arg_SOURCES PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" REGEX "^[^/]")
  add_executable(${name} ${arg_SOURCES})
  alarmwheel_compile(${name})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE ${arg_DEFINITIONS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests/support")
  target_link_libraries(${name} PRIVATE alarmwheel_static PkgConfig::CHECK ${arg_LIBRARIES})
  foreach(source IN LISTS arg_SOURCES)
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    file(STRINGS "${source}" lines REGEX "__wrap_[a-z0-9_]+\\(")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE ".*__wrap_([a-z0-9_]+)\\(.*" "\\1" function "${line}")
      target_link_options(${name} PRIVATE "LINKER:--wrap=${function}") # doubles are dropped
    endforeach()
  endforeach()

  set(wanted ${arg_LABELS})
  list(FILTER wanted INCLUDE REGEX "${ALARMWHEEL_TEST_LABELS}")
  if(NOT wanted)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()

  add_test(NAME ${name} COMMAND ${alarmwheel_test_launcher} "$<TARGET_FILE:${name}>")
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}"
    TIMEOUT ${arg_TIMEOUT}
    RUN_SERIAL "${arg_RUN_SERIAL}"
    ENVIRONMENT "${alarmwheel_test_environment};${arg_ENVIRONMENT}")
  if(arg_MEMCHECK AND ALARMWHEEL_VALGRIND AND NOT ALARMWHEEL_SANITIZE AND NOT ALARMWHEEL_COVERAGE)
    aw_add_memcheck(${name} "${arg_ENVIRONMENT}")
  endif()
endfunction()

# The same program once more, under valgrind: an error in a forked test ends that one with status 99.
find_program(ALARMWHEEL_VALGRIND valgrind)
mark_as_advanced(ALARMWHEEL_VALGRIND)
function(aw_add_memcheck name environment)
  add_test(NAME memcheck_${name}
    COMMAND "${ALARMWHEEL_VALGRIND}" --quiet --error-exitcode=99 --leak-check=no "$<TARGET_FILE:${name}>")
  set_tests_properties(memcheck_${name} PROPERTIES
    LABELS memcheck TIMEOUT 1500
    ENVIRONMENT "${alarmwheel_test_environment};${environment};CK_DEFAULT_TIMEOUT=1200")
endfunction()
