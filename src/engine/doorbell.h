/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h: a signal from ourselves to the owner's thread, told from all others by its value. Two uses:
 * the alarm, or the timer of a guard on user time, reached another thread and is passed on; and something was
 * posted while the owner slept.
 * AS-Safe, MT-Safe.
 */
#ifndef AWI_DOORBELL_H
#define AWI_DOORBELL_H

#include <signal.h>
#include <stdbool.h>

enum awi_bell {
    AWI_BELL_NONE,
    AWI_BELL_POST,
    AWI_BELL_ALARM,
    AWI_BELL_BURN
};

void awi_doorbell_ring(int signo, enum awi_bell bell);

enum awi_bell awi_doorbell_of(const siginfo_t *info);

#endif
