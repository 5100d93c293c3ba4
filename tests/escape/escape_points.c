/* SPDX-License-Identifier: MIT */
/*
 * escape_points.c: the calls of the library that make an escape which was put off, and those that an escape
 * must not tear: safe points, guarded and plain system calls inside an escaping guard; and aw_guard_call,
 * from C and from C++.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <alarmwheel/io.h>

#include "check_main.h"
#include "escape_cxx.h"
#include "spin.h"

static int ends[2];

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- safe points; with the alarm blocked they are on their own ---- */

static void pass_a_point(unsigned way)
{
    switch (way) {
    case 0:
        aw_dispatch(0);
        break;
    case 1:
        aw_wait(AW_SEC(60));
        break;
    case 2:
        aw_poll(NULL, 0, AW_SEC(60));
        break;
    case 3:
        aw_run();
        break;
    default:
        aw_sleep_until(clock_ns() + AW_SEC(60));
    }
}

static int nothing(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return 0;
}

START_TEST(points_escape)
{
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, nothing, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_SEC(3600)), 0); /* for aw_run */
    for (volatile unsigned blocked = 0; blocked < 2; ++blocked) {
        for (volatile unsigned way = 0; way < 5; ++way) {
            volatile unsigned beyond = 0;
            struct aw_guard guard;
            volatile uint64_t start = clock_ns();
            if (way == (blocked != 0 ? 4 : 0))
                continue; /* a guarded call needs its signal, and aw_dispatch waits for nothing */
            AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
                if (blocked != 0) {
                    block_signal(variant_signo(_i));
                    spin_ms(3);
                }
                pass_a_point(way);
                ++beyond;
            }
            ck_assert(aw_guard_expired(&guard));
            ck_assert_uint_eq(beyond, 0);
            ck_assert(!is_blocked(variant_signo(_i)));
            ck_assert_uint_ge(clock_ns(), start + AW_MS(2));
            ck_assert_uint_lt(clock_ns(), start + AW_SEC(30));
        }
    }
    stop();
}
END_TEST

static struct aw_guard *asked_guard;
static volatile bool was_told;

static int ask_in_comparator(const void *a, const void *b)
{
    if (!was_told) {
        spin_ms(4);
        was_told = aw_guard_expired(asked_guard);
    }
    return *(const int *)a - *(const int *)b;
}

static void sort_and_spin(void)
{
    struct aw_guard guard;
    int values[] = { 3, 1, 2 };
    asked_guard = &guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        qsort(values, sizeof values / sizeof *values, sizeof *values, ask_in_comparator);
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

/* To be told where an escape has to wait does not end the matter: it comes after qsort. */
START_TEST(told_where_it_is_put_off)
{
    start_variant(_i);
    was_told = false;
    do
        sort_and_spin();
    while (!was_told);
    stop();
}
END_TEST

/* ---- calls ---- */

START_TEST(a_guarded_call_escapes)
{
    volatile int beyond = 0;
    char byte;
    open_pipe();
    start_variant(_i);
    for (volatile unsigned i = 0; i < scaled(50); ++i) {
        struct aw_guard guard;
        AW_GUARD(&guard, AW_US(100 + 20 * i), AW_GUARD_ESCAPE) {
            aw_read(ends[0], &byte, 1, AW_FOREVER);
            ++beyond;
        }
        ck_assert(aw_guard_expired(&guard));
    }
    ck_assert_int_eq(beyond, 0);
    stop();
}
END_TEST

/* Its own time-out is a result like others. */
START_TEST(its_own_time_out_does_not)
{
    volatile ssize_t result = 0;
    volatile int error = 0;
    struct aw_guard guard;
    char byte;
    open_pipe();
    start_variant(_i);
    AW_GUARD(&guard, AW_SEC(60), AW_GUARD_ESCAPE) {
        result = aw_read(ends[0], &byte, 1, AW_MS(2));
        error = errno;
    }
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(error, ETIMEDOUT);
    stop();
}
END_TEST

/* What arrives in time under a shield is kept: every byte is in `sum`, or still in the pipe. */
START_TEST(h02_results_under_a_shield)
{
    volatile unsigned taken = 0, given = 0;
    unsigned tries = scaled(2000);
    start_variant(_i);
    open_pipe();
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    for (volatile unsigned i = 0; i < tries; ++i) {
        struct aw_guard guard;
        volatile char byte;
        ck_assert_int_eq(write(ends[1], "xyzxyzxyz", 9), 9);
        given += 9;
        AW_GUARD(&guard, AW_US(3 + i % 40), AW_GUARD_ESCAPE) {
            for (;;) {
                aw_shield();
                if (aw_read(ends[0], (char *)&byte, 1, AW_FOREVER) == 1)
                    taken = taken + 1;
                (void)aw_unshield();
            }
        }
        ck_assert(aw_guard_expired(&guard));
        for (char left; read(ends[0], &left, 1) == 1;)
            ++taken;
    }
    ck_assert_uint_eq(taken, given);
    stop();
}
END_TEST

/* A plain call that blocks is interrupted, and its loop, which asks nobody, is escaped from. */
START_TEST(a_loop_around_a_plain_call)
{
    struct aw_guard guard;
    char byte;
    open_pipe();
    start_variant(_i);
    for (volatile int i = 0; i < 10; ++i) {
        AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
            while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
                continue;
        }
        ck_assert(aw_guard_expired(&guard));
    }
    stop();
}
END_TEST

