/* SPDX-License-Identifier: MIT */
/*
 * signal_itimer.c: virtual interval timers on real clocks: the same answers as libc's alarm, setitimer and
 * getitimer give (itimer_table.c), never early on their own clock, nothing lost, nothing taken from the
 * program that it does not know of. Lower bounds are strict.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/burn.h"
#include "engine/engine.h"
#include "itimer_table.h"
#include "signal_fixture.h"

/* Both kinds on processor time, with every variant. */
#define RUNS (2 * VARIANTS)
static int kind_of(int run)
{
    return run % 2 == 0 ? ITIMER_VIRTUAL : ITIMER_PROF;
}

static uint64_t now_of(int kind)
{
    struct timespec now;
    clock_gettime(kind == ITIMER_REAL      ? CLOCK_MONOTONIC
                  : kind == ITIMER_VIRTUAL ? AWI_USER_CLOCK
                                           : CLOCK_PROCESS_CPUTIME_ID,
                  &now);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

static void burn_once(void)
{
    for (volatile unsigned i = 0; i < 20000; ++i)
        continue;
}

static void burn(int kind, uint64_t ns)
{
    for (uint64_t until = now_of(kind) + ns; now_of(kind) < until;)
        burn_once();
}

static void set(int id, uint64_t value_ns, uint64_t interval_ns)
{
    const struct itimerval value = { .it_value = { (time_t)(value_ns / AW_SEC(1)),
                                                   (suseconds_t)(value_ns % AW_SEC(1) / AW_US(1)) },
                                     .it_interval = { (time_t)(interval_ns / AW_SEC(1)),
                                                      (suseconds_t)(interval_ns % AW_SEC(1) / AW_US(1)) } };
    ck_assert_int_eq(aw_setitimer(id, &value, NULL), 0);
}

/* What a callback saw. */
struct seen {
    int kind;
    unsigned calls;
    uint64_t expirations, at_ns;
    int returns;
};

static int see(int id, uint64_t expirations, void *arg)
{
    struct seen *seen = arg;
    (void)id;
    ck_assert_uint_ge(expirations, 1);
    ++seen->calls;
    seen->expirations += expirations;
    seen->at_ns = now_of(seen->kind);
    return seen->returns;
}

START_TEST(h09_same_answers_as_libc)
{
    itimer_table_begin();
    start_variant(_i);
    itimer_table_compare();
}
END_TEST

/* Work that computes, calls the kernel and sleeps: each counts on one clock, on two, and on none. */
static void work(void)
{
    for (unsigned i = 0; i < 10; ++i)
        burn_once();
    for (unsigned i = 0; i < 500; ++i)
        (void)getppid();
    pass_ms(1);
}

START_TEST(never_early)
{
    struct seen seen = { .kind = kind_of(_i) };
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    for (unsigned round = 0; round < 3; ++round) {
        uint64_t value = AW_MS(1) + round * AW_MS(17);
        seen.calls = 0;
        uint64_t before = now_of(seen.kind);
        set(seen.kind, value, 0);
        while (seen.calls == 0) {
            work();
            ck_assert_int_eq(aw_safepoint(), 0);
        }
        ck_assert_uint_eq(seen.expirations, round + 1);
        ck_assert_uint_ge(seen.at_ns - before, value);
    }
    ck_assert_uint_eq(stats_now().spurious, 0);
}
END_TEST

START_TEST(intervals_are_counted)
{
    struct seen seen = { .kind = kind_of(_i) };
    const uint64_t value = AW_MS(20), interval = AW_MS(7);
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    uint64_t before = now_of(seen.kind);
    set(seen.kind, value, interval);
    uint64_t after = now_of(seen.kind);
    while (seen.calls < 5) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
        if (seen.calls != 0)
            ck_assert_uint_le(seen.expirations, (seen.at_ns - before - value) / interval + 1);
    }
    /* Nobody looks; then one call tells all. */
    unsigned calls = seen.calls;
    burn(seen.kind, AW_MS(60));
    uint64_t looked = now_of(seen.kind);
    ck_assert_int_ge(aw_dispatch(0), 1);
    ck_assert_uint_eq(seen.calls, calls + 1);
    ck_assert_uint_le(seen.expirations, (seen.at_ns - before - value) / interval + 1);
    /* A kernel tick is added to the value: 10 ms at most. */
    ck_assert_uint_ge(seen.expirations, (looked - after - value - AW_MS(10)) / interval + 1);
    set(seen.kind, 0, 0);
    ck_assert_uint_eq(awi_engine.keeping, 0);
    calls = seen.calls;
    burn(seen.kind, AW_MS(30));
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_uint_eq(seen.calls, calls);
}
END_TEST

