#!/bin/sh
# SPDX-License-Identifier: MIT
#
# readme.sh ROOT: README.md's quickstart is examples/quickstart.c, in at most 15 lines; the two command lines are there, once
# each; and what it links to exists. Prints what is not so.
set -eu
root=$1
readme=$root/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

sed -n '/^```c$/,/^```$/{/^```/d;p;}' "$readme" >"$work/blocks"
sed -n '/^#include/,$p' "$root/examples/quickstart.c" >"$work/quickstart"
lines=$(wc -l <"$work/quickstart")
head -n "$lines" "$work/blocks" >"$work/first"
if ! diff "$work/first" "$work/quickstart"; then
    echo "README.md's first C (<) is not examples/quickstart.c (>)"
    bad=1
fi
code=$(grep -c . "$work/quickstart")
if [ "$code" -gt 15 ]; then
    echo "the quickstart has $code lines of C"
    bad=1
fi

for preset in demo test; do
    count=$(grep -c "^ *apt-get update && .* && cmake --workflow --preset $preset\$" "$readme" || true)
    [ "$count" -eq 1 ] || { echo "README.md has $count lines that install and run the preset $preset"; bad=1; }
done

grep -o '](\([^)]*\))' "$readme" | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' | grep -v -e '^$' -e '^https\{0,1\}:' | sort -u |
    while read -r link; do
        [ -e "$root/$link" ] || echo "README.md links to $link, which is not there"
    done >"$work/links"
if [ -s "$work/links" ]; then
    cat "$work/links"
    bad=1
fi
exit $bad
