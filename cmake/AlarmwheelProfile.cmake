# SPDX-License-Identifier: MIT
#
# The profiler: libalarmwheel-profile, the command aw-prof, and the library that aw-prof loads into the program it
# profiles. Both libraries share the sampler; only the first has what names and writes (elfutils, zlib).

find_package(PkgConfig)
if(PkgConfig_FOUND)
  pkg_check_modules(ALARMWHEEL_DW IMPORTED_TARGET libdw libelf)
  pkg_check_modules(ALARMWHEEL_ZLIB IMPORTED_TARGET zlib)
endif()
if(NOT ALARMWHEEL_DW_FOUND OR NOT ALARMWHEEL_ZLIB_FOUND)
  message(FATAL_ERROR "The profiler needs libdw and zlib, found by pkg-config "
    "(Debian: pkg-config libdw-dev zlib1g-dev). alarmwheel without it: -DALARMWHEEL_BUILD_PROFILE=OFF")
endif()

# What counts: everything that runs in the profiled program while it is profiled. It uses libc alone.
set(alarmwheel_sampler_sources
  src/profile/recording.c
  src/profile/stacks.c
  src/profile/modules.c
  src/profile/frame_rule.c
  src/profile/lasting.c
  src/profile/unwind.c
  src/profile/unwind_libgcc.c
  src/profile/handler.c
  src/profile/slot.c
  src/profile/registry.c
  src/profile/control.c
  src/profile/sampled.c
  src/profile/sampler.c
  src/profile/view.c)

# What names and writes.
set(alarmwheel_profile_sources
  src/profile/profile.c
  src/profile/labels.c
  src/profile/freeze.c
  src/profile/arena.c
  src/profile/symbols.c
  src/profile/address_set.c
  src/profile/address_ranges.c
  src/profile/function_table.c
  src/profile/demangle.c
  src/profile/object_file.c
  src/profile/debug_files.c
  src/profile/elf_symbols.c
  src/profile/dwarf_frames.c
  src/profile/dwarf_names.c
  src/profile/output.c
  src/profile/call_tree.c
  src/profile/svg.c
  src/profile/svg_palette.c
  src/profile/svg_text.c
  src/profile/utf8.c
  src/profile/titles.c
  src/profile/call_paths.c
  src/profile/folded.c
  src/profile/speedscope.c
  src/profile/text.c
  src/profile/protobuf.c
  src/profile/pprof_comment.c
  src/profile/pprof_strings.c
  src/profile/pprof.c
  src/profile/pprof_file.c
  src/profile/pprof_decoder.c
  src/profile/pprof_read.c
  src/profile/pprof_samples.c
  src/profile/write.c)

list(TRANSFORM alarmwheel_sampler_sources PREPEND "${PROJECT_SOURCE_DIR}/")
list(TRANSFORM alarmwheel_profile_sources PREPEND "${PROJECT_SOURCE_DIR}/")
set(alarmwheel_profile_headers "${PROJECT_SOURCE_DIR}/include/alarmwheel/profile.h")

function(alarmwheel_profile_objects_library name)
  add_library(${name} OBJECT ${ARGN})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}/include" PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_compile_options(${name} PRIVATE -fno-plt -fasynchronous-unwind-tables)
  alarmwheel_compile(${name})
endfunction()

if(alarmwheel_sampler_sources)
  alarmwheel_profile_objects_library(alarmwheel_sampler_objects ${alarmwheel_sampler_sources})
  set(alarmwheel_sampler $<TARGET_OBJECTS:alarmwheel_sampler_objects>)
endif()
alarmwheel_profile_objects_library(alarmwheel_profile_objects ${alarmwheel_profile_sources}
  ${alarmwheel_profile_headers})
target_link_libraries(alarmwheel_profile_objects PRIVATE PkgConfig::ALARMWHEEL_DW PkgConfig::ALARMWHEEL_ZLIB)

function(alarmwheel_add_profile_library kind)
  string(TOUPPER ${kind} KIND)
  set(name alarmwheel_profile_${kind})
  add_library(${name} ${KIND} ${alarmwheel_sampler} $<TARGET_OBJECTS:alarmwheel_profile_objects>)
  add_library(alarmwheel::profile_${kind} ALIAS ${name})
  set_target_properties(${name} PROPERTIES
    OUTPUT_NAME alarmwheel-profile EXPORT_NAME profile_${kind} LINKER_LANGUAGE C)
  target_compile_features(${name} INTERFACE c_std_11)
  target_include_directories(${name} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  alarmwheel_compile(${name})
endfunction()

if(ALARMWHEEL_BUILD_STATIC)
  alarmwheel_add_profile_library(static)
  target_link_libraries(alarmwheel_profile_static PUBLIC PkgConfig::ALARMWHEEL_DW PkgConfig::ALARMWHEEL_ZLIB)
endif()

if(ALARMWHEEL_BUILD_SHARED)
  alarmwheel_add_profile_library(shared)
  set(map "${PROJECT_SOURCE_DIR}/src/profile/alarmwheel-profile.map")
  target_link_libraries(alarmwheel_profile_shared PRIVATE PkgConfig::ALARMWHEEL_DW PkgConfig::ALARMWHEEL_ZLIB)
  # now, relro and nodelete as for the core library. The unwinder is its own, so that no registry of a program's
  # frames, and no lock around it, is met in the handler.
  target_link_options(alarmwheel_profile_shared PRIVATE
    "LINKER:--version-script=${map}" LINKER:-z,now LINKER:-z,relro LINKER:-z,nodelete -static-libgcc)
  set_target_properties(alarmwheel_profile_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS "${map}")
endif()

if(ALARMWHEEL_BUILD_SHARED AND (BUILD_SHARED_LIBS OR NOT ALARMWHEEL_BUILD_STATIC))
  add_library(alarmwheel::profile ALIAS alarmwheel_profile_shared)
else()
  add_library(alarmwheel::profile ALIAS alarmwheel_profile_static)
endif()

include(AlarmwheelProf)
