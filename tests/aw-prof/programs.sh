#!/bin/sh
# SPDX-License-Identifier: MIT
#
# programs.sh AW_PROF PROGRAMS: programs as they are found on systems: output and status are theirs, and there is a
# profile of each.
. "$(dirname "$0")/checks.sh"

seq 1 300000 | awk '{ print ($1 * 7919) % 300007 }' >numbers
LC_ALL=C sort -n numbers >sorted
status 0 env LC_ALL=C "$prof" -o sort.folded -- sort -n numbers >output
cmp -s sorted output || fail 'sort: the output differs'
between 1 600000 "$(ms '.*' sort.folded)" 'ms of sort'

status 0 "$prof" -o env.folded -- env -i >output
[ ! -s output ] || fail "env -i has an environment: $(cat output)"
[ -f env.folded ] || fail 'env -i: no profile'

# What env becomes is meant.
status 0 "$prof" -o becomes.folded -- env -i A=1 "$subject" normal 300
took 240 3000 burn_alpha becomes.folded
status 127 "$prof" -o none.folded -- env no-such-program-here

echo "#!$(command -v env) sh
i=0
while [ \$i -lt 150000 ]; do i=\$((i + 1)); done
echo \"\$0 \$*\"" >script
chmod +x script
status 0 "$prof" -o script.folded -- ./script one two >output
[ "$(cat output)" = './script one two' ] || fail "a script that env runs: $(cat output)"
between 5 600000 "$(ms '.*' script.folded)" 'ms of a script that env runs'
grep -q '\[env\]' script.folded && fail "it is not the shell's profile: $(head -n 1 script.folded)"

sed '1s/.*/#!\/bin\/sh/' script >shell-script
chmod +x shell-script
status 0 "$prof" -o script.folded -- ./shell-script x >output
between 5 600000 "$(ms '.*' script.folded)" 'ms of a shell script'

sed 1d script >plain
chmod +x plain
mkdir 'a b'
cp plain 'a b/plain script'
status 0 "$prof" -o script.folded -- 'a b/plain script' 'x  y' >output
[ "$(cat output)" = 'a b/plain script x  y' ] || fail "a script without a first line: $(cat output)"
between 5 600000 "$(ms '.*' script.folded)" 'ms of a script without a first line'

# What a wrapper starts, or becomes, is not in its profile: that is said, and of no other program.
for wrapper in "sh -c '\"\$0\" normal 500; :'" 'nice -n 1' 'sh -c "exec \"\$0\" normal 500"'; do
    eval status 0 '"$prof"' -o wrapper.folded -- "$wrapper" '"$subject"' normal 500
    says 'of CPU time are in this profile: .*see --follow'
    took 0 200 '.*' wrapper.folded
done
status 0 "$prof" -o plain.folded -- "$subject" normal 500
grep 'in this profile' "$work/errors" && fail 'a plain program is taken for a wrapper'

# Along PATH, standard input and arguments untouched.
status 0 env PATH="$programs:$PATH" "$prof" -o path.folded -- prof_subject normal 300
took 240 3000 burn_alpha path.folded
echo hello | "$prof" -q -o cat.folded -- cat >output
[ "$(cat output)" = hello ] || fail 'standard input'

python=
for candidate in /usr/bin/python3 "$(command -v python3)"; do
    if [ -x "$candidate" ] && [ "$(head -c 4 "$candidate" | tail -c 3)" = ELF ]; then
        python=$candidate
        break
    fi
done
if [ -n "$python" ]; then
    status 0 "$prof" -o python.folded -- "$python" -c 'print(sum(i * i for i in range(3000000)))' >output
    [ "$(cat output)" = 8999995500000500000 ] || fail "python: $(cat output)"
    between 5 600000 "$(ms '.*' python.folded)" 'ms of python'
fi
finish
