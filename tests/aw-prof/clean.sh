#!/bin/sh
# SPDX-License-Identifier: MIT
#
# clean.sh AW_PROF PROGRAMS: what a program sees of itself is what it sees without aw-prof.
. "$(dirname "$0")/checks.sh"

# same WHAT COMMAND...: the output is alike.
same() {
    what=$1
    shift
    "$@" >alone 2>&1
    "$prof" -q -o out.folded -- "$@" >profiled 2>&1
    cmp -s alone profiled || fail "$what: $(diff alone profiled)"
}

same 'the environment' env
same 'the environment of a child' sh -c 'env | sort'
same "the environment as the program's third argument" "$programs/prof_environment"
same 'descriptors' ls /proc/self/fd
same 'descriptors that are closed' sh -c 'exec ls /proc/self/fd <&-'
"$prof" -o out.folded -- ls /proc/self/fd >profiled <&- 2>&-
ls /proc/self/fd >alone <&- 2>&-
cmp -s alone profiled || fail "descriptors that are closed: $(diff alone profiled)"
grep -q 'aw-prof' out.folded && fail 'a message in the profile'
same 'signals ignored and blocked' grep -E '^Sig(Ign|Blk)' /proc/self/status
same 'limits' sh -c 'ulimit -a'
# AddressSanitizer wants to be first; where aw-prof is built with it, this lets it run.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
export LD_PRELOAD="$programs/prof_module.so"
same "the user's own LD_PRELOAD" env
same "the user's own LD_PRELOAD, as the third argument" "$programs/prof_environment"
"$prof" -q -o out.folded -- grep -c prof_module.so /proc/self/maps >output || fail "the user's library is not loaded"
unset LD_PRELOAD
trap '' INT QUIT HUP PIPE
same 'signals that are ignored' grep -E '^SigIgn' /proc/self/status
trap - INT QUIT HUP PIPE

DEBUGINFOD_URLS=https://localhost:1 same 'DEBUGINFOD_URLS' sh -c 'echo $DEBUGINFOD_URLS'

# A child of the program is not profiled, and no library is in it.
"$prof" -q -o out.folded -- sh -c 'grep -c aw-prof-preload /proc/self/maps; :' >output
[ "$(cat output)" = 0 ] || fail "the library is in a child: $(cat output)"

# Folders with characters that LD_PRELOAD would take apart.
mkdir 'a:b c$d'
cp "$prof" "$(dirname "$prof")/aw-prof-preload.so" 'a:b c$d/'
TMPDIR="$work/a:b c\$d" "$prof" -q -o odd.folded -- "$subject" normal 300
took 240 3000 burn_alpha odd.folded
status 125 "./a:b c\$d/$(basename "$prof")" -q -o odd.folded -- "$subject" normal 100

# No temporary directory.
TMPDIR=/no/such/folder "$prof" -q -o t.folded -- "$subject" normal 20 || fail 'TMPDIR that is not there'
finish