/* ---- aw_guard_call ---- */

static int spin_in_call(void *arg)
{
    ++*(volatile int *)arg;
    spin_to_the_escape();
    ++*(volatile int *)arg;
    return 7;
}

static int return_at_once(void *arg)
{
    ++*(volatile int *)arg;
    return 7;
}

static int nested_call(void *arg)
{
    struct aw_guard guard;
    int result = aw_guard_call(&guard, AW_SEC(60), AW_GUARD_DEFAULT, spin_in_call, arg);
    ++*(volatile int *)arg;
    return result;
}

START_TEST(guard_call)
{
    struct aw_guard guard;
    volatile int stages = 0;
    sigset_t before, after;
    start_variant(_i);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (volatile int i = 0; i < 20; ++i) {
        unsigned flags = i % 2 == 0 ? AW_GUARD_ESCAPE : AW_GUARD_ESCAPE | AW_GUARD_NOMASK;
        stages = 0;
        ck_assert_int_eq(aw_guard_call(&guard, AW_MS(1), flags, spin_in_call, (void *)&stages), -ETIMEDOUT);
        ck_assert_int_le(stages, 1);
        stages = 1;
        ck_assert_ptr_eq(aw_guard_fired(&guard), &guard);
        ck_assert_int_eq(aw_guard_call(&guard, AW_SEC(60), flags, return_at_once, (void *)&stages), 7);
        ck_assert_int_eq(stages, 2);
        stages = 0;
        ck_assert_int_eq(aw_guard_call(&guard, AW_MS(1), flags, nested_call, (void *)&stages), -ETIMEDOUT);
        ck_assert_int_le(stages, 1);
        pthread_sigmask(SIG_BLOCK, NULL, &after);
        for (int signo = 1; signo < 65; ++signo)
            ck_assert_int_eq(sigismember(&after, signo), sigismember(&before, signo));
    }
    stop();
}
END_TEST

/* An escape past a call, and one that only the cooperative guard around it caused. */
START_TEST(guard_call_within_guards)
{
    struct aw_guard outer, inner;
    volatile int stages = 0, result = 0;
    start_variant(_i);
    AW_GUARD(&outer, AW_MS(2), AW_GUARD_ESCAPE) {
        result = aw_guard_call(&inner, AW_SEC(60), AW_GUARD_ESCAPE, spin_in_call, (void *)&stages);
        result = 1;
    }
    ck_assert(aw_guard_expired(&outer));
    ck_assert_int_eq(result, 0);
    ck_assert_int_le(stages, 1);

    stages = 0;
    AW_GUARD(&outer, AW_MS(2), AW_GUARD_DEFAULT) {
        result = aw_guard_call(&inner, AW_SEC(60), AW_GUARD_ESCAPE, spin_in_call, (void *)&stages);
    }
    ck_assert(aw_guard_expired(&outer));
    ck_assert_int_eq(result, -ECANCELED);
    ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
    ck_assert_int_le(stages, 1);
    stop();
}
END_TEST

static int exceed_both(void *arg)
{
    aw_shield();
    ++*(volatile int *)arg;
    spin_ms(4);
    (void)aw_unshield();
    ck_abort_msg("aw_unshield returned");
}

/* Expired itself, it says so, whatever else has: as aw_guard_leave does. */
START_TEST(guard_call_that_expires_with_the_outer)
{
    struct aw_guard outer, inner;
    volatile int stages = 0;
    int result;
    start_variant(_i);
    do {
        ck_assert_int_eq(aw_guard_enter(&outer, AW_MS(2), AW_GUARD_DEFAULT), 0);
        result = aw_guard_call(&inner, AW_MS(2), AW_GUARD_ESCAPE, exceed_both, (void *)&stages);
        ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
        ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    } while (stages == 0); /* so slow a machine that the outer one had expired before */
    ck_assert_int_eq(result, -ETIMEDOUT);
    stop();
}
END_TEST

START_TEST(guard_call_from_cxx)
{
    start_variant(_i);
    for (int i = 0; i < 10; ++i)
        ck_assert_str_eq(cxx_guard_call(), "");
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_points");
    TCase *points = signal_case(suite, "points");
    TCase *calls = signal_case(suite, "calls");

    tcase_add_loop_test(points, points_escape, 0, VARIANTS);
    tcase_add_loop_test(points, told_where_it_is_put_off, 0, VARIANTS);
    tcase_add_loop_test(points, a_guarded_call_escapes, 0, VARIANTS);
    tcase_add_loop_test(points, its_own_time_out_does_not, 0, VARIANTS);
    tcase_add_loop_test(points, h02_results_under_a_shield, 0, VARIANTS);
    if (!UNDER_ASAN) /* there read(2) is the sanitizer's, which is not known to hold nothing */
        tcase_add_loop_test(points, a_loop_around_a_plain_call, 0, VARIANTS);
    tcase_add_loop_test(calls, guard_call, 0, VARIANTS);
    tcase_add_loop_test(calls, guard_call_within_guards, 0, VARIANTS);
    tcase_add_loop_test(calls, guard_call_that_expires_with_the_outer, 0, VARIANTS);
    tcase_add_loop_test(calls, guard_call_from_cxx, 0, VARIANTS);
    return run_suite(suite);
}
