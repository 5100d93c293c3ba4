/* SPDX-License-Identifier: MIT */
/*
 * threads_test.c: whose time is counted: threads that are there at the start, that register, that leave, that
 * end with or without a word; and which timer is used for one thread and for several.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"
#include "work.h"

static bool itimer_runs(void)
{
    struct itimerval value;
    ck_assert_int_eq(getitimer(ITIMER_PROF, &value), 0);
    return value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0;
}

static const struct awi_sampled_thread *thread_of(const struct aw_profile *profile, int32_t tid)
{
    for (size_t i = 0; i < profile->threads_count; ++i) {
        if (profile->threads[i].tid == tid)
            return &profile->threads[i];
    }
    return NULL;
}

/* A registered one's end is counted, too, which comes a little after its last look at the clock. */
static void expect_used(uint64_t time_ns, const struct worker *worker)
{
    expect_between(time_ns, worker->inner_ns, worker->used_ns + worker->used_ns / 100 + AW_MS(3));
}

/* Until there are twice as many more samples as make so many for each of `count` threads. */
static void wait_for_samples(unsigned count, uint64_t samples)
{
    uint64_t before = profile_stats().samples;
    uint64_t began = clock_ns();
    while (profile_stats().samples < before + samples * count * 2) {
        pass_ms(10);
        ck_assert_uint_lt(clock_ns() - began, AW_SEC(60));
    }
}

/*
 * Until the running profile has so many samples of one thread, however long that has to wait for a processor;
 * returns the time that the snapshots say it has used meanwhile.
 */
static uint64_t take_samples_of(int32_t tid, uint64_t samples)
{
    uint64_t began = clock_ns();
    uint64_t count = 0;
    uint64_t time = 0;
    while (count < samples) {
        ck_assert_uint_lt(clock_ns() - began, AW_SEC(60));
        burn_ms(10);
        struct aw_profile *profile = take();
        count += count_of_thread(profile, tid);
        time += time_of_thread(profile, tid);
        aw_profile_free(profile);
    }
    return time;
}

/* --- Found at the start, or registered ------------------------------------------------------------------ */

START_TEST(threads_that_are_there_are_sampled)
{
    enum aw_profile_clock clock = (enum aw_profile_clock)_i;
    struct worker workers[3] = { { .name = NULL }, { .name = NULL }, { .name = NULL } };
    for (unsigned i = 0; i < 3; ++i)
        start_worker(&workers[i]);
    start_profile(clock, 1000);
    ck_assert(!itimer_runs());
    for (unsigned i = 0; i < 3; ++i)
        ck_assert_uint_gt(take_samples_of(workers[i].tid, 3), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().threads, 4);
    ck_assert_uint_eq(profile_stats().threads_missed, 0);
    for (unsigned i = 0; i < 3; ++i)
        stop_worker(&workers[i]);
}
END_TEST

/* Each one's own time, as it has measured it itself: the total of a profile is true. */
START_TEST(each_has_the_time_that_it_used)
{
    struct worker workers[2] = { { .is_registered = true, .name = "first" },
                                 { .is_registered = true, .name = "second" } };
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    uint64_t outer = cpu_ns();
    ck_assert_int_eq(aw_profile_start(&options), 0);
    uint64_t inner = cpu_ns();
    for (unsigned i = 0; i < 2; ++i)
        start_worker(&workers[i]);
    wait_for_samples(2, 30);
    for (unsigned i = 0; i < 2; ++i)
        stop_worker(&workers[i]);
    inner = cpu_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = cpu_ns() - outer;
    struct aw_profile *profile = take();
    for (unsigned i = 0; i < 2; ++i)
        expect_used(time_of_thread(profile, workers[i].tid), &workers[i]);
    expect_between(time_of_thread(profile, (int32_t)gettid()), inner, outer);
    ck_assert_str_eq(thread_of(profile, workers[0].tid)->name, "first");
    ck_assert_str_eq(thread_of(profile, workers[1].tid)->name, "second");
    ck_assert_uint_eq(profile_stats().time_ns, awi_profile_time(profile));
    aw_profile_free(profile);
}
END_TEST

