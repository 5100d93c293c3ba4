/* SPDX-License-Identifier: MIT */
/*
 * expiry.h: how guards hook into the handler: the two functions behind awi.expire and awi.deliver. Signal
 * context.
 */
#ifndef AWI_EXPIRY_H
#define AWI_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/* Marks the guards that are due; returns when the next one is, or the next nag. */
uint64_t awi_guard_expire(uint64_t now_ns);

/*
 * If an expired guard that nobody was told of bounds the interrupted code: interrupts the system call that
 * it stands at.
 */
void awi_guard_deliver(void *context);

/*
 * interrupt.c: true if the context stands at an interruptible plain system call, which now returns -EINTR.
 */
bool awi_interrupt_step(void *context);

/* False on machines whose signal contexts interrupt.c does not know. */
extern const bool awi_interrupt_can_step __attribute__((visibility("hidden")));

#endif
