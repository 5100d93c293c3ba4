/* SPDX-License-Identifier: MIT */
/*
 * simulated.h: the module in which a second copy of alarmwheel runs on a simulated clock and a simulated
 * interval timer, so that an hour takes a moment, and every setitimer call and every signal can be counted.
 */
#ifndef BENCH_SIMULATED_H
#define BENCH_SIMULATED_H

#include <stdbool.h>
#include <stdint.h>

/* What happened from aw_init to just before aw_shutdown. */
struct simulated_counts {
    uint64_t calls;   /* setitimer */
    uint64_t signals; /* SIGALRM delivered */
    uint64_t expired; /* callbacks */
    uint64_t elapsed_ns;
};

/* False: something failed or an expiry was lost or early. */
struct simulated {
    /* One timer of `delay_ns`, refreshed so many times at that pace: by aw_timer_again or by aw_timer_arm. */
    bool (*refresh)(uint32_t refreshes, uint64_t interval_ns, uint64_t delay_ns, bool again,
                    struct simulated_counts *counts);
    /* One periodic timer, for so many expiries. */
    bool (*periodic)(uint64_t period_ns, uint32_t expiries, struct simulated_counts *counts);
    /* So many timers at random moments of the minute after an hour; counted until a second before the hour.
     */
    bool (*idle)(uint32_t timers, struct simulated_counts *counts);
};

#define SIMULATED_SYMBOL "bench_simulated_module"

#endif
