# SPDX-License-Identifier: MIT
#
# cmake -DROOT=source-tree -DEDIT=file.edit -DOUT=folder -P break.cmake
#
# Writes broken copies of sources, for the race checker to catch. The edit file begins with a sentence that says what
# is broken, and holds any number of
#
#     file PATH/IN/THE/TREE
#     --- old
#     lines
#     --- new
#     lines
#     --- end
#
# (`file` may be left out where it is the same as before). The old lines must stand in the file exactly once, however
# they are broken and indented: when the source has moved on, this fails, and the edit has to follow. Nothing would
# be worse than a copy that is not broken any more.

file(READ "${EDIT}" rest)
set(path "")
set(edits 0)

while(1)
  string(FIND "${rest}" "\n--- old\n" at)
  if(at EQUAL -1)
    break()
  endif()
  string(SUBSTRING "${rest}" 0 ${at} head)
  if("\n${head}\n" MATCHES "\nfile ([^\n]+)\n")
    if(NOT path STREQUAL "")
      file(WRITE "${OUT}/${path}" "${text}")
    endif()
    set(path "${CMAKE_MATCH_1}")
    file(READ "${ROOT}/${path}" text)
  endif()
  math(EXPR at "${at} + 9")
  string(SUBSTRING "${rest}" ${at} -1 rest)

  string(FIND "${rest}" "--- new\n" middle)
  string(FIND "${rest}" "--- end" end)
  if(path STREQUAL "" OR middle EQUAL -1 OR end LESS middle)
    message(FATAL_ERROR "${EDIT}: malformed")
  endif()
  string(SUBSTRING "${rest}" 0 ${middle} old)
  math(EXPR from "${middle} + 8")
  math(EXPR length "${end} - ${from}")
  string(SUBSTRING "${rest}" ${from} ${length} new)
  string(SUBSTRING "${rest}" ${end} -1 rest)

  # As a regular expression in which white space is any white space.
  string(REGEX REPLACE "([][+.*()^$?|\\])" "\\\\\\1" pattern "${old}")
  string(STRIP "${pattern}" pattern)
  string(REGEX REPLACE "[ \n]+" "[ \n]+" pattern "${pattern}")
  string(REGEX MATCH "${pattern}" found "${text}")
  if(found STREQUAL "")
    message(FATAL_ERROR "${EDIT}: these lines do not stand in ${path}:\n${old}")
  endif()
  string(FIND "${text}" "${found}" first)
  string(LENGTH "${found}" length)
  string(SUBSTRING "${text}" 0 ${first} before)
  math(EXPR after "${first} + ${length}")
  string(SUBSTRING "${text}" ${after} -1 text)
  if("${text}" MATCHES "${pattern}")
    message(FATAL_ERROR "${EDIT}: these lines stand in ${path} more than once:\n${old}")
  endif()
  string(STRIP "${new}" new)
  set(text "${before}${new}${text}")
  math(EXPR edits "${edits} + 1")
endwhile()

if(edits EQUAL 0)
  message(FATAL_ERROR "${EDIT}: no edit in it")
endif()
file(WRITE "${OUT}/${path}" "${text}")
