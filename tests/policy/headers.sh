#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh CC CXX INCLUDE_DIR: each public header compiles alone and twice over, strictly, in C11 and in
# C++11 and C++20; plain C11 is enough but for those that say that they need POSIX. A .hpp compiles in C++ only. Prints
# what does not.
set -u
cc=$1 cxx=$2 include=$3
bad=0

strict='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror -fsyntax-only'

complain() {
    echo "$1"
    bad=1
}

for header in "$include"/alarmwheel/*.h "$include"/alarmwheel/*.hpp; do
    [ -e "$header" ] || continue
    name=${header##*/}
    posix=
    case $name in
    guard.h | signal.h | child.h | io.h | alarmwheel.h | *.hpp) posix=-D_POSIX_C_SOURCE=200809L ;;
    esac
    source="#include <alarmwheel/$name>
#include <alarmwheel/$name>"

    # shellcheck disable=SC2086 # the options are words
    [ "$name" != "${name%.h}.h" ] || printf '%s\nextern int awi_not_empty;\n' "$source" |
        "$cc" -std=c11 $strict -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
            $posix -I"$include" -x c - || complain "$name: not clean in C11"
    for standard in c++11 c++20; do
        # shellcheck disable=SC2086
        printf '%s\n' "$source" |
            "$cxx" -std=$standard $strict $posix -I"$include" -x c++ - || complain "$name: not clean in $standard"
    done

    # Reserved identifiers, other than the compiler's own.
    sed -e 's://.*::' -e 's/"[^"]*"//g' "$header" | awk '
        { # comments out
            line = $0
            while (1) {
                if (inside) {
                    end = index(line, "*/")
                    if (!end) { line = ""; break }
                    line = substr(line, end + 2); inside = 0
                }
                start = index(line, "/*")
                if (!start) break
                rest = substr(line, start + 2)
                end = index(rest, "*/")
                if (end) line = substr(line, 1, start - 1) " " substr(rest, end + 2)
                else { line = substr(line, 1, start - 1); inside = 1; break }
            }
            gsub(/[^A-Za-z0-9_]+/, " ", line)
            n = split(line, words, " ")
            for (i = 1; i <= n; i++) print words[i]
        }' | grep -E '^(__|_[A-Z])' |
        grep -Ev '^(__cplusplus|__GNUC__|__clang__|__STDC_VERSION__|__attribute__|__builtin_[a-z_]+|__FILE__|__LINE__|__atomic_[a-z_]+|__ATOMIC_[A-Z_]+|_Static_assert)$' |
        sort -u | grep . && complain "$name: reserved identifiers, above"

    # The umbrella only includes the others.
    if [ "$name" = "${name%.h}.h" ] && [ "$name" != alarmwheel.h ] && ! grep -q '^extern "C" {' "$header"; then
        complain "$name: no extern \"C\""
    fi
done
[ -n "${name:-}" ] || complain "no header in $include/alarmwheel"
exit $bad