#define MANY 1000
static struct {
    uint64_t set_ns, value_ns;
    unsigned calls;
} many[3 + MANY];
static unsigned many_left;

static int one_of_many(int id, uint64_t expirations, void *arg)
{
    int kind = *(const int *)arg;
    ck_assert_uint_eq(expirations, 1);
    ck_assert_uint_eq(many[id].calls++, 0);
    ck_assert_uint_ge(now_of(kind) - many[id].set_ns, many[id].value_ns);
    --many_left;
    return 0;
}

START_TEST(many_at_once)
{
    static const int kinds[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
    start_variant(_i);
    many_left = MANY;
    for (unsigned i = 0; i < MANY; ++i) {
        const int *kind = &kinds[i % 3];
        int id = aw_itimer_create(*kind, one_of_many, (void *)(uintptr_t)kind);
        ck_assert_int_eq(id, (int)i + 3);
        many[id].value_ns = AW_US(1000 + i * 7919 % 40000);
        many[id].set_ns = now_of(*kind);
        set(id, many[id].value_ns, 0);
    }
    while (many_left != 0) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_uint_eq(awi_engine.keeping, 0);
}
END_TEST

START_TEST(merged_while_nobody_looks)
{
    struct seen seen = { .kind = kind_of(_i), .returns = -ECANCELED };
    start_variant(_i / 2);
    int id = aw_itimer_create(seen.kind, see, &seen);
    set(id, AW_MS(1), AW_MS(1));
    burn(seen.kind, AW_MS(50));
    ck_assert_int_eq(aw_dispatch(0), -ECANCELED);
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_uint_ge(seen.expirations, 30);
    ck_assert_int_eq(aw_itimer_delete(id), 0);
    burn(seen.kind, AW_MS(20));
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

/* ---- waits ---- */

static atomic_uint busy; /* no bool: gcc 12 with -fsanitize=bool takes the load out of the loop */

static void *be_busy(void *unused)
{
    while (busy != 0)
        burn_once();
    return unused;
}

static int quit(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    return aw_quit(23);
}

/* The owner sleeps, and another thread's work makes the process's time pass. */
START_TEST(run_goes_on_for_them)
{
    struct seen seen = { .kind = kind_of(_i) };
    pthread_t thread;
    busy = 1;
    ck_assert_int_eq(pthread_create(&thread, NULL, be_busy, NULL), 0);
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, quit, &seen), 0);
    uint64_t before = now_of(seen.kind);
    set(seen.kind, AW_MS(30), 0);
    ck_assert_int_eq(aw_run(), 23);
    ck_assert_uint_ge(seen.at_ns - before, AW_MS(30));
    ck_assert_int_eq(aw_run(), 0); /* and no longer */
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(5), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    busy = 0;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(real_in_a_wait)
{
    struct seen seen = { .kind = ITIMER_REAL };
    start_variant(_i);
    ck_assert_int_eq(aw_itimer_callback(ITIMER_REAL, see, &seen), 0);
    uint64_t before = clock_ns();
    set(ITIMER_REAL, AW_MS(20), AW_MS(10));
    for (unsigned i = 1; i <= 3; ++i) {
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_ge(seen.at_ns - before, AW_MS(10) * (seen.expirations + 1));
    }
    before = clock_ns();
    ck_assert_int_eq(aw_alarm(1), 1);
    int64_t left = aw_alarm(0);
    ck_assert(left == 1 || (left == 0 && clock_ns() >= before + AW_SEC(1)));
    ck_assert_int_eq(aw_run(), 0);
}
END_TEST

/* ---- what is the program's stays the program's ---- */

static volatile sig_atomic_t others;

static void count_other(int signo)
{
    (void)signo;
    ++others;
}

START_TEST(beside_the_originals)
{
    struct seen seen = { .kind = kind_of(_i) };
    int signo = seen.kind == ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF;
    __itimer_which_t which = seen.kind == ITIMER_VIRTUAL ? ITIMER_VIRTUAL : ITIMER_PROF;
    const struct itimerval every = { { 0, 10000 }, { 0, 10000 } };
    const struct itimerval stop = { { 0, 0 }, { 0, 0 } };
    struct itimerval left;
    start_variant(_i / 2);
    handle_signal(signo, count_other, SA_RESTART);
    ck_assert_int_eq(setitimer(which, &every, NULL), 0);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(25), AW_MS(25));
    while (seen.calls < 3 || others < 5) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(getitimer(which, &left), 0);
    ck_assert_int_eq(left.it_interval.tv_usec, 10000);
    int before = others;
    while (others < before + 3)
        burn_once();
    ck_assert_int_eq(setitimer(which, &stop, NULL), 0);
}
END_TEST

