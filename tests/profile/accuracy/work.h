/* SPDX-License-Identifier: MIT */
/*
 * work.h: clocks, and work that is measured by them; a crew of threads that work and rest together.
 */
#ifndef ACCURACY_WORK_H
#define ACCURACY_WORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

uint64_t work_cpu_ns(void); /* of this thread */
uint64_t work_wall_ns(void);
uint64_t work_tick_ns(void); /* the kernel's tick */
uint64_t work_random(uint64_t *seed);

/* Uses so much processor time of this thread's. */
void work_burn(uint64_t ns);
void work_sleep(uint64_t ns);

#define CREW_MAX 8

struct crew {
    unsigned size;
    bool registers; /* its threads tell the profiler of themselves */
    pthread_barrier_t begin, end;
    uint64_t burn_ns; /* of each thread; 0: go home */
    struct crew_member {
        struct crew *crew;
        pthread_t thread;
        int32_t tid;
        uint64_t used_ns; /* in all crew_work */
    } members[CREW_MAX];
};

/* Threads that rest. False: there are none to be had. */
bool crew_start(struct crew *crew, unsigned size, bool registers);
/* Each thread burns so much; when it returns all rest again. */
void crew_work(struct crew *crew, uint64_t burn_ns);
/* The same in two halves, for what is done meanwhile. */
void crew_begin(struct crew *crew, uint64_t burn_ns);
void crew_end(struct crew *crew);
void crew_stop(struct crew *crew);

#endif
