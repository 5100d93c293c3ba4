/* SPDX-License-Identifier: MIT */
/*
 * fault_test.c: memory, timers and the signal are refused, at each place where the profiler asks for them:
 * the call says so, nothing is left behind, and the same call works when it is made again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"
#include "work.h"

enum fault {
    FAULT_MMAP,
    FAULT_CALLOC,
    FAULT_MALLOC,
    FAULT_TIMER_CREATE,
    FAULT_SIGACTION,
    FAULTS
};

static struct {
    unsigned calls;
    unsigned first;  /* the call that fails; 0: none */
    bool is_lasting; /* and those after it */
} plans[FAULTS];

static unsigned timers_alive;
static unsigned long mapped;

static bool strikes(enum fault fault, int error)
{
    unsigned call = ++plans[fault].calls;
    if (plans[fault].first == 0 || call < plans[fault].first ||
        (call > plans[fault].first && !plans[fault].is_lasting))
        return false;
    errno = error;
    return true;
}

static void plan(enum fault fault, unsigned first, bool is_lasting)
{
    plans[fault].calls = 0;
    plans[fault].first = first;
    plans[fault].is_lasting = is_lasting;
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
int __real_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer);
int __real_timer_delete(timer_t timer);
int __real_sigaction(int signo, const struct sigaction *action, struct sigaction *old);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
int __wrap_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer);
int __wrap_timer_delete(timer_t timer);
int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (strikes(FAULT_MMAP, ENOMEM))
        return MAP_FAILED;
    mapped += bytes;
    return __real_mmap(address, bytes, protection, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t bytes)
{
    mapped -= bytes;
    return __real_munmap(address, bytes);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return strikes(FAULT_CALLOC, ENOMEM) ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
    return strikes(FAULT_MALLOC, ENOMEM) ? NULL : __real_malloc(size);
}

int __wrap_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    if (strikes(FAULT_TIMER_CREATE, EAGAIN))
        return -1;
    ++timers_alive;
    return __real_timer_create(clock, event, timer);
}

int __wrap_timer_delete(timer_t timer)
{
    --timers_alive;
    return __real_timer_delete(timer);
}

int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    if (signo == SIGPROF && action != NULL && strikes(FAULT_SIGACTION, EINVAL))
        return -1;
    return __real_sigaction(signo, action, old);
}

static void expect_nothing_left(void)
{
    struct sigaction now;
    struct itimerval value;
    ck_assert_int_eq(__real_sigaction(SIGPROF, NULL, &now), 0);
    ck_assert_ptr_eq(now.sa_handler, SIG_DFL);
    ck_assert_int_eq(getitimer(ITIMER_PROF, &value), 0);
    ck_assert(value.it_value.tv_sec == 0 && value.it_value.tv_usec == 0);
    ck_assert_uint_eq(timers_alive, 0);
}

/* It works, and gives all of its memory back with what is taken. */
static void expect_it_works(enum aw_profile_clock clock)
{
    start_profile(clock, 1000);
    burn_until_samples(3);
    aw_profile_free(take());
    ck_assert_int_eq(aw_profile_stop(), 0);
    aw_profile_free(take());
    expect_nothing_left();
    ck_assert_uint_eq(mapped, 0);
}

/* --- Start ---------------------------------------------------------------------------------------------- */

static const struct {
    enum fault fault;
    unsigned first;
    int result;
} starts[] = {
    { FAULT_MMAP, 1, -ENOMEM },         /* the block */
    { FAULT_MMAP, 2, -ENOMEM },         /* the slots */
    { FAULT_TIMER_CREATE, 1, -EAGAIN }, /* none for the interval timer */
    { FAULT_SIGACTION, 1, -EAGAIN },
};
enum {
    STARTS = sizeof starts / sizeof starts[0]
};

