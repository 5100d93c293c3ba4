/* SPDX-License-Identifier: MIT */
/*
 * signal_io_callbacks.c: guarded calls among callbacks: such that something is due at every moment, such that
 * make guarded calls themselves, such that fail as a guard expires, and such that are posted after the last
 * one. Whatever they do, a call that is ready returns, and one that is not times out.
 */
#include <alarmwheel/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

#define FOR_HANGS AW_SEC(20)

static int ends[2], other_ends[2];

static void open_pipes(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(other_ends, O_CLOEXEC), 0);
}

static void put_byte(void)
{
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
}

static int write_byte(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

static void stop(void)
{
    while (aw_shutdown() > 0)
        continue;
    for (unsigned i = 0; i < 2; ++i) {
        close(ends[i]);
        close(other_ends[i]);
    }
}

/* ---- something is always due ---- */

static unsigned runs;

static int post_oneself(void *arg)
{
    ++runs;
    return aw_post(post_oneself, arg);
}

/* Takes longer than its period. */
static int tick_slowly(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    spin_until(clock_ns() + AW_US(1500));
    return 0;
}

static void always_have_something_due(bool by_timer)
{
    struct aw_timer timer;
    runs = 0;
    if (by_timer) {
        ck_assert_int_eq(aw_timer_create(&timer, tick_slowly, NULL), 0);
        ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
        spin_until(clock_ns() + AW_MS(3));
    } else {
        ck_assert_int_eq(aw_post(post_oneself, NULL), 0);
    }
}

/* The time-out tells a hang: without one this would never end. */
static void expect_byte(void)
{
    char byte;
    errno = 0;
    ck_assert_int_eq(aw_read(ends[0], &byte, 1, FOR_HANGS), 1);
    ck_assert(!aw_timed_out());
}

static void call_with_something_due(void)
{
    char byte;
    unsigned before = runs;
    for (unsigned i = 0; i < 10; ++i) {
        put_byte();
        expect_byte();
    }
    ck_assert_uint_gt(runs, before);

    /* One that blocks times out, and not early, */
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_MS(20)), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(aw_timed_out());
    ck_assert_uint_ge(clock_ns(), start + AW_MS(20));

    /* ... and data wakes it. */
    before = runs;
    pid_t pid = in_child(20, write_byte, &ends[1]);
    expect_byte();
    ck_assert_uint_gt(runs, before);
    expect_exit(pid, 0);
}

START_TEST(beside_a_post_that_posts_itself)
{
    open_pipes();
    start_variant(_i);
    always_have_something_due(false);
    call_with_something_due();
    stop();
}
END_TEST

START_TEST(h22_beside_a_timer_slower_than_its_period)
{
    open_pipes();
    start_variant(_i);
    always_have_something_due(true);
    call_with_something_due();
    stop();
}
END_TEST

/* A guard's expiry goes before, and ends the call however much is due. */
START_TEST(a_guard_beside_a_post_that_posts_itself)
{
    struct aw_guard guard;
    char byte;
    open_pipes();
    start_variant(_i);
    always_have_something_due(false);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_read(ends[0], &byte, 1, FOR_HANGS), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(10));
    stop();
}
END_TEST

/* ---- the calls of callbacks ---- */

static int time_out(void *arg)
{
    char byte;
    ck_assert_int_eq(aw_read(other_ends[0], &byte, 1, AW_US(100)), -1);
    ck_assert(aw_timed_out());
    *(bool *)arg = true;
    return 0;
}

/* aw_timed_out is of the last call to end, not of one inside it. */
START_TEST(a_callback_whose_own_call_times_out)
{
    open_pipes();
    start_variant(_i);
    for (unsigned i = 0; i < 10; ++i) {
        bool has_run = false;
        put_byte();
        ck_assert_int_eq(aw_post(time_out, &has_run), 0);
        expect_byte();
        ck_assert(has_run);
    }
    stop();
}
END_TEST

/* ---- a callback fails while a guard expires ---- */

static int fail_late(void *arg)
{
    spin_until(*(const uint64_t *)arg);
    return -7;
}

/* It was the guard's time, and the program was told so: plain calls work again. */
START_TEST(h24_a_callback_fails_as_a_guard_expires)
{
    struct aw_guard guard;
    unsigned interruptions = 0;
    ssize_t n;
    char byte;
    open_pipes();
    start_variant(_i);
    pid_t pid = in_child(60, write_byte, &ends[1]);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    uint64_t until = clock_ns() + AW_MS(15);
    ck_assert_int_eq(aw_post(fail_late, &until), 0);
    ck_assert_int_eq(aw_read(other_ends[0], &byte, 1, FOR_HANGS), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(aw_timed_out());
    while ((n = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
        ++interruptions;
    ck_assert_int_eq(n, 1);
    ck_assert_uint_eq(interruptions, 0);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    expect_exit(pid, 0);
    stop();
}
END_TEST

/* ---- a post after the last call ---- */

static int count_run(void *arg)
{
    (void)arg;
    ++runs;
    return 0;
}

/* A byte comes long after the post, for whom that has not interrupted. */
static void *post_and_write(void *arg)
{
    const struct timespec moment = { 0, 50000000 };
    nanosleep(&moment, NULL);
    *(int *)arg = aw_post(count_run, NULL);
    nanosleep(&moment, NULL);
    return write(ends[1], "x", 1) == 1 ? NULL : arg;
}

/* Quiet, the program is interrupted by real deadlines only, though its last guarded call had posters ring. */
START_TEST(h24_quiet_after_a_guarded_call)
{
    struct pollfd input;
    pthread_t thread;
    int posted = -1;
    open_pipes();
    start_variant(_i);
    put_byte();
    expect_byte();
    runs = 0;
    input = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    ck_assert_int_ge(aw_quiet(), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, post_and_write, &posted), 0);
    ck_assert_int_eq(poll(&input, 1, -1), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(posted, 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(runs, 1);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signal_io_callbacks");
    TCase *due = signal_case(suite, "always due");
    TCase *callbacks = signal_case(suite, "callbacks");

    tcase_add_loop_test(due, beside_a_post_that_posts_itself, 0, VARIANTS);
    tcase_add_loop_test(due, h22_beside_a_timer_slower_than_its_period, 0, VARIANTS);
    tcase_add_loop_test(due, a_guard_beside_a_post_that_posts_itself, 0, VARIANTS);
    tcase_add_loop_test(callbacks, a_callback_whose_own_call_times_out, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h24_a_callback_fails_as_a_guard_expires, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h24_quiet_after_a_guarded_call, 0, VARIANTS);
    return run_suite(suite);
}
