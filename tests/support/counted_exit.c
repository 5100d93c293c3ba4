/* SPDX-License-Identifier: MIT */
/*
 * counted_exit.c: where lines are counted, what a child has covered counts, too: _exit writes it down as exit
 * does. Not the end by a hard limit: that is in a handler, with SIGKILL close behind, and a file half written
 * is worse than none.
 */
#include <alarmwheel/guard.h>

extern void __gcov_dump(void);
extern _Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
    if (status != AW_HARD_LIMIT_STATUS)
        __gcov_dump();
    __real__exit(status);
}
