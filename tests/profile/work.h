/* SPDX-License-Identifier: MIT */
/*
 * work.h: what the tests of the running profiler have sampled: work that uses a known amount of processor
 * time, threads that do it until they are told to stop, and what the profile says of it. A failure fails
 * the test.
 */
#ifndef AWI_TEST_WORK_H
#define AWI_TEST_WORK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/profile.h>

#include "profile/model.h"

/* The calling thread's own processor time, and work that uses some. */
uint64_t cpu_ns(void);
void burn_ms(unsigned ms);

/* Options with the defaults but for these. */
struct aw_profile_options options_of(enum aw_profile_clock clock, unsigned hz);
void start_profile(enum aw_profile_clock clock, unsigned hz);

struct aw_profile_stats profile_stats(void);
/* Takes a snapshot that must be there. */
struct aw_profile *take(void);
void expect_no_profile(void);

/* Of a profile: the time and count of a thread's samples, of any kind, and of one kind. */
uint64_t time_of_thread(const struct aw_profile *profile, int32_t tid);
uint64_t count_of_thread(const struct aw_profile *profile, int32_t tid);
uint64_t time_of_kind(const struct aw_profile *profile, enum awi_sample_kind kind);

/*
 * Is it no less than what has passed within two calls, and no more than what has passed around them? Between
 * a reading of a clock and a call the machine may stand still for any time, so nothing else holds.
 */
void expect_between(uint64_t time_ns, uint64_t inner_ns, uint64_t outer_ns);

/* A thread that works until it is told to stop. */
struct worker {
    pthread_t thread;
    bool is_registered;
    bool is_blocked; /* SIGPROF */
    unsigned depth;  /* of the calls around its work */
    const char *name;
    _Atomic int32_t tid; /* set when it is at work */
    atomic_bool is_told;
    uint64_t inner_ns; /* its processor time since it has registered */
    uint64_t used_ns;  /* and since its beginning */
};

void start_worker(struct worker *worker);
/* When it returns, the kernel does not know the thread any more. */
void stop_worker(struct worker *worker);

/* Until this process has so many threads: a join may return before the kernel is done with the joined. */
void wait_for_threads(unsigned count);

/* Burns until this many samples have been counted; fails the test if they do not come. */
void burn_until_samples(uint64_t samples);

#endif