/* Guards on processor time use the same signal, and another timer. */
START_TEST(beside_guards)
{
    struct seen seen = { .kind = kind_of(_i) };
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(5), AW_MS(5));
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(40), AW_GUARD_CPU), 0);
    int result;
    do
        result = aw_safepoint();
    while (result == 0);
    ck_assert_int_eq(result, -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    unsigned calls = seen.calls;
    while (seen.calls < calls + 2) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
}
END_TEST

/* SIGALRM's default would end the process. */
START_TEST(h11_nothing_after_shutdown)
{
    struct seen seen = { .kind = kind_of(_i) };
    start_variant(_i / 2);
    for (unsigned round = 0; round < 20; ++round) {
        ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
        set(seen.kind, AW_US(100), AW_US(100));
        if (round % 2 == 0)
            burn(seen.kind, AW_MS(8));
        if (round == 3) {
            block_signal(variant_signo(_i / 2));
            burn(seen.kind, AW_MS(8));
        }
        ck_assert_int_eq(aw_shutdown(), 0);
        burn(seen.kind, AW_MS(8));
        unblock_signal(variant_signo(_i / 2));
        ck_assert_int_eq(aw_setitimer(seen.kind, NULL, NULL), -ENODEV);
        start_variant(_i / 2);
        ck_assert_int_eq(aw_dispatch(0), 0);
    }
    ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

static int in_forked_child(void *arg)
{
    struct seen seen = { .kind = *(const int *)arg };
    if (aw_setitimer(seen.kind, NULL, NULL) != -ENODEV)
        return 1;
    burn(seen.kind, AW_MS(30)); /* the parent's would ring */
    if (aw_init(NULL) != 0 || aw_itimer_callback(seen.kind, see, &seen) != 0)
        return 2;
    burn(seen.kind, AW_MS(30));
    if (aw_dispatch(0) != 0)
        return 3;
    set(seen.kind, AW_MS(5), 0);
    while (seen.calls == 0) {
        burn_once();
        if (aw_safepoint() != 0)
            return 4;
    }
    return 42;
}

START_TEST(h18_forked_child)
{
    struct seen seen = { .kind = kind_of(_i) };
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(10), AW_MS(10));
    expect_exit(in_child(0, in_forked_child, &seen.kind), 42);
    while (seen.calls < 2) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
}
END_TEST

