/* SPDX-License-Identifier: MIT */
/*
 * walk_libgcc.c: walks by _Unwind_Backtrace, which takes no lock where this profiler is supported, and sees
 * through signal frames. The frames of the handler come first, and are passed over up to the interrupted
 * instruction; where the walk does not get there, that instruction alone is the stack.
 */
#include <stddef.h>
#include <unwind.h>

#include "../../engine/context.h"
#include "frame_rule.h"
#include "walk.h"

struct walk {
    uintptr_t interrupted;
    uint64_t *pcs;
    unsigned max;
    unsigned depth;
    bool is_truncated;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    int was_interrupted = 0;
    uintptr_t pc = (uintptr_t)_Unwind_GetIPInfo(context, &was_interrupted);
    if (walk->depth == 0 && !(was_interrupted && pc == walk->interrupted))
        return _URC_NO_REASON;
    if (pc == 0)
        return _URC_END_OF_STACK;
    if (walk->depth == walk->max) {
        walk->is_truncated = true;
        return _URC_END_OF_STACK;
    }
    /* Nothing has called what a signal handler returns to: its address is exact. */
    struct awi_frame_rule rule = awi_frame_rule_find(pc - 1);
    bool is_exact = was_interrupted != 0 || rule.kind == AWI_RULE_SIGNAL;
    walk->pcs[walk->depth++] = is_exact ? pc : pc - 1;
    return _URC_NO_REASON;
}

unsigned awi_unwind_by_libgcc(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated)
{
    struct walk walk = { .interrupted = awi_context_pc(context), .pcs = pcs, .max = max };
    _Unwind_Backtrace(visit, &walk);
    *is_truncated = walk.is_truncated;
    if (walk.depth == 0)
        walk.pcs[walk.depth++] = walk.interrupted;
    return walk.depth;
}
