/* SPDX-License-Identifier: MIT */
/*
 * expiry.c: the guards' part of the handler: which guards have expired, when to come again, and whom to
 * interrupt. Marking is also done by the program when it has read the clock; a handler that comes in
 * between marks the same guards, and each is counted by whoever set its bit.
 */
#include "expiry.h"

#include "escape.h"
#include "hard.h"

#include "../engine/burn.h"
#include "../engine/clock.h"
#include "../engine/context.h"
#include "../engine/disposition.h"
#include "../engine/engine.h"
#include "../engine/pending.h"
#include "../engine/report.h"

/*
 * Those that the running callback hides are looked at now and then: should it leave by longjmp nobody else
 * finds them.
 */
static uint64_t next_nag(uint64_t now_ns)
{
    uint64_t guards = awi_nagging_guards();
    if (guards != 0) {
        unsigned last = 63u - (unsigned)__builtin_clzll(guards);
        return awi_nag(now_ns, AWI_LOAD(awi.guards[last].noticed_ns));
    }
    uint64_t hidden = AWI_LOAD(awi.expired) & ~AWI_LOAD(awi.told) & ~awi_visible_guards();
    return hidden != 0 ? now_ns + AW_MS(10) : AW_FOREVER;
}

/* Those on processor time, by their own clocks. */
static uint64_t burnt(uint64_t now_ns)
{
    uint64_t due = awi_burn_expire();
    for (uint64_t rest = due; rest != 0; rest &= rest - 1)
        AWI_STORE(awi.guards[__builtin_ctzll(rest)].noticed_ns, now_ns);
    return due;
}

uint64_t awi_guard_expire(uint64_t now_ns)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint64_t expired = AWI_LOAD(awi.expired);
    uint64_t due = 0;
    uint64_t next = awi_hard_next();

    for (uint32_t i = 0; i < depth; ++i) {
        uint64_t deadline = awi.guards[i].deadline_ns;
        if ((expired >> i & 1) != 0)
            continue;
        if (deadline <= now_ns) {
            AWI_STORE(awi.guards[i].noticed_ns, now_ns);
            AWI_STORE(awi.guards[i].lateness_ns, now_ns - deadline);
            due |= UINT64_C(1) << i;
        } else if (deadline < next) {
            next = deadline;
        }
    }
    if (AWI_UNLIKELY((AWI_LOAD(awi.burning) & ~expired) != 0))
        due |= burnt(now_ns);
    if (due != 0) {
        uint64_t before = __atomic_fetch_or(&awi.expired, due, __ATOMIC_RELAXED);
        awi_count(&awi.guards_expired, (unsigned)__builtin_popcountll(due & ~before));
        awi_raise(AWI_GUARD);
    }
    uint64_t nag = next_nag(now_ns);
    next = nag < next ? nag : next;
    uint64_t report = awi_report_next(awi_nagging_guards());
    return report < next ? report : next;
}

void awi_guard_deliver(void *context, const void *trampoline)
{
    awi_hard_strike(awi_context_stack(context));
    uint64_t nagged = awi_nagging_guards();
    bool is_call = AWI_LOAD(awi.call_is_plain) != 0 && awi_call_is_due(awi_clock_now());
    awi_report_hidden(nagged, context);
    if (nagged != 0)
        awi_escape_from_handler(context, trampoline, nagged);
    if (nagged == 0 && !is_call)
        return;
    if (awi_interrupt_can_step && awi_engine.interrupt == AW_INTERRUPT_STEP)
        awi_interrupt_step(context);
    else
        awi_disposition_drop_restart();
}