START_TEST(names_are_their_own_or_what_they_register)
{
    start_profile(AW_PROFILE_CPU, 100);
    int32_t tid = (int32_t)gettid();
    ck_assert_int_eq(prctl(PR_SET_NAME, "given name"), 0);
    ck_assert_int_eq(aw_profile_thread_register(NULL), 1);
    struct aw_profile *profile = take();
    ck_assert_str_eq(thread_of(profile, tid)->name, "given name");
    aw_profile_free(profile);
    ck_assert_int_eq(aw_profile_thread_register("another name"), 1);
    profile = take();
    ck_assert_str_eq(thread_of(profile, tid)->name, "another name");
    aw_profile_free(profile);
    ck_assert_int_eq(aw_profile_thread_register("more than fifteen bytes of name"), 1);
    profile = take();
    ck_assert_str_eq(thread_of(profile, tid)->name, "more than fifte");
    aw_profile_free(profile);
    ck_assert_int_eq(aw_profile_stop(), 0);
    /* The next profile has it, too. */
    start_profile(AW_PROFILE_CPU, 100);
    ck_assert_int_eq(aw_profile_stop(), 0);
    profile = take();
    ck_assert_str_eq(thread_of(profile, tid)->name, "more than fifte");
    aw_profile_free(profile);
}
END_TEST

/* Registered while nothing is sampled: the next profile has it by the name. */
START_TEST(registered_before_the_start)
{
    struct worker worker = { .is_registered = true, .name = "early" };
    start_worker(&worker);
    start_profile(AW_PROFILE_CPU, 1000);
    wait_for_samples(1, 10);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    ck_assert_str_eq(thread_of(profile, worker.tid)->name, "early");
    ck_assert_uint_ge(count_of_thread(profile, worker.tid), 5);
    aw_profile_free(profile);
    stop_worker(&worker);
}
END_TEST

/* A snapshot or a pause is an occasion to look for those who have not registered. */
START_TEST(a_thread_without_a_word_is_found_by_a_snapshot)
{
    struct worker other = { .name = NULL };
    struct worker worker = { .name = NULL };
    start_worker(&other);
    start_profile(AW_PROFILE_CPU, 1000);
    start_worker(&worker);
    ck_assert_uint_eq(profile_stats().threads, 2);
    aw_profile_free(take());
    ck_assert_uint_eq(profile_stats().threads, 3);
    take_samples_of(worker.tid, 3);
    ck_assert_int_eq(aw_profile_stop(), 0);
    stop_worker(&worker);
    stop_worker(&other);
}
END_TEST

/* --- Leaving -------------------------------------------------------------------------------------------- */

static void *leave_and_work(void *arg)
{
    struct worker *worker = arg;
    uint64_t began = cpu_ns();
    ck_assert_int_ge(aw_profile_thread_register("leaves"), 0);
    uint64_t registered = cpu_ns();
    burn_ms(60);
    worker->inner_ns = cpu_ns() - registered;
    ck_assert_int_eq(aw_profile_thread_unregister(), 0);
    worker->used_ns = cpu_ns() - began;
    ck_assert_int_eq(aw_profile_thread_unregister(), -ENOENT);
    atomic_store(&worker->tid, (int32_t)gettid());
    while (!atomic_load(&worker->is_told))
        burn_ms(1);
    return NULL;
}

