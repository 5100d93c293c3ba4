#!/bin/sh
# SPDX-License-Identifier: MIT
#
# selftest.sh: run.sh passes a program that does what is expected, and catches each of several that do not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0

printf '%s\n' 'one' '* [0-9.]+' '  two [a-z]+' '*more' >expected

# program LINES...: prints them.
program() {
    printf '#!/bin/sh\n' >program
    printf 'echo "%s"\n' "$@" >>program
    chmod +x program
}

passes() {
    sh "$here/run.sh" ./program expected >output 2>&1 || { echo "run.sh does not pass $1:"; cat output; bad=1; }
}

# catches WHAT PATTERN
catches() {
    if sh "$here/run.sh" ./program expected >output 2>&1; then
        echo "run.sh does not catch $1"
        bad=1
    elif ! grep -q "$2" output; then
        echo "run.sh says the wrong thing about $1 (expected: $2):"
        cat output
        bad=1
    fi
}

program one '  two x'
passes 'a program without the optional lines'
program one ' 1.5' ' 2' '  two xyz' more more
passes 'a program with all of them'
program one '  two'
catches 'a line that is cut short' 'line 2 is not'
program one '  two xyz' more less
catches 'a line too many' 'line 4 is not expected'
program one
catches 'a missing line' 'missing'
program one '  two x'
echo 'exit 3' >>program
catches 'a program that fails' 'ended with 3'
program one '  two x'
echo 'kill -SEGV $$' >>program
catches 'a program that crashes' 'ended with 139'
program one '  two x'
echo 'echo oops >&2' >>program
catches 'a program that complains' 'wrote to stderr'
exit $bad
