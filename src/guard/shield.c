/* SPDX-License-Identifier: MIT */
/*
 * shield.c: where no escape may come. The handler finds the count raised, and puts an escape off; lowering it
 * makes good what was put off:
 *
 *   shields - 1      a handler from here on escapes, or nags, by itself
 *   look             one before has only marked the guard
 *
 * A nag before it was raised may have dropped SA_RESTART. To be unshielded is not to be told: who ignores
 * what aw_unshield returns is interrupted by his guard.
 */
#include <alarmwheel/guard.h>

#include <errno.h>

#include "../engine/disposition.h"
#include "../engine/guards.h"
#include "../engine/pending.h"

void aw_shield(void)
{
    if (awi_check() < 0)
        return;
    AWI_STORE(awi.shields, AWI_LOAD(awi.shields) + 1);
    awi_order();
    awi_disposition_settle();
}

AWI_OUTLINE int aw_unshield(void)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (AWI_LOAD(awi.shields) == 0)
        return -EINVAL;
    awi_order();
    awi_guards_lower_shields(AWI_LOAD(awi.shields) - 1);
    if (AWI_LIKELY(awi_expired_guards() == 0))
        return 0;
    awi.escape(AWI_HERE);
    return -ETIMEDOUT;
}
