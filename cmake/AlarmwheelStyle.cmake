# SPDX-License-Identifier: MIT
#
# Targets for those who work on alarmwheel: format (changes files), style (checks the format and lints the library),
# coverage-report (after the tests of the coverage preset; fails under 95 % of the lines of src/).

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

if(ALARMWHEEL_CLANG_FORMAT AND ALARMWHEEL_CLANG_TIDY)
  set(tidy_sources ${alarmwheel_sources})
  list(FILTER tidy_sources INCLUDE REGEX "\\.c$")
  add_custom_target(style
    COMMAND ${format_files} "${ALARMWHEEL_CLANG_FORMAT}" --dry-run --Werror {} +
    COMMAND "${ALARMWHEEL_CLANG_TIDY}" --quiet -p "${PROJECT_BINARY_DIR}" ${tidy_sources}
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()

if(ALARMWHEEL_COVERAGE AND ALARMWHEEL_GCOVR)
  add_custom_target(coverage-report
    COMMAND "${ALARMWHEEL_GCOVR}" --root "${PROJECT_SOURCE_DIR}" --filter "${PROJECT_SOURCE_DIR}/src/" --object-directory
      "${PROJECT_BINARY_DIR}" --fail-under-line 95 "${PROJECT_BINARY_DIR}"
    WORKING_DIRECTORY "${PROJECT_BINARY_DIR}" USES_TERMINAL VERBATIM)
endif()
