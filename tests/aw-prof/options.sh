#!/bin/sh
# SPDX-License-Identifier: MIT
#
# options.sh AW_PROF PROGRAMS: the command line: formats, files, durations, reports, and what makes no sense.
. "$(dirname "$0")/checks.sh"

status 0 "$prof" --help >output
grep -q '^usage: aw-prof' output || fail 'help'
status 0 "$prof" --version >output
grep -Eq '^aw-prof [0-9]+\.[0-9]+\.[0-9]+$' output || fail 'version'

for wrong in '-F 0' '-F 10001' '-F x' '-F 1x' '-F -1' '-c gpu' '-d 0' '-d nan' '-d -1' '-d 1x' '-f png' '-z' '--follow -o -'; do
    status 125 "$prof" $wrong -- "$subject" exit 1
done
status 125 "$prof"
status 125 "$prof" -o '' -- "$subject" exit 1
status 125 "$prof" report
status 125 "$prof" report a b
status 125 "$prof" report -F 10 a
status 125 "$prof" report --frequency 10 a

# Where nothing can be written nothing is run.
status 125 "$prof" -o no/such/folder/x.svg -- sh -c 'echo ran >ran'
says 'no/such/folder/x.svg: No such file'
status 125 "$prof" --follow -o no/such/folder/x.svg -- sh -c 'echo ran >ran'
status 125 "$prof" -f folded -o - -- sh -c 'echo ran >ran' >&-
says 'standard output: Bad file descriptor'
[ ! -e ran ] || fail 'it ran'
if [ -w /dev/full ]; then
    status 125 "$prof" -o /dev/full -- "$subject" normal 10
    says '/dev/full: No space left'
    status 3 "$prof" -o /dev/full -- "$subject" exit 10
fi
# ... nor where there is no room for a file of samples: it runs, and is not profiled.
status 125 sh -c 'ulimit -f 1000; exec "$@"' sh "$prof" -o limit.folded -- "$subject" normal 10
says 'not profiled: no room for the samples'
[ ! -e limit.folded ] || fail 'a profile of nothing'

# The format is that of -f, or of the suffix.
first() {
    head -c "$2" "$1" | od -An -tx1 | tr -d ' \n'
}
status 0 "$prof" -- "$subject" normal 50
[ "$(first aw-prof.pb.gz 2)" = 1f8b ] || fail 'the default is pprof'
status 0 "$prof" -o a.svg -- "$subject" normal 50
grep -q '<svg' a.svg || fail 'svg'
status 0 "$prof" -o a.speedscope.json -- "$subject" normal 50
grep -q '"\$schema"' a.speedscope.json || fail 'speedscope'
status 0 "$prof" -f text -o a.svg -- "$subject" normal 300
grep -q 'burn_alpha' a.svg || fail 'text in a file that was there'
grep -q '<svg' a.svg && fail 'what was there is still there'
status 0 "$prof" -f folded "$subject" normal 300
took 240 3000 burn_alpha aw-prof.folded
status 0 "$prof" -f folded -o - -- "$subject" normal 300 >output
took 240 3000 burn_alpha output
says 'samples, .* of CPU time in 1 thread'
status 0 "$prof" -q -o q.folded -- "$subject" normal 50
[ ! -s errors ] || fail "quiet: $(cat errors)"

# shown FILE PATTERN COMMAND...: the line comes in the file, where the command writes it, while the program runs that it
# profiles. That one then ends, as it has to.
shown() {
    file=$1 pattern=$2
    shift 2
    rm -f told
    : >output
    : >errors
    "$@" -- "$subject" until 10 told >output 2>errors &
    pid=$!
    await grep -Eq -e "$pattern" -e 'not profiled' $file
    grep -Eq -e "$pattern" $file || fail "while the program runs, within a minute: no $pattern: $(cat $file)"
    : >told
    wait $pid
    got=$?
    [ $got -eq 5 ] || fail "the program has not gone on to its end: $got: $(cat errors)"
}

# Progress is shown on a terminal, and leaves nothing behind.
shown output 'aw-prof: [0-9.]+ s, [0-9]+ samples' "$programs/prof_terminal" "$prof" -c wall -o progress.folded
tr '\r' '\n' <output >lines
grep -Eq 'aw-prof: [0-9]+ samples, .*progress.folded' lines || fail "no result: $(cat lines)"
status 0 "$programs/prof_terminal" "$prof" -q -o progress.folded -- "$subject" normal 600 >output
[ ! -s output ] || fail "progress, quietly: $(cat output)"

# Without its library it runs nothing; nor with names that are too long.
mkdir alone
cp "$prof" alone/
status 125 alone/"$(basename "$prof")" -- sh -c 'echo ran >ran'
says 'aw-prof-preload.so is not where it belongs'
long=$(printf '%0300d' 0)
status 125 "$prof" -o $long -- sh -c 'echo ran >ran'
says 'File name too long'
[ ! -e ran ] || fail 'it ran'
status 125 "$prof" --follow -o $long.folded -- "$subject" normal 50

# A report names what the profile names, in any format.
status 0 "$prof" -o r.pb.gz -- "$subject" normal 300
status 0 "$prof" report r.pb.gz >output
grep -q 'burn_alpha' output || fail 'the report'
status 0 "$prof" report -o r.folded r.pb.gz
took 240 3000 burn_alpha r.folded
status 1 "$prof" report - <&-
says 'standard input: Bad file descriptor'
status 1 "$prof" report r.pb.gz >&-
says 'standard output: Bad file descriptor'
status 0 "$prof" report -f svg - <r.pb.gz >output
grep -q '<svg' output || fail 'a report from standard input'
status 1 "$prof" report a.svg
says 'a.svg: not a profile'
status 1 "$prof" report not-there
status 1 "$prof" report -o no/such/folder/x r.pb.gz
says 'no/such/folder/x: No such file'
for format in pprof folded speedscope svg text; do
    status 0 "$prof" report -f $format -o again.$format r.pb.gz
    [ -s again.$format ] || fail "a report: $format"
done
status 0 "$prof" report again.pprof >output
grep -q 'burn_alpha' output || fail 'the report of a report'
status 0 "$prof" -o s.folded -- sh -c 'exit 0'

# Capped: said, and the total is true.
status 0 "$prof" -F 10000 -o cap.folded -- "$subject" normal 300
says 'asked 10000 Hz, this kernel delivers at most [0-9]* (CPU timers run at its tick)'
took 240 3000 burn_alpha cap.folded

# -d: the profile is there while the program goes on. It may be that no tick finds the program in a short time.
: >d.folded
for seconds in 0.5 2 8 30; do
    shown errors 'd\.folded$' "$prof" -F 1000 -d $seconds -o d.folded
    ! grep -q burn_alpha d.folded || break
done
took 1 600000 burn_alpha d.folded
# It begins with the samples: a program that is slow to load has been profiled all the same.
status 0 "$prof" -c wall -d 0.001 -o short.folded -- "$subject" normal 10
[ -e short.folded ] || fail 'a short duration: no profile'
finish
