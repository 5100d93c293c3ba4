#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ends.sh AW_PROF PROGRAMS: however a program ends, its status is passed on and its profile is written.
. "$(dirname "$0")/checks.sh"
ulimit -c 0

check() {
    rm -f out.folded
    status "$2" "$prof" -c "$3" -o out.folded -- "$subject" "$1" 300
    [ -s out.folded ] || fail "$1: no profile"
    # A process that ends in good order has looked at its clock. Of another one only the timers have told, up to
    # the last tick that found it running; and user time is found by ticks anyway.
    low=80
    case $1-$3 in normal-cpu | exit-cpu | normal-wall | exit-wall) low=240 ;; esac
    took $low 60000 burn_alpha out.folded || echo "... of $1 with the clock $3"
}

for clock in cpu wall; do
    check normal 0 $clock
    check exit 3 $clock
    check _exit 4 $clock
    check abort 134 $clock
    check segv 139 $clock
    check kill 137 $clock
    check term 143 $clock
done

check normal 0 user

# An orderly end: what was used is known, whatever a sample that came stands for.
for run in 1 2 3 4; do
    runs "$prof" -F 1 -o coarse.folded -- "$subject" tells 500
    used=$(cat used)
    [ -n "$used" ] || continue
    took $((used - 20)) $((used + 400)) '.*' coarse.folded || echo "... of run $run at 1 Hz"
done

# What is sent to aw-prof reaches the program; of the terminal's signals it takes no notice.
"$prof" -o out.folded -- sh -c 'touch ready; exec sleep 60' 2>errors &
pid=$!
await test -e ready
kill -INT $pid
sleep 0.2
kill -TERM $pid
wait $pid
got=$?
[ $got -eq 143 ] || fail "SIGTERM: $got"
[ -f out.folded ] || fail "SIGTERM: no profile"

rm -f ready
"$prof" -o out.folded -- sh -c 'trap "exit 7" HUP; touch ready; while :; do sleep 0.1; done' 2>errors &
pid=$!
await test -e ready
kill -HUP $pid
wait $pid
got=$?
[ $got -eq 7 ] || fail "SIGHUP: $got"

# An alarm that was set before aw-prof was executed, and those that a supervisor may send: USR1, USR2, ALRM, XCPU.
for signal in 10 12 14 24; do
    rm -f ready
    "$prof" -o out.folded -- sh -c 'touch ready; exec sleep 60' 2>errors &
    pid=$!
    await test -e ready
    kill -$signal $pid
    wait $pid
    got=$?
    [ $got -eq $((128 + signal)) ] || fail "signal $signal: $got"
    [ -f out.folded ] || fail "signal $signal: no profile"
    rm -f out.folded
done

finish
