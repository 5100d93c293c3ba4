#!/bin/sh
# SPDX-License-Identifier: MIT
#
# manpages.sh CC INCLUDE_DIR MAN_DIR: each public function has a manual page, which may be a link (.so) to the one that
# describes it, and each page called aw_* is about a function that exists. Prints what is missing.
set -eu
cc=$1 include=$2 man=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LC_ALL=C
export LC_ALL
bad=0

for header in "$include"/alarmwheel/*.h; do
    "$cc" -std=c11 -D_GNU_SOURCE -I"$include" -E -P "$header"
done | tr '\n' ' ' | sed -e 's/__attribute__((visibility("default")))/\n@/g' -e 's/static inline/\n@/g' |
    sed -n 's/^@\([^;{]*\)[;{].*/\1/p' | grep '(' |
    sed -e 's/(.*//' -e 's/ *$//' -e 's/.*[ *]//' | grep '^aw_' | sort -u >"$work/functions"
[ -s "$work/functions" ] || { echo "no functions found in $include"; exit 1; }

while read -r function; do
    page=$man/$function.3
    if [ ! -f "$page" ]; then
        echo "$function has no manual page"
        bad=1
        continue
    fi
    target=$(sed -n '/^\.so /{s/^\.so  *//p;q;}' "$page")
    if [ -n "$target" ]; then
        page=$man/${target#man3/}
        [ -f "$page" ] || { echo "$function.3 links to $target, which is not there"; bad=1; continue; }
    fi
    # A page that describes a function names it.
    sed 's/\\-/-/g' "$page" | grep -q "$function" || { echo "${page##*/} does not name $function"; bad=1; }
done <"$work/functions"

for page in "$man"/aw_*.3; do
    [ -f "$page" ] || continue
    name=${page##*/}
    grep -qx "${name%.3}" "$work/functions" || { echo "$name is about no public function"; bad=1; }
done
exit $bad
