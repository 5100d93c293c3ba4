/* SPDX-License-Identifier: MIT */
/*
 * record.h: what has come of watched signals and was not called back yet: a count and the last siginfo of
 * each signal, and a queue for the real-time ones. Handlers on any thread write, the owner reads.
 */
#ifndef AWI_RECORD_H
#define AWI_RECORD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* A set of signals. */
#define AWI_SIGNALS 64
static inline uint64_t awi_signal_bit(int signo)
{
    return UINT64_C(1) << (signo - 1);
}

/* Something that came: `count` times, of which this is the last. */
struct awi_arrival {
    int signo;
    uint64_t count;
    siginfo_t info;
};

/* Forgets everything. No handler may be active. */
void awi_record_reset(void);

/* Counts from 0 again: nobody writes of it yet. The owner. */
void awi_record_begin(int signo);

/* AS-Safe, MT-Safe. */
void awi_record_write(int signo, const siginfo_t *info);

/* The next of these signals; false: none. The owner. */
bool awi_record_take(uint64_t signals, struct awi_arrival *arrival);

/* Those of which something is there. The owner. */
uint64_t awi_record_waiting(void);

/* How often one has come so far, and how often of that it found the queue full. */
uint64_t awi_record_received(int signo);
uint64_t awi_record_merged(int signo);

#endif
