#!/bin/sh
# SPDX-License-Identifier: MIT
#
# often.sh AW_PROF PROGRAMS: 300 short programs at 4,000 Hz of the wall's clock: none dies of our signal.
. "$(dirname "$0")/checks.sh"
i=0
while [ $i -lt 300 ]; do
    "$prof" -q -F 4000 -c wall -o out.folded -- true || fail "run $i: $?"
    i=$((i + 1))
done
finish
