/* SPDX-License-Identifier: MIT */
/*
 * post.c: functions posted to the owner from any thread or signal handler, on a ring (ring.h).
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
#include "engine.h"
#include "pending.h"
#include "ring.h"

static struct awi_ring ring;
static struct awi_posted cells[AWI_RING_CELLS];

void awi_post_reset(void)
{
    awi_ring_reset(&ring);
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
    uint32_t position;
    if (!awi_ring_claim(&ring, &position))
        return -EAGAIN;
    cells[position % AWI_RING_CELLS] = (struct awi_posted){ fn, arg };
    awi_ring_publish(&ring, position);
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
    if (!awi_ring_holds(&ring, ring.taken))
        return false;
    *posted = cells[ring.taken % AWI_RING_CELLS];
    awi_ring_release(&ring);
    ++awi_engine.posts;
    return true;
}
