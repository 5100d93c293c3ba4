#!/bin/sh
# SPDX-License-Identifier: MIT
#
# selftest.sh CC CXX NM OBJDUMP SCRIPT: the policy script SCRIPT passes a small tree that is right, and catches each of
# several that are wrong. A check that cannot fail is worth nothing.
set -eu
cc=$1 cxx=$2 nm=$3 objdump=$4 script=$5
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bad=0

passes() {
    what=$1
    shift
    if ! "$@" >output 2>&1; then
        echo "$script does not pass $what:"
        cat output
        bad=1
    fi
}

# catches WHAT PATTERN COMMAND...: the command fails, and says why.
catches() {
    what=$1 pattern=$2
    shift 2
    if "$@" >output 2>&1; then
        echo "$script does not catch $what"
        bad=1
    elif ! grep -q "$pattern" output; then
        echo "$script says the wrong thing about $what (expected: $pattern):"
        cat output
        bad=1
    fi
}

# header NAME: a header, from standard input, alone in include/.
header() {
    rm -rf include
    mkdir -p include/alarmwheel
    cat >"include/alarmwheel/$1"
}

# object PATH: an object file, from C on standard input.
object() {
    mkdir -p "$(dirname "$1")"
    "$cc" -std=c11 -fno-stack-protector -U_FORTIFY_SOURCE -O1 -fPIC -x c -c -o "$1" -
}

good_header() {
    cat <<'END'
/* SPDX-License-Identifier: MIT */
#ifndef GOOD_H
#define GOOD_H
#include <stdint.h>
#define AW_API __attribute__((visibility("default")))
#ifdef __cplusplus
extern "C" {
#endif
extern AW_API volatile uint32_t awi_flag;
AW_API const char *aw_name(uint64_t a, int (*fn)(void *aw_no(int)));
#ifdef __cplusplus
}
#endif
#endif
END
}

case $script in
headers.sh)
    run() { "$here/headers.sh" "$cc" "$cxx" include; }
    sed_header() { good_header | sed "$1" | header x.h; }
    good_header | header x.h
    passes 'a good header' run
    sed_header '/stdint/d'
    catches 'a header that needs another one first' 'not clean in C11' run
    sed_header '/_H$/d; 1,/^#define AW_API/s/^#define AW_API.*/&\nenum aw_x { AW_X };/; $d'
    catches 'a header that cannot be included twice' 'x.h: not clean' run
    sed_header '/cplusplus/,/endif/d'
    catches 'no extern "C"' 'no extern' run
    sed_header 's/uint64_t a/uint64_t __a/'
    catches 'a reserved identifier' 'reserved identifiers' run
    sed_header 's/GOOD_H/_GOOD_H/'
    catches 'a reserved include guard' 'reserved identifiers' run
    sed_header 's/(uint64_t a.*/();/'
    catches 'a function without a prototype' 'not clean in C11' run
    sed_header 's/uint64_t a/uint64_t class/'
    catches 'a C++ keyword' 'not clean in c++11' run
    sed_header 's/stdint.h/signal.h/; s/uint32_t/int/; s/uint64_t/sigset_t/'
    catches 'a header that needs POSIX' 'not clean in C11' run
    hpp='#ifndef X_HPP
#define X_HPP
namespace x { class guard { guard(const guard &) = delete; }; }
#endif'
    printf '%s\n' "$hpp" | header x.hpp
    passes 'a good C++ header' run
    printf '%s\n' "$hpp" | sed 's/= delete//; s/class guard {/& static constexpr auto n = []{ return 1; }();/' | header x.hpp
    catches 'a C++ header that needs more than C++11' 'x.hpp: not clean in c++11' run
    printf '%s\n' "$hpp" | sed '/_HPP$/d; $d' | header x.hpp
    catches 'a C++ header that cannot be included twice' 'x.hpp: not clean' run
    printf '%s\n' "$hpp" | sed 's/X_HPP/_X_HPP/' | header x.hpp
    catches 'a reserved include guard of a C++ header' 'reserved identifiers' run
    ;;
