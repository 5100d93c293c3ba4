# SPDX-License-Identifier: MIT
#
# How every target of this tree is compiled: alarmwheel_compile(target). Nothing here reaches a user's target.

include(CheckCCompilerFlag)

# Reproducible objects: no path of the building machine in __FILE__ or in the debug information. A debugger finds
# sources by these paths, so a Debug build keeps them, and gcov does too.
check_c_compiler_flag("-ffile-prefix-map=/x=." ALARMWHEEL_HAVE_FILE_PREFIX_MAP)

set(alarmwheel_warnings
  -Wall -Wextra -Wshadow -Wconversion -Wpointer-arith -Wundef -Wvla)
set(alarmwheel_c_warnings
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition)

function(alarmwheel_compile target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE ${alarmwheel_warnings}
      "$<$<COMPILE_LANGUAGE:C>:${alarmwheel_c_warnings}>")
  endif()
  if(ALARMWHEEL_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(ALARMWHEEL_HAVE_FILE_PREFIX_MAP AND NOT ALARMWHEEL_COVERAGE)
    target_compile_options(${target} PRIVATE
      "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=;-ffile-prefix-map=${PROJECT_BINARY_DIR}=build>")
  endif()
  if(ALARMWHEEL_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${ALARMWHEEL_SANITIZE} -fno-sanitize-recover=all
      -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${ALARMWHEEL_SANITIZE})
    if(ALARMWHEEL_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
      # gcc warns of fences, which ThreadSanitizer does not see. All that they order is atomic anyway.
      target_compile_options(${target} PRIVATE -Wno-tsan)
    endif()
  endif()
  if(ALARMWHEEL_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()
