/* SPDX-License-Identifier: MIT */
/*
 * profile_peer.h: what a sampling profiler looks like to the benchmark. Each is a module of its own, loaded
 * by the program that is profiled (profiled.c), a process for each experiment: what one leaves behind does
 * not meet the next.
 */
#ifndef BENCH_PROFILE_PEER_H
#define BENCH_PROFILE_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct profile_peer {
    /* The clock and the rate of everything that follows in this process, before the first start. */
    void (*choose)(bool is_wall, unsigned hz);
    bool (*start)(void);
    void (*stop)(void);
    /* Those counted since the start, while it runs. */
    uint64_t (*samples)(void);
    /* The signal that it takes, with this clock. */
    int signo;
    int signo_wall;
    /* A label, pushed and popped `count` times; NULL: it has none. */
    void (*push_pop)(uint32_t count);
};

/* The symbol that a module exports. */
#define PROFILE_PEER_SYMBOL "profile_peer"

/*
 * gperftools reads these as it is loaded, before it can be told anything: set by profiled.c for all peers.
 */
#define PROFILE_HZ_VARIABLE "CPUPROFILE_FREQUENCY"
#define PROFILE_WALL_VARIABLE "CPUPROFILE_REALTIME"

#endif