symbols.sh)
    printf 'ALARMWHEEL_0.1 {\n    global:\n        aw_name;\n        awi_flag;\n    local:\n        *;\n};\n' >good.map
    code='#include <alarmwheel/x.h>
        volatile uint32_t awi_flag; void awi_inner(void);
        void awi_inner(void) {} const char *aw_name(uint64_t a, int (*fn)(void *aw_no(int)))
        { (void)a; (void)fn; return 0; }'
    # library NAME CODE [MAP]
    library() {
        rm -f "lib$1.a"
        printf '%s\n' "$2" | "$cc" -std=c11 -fPIC -fvisibility=hidden -Iinclude -x c -c -o "$1.o" -
        "$cc" -shared -o "lib$1.so" "$1.o" ${3:+"-Wl,--version-script=$3"}
        ar rc "lib$1.a" "$1.o"
    }
    run() { "$here/symbols.sh" "$cc" "$nm" include "$1" "lib$2.so" "lib$2.a" x.h; }
    good_header | header x.h
    library good "$code" good.map
    passes 'a good library' run good.map good
    echo 'AW_API int aw_of_another_library(void);' >include/alarmwheel/y.h
    passes 'a header of another library beside it' run good.map good
    sed -i 's/^#include <stdint.h>/&\n#define AW_API __attribute__((visibility("default")))\n#include <alarmwheel\/y.h>/' \
        include/alarmwheel/x.h
    passes 'a header of another library that it includes' run good.map good
    good_header | header x.h
    sed '/awi_flag/d' good.map >less.map
    catches 'a map that lacks a name' 'headers (<) and map' run less.map good
    sed 's/aw_name;/&\n        aw_other;/' good.map >more.map
    catches 'a map with a name too many' 'headers (<) and map' run more.map good
    library less "$code" less.map
    catches 'a name that is not exported' 'headers (<) and shared' run good.map less
    library more "$code __attribute__((visibility(\"default\"))) int awi_leak; "
    catches 'an exported internal name' 'headers (<) and shared' run good.map more
    library plain "$code int helper(void); int helper(void) { return 1; }" good.map
    catches 'an unprefixed name in the static library' 'without the prefix' run good.map plain
    library undeclared "$code int aw_extra;" good.map
    catches 'a public name that no header declares' 'no public header declares' run good.map undeclared
    ;;
layers.sh)
    printf '%s\n' 'layer 0 wheel/slab' 'layer 1 engine/clock' 'layer 4 timer/timer guard/guard' 'apart timer guard' \
        'only engine/clock clock_gettime' 'alone wheel wheel/slab' 'alone guards guard/guard' >rules
    tree() {
        rm -rf o
        object o/src/wheel/slab.c.o <<'END'
int awi_slab(void); int awi_slab(void) { return 1; }
END
        object o/src/engine/clock.c.o <<'END'
int awi_slab(void); int clock_gettime(int, void *);
int awi_clock(void); int awi_clock(void) { return clock_gettime(1, 0) + awi_slab(); }
END
        object o/src/timer/timer.c.o <<'END'
int awi_clock(void); int aw_timer(void); int aw_timer(void) { return awi_clock(); }
END
        object o/src/guard/guard.c.o <<'END'
int aw_guard(void); int aw_guard(void) { return 0; }
END
    }
    run() { find o -name '*.o' -exec "$here/layers.sh" "$nm" rules {} +; }
    tree
    passes 'a good tree' run
    tree
    object o/src/wheel/slab.c.o <<'END'
int awi_clock(void); int awi_slab(void); int awi_slab(void) { return awi_clock(); }
END
    catches 'a call from a layer into one below it' 'wheel/slab (layer 0) uses awi_clock of engine/clock' run
    tree
    object o/src/wheel/slab.c.o <<'END'
extern int aw_guard(void); int awi_slab(void); int (*awi_pointer)(void) = aw_guard; int awi_slab(void) { return 1; }
END
    catches 'an address taken from a layer below' 'uses aw_guard' run
    tree
    object o/src/guard/guard.c.o <<'END'
int aw_timer(void); int aw_guard(void); int aw_guard(void) { return aw_timer(); }
END
    catches 'a guard that uses a timer' 'are independent' run
    tree
    object o/src/guard/guard.c.o <<'END'
int awi_slab(void); int aw_guard(void); int aw_guard(void) { return awi_slab(); }
END
    catches 'an object that does not stand alone' 'guard/guard uses awi_slab of wheel/slab: guards stands alone' run
    tree
    object o/src/timer/timer.c.o <<'END'
int clock_gettime(int, void *); int aw_timer(void); int aw_timer(void) { return clock_gettime(1, 0); }
END
    catches 'a second reader of the clock' 'timer/timer uses clock_gettime' run
    tree
    object o/src/timer/extra.c.o <<'END'
int aw_extra(void); int aw_extra(void) { return 0; }
END
    catches 'an object without a layer' 'timer/extra: has no layer' run
    tree
    rm o/src/guard/guard.c.o
    catches 'a rule without an object' 'guard/guard: in the rules' run
    ;;
allowed.sh)
    printf '%s\n' 'root awi_handle' 'allow write __errno_location _GLOBAL_OFFSET_TABLE_' 'never src/wheel' >allowed
    tree() {
        rm -rf o
        object o/src/engine/handler.c.o <<'END'
int awi_clock(void); int *__errno_location(void); extern int awi_data;
static int count[2]; static __attribute__((noinline)) int inner(int x) { return awi_clock() + count[x]; }
int awi_handle(int x); int awi_handle(int x) { return inner(x) + awi_data + *__errno_location(); }
END
        object o/src/engine/clock.c.o <<'END'
long write(int, const void *, unsigned long); void *malloc(unsigned long); int awi_data = 1;
int awi_clock(void); int awi_clock(void) { return (int)write(1, "", 1); }
void *awi_other(void); void *awi_other(void) { return malloc(1); }
END
        object o/src/wheel/slab.c.o <<'END'
int awi_slab(void); int awi_slab(void) { return 1; }
END
    }
    run() { find o -name '*.o' -exec "$here/allowed.sh" "$objdump" "$nm" allowed {} +; }
    tree
    passes 'a good handler, beside a function that allocates' run
    tree
    object o/src/engine/clock.c.o <<'END'
