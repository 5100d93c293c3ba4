# SPDX-License-Identifier: MIT
#
# must(command...) runs a command and ends the test if it fails; must_output(variable command...) also keeps its
# output, stripped. fail(text...) ends the test.

function(fail)
  string(CONCAT text ${ARGV})
  message(FATAL_ERROR "${text}")
endfunction()

function(must)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    fail("${command}\nended with ${result}:\n${output}")
  endif()
endfunction()

function(must_output variable)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    fail("${command}\nended with ${result}:\n${output}${error}")
  endif()
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()

# Does the program load libalarmwheel.so exactly if it is meant to?
function(must_link program kind)
  must_output(dynamic "${READELF}" -d "${program}")
  if(dynamic MATCHES "libalarmwheel\\.so\\.0")
    set(linked shared)
  else()
    set(linked static)
  endif()
  if(NOT linked STREQUAL kind)
    fail("${program} is linked ${linked}, not ${kind}")
  endif()
endfunction()

set(toolchain "-G${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}"
  "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_BUILD_TYPE=${CONFIG}")
