#!/bin/sh
# SPDX-License-Identifier: MIT
#
# signals.sh AW_PROF PROGRAMS: programs that use SIGPROF themselves, or block it, behave as they do alone.
. "$(dirname "$0")/checks.sh"
signals=$programs/prof_signals

for part in own-timer own-posix-timer flags resets waits children taken-by-one interrupts; do
    status 0 "$signals" $part
    for clock in cpu wall; do
        status 0 "$prof" -q -F 1000 -c $clock -o $part.folded -- "$signals" $part
    done
done
# What is sent by somebody else kills, with and without: 128 + SIGPROF.
prof_status=$((128 + $(kill -l PROF 2>/dev/null || echo 27)))
status $prof_status "$signals" killed
status $prof_status "$prof" -o killed.folded -- "$signals" killed
took 80 6000 burn_signals killed.folded

"$prof" -q -F 1000 -o own-timer.folded -- "$signals" own-timer
took 700 60000 burn_signals own-timer.folded
"$prof" -q -F 1000 -o resets.folded -- "$signals" resets
took 400 6000 burn_signals resets.folded

# Blocked by whoever starts aw-prof: of the program nobody asked, and it is sampled.
status 0 "$subject" blocked-exec 0 "$prof" -q -o inherited.folded -- "$subject" normal 300
took 240 3000 burn_alpha inherited.folded

# Blocked for good: nothing is sampled, and its time is there.
status 0 "$prof" -o blocked.folded -- "$subject" blocks 300
between 200 3000 "$(ms '.*' blocked.folded)" 'ms of a program that blocks signals'
finish
