/* SPDX-License-Identifier: MIT */
/*
 * scope.c: the steps of AW_GUARD. The macro is a loop that asks before each round: first the body, then, if
 * the guard expired or could not be entered, the block of AW_EXPIRED, then out. However the loop is left,
 * the clean-up leaves the guard.
 */
#include <alarmwheel/guard.h>

#include <errno.h>

enum {
    START,
    BODY = AWI_GUARD_BODY,
    EXPIRED,
    DONE
};

static int begin(struct awi_guard_scope *scope)
{
    int result = aw_guard_enter(scope->guard, scope->timeout_ns, scope->flags);
    scope->phase = result == 0 ? BODY : EXPIRED;
    scope->once = 1;
    if (result == 0) {
        scope->guard->awi_file = scope->file;
        scope->guard->awi_line = scope->line;
    }
    return 1;
}

int awi_guard_scope_next(struct awi_guard_scope *scope)
{
    if (scope->phase == START)
        return begin(scope);
    bool expired = scope->phase == BODY && aw_guard_leave(scope->guard) == -ETIMEDOUT;
    scope->phase = expired ? EXPIRED : DONE;
    return expired;
}

void awi_guard_scope_end(struct awi_guard_scope *scope)
{
    if (scope->phase == BODY)
        aw_guard_leave(scope->guard);
}
