#!/bin/sh
# SPDX-License-Identifier: MIT
#
# refused.sh AW_PROF PROGRAMS [STATIC-PROGRAM]: programs that cannot be profiled are not run; and what is no program.
. "$(dirname "$0")/checks.sh"
static=${3:-}

status 127 "$prof" no-such-program-here
says 'no-such-program-here: not found'
status 127 "$prof" ./not/there
echo hello >data
status 126 "$prof" ./data
says 'data: Permission denied'
status 126 "$prof" /
printf '#!/not/there -x\n' >script
chmod +x script
status 127 "$prof" ./script
says 'its interpreter /not/there: not found'
printf '#!./loop\n' >loop
chmod +x loop
status 126 "$prof" ./loop

cp "$subject" privileged
for mode in u+s g+s; do
    chmod 755 privileged
    chmod $mode privileged
    status 125 "$prof" ./privileged exit 1
    says 'privileged: static or setuid: not profiled'
done
printf '#!%s/privileged\n' "$work" >script
status 125 "$prof" ./script
says 'script: run by .*privileged: static or setuid: not profiled'

if [ -n "$static" ]; then
    status 125 "$prof" "$static" exit 1
    says 'static or setuid: not profiled'
    printf '#!%s %s\n' "$(command -v env)" "$static" >script
    status 125 "$prof" ./script
    # What only turns out when it runs: its status is passed on.
    status 3 "$prof" -o static.folded -- env "$static" exit 1
    says 'env executed is static'
fi

# Another class of ELF, and another machine: the first bytes are judged.
cp "$subject" other
chmod 755 other
printf '\001' | dd of=other bs=1 seek=4 conv=notrunc 2>dd
status 125 "$prof" ./other exit 1
says 'other: made for another machine'
cp "$subject" other
printf '\377' | dd of=other bs=1 seek=18 conv=notrunc 2>dd
status 125 "$prof" ./other exit 1
# Cut short.
head -c 100 "$subject" >other
status 125 "$prof" ./other exit 1

[ -z "$(ls aw-prof.* 2>/dev/null)" ] || fail "there is output: $(ls aw-prof.*)"
finish
