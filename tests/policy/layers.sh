#!/bin/sh
# SPDX-License-Identifier: MIT
#
# layers.sh NM RULES OBJECT...: each object file uses only what its layer may. RULES (layers.txt) gives every
# object a layer, and some outside functions an only user; objects that stand alone use each other only. Prints each
# use that breaks a rule.
set -eu
nm=$1 rules=$2
shift 2

for object; do
    # .../src/engine/clock.c.o -> engine/clock
    name=$(printf '%s\n' "$object" | sed -e 's:.*/src/::' -e 's:\.[cS]\.o$::' -e 's:\.o$::')
    echo "$name"
    "$nm" -P -g "$object" 2>&1 | awk -v name="$name" 'NF > 1 && !/no symbols$/ { print name, $1, $2 }'
done | awk '
    FNR == NR {
        sub(/#.*/, "")
        if ($1 == "layer") {
            for (i = 3; i <= NF; i++) { layer[$i] = $2; }
        } else if ($1 == "apart") {
            for (i = 2; i <= NF; i++) apart[$i] = 1
        } else if ($1 == "alone") {
            for (i = 3; i <= NF; i++) alone[$i] = $2
        } else if ($1 == "only") {
            for (i = 3; i <= NF; i++) only[$i] = only[$i] " " $2 " "
        } else if (NF) {
            print "not understood in the rules: " $0; bad = 1
        }
        next
    }
    {
        objects[$1] = 1
        if (NF == 1) next # an object that has no symbols on this machine
        if ($3 == "U" || $3 == "w" || $3 == "v") uses[$1 " " $2] = 1
        else home[$2] = $1
    }
    function folder(object) { sub(/\/.*/, "", object); return object }
    END {
        for (object in objects) {
            count++
            if (!(object in layer)) { print object ": has no layer in the rules"; bad = 1 }
        }
        if (!count) { print "no objects"; bad = 1 }
        for (object in layer)
            if (!(object in objects)) { print object ": in the rules, but there is no such object"; bad = 1 }
        for (use in uses) {
            split(use, part, " ")
            user = part[1]; symbol = part[2]
            if (symbol in only && !index(only[symbol], " " user " ")) {
                print user " uses " symbol ", which is for" only[symbol] "only"; bad = 1
            }
            if (!(symbol in home)) continue
            owner = home[symbol]
            if (user in alone && alone[owner] != alone[user]) {
                print user " uses " symbol " of " owner ": " alone[user] " stands alone"; bad = 1
            }
            if (layer[owner] > layer[user]) {
                print user " (layer " layer[user] ") uses " symbol " of " owner " (layer " layer[owner] ")"; bad = 1
            } else if (folder(owner) != folder(user) && folder(owner) in apart && folder(user) in apart) {
                print user " uses " symbol " of " owner ": " folder(user) " and " folder(owner) " are independent"; bad = 1
            }
        }
        exit bad
    }' "$rules" -
