# SPDX-License-Identifier: MIT
#
# checks.sh: sourced by the tests of aw-prof, which are called with the command and the folder of the programs that they
# profile. A failed check is printed, and the test goes on; `finish` ends it.
set -u
prof=$1 programs=$2
subject=$programs/prof_subject
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$(getconf PATH 2>/dev/null) || PATH=/usr/bin:/bin # folders that may be searched
TMPDIR=$work/tmp
export PATH TMPDIR
mkdir "$TMPDIR"
cd "$work" || exit 1
bad=0

fail() {
    echo "failed: $*"
    bad=1
}

finish() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
    exit $bad
}

# status WANTED COMMAND...: its standard error is in $work/errors.
status() {
    wanted=$1
    shift
    "$@" 2>"$work/errors"
    got=$?
    [ $got -eq "$wanted" ] || {
        fail "$* ended with $got, not $wanted"
        cat "$work/errors"
    }
}

# says PATTERN: the last command that `status` has run printed such a line on standard error.
says() {
    grep -q -e "$1" "$work/errors" || {
        fail "it did not say: $1"
        cat "$work/errors"
    }
}

# runs COMMAND...: what it prints is in `used`.
runs() {
    : >used
    status 0 sh -c '"$@" >used' sh "$@"
}

# await COMMAND...: until it succeeds; at most a minute, and only while $pid runs.
await() {
    turns=0
    until "$@"; do
        kill -0 $pid 2>/dev/null && [ $turns -lt 600 ] || return 1
        sleep 0.1
        turns=$((turns + 1))
    done
}

# ms FUNCTION FILE: what the function and its callees took, from a folded profile; `.*` for all.
ms() {
    awk -v name="$1" '{
        time = $NF
        line = $0
        sub(/ [0-9]+$/, "", line)
        if (line ~ ("(^|;)" name "(;|$)"))
            sum += time
    } END { printf "%d\n", sum / 1000000 }' "$2"
}

# between LOW HIGH VALUE WHAT
between() {
    [ "$3" -ge "$1" ] && [ "$3" -le "$2" ] && return
    fail "$4: $3 is not between $1 and $2"
    return 1
}

# took LOW HIGH FUNCTION FILE: in milliseconds. Only the lower bound is strict.
took() {
    between "$1" "$2" "$(ms "$3" "$4")" "ms of $3 in $4"
}
