/* SPDX-License-Identifier: MIT */
/* work.c: see work.h. */
#include "work.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/profile.h>

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = { 0 };
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t work_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t work_wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t work_tick_ns(void)
{
    struct timespec resolution = { 0 };
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    return (uint64_t)resolution.tv_sec * NS_PER_SEC + (uint64_t)resolution.tv_nsec;
}

/* splitmix64 (S. Vigna, public domain). */
uint64_t work_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void work_burn(uint64_t ns)
{
    const uint64_t end = work_cpu_ns() + ns;
    while (work_cpu_ns() < end)
        continue;
}

void work_sleep(uint64_t ns)
{
    const uint64_t end = work_wall_ns() + ns;
    const struct timespec until = { .tv_sec = (time_t)(end / NS_PER_SEC),
                                    .tv_nsec = (long)(end % NS_PER_SEC) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static void *be_member(void *arg)
{
    struct crew_member *member = arg;
    struct crew *crew = member->crew;
    member->tid = (int32_t)gettid();
    pthread_barrier_wait(&crew->end);
    bool is_registered = false;
    for (;;) {
        pthread_barrier_wait(&crew->begin);
        if (crew->burn_ns == 0)
            return NULL;
        if (crew->registers && !is_registered)
            is_registered = aw_profile_thread_register("crew") >= 0;
        const uint64_t start = work_cpu_ns();
        work_burn(crew->burn_ns);
        member->used_ns += work_cpu_ns() - start;
        pthread_barrier_wait(&crew->end);
    }
}

bool crew_start(struct crew *crew, unsigned size, bool registers)
{
    *crew = (struct crew){ .size = 0, .registers = registers };
    if (pthread_barrier_init(&crew->begin, NULL, size + 1) != 0 ||
        pthread_barrier_init(&crew->end, NULL, size + 1) != 0)
        return false;
    for (; crew->size < size; crew->size++) {
        struct crew_member *member = &crew->members[crew->size];
        member->crew = crew;
        if (pthread_create(&member->thread, NULL, be_member, member) != 0)
            return false;
    }
    pthread_barrier_wait(&crew->end);
    return true;
}

void crew_begin(struct crew *crew, uint64_t burn_ns)
{
    crew->burn_ns = burn_ns;
    pthread_barrier_wait(&crew->begin);
}

void crew_end(struct crew *crew)
{
    pthread_barrier_wait(&crew->end);
}

void crew_work(struct crew *crew, uint64_t burn_ns)
{
    crew_begin(crew, burn_ns);
    crew_end(crew);
}

void crew_stop(struct crew *crew)
{
    crew_begin(crew, 0);
    for (unsigned i = 0; i < crew->size; i++)
        pthread_join(crew->members[i].thread, NULL);
    pthread_barrier_destroy(&crew->begin);
    pthread_barrier_destroy(&crew->end);
}