START_TEST(a_start_fails)
{
    struct worker worker = { .name = NULL };
    int i = _i % STARTS;
    enum aw_profile_clock clock = (enum aw_profile_clock)(_i / STARTS % 3);
    bool has_threads = _i / STARTS >= 3;
    if (has_threads)
        start_worker(&worker);
    bool needs_it = starts[i].fault != FAULT_TIMER_CREATE || clock != AW_PROFILE_CPU || has_threads;
    struct aw_profile_options options = options_of(clock, 1000);
    plan(starts[i].fault, starts[i].first, false);
    errno = 4711;
    int result = aw_profile_start(&options);
    int error = errno;
    unsigned calls = plans[starts[i].fault].calls;
    plan(starts[i].fault, 0, false);
    if (needs_it) {
        ck_assert_uint_ge(calls, starts[i].first);
        ck_assert_int_eq(result, starts[i].result);
        ck_assert_uint_eq(mapped, 0);
        expect_nothing_left();
        ck_assert_int_eq(aw_profile_stop(), -ENODEV);
        expect_no_profile();
    } else {
        ck_assert_int_eq(result, 0);
        ck_assert_int_eq(aw_profile_stop(), 0);
        aw_profile_free(take());
    }
    expect_it_works(clock);
    if (has_threads)
        stop_worker(&worker);
    ck_assert_int_eq(error, 4711);
}
END_TEST

/* Another thread's timer is refused: it is missed, and counted; the rest goes on. */
START_TEST(a_thread_without_a_timer_is_missed)
{
    struct worker worker = { .name = NULL };
    start_worker(&worker);
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    plan(FAULT_TIMER_CREATE, 2, false);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    plan(FAULT_TIMER_CREATE, 0, false);
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(stats.threads_missed, 1);
    ck_assert_uint_eq(stats.threads, 1);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(count_of_thread(profile, worker.tid), 0);
    ck_assert_uint_ge(count_of_thread(profile, (int32_t)gettid()), 5);
    aw_profile_free(profile);
    expect_it_works(AW_PROFILE_CPU);
    stop_worker(&worker);
}
END_TEST

static int in_vain;

static void *register_in_vain(void *arg)
{
    (void)arg;
    in_vain = aw_profile_thread_register("in vain");
    plan(FAULT_TIMER_CREATE, 0, false);
    if (aw_profile_thread_register("in time") != 0)
        in_vain = 4711;
    burn_ms(5);
    return NULL;
}

START_TEST(registering_without_a_timer_is_an_error)
{
    pthread_t thread;
    start_profile(AW_PROFILE_WALL, 1000);
    plan(FAULT_TIMER_CREATE, 1, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, register_in_vain, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(in_vain, -EAGAIN);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().threads, 2);
    aw_profile_free(take());
    expect_it_works(AW_PROFILE_WALL);
}
END_TEST

/* --- Snapshots and writing ------------------------------------------------------------------------------ */

/* Every allocation of a snapshot fails once: nothing is taken, and no sample lost. */
START_TEST(a_snapshot_fails)
{
    static const enum fault faults[] = { FAULT_MMAP, FAULT_CALLOC, FAULT_MALLOC };
    enum fault fault = faults[_i % 3];
    bool is_stopped = _i >= 3;
    struct aw_profile *profile = NULL;
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(5);
    if (is_stopped)
        ck_assert_int_eq(aw_profile_stop(), 0);
    unsigned failures = 0;
    for (unsigned first = 1;; ++first) {
        plan(fault, first, false);
        int result = aw_profile_snapshot(&profile);
        unsigned calls = plans[fault].calls;
        plan(fault, 0, false);
        if (result == 0)
            break;
        ck_assert_int_eq(result, -ENOMEM);
        ck_assert_uint_ge(calls, first);
        ck_assert_ptr_null(profile);
        ++failures;
    }
    if (fault != FAULT_MALLOC && (fault != FAULT_MMAP || !is_stopped))
        ck_assert_uint_ge(failures, 1);
    ck_assert_uint_ge(awi_profile_count(profile), 5);
    uint64_t count = awi_profile_count(profile);
    uint64_t time = awi_profile_time(profile);
    aw_profile_free(profile);
    if (!is_stopped) {
        ck_assert_int_eq(aw_profile_stop(), 0);
        profile = take();
        count += awi_profile_count(profile);
        time += awi_profile_time(profile);
        aw_profile_free(profile);
    }
    ck_assert_uint_eq(count, profile_stats().samples + profile_stats().lost);
    ck_assert_uint_eq(time, profile_stats().time_ns);
    expect_nothing_left();
    ck_assert_uint_eq(mapped, 0);
}
END_TEST

