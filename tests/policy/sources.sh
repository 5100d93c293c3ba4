#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sources.sh ROOT: each source file begins with its SPDX line, no line of C or C++ is longer than 110 columns, none
# ends in blanks, no file of the library is longer than 500 lines, and there is no unfinished business. Prints what is
# not so.
set -u
root=$1
cd "$root" || exit 1
bad=0

files=$(find CMakeLists.txt cmake examples include src tests .ci \
    -type f \( -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cmake' -o -name '*.in' -o -name '*.map' -o -name '*.sh' \
    -o -name CMakeLists.txt -o -name run \) 2>/dev/null)
[ -n "$files" ] || { echo "no files under $root"; exit 1; }

for file in $files; do
    case $file in
    *.pc.in) continue ;; # pkg-config has no use for comments at the top
    esac
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || { echo "$file: no SPDX line"; bad=1; }
    awk -v file="$file" '
        /[ \t\r]$/ { print file ":" FNR ": blanks at the end"; bad = 1 }
        /\t/ { print file ":" FNR ": a tab"; bad = 1 }
        length($0) > 110 && file ~ /\.([ch]|[ch]pp)$/ { print file ":" FNR ": " length($0) " columns"; bad = 1 }
        # The words are put together here so that this file passes.
        $0 ~ "(^|[^A-Za-z_.])(TO" "DO|FIX" "ME|XX" "X)($|[^A-Za-z_])" { print file ":" FNR ": " $0; bad = 1 }
        END { exit bad }' "$file" || bad=1
done

for file in $(find src include -type f -name '*.[ch]' 2>/dev/null); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 500 ] || { echo "$file: $lines lines; what second idea does it hold?"; bad=1; }
done
exit $bad
