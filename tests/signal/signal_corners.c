/* SPDX-License-Identifier: MIT */
/*
 * signal_corners.c: where two rules meet: a callback's own result and a guard that expired meanwhile, a
 * handler that chains back to ours, a foreign handler that leaves by siglongjmp on another thread, one
 * guard object entered outside a callback and inside it, a forked child and memory that was lent to the
 * parent.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

static int ends[2];
static struct aw_guard shared_guard;

static ssize_t read_nothing(void)
{
    char byte;
    return read(ends[0], &byte, 1);
}

static int overrun_and_fail(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    spin_until(clock_ns() + AW_MS(40));
    return -7;
}

/* The callback's -7 comes out, so the program is not told: what blocks next is still interrupted. */
START_TEST(h30_a_callbacks_result_hides_no_expiry)
{
    struct aw_timer timer;
    struct aw_guard guard;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, overrun_and_fail, NULL), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(30), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(10)), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), -7);
    ck_assert_int_eq(read_nothing(), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int guard_in_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(int *)arg = aw_guard_enter(&shared_guard, AW_MS(20), AW_GUARD_DEFAULT);
    ck_assert_int_eq(read_nothing(), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_guard_leave(&shared_guard), -ETIMEDOUT);
    return 0;
}

START_TEST(h30_a_guard_entered_outside_and_inside)
{
    struct aw_timer timer;
    struct aw_guard outer;
    int entered = -1;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, guard_in_callback, &entered), 0);
    ck_assert_int_eq(aw_guard_enter(&outer, AW_SEC(1000), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_guard_enter(&shared_guard, AW_SEC(1000), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(5)), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_int_eq(entered, 0);
    ck_assert_int_eq(aw_guard_leave(&shared_guard), -ENOENT); /* left in the callback */
    ck_assert_int_eq(aw_guard_leave(&outer), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static struct sigaction saved;
static volatile unsigned polite_runs;

static void polite(int signo, siginfo_t *info, void *context)
{
    ++polite_runs;
    if ((saved.sa_flags & SA_SIGINFO) != 0)
        saved.sa_sigaction(signo, info, context);
}

/* A library installs its handler over ours and chains; we stop and start: each has the other behind it. */
START_TEST(h21_a_handler_that_chains_back)
{
    struct sigaction action;
    start_variant(_i);
    memset(&action, 0, sizeof action);
    action.sa_sigaction = polite;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ck_assert_int_eq(sigaction(variant_signo(_i), &action, &saved), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    start_variant(_i);
    for (unsigned i = 1; i <= 3; ++i) {
        ck_assert_int_eq(kill(getpid(), variant_signo(_i)), 0);
        ck_assert_uint_eq(polite_runs, i);
    }
    ck_assert_uint_eq(stats_now().chained, 3);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static sigjmp_buf landing;
static volatile unsigned landed;

static void jump(int signo)
{
    (void)signo;
    siglongjmp(landing, 1);
}

/* One that leaves by siglongjmp each time is passed on to each time. */
START_TEST(h21_a_handler_that_never_returns)
{
    handle_signal(variant_signo(_i), jump, 0);
    start_variant(_i);
    for (volatile unsigned i = 0; i < 5; ++i) {
        if (sigsetjmp(landing, 1) == 0)
            kill(getpid(), variant_signo(_i));
        else
            ++landed;
    }
    ck_assert_uint_eq(landed, 5);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static volatile bool is_ready;

static void *wait_for_a_jump(void *arg)
{
    if (sigsetjmp(landing, 1) == 0) {
        is_ready = true;
        for (;;)
            pause();
    }
    ++landed;
    return arg;
}

START_TEST(h14_a_handler_elsewhere_that_never_returns)
{
    pthread_t thread;
    handle_signal(variant_signo(_i), jump, 0);
    start_variant(_i);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_jump, NULL), 0);
    while (!is_ready)
        pass_ms(1);
    pass_ms(5);
    ck_assert_int_eq(pthread_kill(thread, variant_signo(_i)), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(landed, 1);
    ck_assert_int_eq(aw_shutdown(), 0); /* waits for nobody */
}
END_TEST

static int start_in_child(void *memory)
{
    struct aw_timer timer;
    unsigned char *bytes = memory;
    for (unsigned i = 0; i < 8192; ++i)
        bytes[i] = 0xee; /* the child has other plans for it */
    return aw_init(NULL) == 0 && aw_timer_create(&timer, overrun_and_fail, NULL) == 0 && aw_shutdown() == 0
               ? 0
               : 1;
}

START_TEST(h18_a_child_does_not_touch_lent_memory)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.memory_bytes = aw_wheel_bytes(64);
    options.memory = aligned_alloc(64, (options.memory_bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(options.memory);
    ck_assert_int_eq(aw_init(&options), 0);
    expect_exit(in_child(0, start_in_child, options.memory), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    free(options.memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corners");
    TCase *corners = signal_case(suite, "corners");

    tcase_add_loop_test(corners, h30_a_callbacks_result_hides_no_expiry, 0, VARIANTS);
    tcase_add_loop_test(corners, h30_a_guard_entered_outside_and_inside, 0, VARIANTS);
    tcase_add_loop_test(corners, h21_a_handler_that_chains_back, 0, SOURCES);
    tcase_add_loop_test(corners, h21_a_handler_that_never_returns, 0, SOURCES);
    tcase_add_loop_test(corners, h14_a_handler_elsewhere_that_never_returns, 0, SOURCES);
    tcase_add_test(corners, h18_a_child_does_not_touch_lent_memory);
    return run_suite(suite);
}