/* The same for what is written: the profile is as it was. */
START_TEST(writing_fails)
{
    enum aw_profile_format format = (enum aw_profile_format)(_i / 2);
    enum fault fault = _i % 2 == 0 ? FAULT_CALLOC : FAULT_MALLOC;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    uint64_t time = awi_profile_time(profile);
    unsigned failures = 0;
    /* libdw allocates, too: what it cannot read is named after the file. */
    for (unsigned first = 1; first < 2000; first += 1 + first / 20) {
        plan(fault, first, true);
        int result = aw_profile_write(profile, null, format);
        unsigned calls = plans[fault].calls;
        plan(fault, 0, false);
        if (calls < first)
            break;
        if (result != 0) {
            ck_assert_int_eq(result, -ENOMEM);
            ++failures;
        }
    }
    if (fault == FAULT_CALLOC)
        ck_assert_uint_ge(failures, 3);
    ck_assert_int_eq(aw_profile_write(profile, null, format), 0);
    ck_assert_uint_eq(awi_profile_time(profile), time);
    aw_profile_free(profile);
    close(null);
}
END_TEST

/* --- Labels --------------------------------------------------------------------------------------------- */

/* Check allocates: nothing is asserted while memory is refused. */
static int push_without_memory(const char *value)
{
    plan(FAULT_MALLOC, 1, true);
    errno = 4711;
    int result = aw_profile_label_push("key", value);
    int error = errno;
    plan(FAULT_MALLOC, 0, false);
    ck_assert_int_eq(error, 4711);
    return result;
}

START_TEST(a_label_fails)
{
    ck_assert_int_eq(push_without_memory("value"), -ENOMEM);
    ck_assert_int_eq(aw_profile_label_pop(), -ENOENT);
    ck_assert_int_eq(aw_profile_label_push("key", "value"), 0);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(push_without_memory("value"), 0); /* a set that is known takes no memory */
    ck_assert_int_eq(push_without_memory("value"), -ENOMEM);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_pop(), -ENOENT);
}
END_TEST

/* --- Nothing is asked for while it counts --------------------------------------------------------------- */

/* All allocation fails from the start to the stop: the handler does not care. */
START_TEST(counting_allocates_nothing)
{
    struct aw_profile_options options = options_of((enum aw_profile_clock)_i, 1000);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    for (unsigned fault = 0; fault < FAULTS; ++fault)
        plan((enum fault)fault, 1, true);
    uint64_t until = cpu_ns() + AW_MS(100);
    while (cpu_ns() < until)
        continue;
    unsigned asked = 0;
    for (unsigned fault = 0; fault < FAULTS; ++fault) {
        asked += plans[fault].calls;
        plan((enum fault)fault, 0, false);
    }
    ck_assert_uint_eq(asked, 0);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_gt(profile_stats().samples, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile fault");
    TCase *start = signal_case(suite, "start");
    tcase_add_loop_test(start, a_start_fails, 0, 6 * STARTS);
    tcase_add_test(start, a_thread_without_a_timer_is_missed);
    tcase_add_test(start, registering_without_a_timer_is_an_error);
    TCase *snapshots = signal_case(suite, "snapshots and writing");
    tcase_add_loop_test(snapshots, a_snapshot_fails, 0, 6);
    tcase_add_loop_test(snapshots, writing_fails, 0, 2 * (AW_PROFILE_TEXT + 1));
    TCase *labels = signal_case(suite, "labels");
    tcase_add_test(labels, a_label_fails);
    TCase *counting = signal_case(suite, "counting");
    tcase_add_loop_test(counting, counting_allocates_nothing, 0, AW_PROFILE_WALL + 1);
    return run_suite(suite);
}