/* What it does afterwards is not sampled, whatever the profile does meanwhile. */
START_TEST(who_has_left_is_not_sampled)
{
    struct worker worker = { .name = NULL };
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(pthread_create(&worker.thread, NULL, leave_and_work, &worker), 0);
    while (atomic_load(&worker.tid) == 0)
        pass_ms(1);
    uint64_t own = cpu_ns();
    uint64_t before = profile_stats().time_ns;
    struct aw_profile *profile = take();
    expect_between(time_of_thread(profile, worker.tid), worker.inner_ns, worker.used_ns);
    aw_profile_free(profile);
    pass_ms(100); /* it works on */
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert_int_eq(aw_profile_resume(), 0);
    pass_ms(100);
    aw_profile_free(take());
    pass_ms(100);
    ck_assert_int_eq(aw_profile_stop(), 0);
    own = cpu_ns() - own;
    profile = take();
    ck_assert_uint_eq(time_of_thread(profile, worker.tid), 0);
    ck_assert_uint_eq(count_of_thread(profile, worker.tid), 0);
    ck_assert_uint_le(profile_stats().time_ns - before, own);
    ck_assert_uint_eq(profile_stats().threads, 2);
    aw_profile_free(profile);
    stop_worker(&worker);
}
END_TEST

static void *leave_and_come_back(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < 20; ++i) {
        uint64_t began = cpu_ns();
        ck_assert_int_eq(aw_profile_thread_register("comes back"), 0);
        uint64_t registered = cpu_ns();
        burn_ms(5);
        worker->inner_ns += cpu_ns() - registered;
        ck_assert_int_eq(aw_profile_thread_unregister(), 0);
        worker->used_ns += cpu_ns() - began;
        burn_ms(5);
    }
    atomic_store(&worker->tid, (int32_t)gettid());
    return NULL;
}

START_TEST(who_comes_back_is_sampled_again)
{
    struct worker worker = { .name = NULL };
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(pthread_create(&worker.thread, NULL, leave_and_come_back, &worker), 0);
    ck_assert_int_eq(pthread_join(worker.thread, NULL), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    expect_between(time_of_thread(profile, worker.tid), worker.inner_ns, worker.used_ns);
    aw_profile_free(profile);
}
END_TEST

/* --- Ending --------------------------------------------------------------------------------------------- */

static void *live_shortly(void *arg)
{
    uint64_t *used = arg;
    ck_assert_int_eq(aw_profile_thread_register("short"), 0);
    burn_ms(2);
    *used += cpu_ns();
    return NULL;
}

/* Registered: its time is known to the end, were it never met by a sample. */
START_TEST(short_lives_add_up)
{
    uint64_t used = 0;
    uint64_t began = cpu_ns();
    start_profile(AW_PROFILE_CPU, 100);
    for (unsigned i = 0; i < 100; ++i) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, live_shortly, &used), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    used += cpu_ns() - began;
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(stats.threads, 101);
    /* Without what a thread uses before it registers, and after it ends. */
    ck_assert_uint_ge(stats.time_ns, AW_MS(200));
    ck_assert_uint_le(stats.time_ns, used + used / 10 + AW_MS(5));
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_time(profile), stats.time_ns);
    ck_assert_uint_gt(time_of_kind(profile, AWI_UNSAMPLED), 0);
    aw_profile_free(profile);
}
END_TEST

/* More threads than there is room for, one after another: snapshots give the room of the ended ones back. */
START_TEST(room_is_given_back_by_snapshots)
{
    uint64_t used = 0;
    uint64_t time = 0;
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 100);
    options.max_bytes = 64 * 1024; /* 16 threads */
    ck_assert_int_eq(aw_profile_start(&options), 0);
    for (unsigned i = 0; i < 60; ++i) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, live_shortly, &used), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        if (i % 10 == 9) {
            wait_for_threads(1); /* else it may be found as a new one */
            struct aw_profile *profile = take();
            time += awi_profile_time(profile);
            aw_profile_free(profile);
        }
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    time += awi_profile_time(profile);
    aw_profile_free(profile);
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(stats.threads, 61);
    ck_assert_uint_eq(stats.threads_missed, 0);
    ck_assert_uint_eq(stats.time_ns, time);
    ck_assert_uint_ge(time, AW_MS(120));
}
END_TEST

