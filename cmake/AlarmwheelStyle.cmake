# SPDX-License-Identifier: MIT
#
# Targets for those who work on alarmwheel: format (changes files), style (checks the format and lints the library),
# coverage-report (after the tests of the coverage preset; fails under 95 % of the lines of src/ or of one of its
# folders).

find_program(ALARMWHEEL_CLANG_FORMAT NAMES clang-format-14 clang-format)
find_program(ALARMWHEEL_CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
find_program(ALARMWHEEL_GCOVR NAMES gcovr)
mark_as_advanced(ALARMWHEEL_CLANG_FORMAT ALARMWHEEL_CLANG_TIDY ALARMWHEEL_GCOVR)

set(format_files
  find include src tests examples -type f "(" -name "*.[ch]" -o -name "*.[ch]pp" ")" -exec)

if(ALARMWHEEL_CLANG_FORMAT)
  add_custom_target(format
    COMMAND ${format_files} "${ALARMWHEEL_CLANG_FORMAT}" -i {} +
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()

# One command a source: as many run at once as the build has jobs. The flags are those of the target, not those of
# compile_commands.json, where most sources stand five times: also as the tests compile them. With AW_DEBUG there is
# more to see, and nothing less.
set(style_checks "")
function(alarmwheel_tidy target)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.c$")
  set(includes "$<FILTER:$<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>,INCLUDE,.>")
  set(definitions "$<FILTER:$<TARGET_PROPERTY:${target},COMPILE_DEFINITIONS>,INCLUDE,.>;AW_DEBUG")
  foreach(source IN LISTS sources)
    file(RELATIVE_PATH name "${PROJECT_SOURCE_DIR}" "${source}")
    string(MAKE_C_IDENTIFIER "clang_tidy_${name}" check)
    add_custom_command(OUTPUT ${check}
      COMMAND "${ALARMWHEEL_CLANG_TIDY}" --quiet "${source}" -- -std=c11
        "-I$<JOIN:${includes},;-I>" "-D$<JOIN:${definitions},;-D>"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" COMMENT "clang-tidy ${name}" COMMAND_EXPAND_LISTS VERBATIM)
    list(APPEND style_checks ${check})
  endforeach()
  set(style_checks "${style_checks}" PARENT_SCOPE)
endfunction()

if(ALARMWHEEL_CLANG_FORMAT AND ALARMWHEEL_CLANG_TIDY)
  foreach(target IN ITEMS alarmwheel_objects alarmwheel_sampler_objects alarmwheel_profile_objects)
    if(TARGET ${target})
      alarmwheel_tidy(${target})
    endif()
  endforeach()
  add_custom_command(OUTPUT clang_format
    COMMAND ${format_files} "${ALARMWHEEL_CLANG_FORMAT}" --dry-run --Werror {} +
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" COMMENT "clang-format" VERBATIM)
  list(PREPEND style_checks clang_format)
  set_source_files_properties(${style_checks} PROPERTIES SYMBOLIC ON)
  add_custom_target(style DEPENDS ${style_checks})
endif()

# Where a handler jumps out of the middle, gcov counts some branches below zero, which gcovr is told to pass over.
# The first run of gcovr judges src/ as a whole and keeps what it has read; by that the others judge each folder: the
# whole does not hide one that falls short. aw-prof's floor is lower: a child that ends by exec leaves gcov no count.
if(ALARMWHEEL_COVERAGE AND ALARMWHEEL_GCOVR)
  set(coverage_read "${PROJECT_BINARY_DIR}/coverage.json")
  set(coverage_of_folders "")
  file(GLOB coverage_folders CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" LIST_DIRECTORIES true src/*)
  if(NOT ALARMWHEEL_BUILD_PROFILE)
    list(REMOVE_ITEM coverage_folders src/aw-prof src/profile)
  endif()
  foreach(folder IN LISTS coverage_folders)
    if(NOT IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}")
      continue()
    endif()
    set(floor 95)
    if(folder STREQUAL "src/aw-prof")
      set(floor 85)
    endif()
    list(APPEND coverage_of_folders
      COMMAND "${CMAKE_COMMAND}" -E echo "${folder}: at least ${floor} % of the lines"
      COMMAND "${ALARMWHEEL_GCOVR}" --root "${PROJECT_SOURCE_DIR}" --filter "${PROJECT_SOURCE_DIR}/${folder}/"
        --add-tracefile "${coverage_read}" --print-summary --fail-under-line ${floor} --output /dev/null)
  endforeach()
  add_custom_target(coverage-report
    COMMAND "${ALARMWHEEL_GCOVR}" --root "${PROJECT_SOURCE_DIR}" --filter "${PROJECT_SOURCE_DIR}/src/" --object-directory
      "${PROJECT_BINARY_DIR}" --gcov-ignore-parse-errors --txt - --json "${coverage_read}" --fail-under-line 95
      "${PROJECT_BINARY_DIR}"
    ${coverage_of_folders}
    WORKING_DIRECTORY "${PROJECT_BINARY_DIR}" USES_TERMINAL VERBATIM)
endif()
