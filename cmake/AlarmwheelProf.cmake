# SPDX-License-Identifier: MIT
#
# The command aw-prof, and aw-prof-preload.so, the library that it loads into the program it profiles. In the build
# both are in one folder; installed, the library is in a folder of its own below the libraries'.

set(aw_prof_sources
  src/aw-prof/collect.c
  src/aw-prof/directory.c
  src/aw-prof/launch.c
  src/aw-prof/main.c
  src/aw-prof/message.c
  src/aw-prof/options.c
  src/aw-prof/profiling.c
  src/aw-prof/program.c
  src/aw-prof/report.c
  src/aw-prof/result.c
  src/aw-prof/settings.c)
list(TRANSFORM aw_prof_sources PREPEND "${PROJECT_SOURCE_DIR}/")

# From the command's folder to the library's, so that both can be moved together.
set(aw_prof_library_folder "${CMAKE_INSTALL_LIBDIR}/alarmwheel")
if(NOT IS_ABSOLUTE "${aw_prof_library_folder}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_BINDIR}")
  file(RELATIVE_PATH aw_prof_library_folder "/${CMAKE_INSTALL_BINDIR}" "/${aw_prof_library_folder}")
elseif(NOT IS_ABSOLUTE "${aw_prof_library_folder}")
  set(aw_prof_library_folder "${CMAKE_INSTALL_FULL_LIBDIR}/alarmwheel")
endif()

add_executable(aw-prof ${aw_prof_sources} ${alarmwheel_sampler} $<TARGET_OBJECTS:alarmwheel_profile_objects>)
target_include_directories(aw-prof PRIVATE "${PROJECT_SOURCE_DIR}/include")
target_compile_definitions(aw-prof PRIVATE _GNU_SOURCE "AW_PROF_LIBRARY_FOLDER=\"${aw_prof_library_folder}\"")
target_link_libraries(aw-prof PRIVATE PkgConfig::ALARMWHEEL_DW PkgConfig::ALARMWHEEL_ZLIB)
alarmwheel_compile(aw-prof)

# A library that is instrumented cannot be loaded into programs that are not: it is compiled as it is for users, with
# a sampler of its own.
function(aw_prof_compile_plainly target)
  set(ALARMWHEEL_SANITIZE "")
  set(ALARMWHEEL_COVERAGE OFF)
  alarmwheel_compile(${target})
endfunction()

set(aw_prof_preload_sources
  src/aw-prof/preload/dispositions.c
  src/aw-prof/preload/environment.c
  src/aw-prof/preload/follow.c
  src/aw-prof/preload/preload.c
  src/aw-prof/preload/settings.c
  src/aw-prof/preload/threads.c
  src/aw-prof/preload/waits.c)
list(TRANSFORM aw_prof_preload_sources PREPEND "${PROJECT_SOURCE_DIR}/")
if(ALARMWHEEL_SANITIZE OR ALARMWHEEL_COVERAGE)
  list(APPEND aw_prof_preload_sources ${alarmwheel_sampler_sources})
else()
  list(APPEND aw_prof_preload_sources ${alarmwheel_sampler})
endif()
set(aw_prof_preload_map "${PROJECT_SOURCE_DIR}/src/aw-prof/preload/preload.map")

# The sampler's sigaction is libc's, not the one that is interposed. The unwinder is the library's own.
add_library(aw-prof-preload MODULE ${aw_prof_preload_sources})
set_target_properties(aw-prof-preload PROPERTIES PREFIX "" SUFFIX ".so" LINK_DEPENDS "${aw_prof_preload_map}")
target_include_directories(aw-prof-preload PRIVATE "${PROJECT_SOURCE_DIR}/include")
target_compile_definitions(aw-prof-preload PRIVATE _GNU_SOURCE)
target_compile_options(aw-prof-preload PRIVATE -fno-plt -fasynchronous-unwind-tables)
target_link_options(aw-prof-preload PRIVATE
  "LINKER:--version-script=${aw_prof_preload_map}" LINKER:--wrap=sigaction -static-libgcc
  LINKER:-z,now LINKER:-z,relro LINKER:-z,nodelete LINKER:-z,defs)
aw_prof_compile_plainly(aw-prof-preload)
add_dependencies(aw-prof aw-prof-preload)