/* The same where threads do not register: the snapshot finds them, and finds out that they have ended. */
START_TEST(room_of_silent_threads_is_given_back)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_bytes = 64 * 1024;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    struct worker worker = { .name = NULL };
    for (unsigned i = 0; i < 40; ++i) {
        start_worker(&worker);
        aw_profile_free(take());
        stop_worker(&worker);
    }
    start_worker(&worker);
    aw_profile_free(take());
    wait_for_samples(1, 10);
    struct aw_profile *profile = take();
    ck_assert_uint_ge(count_of_thread(profile, worker.tid), 3);
    aw_profile_free(profile);
    ck_assert_uint_eq(profile_stats().threads_missed, 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    stop_worker(&worker);
}
END_TEST

START_TEST(no_room_is_counted)
{
    enum {
        WORKERS = 20
    };
    static struct worker workers[WORKERS];
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_bytes = 64 * 1024;
    for (unsigned i = 0; i < WORKERS; ++i)
        start_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(stats.threads, 16);
    ck_assert_uint_eq(stats.threads_missed, WORKERS + 1 - 16);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    for (unsigned i = 0; i < WORKERS; ++i)
        stop_worker(&workers[i]);
}
END_TEST

static void *register_in_vain(void *arg)
{
    *(int *)arg = aw_profile_thread_register(NULL);
    return NULL;
}

START_TEST(registering_without_room_is_an_error)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_bytes = 64 * 1024;
    enum {
        WORKERS = 15
    };
    static struct worker workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; ++i)
        start_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    pthread_t thread;
    int result = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, register_in_vain, &result), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(result, -ENOSPC);
    ck_assert_uint_eq(profile_stats().threads_missed, 1);
    ck_assert_int_eq(aw_profile_stop(), 0);
    for (unsigned i = 0; i < WORKERS; ++i)
        stop_worker(&workers[i]);
}
END_TEST

/* Found by the start, and gone before the stop: what its timer has said of it. */
START_TEST(a_silent_end_is_survived)
{
    struct worker workers[3] = { { .name = NULL }, { .name = NULL }, { .name = NULL } };
    for (unsigned i = 0; i < 3; ++i)
        start_worker(&workers[i]);
    start_profile(AW_PROFILE_CPU, 1000);
    wait_for_samples(3, 20);
    for (unsigned i = 0; i < 3; ++i)
        stop_worker(&workers[i]);
    pass_ms(20);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    uint64_t time = 0;
    uint64_t used = 0;
    for (unsigned i = 0; i < 3; ++i) {
        time += time_of_thread(profile, workers[i].tid);
        used += workers[i].used_ns;
        ck_assert_uint_le(time, used + AW_MS(20) * (i + 1));
    }
    ck_assert_uint_ge(time, used / 4);
    aw_profile_free(profile);
}
END_TEST

static void *end_at_once(void *arg)
{
    (void)arg;
    aw_profile_thread_register(NULL);
    return NULL;
}

/* Threads come and go at every instant of starts, snapshots and stops. */
START_TEST(threads_end_while_all_goes_on)
{
    struct worker worker = { .is_registered = true };
    start_worker(&worker);
    unsigned rounds = scaled(300);
    for (unsigned i = 0; i < rounds; ++i) {
        pthread_t threads[3];
        start_profile(i % 2 == 0 ? AW_PROFILE_WALL : AW_PROFILE_CPU, 10000);
        for (unsigned t = 0; t < 3; ++t)
            ck_assert_int_eq(pthread_create(&threads[t], NULL, end_at_once, NULL), 0);
        aw_profile_free(take());
        ck_assert_int_eq(aw_profile_pause(), 0);
        ck_assert_int_eq(aw_profile_resume(), 0);
        if (i % 3 != 0)
            ck_assert_int_eq(aw_profile_stop(), 0);
        for (unsigned t = 0; t < 3; ++t)
            ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
        if (i % 3 == 0)
            ck_assert_int_eq(aw_profile_stop(), 0);
    }
    stop_worker(&worker);
    wait_for_threads(1);
}
END_TEST

