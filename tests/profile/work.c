/* SPDX-License-Identifier: MIT */
/* work.c: see work.h. */
#include "work.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "signal_fixture.h"

/* Check takes a lock, which a fork may leave taken: what threads do over and over asserts nothing. */
uint64_t cpu_ns(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

void burn_ms(unsigned ms)
{
    volatile unsigned x = 1;
    for (uint64_t until = cpu_ns() + AW_MS(ms); cpu_ns() < until;) {
        for (unsigned i = 0; i < 20000; ++i)
            x = x * 1664525 + 1013904223;
    }
}

struct aw_profile_options options_of(enum aw_profile_clock clock, unsigned hz)
{
    return (struct aw_profile_options){ .size = sizeof(struct aw_profile_options), .clock = clock, .hz = hz };
}

void start_profile(enum aw_profile_clock clock, unsigned hz)
{
    struct aw_profile_options options = options_of(clock, hz);
    ck_assert_int_eq(aw_profile_start(&options), 0);
}

struct aw_profile_stats profile_stats(void)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    ck_assert_int_eq(aw_profile_stats_read(&stats), 0);
    return stats;
}

struct aw_profile *take(void)
{
    struct aw_profile *profile = NULL;
    ck_assert_int_eq(aw_profile_snapshot(&profile), 0);
    ck_assert_ptr_nonnull(profile);
    return profile;
}

void expect_no_profile(void)
{
    struct aw_profile *profile = NULL;
    ck_assert_int_eq(aw_profile_snapshot(&profile), -ENODEV);
    ck_assert_ptr_null(profile);
}

uint64_t time_of_thread(const struct aw_profile *profile, int32_t tid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        if (profile->threads[profile->samples[i].thread].tid == tid)
            sum += profile->samples[i].time_ns;
    }
    return sum;
}

uint64_t count_of_thread(const struct aw_profile *profile, int32_t tid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        if (profile->threads[profile->samples[i].thread].tid == tid)
            sum += profile->samples[i].count;
    }
    return sum;
}

uint64_t time_of_kind(const struct aw_profile *profile, enum awi_sample_kind kind)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        if (profile->samples[i].kind == kind)
            sum += profile->samples[i].time_ns;
    }
    return sum;
}

void expect_between(uint64_t time_ns, uint64_t inner_ns, uint64_t outer_ns)
{
    ck_assert_msg(time_ns >= inner_ns && time_ns <= outer_ns, "%llu ns, measured %llu to %llu ns",
                  (unsigned long long)time_ns, (unsigned long long)inner_ns, (unsigned long long)outer_ns);
}

static __attribute__((noinline)) unsigned work_until_told(struct worker *worker, unsigned depth)
{
    if (depth > 0) {
        volatile unsigned calls = work_until_told(worker, depth - 1); /* and so no loop */
        return calls + 1;
    }
    while (!atomic_load(&worker->is_told))
        burn_ms(1);
    return 1;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    uint64_t began = cpu_ns();
    if (worker->is_blocked) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGPROF);
        ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    }
    if (worker->is_registered)
        ck_assert_int_ge(aw_profile_thread_register(worker->name), 0);
    uint64_t registered = cpu_ns();
    atomic_store(&worker->tid, (int32_t)gettid());
    unsigned calls = work_until_told(worker, worker->depth);
    worker->inner_ns = cpu_ns() - registered;
    worker->used_ns = cpu_ns() - began;
    return calls > 0 ? NULL : worker;
}

void start_worker(struct worker *worker)
{
    atomic_store(&worker->tid, 0);
    atomic_store(&worker->is_told, false);
    ck_assert_int_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
    while (atomic_load(&worker->tid) == 0)
        sched_yield();
}

void stop_worker(struct worker *worker)
{
    atomic_store(&worker->is_told, true);
    ck_assert_int_eq(pthread_join(worker->thread, NULL), 0);
    for (uint64_t began = clock_ns(); tgkill(getpid(), worker->tid, 0) == 0;) {
        ck_assert_msg(clock_ns() - began < AW_SEC(60), "a joined thread stays");
        sched_yield();
    }
}

static unsigned threads_alive(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

void wait_for_threads(unsigned count)
{
    for (uint64_t began = clock_ns(); threads_alive() != count;) {
        ck_assert_msg(clock_ns() - began < AW_SEC(60), "%u threads, expected %u", threads_alive(), count);
        sched_yield();
    }
}

void burn_until_samples(uint64_t samples)
{
    uint64_t began = clock_ns();
    do {
        burn_ms(5);
        ck_assert_msg(clock_ns() - began < AW_SEC(60), "%llu samples do not come",
                      (unsigned long long)samples);
    } while (profile_stats().samples < samples);
}
