#!/bin/sh
# SPDX-License-Identifier: MIT
#
# allowed.sh OBJDUMP NM ALLOWED OBJECT...: follows every call and reference from the functions that run in signal context
# (the roots in ALLOWED, allowed.txt) through all objects, and prints each outside symbol that it reaches and that
# ALLOWED does not grant, or that lies in a folder that ALLOWED forbids, with the way to it. A call through a pointer cannot be followed: what stands behind it is a root.
set -eu
objdump=$1 nm=$2 allowed=$3
shift 3

{
    echo '@rules'
    sed 's/#.*//' "$allowed"
    for object; do
        echo "@symbols $object"
        "$nm" -P "$object"
        echo "@code $object"
        "$objdump" -d -r --no-show-raw-insn "$object"
    done
} | awk '
    function number(hex,    i, value) {
        hex = tolower(hex)
        value = 0
        for (i = 1; i <= length(hex); i++) value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
        return value
    }
    # A reference from the current function; sections are resolved at the end.
    function refer(target) {
        if (current != "") references[current] = references[current] " " object "|" target
    }
    # The symbol of another function in a jump or call that needed no relocation.
    function flush() {
        if (pending != "") refer(pending)
        pending = ""
    }
    $1 == "@rules" { mode = "rules"; next }
    $1 == "@symbols" { mode = "symbols"; object = $2; next }
    $1 == "@code" { mode = "code"; object = $2; current = ""; pending = ""; next }

    mode == "rules" {
        for (i = 2; i <= NF; i++)
            if ($1 == "root") root[$i] = 1
            else if ($1 == "allow") granted[$i] = 1
            else if ($1 == "never") never[$i] = 1
            else { print "not understood in the rules: " $0; bad = 1 }
        next
    }
    mode == "symbols" {
        if ($2 != "U" && $2 != "w" && $2 != "v") {
            defined[$1] = 1
            here[object "|" $1] = 1
        }
        next
    }

    /^Disassembly of section / { flush(); section = $4; sub(/:$/, "", section); current = ""; next }
    /^[0-9a-f]+ <.*>:$/ {
        flush()
        name = $2
        gsub(/[<>:]/, "", name)
        current = object "|" name
        function_of[current] = 1
        home[name] = current
        at = object "|" section
        starts[at] = starts[at] " " number($1) ":" name
        next
    }
    / R_[A-Z0-9_]+[ \t]/ {
        pending = ""
        target = $NF
        kind = $2
        if (target ~ /^\./) {
            # A section and an offset, which for a PC-relative one on x86 counts from the end of the field.
            offset = 0
            if (match(target, /[+-]0x[0-9a-f]+$/)) {
                offset = number(substr(target, RSTART + 3))
                if (substr(target, RSTART, 1) == "-") offset = -offset
                target = substr(target, 1, RSTART - 1)
            }
            if (kind ~ /^R_X86_64_(PC|PLT)32$/) offset += 4
            refer(target "@" offset)
        } else {
            sub(/[+-]0x[0-9a-f]+$/, "", target)
            sub(/@.*/, "", target)
            refer(target)
        }
        next
    }
    /<[^>]+>$/ {
        flush()
        target = $NF
        gsub(/[<>]/, "", target)
        sub(/\+0x[0-9a-f]+$/, "", target)
        if (object "|" target != current) pending = target
        next
    }
    /^ *[0-9a-f]+:/ { flush() }

    function resolve(key,    part, object, target, where, list, n, i, pair, found, offset) {
        split(key, part, "|")
        object = part[1]; target = part[2]
        if (index(target, "@")) {
            split(target, where, "@")
            offset = where[2] + 0
            n = split(starts[object "|" where[1]], list, " ")
            found = ""
            for (i = 1; i <= n; i++) {
                split(list[i], pair, ":")
                if (pair[1] + 0 <= offset) found = pair[2]
            }
            return found == "" ? "" : object "|" found # else data
        }
        if (object "|" target in function_of) return object "|" target
        if (object "|" target in here) return ""
        if (target in home) return home[target]
        if (target in defined) return ""
        return "outside|" target
    }
    END {
        for (name in root) {
            if (!(name in home)) { print name ": a root, but there is no such function"; bad = 1; continue }
            queue[++last] = home[name]
            way[home[name]] = name
        }
        if (!last) { print "no roots"; bad = 1 }
        for (i = 1; i <= last; i++) {
            n = split(references[queue[i]], list, " ")
            for (j = 1; j <= n; j++) {
                next_one = resolve(list[j])
                if (next_one == "" || next_one in way) continue
                name = next_one
                sub(/.*\|/, "", name)
                way[next_one] = way[queue[i]] " > " name
                if (next_one ~ /^outside\|/) {
                    if (name in granted) continue
                    print "signal context reaches " name ": " way[next_one]
                    bad = 1
                    continue
                }
                for (part in never)
                    if (index(next_one, "/" part "/")) {
                        print "signal context reaches into " part ": " way[next_one]
                        bad = 1
                    }
                queue[++last] = next_one
            }
        }
        exit bad
    }'