/* The signal is ignored for a while: a dispatch sees by the clock what is due. */
START_TEST(h08_lost_signal)
{
    struct seen seen = { .kind = kind_of(_i) };
    struct sigaction action, ignore;
    int signo = variant_signo(_i / 2);
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(5), AW_MS(5));
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    ck_assert_int_eq(sigaction(signo, &ignore, &action), 0);
    burn(seen.kind, AW_MS(30));
    ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    unsigned calls = seen.calls;
    ck_assert_uint_eq(calls, 1);
    while (seen.calls < calls + 2) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
}
END_TEST

/* A signal is sent only where a timer is due: not one for each that was set and stopped. */
START_TEST(no_signals_in_vain)
{
    struct seen seen = { .kind = kind_of(_i) };
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_callback(seen.kind, see, &seen), 0);
    set(seen.kind, AW_MS(20), 0);
    set(seen.kind, 0, 0);
    burn(seen.kind, AW_MS(40));
    ck_assert_uint_eq(stats_now().signals, 0);
    uint64_t programmed = stats_now().programmed;
    for (unsigned i = 0; i < 10; ++i) {
        set(seen.kind, AW_SEC(20) + i, 0);
        set(seen.kind, AW_SEC(10), 0);
        ck_assert_int_ge(aw_itimer_create(seen.kind, see, &seen), 3);
        set(3 + (int)i, AW_SEC(20), 0);
    }
    set(seen.kind, AW_MS(20), 0);
    ck_assert_uint_le(stats_now().programmed - programmed, 13);
    while (seen.calls == 0) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_uint_le(stats_now().signals, 2); /* ten seconds, twenty milliseconds */
}
END_TEST

static int set_again(int id, uint64_t expirations, void *arg)
{
    struct seen *seen = arg;
    see(id, expirations, arg);
    if (seen->calls % 2 == 0) {
        ck_assert_int_eq(aw_itimer_delete(id), 0);
        id = aw_itimer_create(seen->kind, set_again, seen);
        ck_assert_int_eq(id, 3);
    }
    if (seen->calls < 5)
        set(id, AW_MS(3), seen->calls % 2 == 0 ? 0 : AW_SEC(1));
    else
        set(id, 0, 0);
    return 0;
}

START_TEST(h22_callbacks_change_timers)
{
    struct seen seen = { .kind = kind_of(_i) };
    start_variant(_i / 2);
    ck_assert_int_eq(aw_itimer_create(seen.kind, set_again, &seen), 3);
    set(3, AW_MS(3), 0);
    while (seen.calls < 5) {
        burn_once();
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    burn(seen.kind, AW_MS(30));
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_uint_eq(awi_engine.keeping, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("itimer");
    TCase *tcase = signal_case(suite, "itimer");
    tcase_add_loop_test(tcase, h09_same_answers_as_libc, 0, VARIANTS);
    tcase_add_loop_test(tcase, never_early, 0, RUNS);
    tcase_add_loop_test(tcase, intervals_are_counted, 0, RUNS);
    tcase_add_loop_test(tcase, many_at_once, 0, VARIANTS);
    tcase_add_loop_test(tcase, merged_while_nobody_looks, 0, RUNS);
    tcase_add_loop_test(tcase, run_goes_on_for_them, 0, RUNS);
    tcase_add_loop_test(tcase, real_in_a_wait, 0, VARIANTS);
    tcase_add_loop_test(tcase, beside_the_originals, 0, RUNS);
    tcase_add_loop_test(tcase, beside_guards, 0, RUNS);
    tcase_add_loop_test(tcase, h11_nothing_after_shutdown, 0, RUNS);
    tcase_add_loop_test(tcase, h18_forked_child, 0, RUNS);
    tcase_add_loop_test(tcase, h08_lost_signal, 0, RUNS);
    tcase_add_loop_test(tcase, no_signals_in_vain, 0, RUNS);
    tcase_add_loop_test(tcase, h22_callbacks_change_timers, 0, RUNS);
    return run_suite(suite);
}
