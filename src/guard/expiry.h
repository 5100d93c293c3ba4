/* SPDX-License-Identifier: MIT */
/*
 * expiry.h: how guards hook into the handler: the two functions behind awi.expire and awi.deliver. Signal
 * context.
 */
#ifndef AWI_EXPIRY_H
#define AWI_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "../engine/pending.h"

/* Marks the guards that are due; returns when the next one is, or the next nag. */
uint64_t awi_guard_expire(uint64_t now_ns);

/* cancel.c: sends a guarded call that has not begun to its cancel exit. */
void awi_guard_cancel(void *context);

/*
 * If an expired guard that nobody was told of bounds the interrupted code: escapes to an escaping one, or
 * interrupts the plain system call that the code stands at. Also a guarded call that is made by a plain one.
 */
void awi_guard_deliver(void *context, const void *trampoline);

/* guard.c: 0 on the owner thread, and guards and guarded calls are hooked into the handler. */
int awi_guard_ready(void);

/* guard.c: enters a guard of any kind. `landing`: with AW_GUARD_ESCAPE, else NULL. */
int awi_guard_enter(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags,
                    const struct awi_landing *landing);

/*
 * interrupt.c: true if the context stands at an interruptible plain system call, which now returns -EINTR.
 */
bool awi_interrupt_step(void *context);

/*
 * interrupt.c: true if the context stands at such a call, or behind any system call that was interrupted:
 * nothing was granted that could be lost.
 */
bool awi_interrupt_is_at_call(const void *context);

/* False on machines whose signal contexts interrupt.c does not know. */
extern const bool awi_interrupt_can_step __attribute__((visibility("hidden")));

#endif
