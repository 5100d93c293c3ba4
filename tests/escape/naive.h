/* SPDX-License-Identifier: MIT */
/*
 * naive.h: the escapes that this library is not: siglongjmp straight out of the handler. Kept beside the
 * real ones so that the loops are seen to detect what they tear.
 */
#ifndef AWI_ESCAPE_NAIVE_H
#define AWI_ESCAPE_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

enum naive {
    NAIVE_NOT,     /* alarmwheel's */
    NAIVE_ALWAYS,  /* wherever the signal lands */
    NAIVE_AT_TEXT, /* where the interrupted instruction is the program's own, whoever called it */
};

void naive_begin(enum naive kind);

/* Runs turn() over and over until timeout_ns have passed, and lands here. */
void naive_escape(uint64_t timeout_ns, void (*turn)(void));

/* How late the bare signal of setitimer is: runs turn() until its handler has read the clock. */
uint64_t naive_signal_lateness_ns(uint64_t timeout_ns, void (*turn)(void));

uint64_t naive_clock_ns(void);

#endif
