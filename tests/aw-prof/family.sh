#!/bin/sh
# SPDX-License-Identifier: MIT
#
# family.sh AW_PROF PROGRAMS: programs that fork, execute others, and start threads.
. "$(dirname "$0")/checks.sh"

# Exec ends the profile, and nothing else.
status 0 "$prof" -o exec.folded -- "$subject" exec 300 "$subject" normal 200
took 80 3000 burn_alpha exec.folded
# ... however often, at however high a rate: the kernel deletes timers and what they have sent.
for clock in wall cpu; do
    status 0 "$prof" -q -F 4000 -c $clock -o exec.folded -- "$programs/prof_again" 300 >output
    [ "$(cat output)" = 'the last' ] || fail "300 programs one after another, $clock: $(cat output)"
done

# The child of a fork is not in the profile of its parent.
status 0 "$prof" -o fork.folded -- "$subject" fork 300
took 240 3000 burn_alpha fork.folded
took 0 0 burn_child fork.folded

# ... nor is that of a fork that calls no handlers, and its threads. A fork may come in a signal handler.
status 0 "$prof" -o raw.folded -- "$programs/prof_forks" raw
took 240 3000 burn_alpha raw.folded
took 0 0 burn_child raw.folded
status 0 "$prof" -q -F 1000 -o handler.folded -- "$programs/prof_forks" in-handler

# With --follow it has its own; and so has each program of a process.
status 0 "$prof" --follow -o fork.folded -- "$subject" fork 300
set -- fork.[0-9]*.folded
[ $# -eq 2 ] || fail "a fork, followed: $*"
cat "$@" >both
took 80 3000 burn_alpha both
took 80 3000 burn_child both
grep -l burn_child "$@" | xargs grep -q burn_alpha && fail 'the child has its parent in its profile'

status 0 "$prof" --follow -o become.folded -- "$subject" exec 300 "$subject" fork 200
set -- become.[0-9]*.folded
[ $# -eq 3 ] || fail "a program that becomes one that forks, followed: $*"
[ "$(ls become.*.2.folded | wc -l)" -eq 1 ] || fail "the second program of a process: $*"

status 0 "$prof" -F 1000 --follow -o shell.folded -- sh -c "'$subject' normal 300; env -i '$subject' normal 300 | cat"
set -- shell.[0-9]*.folded
cat "$@" >both
took 480 6000 burn_alpha both

# Threads: the same work, the same share; with signals blocked, too.
for threads in threads masked-threads c11-threads; do
    status 0 "$prof" -F 1000 -o threads.folded -- "$subject" $threads 500
    took 900 6000 burn_worker threads.folded
    awk -F ';' '/burn_worker/ { time = $NF; sub(/.* /, "", time); sum[$1] += time } END {
        for (thread in sum) {
            threads++
            if (!(sum[thread] > 350000000 && sum[thread] < 1500000000))
                print "failed: a thread of 500 ms: " thread ": " sum[thread] / 1000000
        }
        if (threads != 2)
            print "failed: threads: " threads
    }' threads.folded >shares
    [ ! -s shares ] || fail "$threads: $(cat shares)"
done

# Each by its own name.
status 0 "$prof" -F 1000 -o names.folded -- "$subject" named-threads 0
for name in 'first of two' 'second of two'; do
    grep -q "^$name.*burn_worker" names.folded || fail "a thread is not named $name: $(cut -d ';' -f 1 names.folded)"
done

# Short ones, one after another: of those without a sample the time is there.
status 0 "$prof" -F 1000 -o threads.folded -- "$subject" many-threads 1500
between 1400 9000 "$(ms '.*' threads.folded)" 'ms of many threads'
grep 'not sampled' errors && fail 'many threads'

# A module that is loaded later is named, and may go.
status 0 "$prof" -o module.folded -- "$subject" module 300 "$programs/prof_module.so"
took 240 3000 burn_in_module module.folded

# Processes that outlive aw-prof leave nothing behind, and go on.
cat >survivors <<'END'
for each in 1 2; do
    (
        i=0
        while [ $i -lt 100 ]; do ls / || exit 1; i=$((i + 1)); done
        : >survived.$each
    ) >survivor.$each 2>&1 &
done
sleep 0.1
END
status 0 "$prof" -q --follow -o survivors.folded -- sh survivors
[ -z "$(ls -A "$TMPDIR")" ] || fail "left by survivors, at once: $(ls -A "$TMPDIR")"
i=0
until [ -e survived.1 ] && [ -e survived.2 ]; do
    sleep 0.1
    i=$((i + 1))
    [ $i -lt 1200 ] || {
        fail "survivors do not go on: $(cat survivor.1 survivor.2)"
        break
    }
done
[ -z "$(ls -A "$TMPDIR")" ] || fail "left by survivors: $(ls -A "$TMPDIR")"
finish
