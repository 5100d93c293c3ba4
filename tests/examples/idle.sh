#!/bin/sh
# SPDX-License-Identifier: MIT
#
# idle.sh PROGRAM SECONDS: runs PROGRAM --idle under strace, for a second more. It says that it is idle, and from then
# on sleeps in one system call, without a time-out, until the alarm ends it, SECONDS or more later: no other system
# call, no signal. Of several processes or threads, all of them.
# idle.sh --judge TRACE SECONDS: judges a trace (strace -f -ttt) that is there already.
set -u

judge() {
    awk -v span="$2" '
        { line = $0; thread = $1; sub(/^[0-9]+ +/, "", line); at = line + 0; sub(/^[0-9.]+ +/, "", line) }
        !begun {
            if (line ~ /^write\(1, ".* idle\\n"/) {
                begun = 1
                start = at
            }
            next
        }
        line ~ /^--- SIGALRM / { rang = at; exit }
        line ~ /^(epoll_p?wait2?|p?poll)\(/ && line ~ /(, -1\)|, -1, NULL, 8\)|, NULL, NULL, 8\))/ && !slept { slept = 1; next }
        { print "not idle: " $0; bad = 1 }
        END {
            if (!begun)
                print "it never said that it is idle"
            else if (!slept)
                print "it never slept, or slept with a time-out"
            else if (!rang)
                print "no alarm ended the sleep"
            else if (rang - start < span)
                print "idle for " rang - start " s only"
            else if (!bad)
                print "idle for " rang - start " s: one sleep, no wake-up"
            exit bad || !begun || !slept || !rang || rang - start < span
        }' "$1"
}

if [ "$1" = --judge ]; then
    judge "$2" "$3"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! strace -o "$work/trace" true 2>"$work/errors"; then
    echo "skipped: strace does not work here: $(head -n 1 "$work/errors")"
    exit 0
fi
strace -f -ttt -o "$work/trace" "$1" --idle $(($2 + 1))
status=$?
if [ $status -ne 0 ]; then
    echo "$1 ended with $status"
    exit 1
fi
judge "$work/trace" "$2" || { sed -n '/idle/,$p' "$work/trace"; exit 1; }
