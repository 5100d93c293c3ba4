/* SPDX-License-Identifier: MIT */
/*
 * witness.h: a bare timer beside the profiler's, on the same thread's CPU clock and with the same period.
 * The kernel looks at both in the same ticks: what the witness counts is what there was to sample, however
 * few of the ticks find a thread at work where other programs want the processors, too.
 */
#ifndef ACCURACY_WITNESS_H
#define ACCURACY_WITNESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define WITNESS_PLACES 4

struct witness {
    volatile sig_atomic_t place; /* what the thread does, a number below WITNESS_PLACES: it says it itself */
    volatile sig_atomic_t counts[WITNESS_PLACES];
    timer_t timer;
};

/* Watches this thread from now on; false, with the reason said, if that fails. */
bool witness_start(struct witness *witness, unsigned hz);
void witness_stop(struct witness *witness);

/* As many samples were taken in what `name` is as the witness has seen there; prints it. */
bool witness_confirms(const struct witness *witness, unsigned place, const char *name, uint64_t samples);

#endif
