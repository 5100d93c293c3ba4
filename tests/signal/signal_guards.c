/* SPDX-License-Identifier: MIT */
/*
 * signal_guards.c: guards under real signals: beneath another handler, within each other, within callbacks,
 * beside timers, and the accounts of descriptors where result and time-out come at the same moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

static int pipe_ends[2];

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
}

static ssize_t blocking_read(void)
{
    char byte;
    return read(pipe_ends[0], &byte, 1);
}

/* ---- 3: the signal lands inside another handler above a blocked call ---- */

static volatile uint64_t spin_to_ns;
static volatile unsigned nested_runs;

static void spin_past_the_deadline(int signo)
{
    (void)signo;
    spin_until(spin_to_ns);
    ++nested_runs;
}

static timer_t usr1_timer(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_t timer;
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    return timer;
}

START_TEST(h03_nested_handler_above_a_blocked_read)
{
    struct aw_guard guard;
    unsigned tries = scaled(1000), in_time = 0;

    open_pipe();
    handle_signal(SIGUSR1, spin_past_the_deadline, SA_RESTART);
    timer_t timer = usr1_timer();
    nested_runs = 0;
    start_variant(_i);
    for (unsigned i = 0; i < tries; ++i) {
        const struct itimerspec soon = { { 0, 0 }, { 0, 200000 } };
        unsigned runs_before = nested_runs;
        uint64_t start = clock_ns();
        spin_to_ns = start + AW_US(650);
        ck_assert_int_eq(timer_settime(timer, 0, &soon, NULL), 0);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_US(500), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(blocking_read(), -1);
        ck_assert_int_eq(errno, EINTR);
        ck_assert_uint_ge(clock_ns(), start + AW_US(500));
        in_time += nested_runs == runs_before + 1 && runs_before == i;
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        while (nested_runs == i)
            continue;
    }
    /* On a slow machine a try may miss the window; most must not, or this tests nothing. */
    ck_assert_uint_gt(in_time, tries / 10);
    timer_delete(timer);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 12: guards within guards ---- */

#define DEEP 3

static void enter_all(struct aw_guard guards[DEEP], const uint64_t timeouts[DEEP])
{
    for (unsigned i = 0; i < DEEP; ++i)
        ck_assert_int_eq(aw_guard_enter(&guards[i], timeouts[i], AW_GUARD_DEFAULT), 0);
}

/* The outermost expired guard wins, each says by itself whether it ran out of time. */
START_TEST(h12_every_set_of_expired_guards)
{
    open_pipe();
    start_variant(_i);
    for (unsigned set = 1; set < 1u << DEEP; ++set) {
        struct aw_guard guards[DEEP];
        uint64_t timeouts[DEEP], expired = stats_now().guards + (unsigned)__builtin_popcount(set);
        unsigned outermost = (unsigned)__builtin_ctz(set);
        for (unsigned i = 0; i < DEEP; ++i)
            timeouts[i] = (set >> i & 1) != 0 ? AW_MS(5) : AW_SEC(3600);
        enter_all(guards, timeouts);
        ck_assert_int_eq(blocking_read(), -1);
        ck_assert_int_eq(errno, EINTR);
        pass_until_expired(expired);
        ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        for (unsigned i = DEEP; i-- != 0;) {
            bool itself = (set >> i & 1) != 0;
            bool around = (set & ((1u << i) - 1)) != 0;
            const struct aw_guard *fired = itself || around ? &guards[outermost] : NULL;
            ck_assert_int_eq(aw_guard_expired(&guards[i]), fired != NULL);
            ck_assert_ptr_eq(aw_guard_fired(&guards[i]), fired);
            ck_assert_int_eq(aw_guard_leave(&guards[i]), itself ? -ETIMEDOUT : around ? -ECANCELED : 0);
            ck_assert_int_eq(aw_guard_expired(&guards[i]), fired != NULL);
            ck_assert_ptr_eq(aw_guard_fired(&guards[i]), fired);
        }
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Whichever of three is the first: the blocked call ends by it, and after it is left the next one counts. */
START_TEST(h12_expire_one_after_the_other)
{
    static const uint64_t orders[6][DEEP] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                              { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };
    open_pipe();
    start_variant(_i);
    for (unsigned order = 0; order < 6; ++order) {
        struct aw_guard guards[DEEP];
        uint64_t timeouts[DEEP];
        for (unsigned i = 0; i < DEEP; ++i)
            timeouts[i] = AW_MS(5) * orders[order][i];
        uint64_t start = clock_ns();
        enter_all(guards, timeouts);
        for (unsigned i = DEEP; i-- != 0;) {
            uint64_t least = AW_FOREVER;
            for (unsigned k = 0; k <= i; ++k)
                least = timeouts[k] < least ? timeouts[k] : least;
            ck_assert_int_eq(blocking_read(), -1);
            ck_assert_int_eq(errno, EINTR);
            ck_assert_uint_ge(clock_ns(), start + least);
            ck_assert_int_lt(aw_guard_leave(&guards[i]), 0);
        }
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* False: 55 ms were lost, and the program is told of both at once. */
static bool is_interrupted_again(void)
{
    struct aw_guard outer, inner;
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&outer, AW_MS(60), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_guard_enter(&inner, AW_MS(5), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(blocking_read(), -1);
    ck_assert(aw_guard_expired(&inner));
    bool is_told_of_both = aw_guard_fired(&inner) == &outer;
    if (!is_told_of_both) {
        ck_assert_int_eq(blocking_read(), -1);
        ck_assert_int_eq(errno, EINTR);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(60));
        ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
    }
    ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    return !is_told_of_both;
}

/* Told of an inner one, an outer one that expires later interrupts again. */
START_TEST(h12_told_of_one_is_not_told_of_the_next)
{
    open_pipe();
    start_variant(_i);
    while (!is_interrupted_again())
        continue;
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 29: expiring guards and nags beside a periodic timer ---- */

struct ticks {
    uint64_t runs, missed;
};

static int tick(struct aw_timer timer, void *arg)
{
    struct ticks *ticks = arg;
    uint64_t missed = 0;
    ck_assert_int_eq(aw_timer_overrun(timer, &missed), 0);
    ++ticks->runs;
    ticks->missed += missed;
    return 0;
}

START_TEST(h29_all_ticks_beside_expiring_guards)
{
    struct ticks ticks = { 0, 0 };
    struct aw_timer timer;
    struct aw_guard guard;
    uint64_t expired = 0;

    open_pipe();
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, tick, &ticks), 0);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    uint64_t armed_ns = clock_ns();
    while (clock_ns() < start + AW_MS(300)) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_US(3300), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(blocking_read(), -1);
        int result = aw_safepoint();
        ck_assert_int_eq(result, -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ++expired;
    }
    uint64_t before_ns = clock_ns();
    ck_assert_int_ge(aw_dispatch(0), 0);
    ck_assert_uint_ge(ticks.runs + ticks.missed, (before_ns - armed_ns) / AW_MS(1) - 1);
    ck_assert_uint_le(ticks.runs + ticks.missed, (clock_ns() - start) / AW_MS(1));
    ck_assert_uint_ge(ticks.runs, expired);
    ck_assert_uint_eq(stats_now().guards, expired);

    /* And by signals alone they go on. */
    uint64_t runs = ticks.runs;
    while (ticks.runs < runs + 20 && clock_ns() < before_ns + AW_SEC(20))
        ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_uint_ge(ticks.runs, runs + 20);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 30: guards and callbacks ---- */

static int guarded_callback(struct aw_timer timer, void *arg)
{
    unsigned *expired = arg;
    struct aw_guard guard;
    (void)timer;
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(3), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(blocking_read(), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(blocking_read(), -1);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    ck_assert(aw_guard_expired(&guard));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_safepoint(), 0);
    ++*expired;
    return 0;
}

START_TEST(h30_guard_inside_a_callback)
{
    struct aw_timer timer, other;
    struct ticks ticks = { 0, 0 };
    unsigned expired = 0;

    open_pipe();
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, guarded_callback, &expired), 0);
    ck_assert_int_eq(aw_timer_create(&other, tick, &ticks), 0);
    ck_assert_int_eq(aw_timer_arm_every(other, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(5), AW_MISSED_DELAY), 0);
    while (expired < 10)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    uint64_t runs = ticks.runs;
    while (ticks.runs < runs + 10)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(stats_now().guards, expired);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int write_later(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

/* The guard around the dispatch expires while the callback reads: the callback is left in peace. */
static int undisturbed_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    pid_t pid = in_child(30, write_later, &pipe_ends[1]);
    ck_assert_int_eq(blocking_read(), 1);
    ck_assert_int_eq(aw_safepoint(), 0);
    expect_exit(pid, 0);
    ++*(unsigned *)arg;
    return 0;
}

START_TEST(h30_guard_around_a_callback)
{
    struct aw_timer timer;
    struct aw_guard guard;
    unsigned runs = 0;

    open_pipe();
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, undisturbed_callback, &runs), 0);
    for (unsigned i = 1; i <= 3; ++i) {
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
        pass_ms(2);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_dispatch(0), -ETIMEDOUT);
        ck_assert_uint_eq(runs, i);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int nothing(struct aw_timer timer, void *arg)
{
    (void)timer, (void)arg;
    return 0;
}

/* Nagged before the shield was raised, at peace under it: the alarm rings for a timer. */
START_TEST(h24_a_shielded_read_beside_a_timer)
{
    struct aw_timer timer;
    struct aw_guard guard;

    open_pipe();
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, nothing, NULL), 0);
    for (unsigned i = 0; i < 3; ++i) {
        pid_t pid = in_child(50, write_later, &pipe_ends[1]);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_DEFAULT), 0);
        spin_until(clock_ns() + AW_MS(8));
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(15)), 0);
        aw_shield();
        ck_assert_int_eq(blocking_read(), 1);
        ck_assert_int_eq(aw_unshield(), -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        expect_exit(pid, 0);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A wait inside a guard ends by it. */
START_TEST(waits_report_the_guard)
{
    struct aw_guard guard;
    start_variant(_i);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), -ETIMEDOUT);
    ck_assert_int_eq(aw_poll(NULL, 0, AW_SEC(60)), -ETIMEDOUT);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(10));
    ck_assert_int_eq(aw_wait(AW_MS(1)), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/*
 * The coarse clock: late by a kernel tick or two, never early, as long as the kernel keeps that clock; a
 * virtual machine whose timekeeping processor is halted may not, and then the try does not count.
 */
static bool coarse_clock_is_kept(void)
{
    struct timespec now, tick;
    uint64_t fine = clock_ns();
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec + 2 * (uint64_t)tick.tv_nsec >= fine;
}

START_TEST(coarse_guard_is_never_early)
{
    struct aw_guard guard;
    unsigned kept = 0;
    open_pipe();
    start_variant(_i);
    for (unsigned i = 0; i < 30; ++i) {
        bool counts = coarse_clock_is_kept();
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_guard_enter(&guard, AW_US(500 + 137 * i), AW_GUARD_COARSE), 0);
        ck_assert_int_eq(blocking_read(), -1);
        uint64_t end = clock_ns();
        if (counts && coarse_clock_is_kept())
            ck_assert_uint_ge(end, start + AW_US(500 + 137 * i));
        kept += counts;
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_uint_gt(kept, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 2: result and time-out at the same moment ---- */

/* What the two processes share. */
struct race {
    volatile uint32_t round;      /* the reader is about to open */
    volatile uint64_t open_at_ns; /* when the writer is to come */
    volatile uint32_t met;        /* writers that found a reader */
    volatile uint32_t done;       /* the writer's round is over */
};

static int writer(const char *path, struct race *race, uint32_t rounds)
{
    for (uint32_t round = 1; round <= rounds; ++round) {
        while (race->round < round) {
            if (getppid() == 1)
                return 1;
            usleep(20);
        }
        spin_until(race->open_at_ns);
        int fd = open(path, O_WRONLY | O_NONBLOCK);
        if (fd >= 0) {
            ++race->met;
            close(fd);
        }
        race->done = round;
    }
    return 0;
}

START_TEST(h02_fifo_opened_around_the_deadline)
{
    struct aw_guard guard;
    char dir[] = "/tmp/aw-race-XXXXXX", path[64];
    uint32_t rounds = scaled(5000), opened = 0, timed_out = 0, seed = 1;

    struct race *race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(race, MAP_FAILED);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(writer(path, race, rounds));

    start_variant(_i);
    unsigned descriptors = open_descriptors();
    for (uint32_t round = 1; round <= rounds; ++round) {
        seed = seed * 1664525u + 1013904223u;
        uint64_t start = clock_ns();
        race->open_at_ns = start + AW_US(150) + seed % 100000;
        race->round = round;
        ck_assert_int_eq(aw_guard_enter(&guard, AW_US(200), AW_GUARD_DEFAULT), 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int error = errno;
        uint64_t end = clock_ns();
        int result = aw_guard_leave(&guard);
        if (fd >= 0) {
            ++opened;
            close(fd);
        } else {
            ++timed_out;
            ck_assert_int_eq(error, EINTR);
            ck_assert_int_eq(result, -ETIMEDOUT);
            ck_assert_uint_ge(end, start + AW_US(200));
        }
        while (race->done < round)
            usleep(20);
    }
    expect_exit(pid, 0);
    ck_assert_uint_eq(open_descriptors(), descriptors);
    ck_assert_uint_eq(opened + timed_out, rounds);
    ck_assert_uint_eq(opened, race->met);
    if (!under_valgrind()) {
        ck_assert_uint_gt(opened, 0);
        ck_assert_uint_gt(timed_out, 0);
    }
    unlink(path);
    rmdir(dir);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guards");
    TCase *nested = signal_case(suite, "nested");
    TCase *callbacks = signal_case(suite, "callbacks");
    TCase *race = signal_case(suite, "race");

    tcase_add_loop_test(nested, h03_nested_handler_above_a_blocked_read, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_every_set_of_expired_guards, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_expire_one_after_the_other, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_told_of_one_is_not_told_of_the_next, 0, VARIANTS);
    tcase_add_loop_test(nested, h24_a_shielded_read_beside_a_timer, 0, VARIANTS);
    tcase_add_loop_test(nested, waits_report_the_guard, 0, VARIANTS);
    tcase_add_loop_test(nested, coarse_guard_is_never_early, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h29_all_ticks_beside_expiring_guards, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h30_guard_inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h30_guard_around_a_callback, 0, VARIANTS);
    tcase_add_loop_test(race, h02_fifo_opened_around_the_deadline, 0, VARIANTS);
    return run_suite(suite);
}
