#!/bin/sh
# SPDX-License-Identifier: MIT
#
# idle_selftest.sh: idle.sh passes the trace of a program that is idle, and catches each of several that are not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0

# trace LINES...: what comes after the mark; the sleep lasts until 105.2, and the window begins at 100.1.
trace() {
    printf '%s\n' '7 99.9 epoll_wait(4, [], 1, 20) = 0' '7 100.1 write(1, "  451 ms  idle\n", 15) = 15' "$@" \
        '7 105.2 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---' '7 105.3 epoll_wait(4, [], 1, 3) = 0' >trace
}

passes() {
    sh "$here/idle.sh" --judge trace 5 >output || { echo "idle.sh does not pass $1:"; cat trace output; bad=1; }
}

# catches WHAT PATTERN
catches() {
    if sh "$here/idle.sh" --judge trace 5 >output; then
        echo "idle.sh does not catch $1"
        bad=1
    elif ! grep -q "$2" output; then
        echo "idle.sh says the wrong thing about $1 (expected: $2):"
        cat output
        bad=1
    fi
}

trace '7 100.2 epoll_wait(4, 0x7ff, 1, -1) = -1 EINTR (Interrupted system call)'
passes 'one sleep'
trace '7 100.2 epoll_pwait(4, 0x7ff, 1, -1, NULL, 8) = -1 EINTR (Interrupted system call)'
passes 'one sleep in epoll_pwait'
trace '7 100.2 poll([{fd=3, events=POLLIN}], 1, -1) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)'
passes 'one sleep in poll'
trace '7 100.2 ppoll([{fd=3, events=POLLIN}], 1, NULL, NULL, 8) = ? ERESTARTNOHAND (To be restarted)'
passes 'one sleep in ppoll'

trace '7 100.2 epoll_wait(4, 0x7ff, 1, 1000) = -1 EINTR (Interrupted system call)'
catches 'a sleep with a time-out' 'not idle'
trace '7 100.2 epoll_wait(4, [], 1, -1) = 1 ([{fd=5}])' '7 100.3 epoll_wait(4, 0x7ff, 1, -1) = -1 EINTR'
catches 'a second sleep' 'not idle'
trace '7 100.2 epoll_wait(4, 0x7ff, 1, -1 <unfinished ...>' '8 103.0 futex(0x55, FUTEX_WAKE, 1) = 1'
catches 'another thread' 'not idle'
trace '7 100.2 epoll_wait(4, 0x7ff, 1, -1) = -1 EINTR' '7 101.0 --- SIGUSR1 {si_signo=SIGUSR1} ---'
catches 'another signal' 'not idle'
trace '7 100.2 epoll_wait(4, 0x7ff, 1, -1) = -1 EINTR' \
    '7 100.3 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---'
catches 'an alarm for nothing' 'idle for 0.2 s only'
trace
catches 'a program that does not sleep' 'never slept'
echo '7 100.2 epoll_wait(4, 0x7ff, 1, -1) = -1 EINTR' >trace
catches 'a program that never says that it is idle' 'never said'
exit $bad
