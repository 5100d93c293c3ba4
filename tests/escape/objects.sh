#!/bin/sh
# SPDX-License-Identifier: MIT
#
# objects.sh INCLUDE FOLDER C-COMPILER... -- C++-COMPILER...
#
# What AW_GUARD compiles to: only with AW_GUARD_ESCAPE is there a sigsetjmp, at every optimisation; and in C++
# an escaping guard is an error, unless AW_ALLOW_ESCAPE says that the body's destructors do not matter.
set -eu

include=$1
folder=$2
shift 2
mkdir -p "$folder"
cd "$folder"

for flags in AW_GUARD_DEFAULT AW_GUARD_COARSE AW_GUARD_ESCAPE 'AW_GUARD_ESCAPE | AW_GUARD_NOMASK'; do
    name=$(printf '%s' "$flags" | tr -c 'A-Z' _)
    cat >"$name.c" <<SOURCE
#include <alarmwheel/guard.h>
int guarded(int (*work)(void));
int guarded(int (*work)(void))
{
    struct aw_guard guard;
    volatile int result = 0;
    AW_GUARD(&guard, AW_MS(10), $flags) {
        result = work();
    }
    AW_EXPIRED
    {
        result = -1;
    }
    return result;
}
SOURCE
    cp "$name.c" "$name.cpp"
done

fail() {
    echo "objects.sh: $*" >&2
    exit 1
}

# Compiles $source, with the other arguments; true if the object refers to sigsetjmp.
sets_a_jump() {
    "$@" -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L "-I$include" -c -o object.o "$source" ||
        fail "$* does not compile $source"
    nm -u object.o | grep -q sigsetjmp
}

language=c
checked=0
for compiler; do
    if [ "$compiler" = -- ]; then
        language=cpp
        continue
    fi
    standard=-std=c11
    if [ $language = cpp ]; then standard=-std=c++11; fi
    for level in -O0 -Og -O2 -O3; do
        for flags in AW_GUARD_DEFAULT AW_GUARD_COARSE; do
            source=$flags.$language
            if sets_a_jump "$compiler" $standard $level; then
                fail "$compiler $level: $source refers to sigsetjmp"
            fi
        done
        for flags in AW_GUARD_ESCAPE AW_GUARD_ESCAPE___AW_GUARD_NOMASK; do
            source=$flags.$language
            allow=-UAW_ALLOW_ESCAPE
            if [ $language = cpp ]; then
                if "$compiler" $standard $level -D_POSIX_C_SOURCE=200809L "-I$include" -c -o object.o \
                    "$source" 2>errors; then
                    fail "$compiler $level: an escaping guard in C++ is not refused"
                fi
                grep -q 'AW_ALLOW_ESCAPE' errors || fail "$compiler: the error does not name AW_ALLOW_ESCAPE"
                allow=-DAW_ALLOW_ESCAPE
            fi
            if ! sets_a_jump "$compiler" $standard $level $allow; then
                fail "$compiler $level: $source does not refer to sigsetjmp"
            fi
        done
        checked=$((checked + 1))
    done
done
[ $checked -gt 0 ] || fail "no compiler"
echo "objects.sh: $checked builds"
