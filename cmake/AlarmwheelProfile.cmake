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
  src/profile/sampler/recording.c
  src/profile/sampler/stacks.c
  src/profile/sampler/modules.c
  src/profile/sampler/call_frame.c
  src/profile/sampler/frame_rule.c
  src/profile/sampler/lasting.c
  src/profile/sampler/walk.c
  src/profile/sampler/walk_libgcc.c
  src/profile/sampler/handler.c
  src/profile/sampler/slot.c
  src/profile/sampler/registry.c
  src/profile/sampler/control.c
  src/profile/sampler/sampled.c
  src/profile/sampler/sampler.c
  src/profile/sampler/view.c)

# What names and writes.
set(alarmwheel_profile_sources
  src/profile/profile.c
  src/profile/labels.c
  src/profile/freeze.c
  src/profile/arena.c
  src/profile/symbols/symbols.c
  src/profile/symbols/address_set.c
  src/profile/symbols/address_ranges.c
  src/profile/symbols/function_table.c
  src/profile/symbols/demangle.c
  src/profile/symbols/object_file.c
  src/profile/symbols/debug_files.c
  src/profile/symbols/elf_symbols.c
  src/profile/symbols/dwarf_frames.c
  src/profile/symbols/dwarf_names.c
  src/profile/formats/output.c
  src/profile/formats/call_tree.c
  src/profile/formats/svg.c
  src/profile/formats/svg_palette.c
  src/profile/formats/svg_text.c
  src/profile/formats/utf8.c
  src/profile/formats/titles.c
  src/profile/formats/call_paths.c
  src/profile/formats/folded.c
  src/profile/formats/speedscope.c
  src/profile/formats/text.c
  src/profile/formats/protobuf.c
  src/profile/formats/pprof_comment.c
  src/profile/formats/pprof_strings.c
  src/profile/formats/pprof.c
  src/profile/formats/pprof_file.c
  src/profile/formats/pprof_decoder.c
  src/profile/formats/pprof_read.c
  src/profile/formats/pprof_samples.c
  src/profile/formats/write.c)

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
