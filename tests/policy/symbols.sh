#!/bin/sh
# SPDX-License-Identifier: MIT
#
# symbols.sh CC NM INCLUDE_DIR MAP SHARED STATIC HEADER...: what these public headers (names in INCLUDE_DIR/alarmwheel)
# declare with AW_API is what the version script lists and what the shared library exports; the static library adds only
# awi_ names. Prints what differs.
set -eu
cc=$1 nm=$2 include=$3 map=$4 shared=$5 static=$6
shift 6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LC_ALL=C
export LC_ALL
bad=0

# After preprocessing each declaration that AW_API begins runs to its semicolon; its name stands before the
# parameters, or, for an object, at the end. What a header includes from another is not its own.
for header; do
    "$cc" -std=c11 -D_GNU_SOURCE -I"$include" -E "$include/alarmwheel/$header" |
        awk -v own="/alarmwheel/$header\"" '/^# [0-9]/ { is_own = index($3, own); next } is_own'
done | tr '\n' ' ' | sed 's/__attribute__((visibility("default")))/\n@/g' |
    sed -n 's/^@\([^;{]*\)[;{].*/\1/p' |
    sed -e 's/(.*//' -e 's/ *$//' -e 's/.*[ *]//' | sort -u >"$work/headers"
[ -s "$work/headers" ] || { echo "no declarations found in $include"; exit 1; }

sed -n 's/^ *\(awi\{0,1\}_[a-z0-9_]*\);$/\1/p' "$map" | sort -u >"$work/map"
"$nm" -D --defined-only "$shared" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort -u >"$work/shared"
"$nm" -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort -u >"$work/static"

for list in map shared; do
    if ! diff "$work/headers" "$work/$list" >"$work/diff"; then
        echo "headers (<) and $list (>) disagree:"
        grep '^[<>]' "$work/diff"
        bad=1
    fi
done
# The compiler's own pointer to the function that unwinds for a language.
if grep -v -e '^awi\{0,1\}_' -e '^awi$' -e 'DW\.ref\.__gcc_personality_v0$' "$work/shared" "$work/static"; then
    echo "names without the prefix aw_ or awi_, above"
    bad=1
fi
if comm -23 "$work/headers" "$work/static" | grep .; then
    echo "declared, but not in the static library, above"
    bad=1
fi
# Public names of the static library are those of the shared one.
if grep '^aw_' "$work/static" | comm -13 "$work/headers" - | grep .; then
    echo "aw_ names that no public header declares, above"
    bad=1
fi
exit $bad
