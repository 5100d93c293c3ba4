#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh PROGRAM EXPECTED: the program ends well, is silent on stderr, and says line by line what the regular expressions
# in EXPECTED say, each of them for a whole line. One that begins with `*` stands for any number of lines.
set -u
program=$1 expected=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" >"$work/output" 2>"$work/errors"
status=$?
cat "$work/output" "$work/errors"
bad=0
[ "$status" -eq 0 ] || { echo "$program ended with $status"; bad=1; }
[ ! -s "$work/errors" ] || { echo "$program wrote to stderr"; bad=1; }

awk '
    FILENAME == ARGV[1] { want[++n] = $0; next }
    {
        for (; substr(want[at + 1], 1, 1) == "*"; at++)
            if ($0 ~ "^(" substr(want[at + 1], 2) ")$")
                next
        at++
        if (at > n || $0 !~ "^(" want[at] ")$") {
            print "line " FNR " is not " (at > n ? "expected" : "\"" want[at] "\"")
            bad = 1
            exit
        }
    }
    END {
        while (!bad && at < n && substr(want[at + 1], 1, 1) == "*")
            at++
        if (!bad && at < n)
            print "missing: \"" want[at + 1] "\""
        exit bad || at < n
    }' "$expected" "$work/output" || bad=1
exit $bad
