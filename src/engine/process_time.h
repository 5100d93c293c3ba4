/* SPDX-License-Identifier: MIT */
/*
 * process_time.h: the processor time of the whole process, and a timer on each of its two clocks, for the
 * interval timers of src/timer/itimer.c. The timers send the engine's own signal to the owner's thread. Never
 * ITIMER_VIRTUAL or ITIMER_PROF, nor SIGVTALRM or SIGPROF: those stay the program's. Owner thread.
 */
#ifndef AWI_PROCESS_TIME_H
#define AWI_PROCESS_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum awi_process_clock {
    AWI_USER_TIME, /* as ITIMER_VIRTUAL counts it */
    AWI_ALL_TIME,  /* user and system time: CLOCK_PROCESS_CPUTIME_ID */
    AWI_PROCESS_CLOCKS
};

/* Makes the clock's timer and hooks it into the handler. Once an engine is enough, more do no harm. */
int awi_process_time_open(enum awi_process_clock clock);

uint64_t awi_process_time_now(enum awi_process_clock clock);

/* The kernel's tick: as far as user time may lie behind or ahead, since that is counted by ticks. */
uint64_t awi_process_time_tick(void);

/*
 * Sees to it that AWI_ITIMER is raised by need_ns, which is not 0, given now_ns; AW_FOREVER: nothing is
 * needed, and the timer is stopped. Negative errno if it cannot be programmed.
 */
int awi_process_time_cover(enum awi_process_clock clock, uint64_t need_ns, uint64_t now_ns);

/* Nothing can be due before that time. */
uint64_t awi_process_time_armed_at(enum awi_process_clock clock);

/* True if one of the timers rang since this was last asked. */
bool awi_process_time_rang(void);

void awi_process_time_close(void);

/* In the child of a fork, which has no timers. */
void awi_process_time_forked(void);

#endif