int system(const char *); int awi_data;
static __attribute__((noinline)) int deep(int x) { return system(x ? "a" : "b"); }
int awi_clock(void); int awi_clock(void) { return deep(awi_data) + 1; }
END
    catches 'a call of libc two calls away' 'reaches system: awi_handle.* > awi_clock.* > system' run
    tree
    object o/src/engine/clock.c.o <<'END'
int system(const char *); int awi_data;
__attribute__((noinline, cold)) static int cold(int x) { return system(x ? "a" : "b"); }
int awi_clock(void); int awi_clock(void) { if (__builtin_expect(awi_data, 0)) return cold(1) + 1; return 0; }
END
    catches 'a call in the cold section' 'reaches system' run
    tree
    object o/src/engine/clock.c.o <<'END'
int puts(const char *); int awi_data; typedef int fn(const char *);
fn *awi_clock(void); fn *awi_clock(void) { return puts; }
END
    catches 'the address of a function' 'reaches puts' run
    tree
    object o/src/engine/clock.c.o <<'END'
int awi_data; int awi_slab(void); int awi_clock(void); int awi_clock(void) { return awi_slab(); }
END
    catches 'a handler that reaches into the wheel' 'reaches into src/wheel' run
    tree
    object o/src/engine/clock.c.o <<'END'
int awi_data; extern _Thread_local int awi_outside; int awi_clock(void); int awi_clock(void) { return awi_outside; }
END
    catches 'thread-local storage that is made on demand' '__tls_get_addr\|awi_outside' run
    rm o/src/engine/handler.c.o
    catches 'a handler that is not there' 'no such function' run
    ;;
sources.sh)
    tree() {
        rm -rf t
        mkdir -p t/src t/include t/tests t/cmake t/examples t/.ci
        printf '# SPDX-License-Identifier: MIT\n' >t/CMakeLists.txt
        printf '/* SPDX-License-Identifier: MIT */\nint x;\n' >t/src/a.c
    }
    run() { "$here/sources.sh" t; }
    tree
    passes 'a good tree' run
    tree
    echo 'int y;' >t/src/b.c
    catches 'a file without its SPDX line' 't\?src/b.c: no SPDX line' run
    tree
    yes 'int f(void);' | head -n 500 >>t/src/a.c
    catches 'a file that is too long' '502 lines' run
    tree
    printf '/* %0120d */\n' 0 >>t/src/a.c
    catches 'a long line' 'columns' run
    tree
    printf 'int z; \n' >>t/src/a.c
    catches 'blanks at the end' 'blanks' run
    tree
    printf '/* TO%s: more */\n' DO >>t/src/a.c
    catches 'unfinished business' 'a.c:3: ' run
    ;;
manpages.sh)
    run() { "$here/manpages.sh" "$cc" include man; }
    good_header | header x.h
    mkdir man
    echo 'aw_name says its name' >man/aw_name.3
    passes 'a page for the only function' run
    echo 'nothing to see' >man/aw_name.3
    catches 'a page that does not name its function' 'does not name' run
    echo '.so man3/alarmwheel.3' >man/aw_name.3
    catches 'a link to nowhere' 'is not there' run
    echo 'it also has aw_name' >man/alarmwheel.3
    passes 'a link' run
    echo 'aw_gone' >man/aw_gone.3
    catches 'a page about nothing' 'no public function' run
    rm man/aw_gone.3 man/aw_name.3
    catches 'a function without a page' 'has no manual page' run
    ;;
readme.sh)
    tree() {
        rm -rf t
        mkdir -p t/examples
        printf '/* x */\n#include <a.h>\nint main(void)\n{\n}\n' >t/examples/quickstart.c
        for preset in demo test; do
            echo "    apt-get update && apt-get install x && cmake --workflow --preset $preset"
        done >t/README.md
        { echo '```c' && sed 1d t/examples/quickstart.c && echo '```' && echo '[x](examples)'; } >>t/README.md
    }
    run() { "$here/readme.sh" t; }
    tree
    passes 'a good README' run
    echo '/* more */' >>t/examples/quickstart.c
    catches 'a quickstart that has moved on' 'is not examples/quickstart.c' run
    tree
    sed 's/preset test/preset tests/' t/README.md >u && mv u t/README.md
    catches 'a missing command line' '0 lines that install and run the preset test' run
    tree
    echo '[y](docs/gone.md)' >>t/README.md
    catches 'a dead link' 'docs/gone.md, which is not there' run
    ;;
*)
    echo "no self-test for $script"
    bad=1
    ;;
esac
exit $bad
