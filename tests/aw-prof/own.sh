#!/bin/sh
# SPDX-License-Identifier: MIT
#
# own.sh AW_PROF PROGRAMS: programs that profile themselves get their samples, and so does aw-prof, which counts each
# moment once, however they end.
. "$(dirname "$0")/checks.sh"
own=$programs/prof_own

# profiled CLOCK ARGUMENT...: what is counted is what the program says that it has used. Signals that were counted
# twice would make it twice as much; if they were so in one of two threads only, half as much again.
profiled() {
    clock=$1
    shift
    runs "$prof" -q -c "$clock" -o own.folded -- "$own" "$@"
    used=$(cat used)
    [ -n "$used" ] || return
    took 1 $((used * 2)) burn_own own.folded || echo "... of $* with the clock $clock"
    between $((used / 2)) $((used * 5 / 4 + 120)) "$(ms '.*' own.folded)" "ms in all of $* with the clock $clock"
}

for end in exit _exit; do
    profiled cpu cpu $end
    profiled cpu cpu-threads $end
    profiled wall wall $end
done
runs "$prof" -q -c user -o own.folded -- "$own" user exit

# Signals of its timers that are late: alone it survives them, and so it does here.
for clock in cpu cpu-threads wall; do
    runs "$own" $clock late
    runs "$prof" -q -o own.folded -- "$own" $clock late
    runs "$prof" -q -c wall -o own.folded -- "$own" $clock late
done

for clock in cpu-threads wall; do
    runs "$prof" -q -c wall -o own.folded -- "$own" $clock later
done

# One more copy of the sampler in a library of the program.
runs "$own" wall exit "$programs/prof_own_module.so"
profiled cpu cpu-threads exit "$programs/prof_own_module.so"
profiled wall wall _exit "$programs/prof_own_module.so"
finish
