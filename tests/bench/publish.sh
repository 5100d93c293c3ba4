#!/bin/sh
# SPDX-License-Identifier: MIT
#
# publish.sh AW-BENCH [RESULTS.json]: writes docs/performance.json and .svg and the measured part of
# docs/performance.md, from a measurement made now or from results that were made on this machine.
set -eu

bench=$1
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
results=$docs/performance.json
if [ $# -gt 1 ]; then
    cp "$2" "$results"
else
    "$bench" --json --runs 9 >"$results.new"
    mv "$results.new" "$results"
fi
"$bench" --from "$results" --plot "$docs/performance.svg" >/dev/null

measured=$(mktemp)
trap 'rm -f "$measured"' EXIT
{
    "$bench" --markdown --runs 1 --filter safepoint 2>/dev/null |
        sed -e '/^$/,$d' -e 's/; medians of up to 1 runs; .*/./'
    "$bench" --markdown --from "$results"
    printf '\n**The bars**\n\n```\n'
    { "$bench" --bars --from "$results" || true; } | sed -e '1,/^The bars$/d'
    printf '```\n'
} >"$measured"
awk -v measured="$measured" '
    /^<!-- measured: end -->$/ { skip = 0 }
    !skip { print }
    /^<!-- measured: begin -->$/ {
        skip = 1
        print ""
        while ((getline line < measured) > 0)
            print line
        print ""
    }' "$docs/performance.md" >"$docs/performance.md.new"
mv "$docs/performance.md.new" "$docs/performance.md"
