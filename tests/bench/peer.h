/* SPDX-License-Identifier: MIT */
/*
 * peer.h: what a timer implementation looks like to the benchmark: the peers, each in a module of its own,
 * the floor, and alarmwheel itself. Each of them compiles the same loops (peer_loops.h) around its own calls,
 * so all run the same operations and no function pointer stands inside a measured loop.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The random streams, the same for everybody: which timer an operation is about, and how far ahead its new
 * deadline lies.
 */
struct bench_setup {
    uint32_t timers;
    const uint32_t *picks; /* indices of timers; used round and round; a power of two of them */
    uint32_t picks_count;
    const uint64_t *delays_ns;
    uint32_t delays_count;
    bool real_clock; /* CLOCK_MONOTONIC; otherwise a clock that moves only when a loop moves it */
    bool refresh;    /* all timers have the one delay of `refresh_ns`, and a refresh sets it anew */
    uint64_t refresh_ns;
    bool armed;        /* the timers are armed when open returns */
    uint32_t per_step; /* the clock moves and the due timers run every so many operations; 0: never */
    uint64_t step_ns;  /* by so much */
};

/*
 * Each loop performs `count` operations and returns the timers that expired meanwhile. A loop that an
 * implementation does not have is NULL. `open` returns 0 or a sentence that says why not.
 */
struct peer {
    const char *name;
    const char *(*version)(void);
    size_t handle_bytes; /* what the program keeps per timer to name it; 0 where that is the timer itself */
    const char *(*open)(const struct bench_setup *setup);
    void (*close)(void);
    uint64_t (*rearm)(uint32_t count);         /* a timer to another deadline */
    uint64_t (*refresh)(uint32_t count);       /* a timer to the same delay from now */
    uint64_t (*cancel_burst)(uint32_t count);  /* arms `count` timers and cancels them all */
    uint64_t (*insert_expire)(uint32_t steps); /* arms all timers, then moves the clock until all have run */
};

/* The symbol that a module exports. */
#define BENCH_PEER_SYMBOL "bench_peer"

#endif