/* --- Which timer ---------------------------------------------------------------------------------------- */

START_TEST(one_thread_has_the_interval_timer)
{
    start_profile(AW_PROFILE_CPU, 100);
    ck_assert(itimer_runs());
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert(!itimer_runs());
    /* After a pause it would begin with a tick more than it is set to, each time. */
    ck_assert_int_eq(aw_profile_resume(), 0);
    ck_assert(!itimer_runs());
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert(!itimer_runs());
    start_profile(AW_PROFILE_USER, 100);
    ck_assert(!itimer_runs());
    ck_assert_int_eq(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_WALL, 100);
    ck_assert(!itimer_runs());
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

START_TEST(a_second_thread_ends_the_interval_timer)
{
    struct worker worker = { .is_registered = true, .name = "second" };
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(5);
    ck_assert(itimer_runs());
    start_worker(&worker);
    ck_assert(!itimer_runs());
    uint64_t time = take_samples_of(worker.tid, 3);
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    expect_used(time + time_of_thread(profile, worker.tid), &worker);
    ck_assert_uint_eq(profile_stats().foreign, 0);
    ck_assert_uint_eq(profile_stats().threads, 2);
    aw_profile_free(profile);
}
END_TEST

/* Registered while it pauses: the resume uses timers of their own. */
START_TEST(a_second_thread_registers_in_a_pause)
{
    struct worker worker = { .is_registered = true };
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(aw_profile_pause(), 0);
    start_worker(&worker);
    ck_assert(!itimer_runs());
    ck_assert_int_eq(aw_profile_resume(), 0);
    ck_assert(!itimer_runs());
    take_samples_of(worker.tid, 3);
    take_samples_of((int32_t)gettid(), 3);
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

static void *stay_silent(void *arg)
{
    struct worker *worker = arg;
    uint64_t began = cpu_ns();
    atomic_store(&worker->tid, (int32_t)gettid());
    while (!atomic_load(&worker->is_told))
        burn_ms(1);
    worker->used_ns = cpu_ns() - began;
    return NULL;
}

/* Under the interval timer a thread without a word may be met; then its time is counted, once. */
START_TEST(a_silent_thread_under_the_interval_timer_is_counted_once)
{
    struct worker worker = { .name = NULL };
    unsigned rounds = scaled(20);
    for (unsigned i = 0; i < rounds; ++i) {
        start_profile(AW_PROFILE_CPU, 1000);
        atomic_store(&worker.tid, 0);
        atomic_store(&worker.is_told, false);
        ck_assert_int_eq(pthread_create(&worker.thread, NULL, stay_silent, &worker), 0);
        burn_until_samples(5 + i % 5);
        aw_profile_free(take());
        burn_ms(20);
        uint64_t before = profile_stats().time_ns;
        ck_assert_uint_gt(before, 0);
        ck_assert_int_eq(aw_profile_stop(), 0);
        stop_worker(&worker);
        ck_assert_uint_le(profile_stats().threads, 2);
    }
}
END_TEST

START_TEST(somebodys_interval_timer_is_left_alone)
{
    struct itimerval value = { { 1000, 0 }, { 5000, 0 } };
    ck_assert_int_eq(setitimer(ITIMER_PROF, &value, NULL), 0);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(10);
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert_int_eq(aw_profile_resume(), 0);
    struct itimerval now;
    ck_assert_int_eq(getitimer(ITIMER_PROF, &now), 0);
    ck_assert_int_eq(now.it_interval.tv_sec, 1000);
    ck_assert_int_gt(now.it_value.tv_sec, 4000);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_int_eq(getitimer(ITIMER_PROF, &now), 0);
    ck_assert_int_eq(now.it_interval.tv_sec, 1000);
    ck_assert_int_gt(now.it_value.tv_sec, 4000);
    value = (struct itimerval){ { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_PROF, &value, NULL);
}
END_TEST

/* Armed while the profile pauses: the resume finds another way. */
START_TEST(an_interval_timer_of_the_pause_is_left_alone)
{
    struct itimerval value = { { 1000, 0 }, { 5000, 0 } };
    struct itimerval now;
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &value, NULL), 0);
    ck_assert_int_eq(aw_profile_resume(), 0);
    burn_until_samples(10);
    ck_assert_int_eq(getitimer(ITIMER_PROF, &now), 0);
    ck_assert_int_eq(now.it_interval.tv_sec, 1000);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_int_eq(getitimer(ITIMER_PROF, &now), 0);
    ck_assert_int_eq(now.it_interval.tv_sec, 1000);
    value = (struct itimerval){ { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_PROF, &value, NULL);
}
END_TEST

/* --- SIGPROF blocked ------------------------------------------------------------------------------------ */

START_TEST(who_blocks_the_signal_is_not_sampled_but_its_time_is_true)
{
    struct worker worker = { .is_blocked = true, .is_registered = true, .name = "blocked" };
    start_profile(AW_PROFILE_CPU, 1000);
    start_worker(&worker);
    burn_until_samples(20);
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(count_of_thread(profile, worker.tid), 0);
    expect_used(time_of_thread(profile, worker.tid), &worker);
    expect_used(time_of_kind(profile, AWI_UNSAMPLED), &worker);
    aw_profile_free(profile);
}
END_TEST

/* One signal that was held back is one sample, and no more time than was used. */
START_TEST(a_signal_that_was_held_back_comes_later)
{
    uint64_t outer = cpu_ns();
    start_profile(AW_PROFILE_CPU, 1000);
    uint64_t inner = cpu_ns();
    block_signal(SIGPROF);
    burn_ms(50);
    uint64_t before = profile_stats().samples;
    unblock_signal(SIGPROF);
    burn_until_samples(before + 3);
    inner = cpu_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = cpu_ns() - outer;
    expect_between(profile_stats().time_ns, inner, outer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile threads");
    TCase *found = signal_case(suite, "found or registered");
    tcase_add_loop_test(found, threads_that_are_there_are_sampled, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(found, each_has_the_time_that_it_used);
    tcase_add_test(found, names_are_their_own_or_what_they_register);
    tcase_add_test(found, registered_before_the_start);
    tcase_add_test(found, a_thread_without_a_word_is_found_by_a_snapshot);
    TCase *leaving = signal_case(suite, "leaving");
    tcase_add_test(leaving, who_has_left_is_not_sampled);
    tcase_add_test(leaving, who_comes_back_is_sampled_again);
    TCase *ending = signal_case(suite, "ending");
    tcase_add_test(ending, short_lives_add_up);
    tcase_add_test(ending, room_is_given_back_by_snapshots);
    tcase_add_test(ending, room_of_silent_threads_is_given_back);
    tcase_add_test(ending, no_room_is_counted);
    tcase_add_test(ending, registering_without_room_is_an_error);
    tcase_add_test(ending, a_silent_end_is_survived);
    tcase_add_test(ending, threads_end_while_all_goes_on);
    TCase *timer = signal_case(suite, "which timer");
    tcase_add_test(timer, one_thread_has_the_interval_timer);
    tcase_add_test(timer, a_second_thread_ends_the_interval_timer);
    tcase_add_test(timer, a_second_thread_registers_in_a_pause);
    tcase_add_test(timer, a_silent_thread_under_the_interval_timer_is_counted_once);
    tcase_add_test(timer, somebodys_interval_timer_is_left_alone);
    tcase_add_test(timer, an_interval_timer_of_the_pause_is_left_alone);
    TCase *blocked = signal_case(suite, "SIGPROF blocked");
    tcase_add_test(blocked, who_blocks_the_signal_is_not_sampled_but_its_time_is_true);
    tcase_add_test(blocked, a_signal_that_was_held_back_comes_later);
    return run_suite(suite);
}
