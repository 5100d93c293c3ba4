#!/bin/sh
# SPDX-License-Identifier: MIT
#
# smoke.sh AW-BENCH: every bench runs, and says what it has to say in the right form. No figure is judged: a
# machine that is busy must not fail this.
set -eu

bench=$1
lines=$("$bench" --json --runs 1 --n 100,1000)

number='-?[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?'
form='^\{"bench":"[a-z0-9_.]+","impl":"[a-z-]+","n":[0-9]+,"unit":"(ns|bytes|count|ratio|percent)","median":'$number
form=$form',"min":'$number',"max":'$number',"runs":[0-9]+\}$'
if printf '%s\n' "$lines" | grep -Ev "$form"; then
    echo "smoke.sh: the lines above are not in the form of a result" >&2
    exit 1
fi

# Where the profiler was not built, nothing is said of it.
"$bench" --list | while read -r name about; do
    case $name in profile.*) [ -e "$(dirname "$bench")/aw-bench-profile.so" ] || continue ;; esac
    if ! printf '%s\n' "$lines" | grep -q "^{\"bench\":\"$name[^\"]*\",\"impl\":\"alarmwheel\""; then
        echo "smoke.sh: no result of alarmwheel for $name" >&2
        exit 1
    fi
done

# What was printed can be read back, selected, tabulated and drawn; nonsense is refused.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "$lines" >"$folder/results.json"
"$bench" --from "$folder/results.json" --filter wheel.rearm --plot "$folder/plot.svg" | grep -q alarmwheel
"$bench" --from "$folder/results.json" --markdown | grep -q '^| alarmwheel |'
grep -q '</svg>' "$folder/plot.svg"
for wrong in '--runs 0' '--n 0' '--n 1,x' '--filter' '--filter nothing.of.the.kind' '--nonsense'; do
    # shellcheck disable=SC2086 # option and value are two words
    if "$bench" $wrong >/dev/null 2>&1; then
        echo "smoke.sh: aw-bench $wrong was not refused" >&2
        exit 1
    fi
done
printf '%s\n' "$lines" | wc -l | xargs echo "smoke.sh: results:"
