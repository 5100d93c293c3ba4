/* SPDX-License-Identifier: MIT */
/*
 * scope.c: the steps of AW_GUARD. The macro is a loop that asks before each round: first the body, then, if
 * the guard expired or could not be entered, the block of AW_EXPIRED, then out. However the loop is left,
 * the clean-up leaves the guard.
 */
#include <alarmwheel/guard.h>

#include <errno.h>

#include "../engine/frame.h"
#include "../engine/report.h"
#include "escape.h"
#include "expiry.h"
#include "state.h"

/* The round that follows SET has to be begun by awi_guard_scope_next, as every other. */
enum {
    START,
    BODY = AWI_GUARD_BODY,
    SET = AWI_GUARD_SET,
    EXPIRED,
    BODY_NEXT,
    EXPIRED_NEXT,
    DONE
};

static void entered(struct awi_guard_scope *scope, int result)
{
    scope->once = 1;
    if (result == 0 && scope->guard != NULL) {
        scope->guard->awi_file = scope->file;
        scope->guard->awi_line = scope->line;
        scope->guard->awi_state |= AWI_PLACED;
    }
}

static unsigned begin(struct awi_guard_scope *scope)
{
    if ((scope->flags & AW_GUARD_ESCAPE) != 0 && scope->guard != NULL)
        return SET;
    awi_report_entering_scope(scope);
    int result = aw_guard_enter(scope->guard, scope->timeout_ns, scope->flags);
    entered(scope, result);
    return result == 0 ? BODY : EXPIRED;
}

int awi_guard_scope_next(struct awi_guard_scope *scope)
{
    switch (scope->phase) {
    case START:
        scope->phase = begin(scope);
        break;
    case BODY:
        scope->phase = aw_guard_leave(scope->guard) == -ETIMEDOUT ? EXPIRED : DONE;
        break;
    case BODY_NEXT:
        scope->phase = BODY;
        break;
    case EXPIRED_NEXT:
        scope->phase = EXPIRED;
        break;
    default:
        scope->phase = DONE;
    }
    return scope->phase != DONE;
}

/* The return address lies in the object that holds the guard: what an escape may leave. */
AWI_OUTLINE void awi_guard_scope_set(struct awi_guard_scope *scope, const void *frame, const void *caller)
{
    awi_report_entering_scope(scope);
    int result = awi_guard_enter(
        scope->guard, scope->timeout_ns, scope->flags,
        &(struct awi_landing){ .frame = frame, .caller = caller, .code = __builtin_return_address(0) });
    entered(scope, result);
    scope->phase = result == 0 ? BODY_NEXT : EXPIRED_NEXT;
}

void awi_guard_scope_landed(struct awi_guard_scope *scope)
{
    scope->phase = EXPIRED_NEXT;
    (void)awi_escape_landed(scope->guard);
}

void awi_guard_scope_end(struct awi_guard_scope *scope)
{
    if (scope->phase == BODY)
        aw_guard_leave(scope->guard);
}
