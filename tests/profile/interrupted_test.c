/* SPDX-License-Identifier: MIT */
/*
 * interrupted_test.c: what interrupts the profiler at its own work: a handler of the program's that forks
 * while a thread registers or ends, and a thread that is cancelled wherever it is, in our handler, too. A
 * failure is a test that hangs.
 */
#include <sched.h>
#include <signal.h>

#include "check_main.h"
#include "fork_in_handler.h"
#include "signal_fixture.h"
#include "work.h"

#define FORKS 200

static void *register_and_end(void *arg)
{
    aw_profile_thread_register(NULL);
    return arg;
}

/* What it interrupts has the lock mostly: threads that do no more than come and go. */
START_TEST(a_handler_forks_while_threads_come_and_go)
{
    start_profile((enum aw_profile_clock)_i, 1000);
    handle_signal(SIGALRM, fork_in_handler, SA_RESTART);
    forks_left = FORKS;
    set_alarm_to_fork();
    while (forks_left > 0) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, register_and_end, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* A loop that computes is what asynchronous cancellation is for. */
static void *work_until_cancelled(void *arg)
{
    atomic_bool *is_ready = arg;
    int before;
    volatile unsigned rounds = 0;
    aw_profile_thread_register("computes");
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    atomic_store(is_ready, true);
    for (;;)
        ++rounds;
    return NULL;
}

static void cancel_one(unsigned after_us)
{
    pthread_t thread;
    atomic_bool is_ready = false;
    void *result = NULL;
    ck_assert_int_eq(pthread_create(&thread, NULL, work_until_cancelled, &is_ready), 0);
    while (!atomic_load(&is_ready))
        sched_yield();
    struct timespec rest = { .tv_nsec = (long)after_us * 1000 };
    nanosleep(&rest, NULL);
    ck_assert_int_eq(pthread_cancel(thread), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
}

START_TEST(threads_are_cancelled_in_the_handler)
{
    start_profile(AW_PROFILE_WALL, 10000);
    for (unsigned i = 0; i < scaled(400); ++i) {
        cancel_one(200 + i % 97);
        if (i % 50 == 49)
            aw_profile_free(take());
    }
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert_int_eq(aw_profile_resume(), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile interrupted");
    TCase *interrupted = signal_case(suite, "interrupted");
    /* ThreadSanitizer runs handlers where it sees fit; AddressSanitizer locks to fork. */
    if (!UNDER_TSAN && !UNDER_ASAN)
        tcase_add_loop_test(interrupted, a_handler_forks_while_threads_come_and_go, 0, AW_PROFILE_WALL + 1);
    if (!UNDER_TSAN)
        tcase_add_test(interrupted, threads_are_cancelled_in_the_handler);
    return run_suite(suite);
}
