/* SPDX-License-Identifier: MIT */
/*
 * guard_call.c: a function inside a guard. It is compiled with -fexceptions, so that the guard is left, too,
 * where an exception of C++ passes through.
 */
#include <alarmwheel/guard.h>

#include <errno.h>
#include <stddef.h>

#include "../engine/frame.h"
#include "../engine/report.h"
#include "escape.h"
#include "expiry.h"

static void leave_thrown(struct aw_guard *const volatile *entered)
{
    if (*entered != NULL)
        (void)aw_guard_leave(*entered);
}

/* The guard while it is entered: changed between sigsetjmp and a jump. */
#define ENTERED(name) struct aw_guard *volatile name __attribute__((cleanup(leave_thrown)))

/* The jump lands here, out of fn's text. */
AWI_OUTLINE static int call_escaping(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags,
                                     int (*fn)(void *arg), void *arg)
{
    ENTERED(entered) = NULL;
    if (sigsetjmp(guard->awi_env, 0) == 0) {
        const struct awi_landing landing = { AWI_HERE, __builtin_return_address(0), (const void *)fn };
        int result = awi_guard_enter(guard, timeout_ns, flags, &landing);
        if (result < 0)
            return result;
        entered = guard;
        int returned = fn(arg);
        entered = NULL;
        result = aw_guard_leave(guard);
        return result < 0 ? result : returned;
    }
    entered = NULL;
    return awi_escape_landed(guard);
}

int aw_guard_call(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags, int (*fn)(void *arg),
                  void *arg)
{
    if (guard == NULL || fn == NULL)
        return -EINVAL;
    awi_report_entering(guard, AWI_CALLER);
    if ((flags & AW_GUARD_ESCAPE) != 0)
        return call_escaping(guard, timeout_ns, flags, fn, arg);
    int result = aw_guard_enter(guard, timeout_ns, flags);
    if (result < 0)
        return result;
    ENTERED(entered) = guard;
    int returned = fn(arg);
    entered = NULL;
    result = aw_guard_leave(guard);
    return result < 0 ? result : returned;
}
