/* SPDX-License-Identifier: MIT */
/*
 * post.c: functions posted to the owner from any thread or signal handler. A bounded ring with a sequence
 * number in every cell (D. Vyukov's bounded MPMC queue, with one consumer): a poster that is interrupted
 * between its claim and its publication delays what comes after it, and blocks nobody.
 *
 * No wake-up is lost, by store and load on both sides (Dekker):
 *
 *   poster                           owner, in a wait (wait.c)
 *   publish the cell                 block signals
 *   raise AWI_POST                   sleeping = 1
 *   fence                            fence
 *   sleeping ? ring the doorbell     AWI_POST ? do not sleep
 *                                    ppoll, which lets signals through
 *
 * Either the owner sees the flag, or the poster sees `sleeping` and rings; a doorbell that rings before
 * ppoll stays pending and ends it at once. A poster that is a handler on the owner's own thread needs no
 * doorbell: inside ppoll its very signal ends the sleep. Not so a guarded system call, which would be
 * restarted: there it rings, too. (Such a call sets `sleeping`, and has the stub look whether a handler ran;
 * the doorbell is one.)
 */
#include "post.h"
#include "../busy.h"

#include <errno.h>

#include "disposition.h"
#include "doorbell.h"
#include "pending.h"

#define CELLS 1024u

struct cell {
    uint32_t sequence; /* position: free for that claim; position + 1: holds that claim's function */
    struct awi_posted posted;
};

static struct cell cells[CELLS];
static uint32_t claims; /* posters */
static uint32_t taken;  /* the owner */

void awi_post_reset(void)
{
    for (uint32_t i = 0; i < CELLS; ++i)
        cells[i].sequence = i;
    claims = taken = 0;
}

void awi_wake_owner(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool is_elsewhere = !awi_owner || AWI_LOAD(awi.call.frame) != NULL;
    if (is_elsewhere && __atomic_load_n(&awi.sleeping, __ATOMIC_SEQ_CST) != 0 &&
        __atomic_exchange_n(&awi.sleeping, 0, __ATOMIC_SEQ_CST) != 0)
        awi_doorbell_ring(awi_disposition_signo(), AWI_BELL_POST);
}

bool awi_post_begin(void)
{
    if (!awi_owner)
        __atomic_fetch_add(&awi.in_flight, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&awi.state, __ATOMIC_SEQ_CST) == AWI_RUNNING)
        return true;
    awi_post_end();
    return false;
}

void awi_post_end(void)
{
    if (!awi_owner)
        __atomic_fetch_sub(&awi.in_flight, 1, __ATOMIC_SEQ_CST);
}

static int post(aw_post_fn *fn, void *arg)
{
    uint32_t position = __atomic_load_n(&claims, __ATOMIC_RELAXED);
    struct cell *cell;
    for (;;) {
        cell = &cells[position % CELLS];
        int32_t ahead = (int32_t)(__atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE) - position);
        if (ahead < 0)
            return -EAGAIN;
        if (ahead > 0)
            position = __atomic_load_n(&claims, __ATOMIC_RELAXED);
        else if (__atomic_compare_exchange_n(&claims, &position, position + 1, true, __ATOMIC_RELAXED,
                                             __ATOMIC_RELAXED))
            break;
    }
    cell->posted.fn = fn;
    cell->posted.arg = arg;
    __atomic_store_n(&cell->sequence, position + 1, __ATOMIC_RELEASE);
    awi_raise(AWI_POST);
    awi_wake_owner();
    return 0;
}

int aw_post(aw_post_fn *fn, void *arg)
{
    AWI_BUSY_IN_HANDLER;
    if (!awi_post_begin())
        return -ENODEV;
    int result = fn != NULL ? post(fn, arg) : -EINVAL;
    awi_post_end();
    return result;
}

bool awi_post_take(struct awi_posted *posted)
{
    struct cell *cell = &cells[taken % CELLS];
    if (__atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE) != taken + 1)
        return false;
    *posted = cell->posted;
    __atomic_store_n(&cell->sequence, taken + CELLS, __ATOMIC_RELEASE);
    ++taken;
    return true;
}
