# SPDX-License-Identifier: MIT
#
# The library: its objects are compiled once and go into libalarmwheel.a and libalarmwheel.so.

include(CheckFunctionExists)

# Every source of the library, layer by layer (docs/architecture.md); tests/policy/layers.sh holds them to it.
set(alarmwheel_sources
  src/busy.c
  src/wheel/slab.c
  src/wheel/levels.c
  src/wheel/run.c
  src/wheel/settle.c
  src/wheel/wheel_check.c
  src/engine/clock.c
  src/engine/pending.c
  src/engine/frame.c
  src/engine/report.c
  src/engine/alarm.c
  src/engine/burn.c
  src/engine/disposition.c
  src/engine/doorbell.c
  src/engine/cover.c
  src/engine/guards.c
  src/engine/handler.c
  src/engine/process_time.c
  src/engine/dispatch.c
  src/engine/wait.c
  src/engine/run.c
  src/engine/post.c
  src/engine/wakeup.c
  src/engine/engine.c
  src/timer/timer.c
  src/timer/itimer.c
  src/timer/itimer_values.c
  src/guard/guard.c
  src/guard/guard_call.c
  src/guard/expiry.c
  src/guard/hard.c
  src/guard/interrupt.c
  src/guard/scope.c
  src/guard/shield.c
  src/guard/cleanup.c
  src/guard/escape.c
  src/guard/frames.c
  src/guard/object.c
  src/guard/wrappers.c
  src/guard/cancel.c
  src/guard/call.c
  src/guard/io_files.c
  src/guard/io_sockets.c
  src/guard/io_wait.c
  src/guard/io_full.c
  src/signal/record.c
  src/signal/hold.c
  src/signal/watch.c
  src/signal/deliver.c
  src/signal/signal_wait.c
  src/child/child_wait.c
  src/child/child_stop.c
  src/child/child_run.c
  src/child/group.c
  src/version.c)
list(TRANSFORM alarmwheel_sources PREPEND "${PROJECT_SOURCE_DIR}/")

set(alarmwheel_headers
  alarmwheel.h
  alarmwheel.hpp
  base.h
  child.h
  engine.h
  guard.h
  io.h
  itimer.h
  safepoint.h
  signal.h
  timer.h
  wheel.h)
list(TRANSFORM alarmwheel_headers PREPEND "${PROJECT_SOURCE_DIR}/include/alarmwheel/")

# POSIX timers and pthread_atfork are in libc since glibc 2.34 and in musl; elsewhere they have libraries of their own.
set(alarmwheel_system_libraries "")
check_function_exists(timer_create ALARMWHEEL_HAVE_TIMER_CREATE)
if(NOT ALARMWHEEL_HAVE_TIMER_CREATE)
  list(APPEND alarmwheel_system_libraries rt)
endif()
check_function_exists(pthread_atfork ALARMWHEEL_HAVE_PTHREAD_ATFORK)
if(NOT ALARMWHEEL_HAVE_PTHREAD_ATFORK)
  list(APPEND alarmwheel_system_libraries pthread)
endif()

add_library(alarmwheel_objects OBJECT ${alarmwheel_sources} ${alarmwheel_headers})
target_include_directories(alarmwheel_objects
  PUBLIC "${PROJECT_SOURCE_DIR}/include"
  PRIVATE "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(alarmwheel_objects PRIVATE _GNU_SOURCE $<$<BOOL:${ALARMWHEEL_DEBUG}>:AW_DEBUG>)
alarmwheel_compile(alarmwheel_objects)

# libc is called through the table that the loader fills in at the start, never through the lazy binder, which the
# handler must not meet: in a program that links the static library and not with -z now it would.
check_c_compiler_flag("-fno-plt" ALARMWHEEL_HAVE_NO_PLT)
if(ALARMWHEEL_HAVE_NO_PLT)
  target_compile_options(alarmwheel_objects PRIVATE -fno-plt)
endif()

# An escape unwinds through the library's own frames. gcc 12 makes no tables for C on riscv64 unless it is told to.
check_c_compiler_flag("-fasynchronous-unwind-tables" ALARMWHEEL_HAVE_UNWIND_TABLES)
if(ALARMWHEEL_HAVE_UNWIND_TABLES)
  target_compile_options(alarmwheel_objects PRIVATE -fasynchronous-unwind-tables)
endif()

# An exception of C++ may pass through aw_guard_call.
check_c_compiler_flag("-fexceptions" ALARMWHEEL_HAVE_EXCEPTIONS)
if(ALARMWHEEL_HAVE_EXCEPTIONS)
  set_source_files_properties("${PROJECT_SOURCE_DIR}/src/guard/guard_call.c" PROPERTIES COMPILE_OPTIONS -fexceptions)
endif()

function(alarmwheel_add_library kind)
  string(TOUPPER ${kind} KIND)
  add_library(alarmwheel_${kind} ${KIND} $<TARGET_OBJECTS:alarmwheel_objects>)
  add_library(alarmwheel::${kind} ALIAS alarmwheel_${kind})
  set_target_properties(alarmwheel_${kind} PROPERTIES
    OUTPUT_NAME alarmwheel EXPORT_NAME ${kind} LINKER_LANGUAGE C)
  target_compile_features(alarmwheel_${kind} INTERFACE c_std_11)
  target_include_directories(alarmwheel_${kind} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(alarmwheel_${kind} PRIVATE ${alarmwheel_system_libraries})
  alarmwheel_compile(alarmwheel_${kind})
endfunction()

if(ALARMWHEEL_BUILD_STATIC)
  alarmwheel_add_library(static)
endif()

if(ALARMWHEEL_BUILD_SHARED)
  alarmwheel_add_library(shared)
  set_target_properties(alarmwheel_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
  if(UNIX AND NOT APPLE)
    set(map "${PROJECT_SOURCE_DIR}/src/alarmwheel.map")
    # now, relro: the handler must never meet the lazy binder. nodelete: a handler that was unmapped by dlclose
    # would be called all the same.
    target_link_options(alarmwheel_shared PRIVATE
      "LINKER:--version-script=${map}" LINKER:-z,now LINKER:-z,relro LINKER:-z,nodelete)
    set_target_properties(alarmwheel_shared PROPERTIES LINK_DEPENDS "${map}")
  endif()
endif()

if(ALARMWHEEL_BUILD_SHARED AND (BUILD_SHARED_LIBS OR NOT ALARMWHEEL_BUILD_STATIC))
  add_library(alarmwheel::alarmwheel ALIAS alarmwheel_shared)
else()
  add_library(alarmwheel::alarmwheel ALIAS alarmwheel_static)
endif()
