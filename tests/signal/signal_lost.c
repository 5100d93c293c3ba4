/* SPDX-License-Identifier: MIT */
/*
 * signal_lost.c: signals that come when nothing is due, and signals that do not come although something is:
 * forged, stale, kept lazily, ignored, coalesced, stolen, and time that passes while the process is stopped.
 * Nothing fires before its deadline, and nothing is lost.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

struct ticker {
    uint64_t due_ns;
    unsigned runs;
    uint64_t missed;
    uint64_t most_missed;
    unsigned early;
};

static int tick_once(struct aw_timer timer, void *arg)
{
    struct ticker *ticker = arg;
    (void)timer;
    ++ticker->runs;
    if (clock_ns() < ticker->due_ns)
        ++ticker->early;
    return 0;
}

static int tick_often(struct aw_timer timer, void *arg)
{
    struct ticker *ticker = arg;
    uint64_t missed = 0;
    ck_assert_int_eq(aw_timer_overrun(timer, &missed), 0);
    ++ticker->runs;
    ticker->missed += missed;
    if (missed > ticker->most_missed)
        ticker->most_missed = missed;
    return 0;
}

static struct aw_timer timer_of(aw_timer_fn *fn, struct ticker *ticker)
{
    struct aw_timer timer;
    ck_assert_int_eq(aw_timer_create(&timer, fn, ticker), 0);
    return timer;
}

static void arm_ms(struct aw_timer timer, struct ticker *ticker, uint64_t ms)
{
    ticker->due_ns = clock_ns() + AW_MS(ms);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(ms)), 0);
}

/* Safe points alone, no clock: it takes a signal to end this. */
static int safepoints_until(const struct ticker *ticker, unsigned runs)
{
    uint64_t give_up = clock_ns() + AW_SEC(10);
    while (ticker->runs < runs && clock_ns() < give_up) {
        int result = aw_safepoint();
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- 6: forged signals ---- */

struct storm {
    pid_t target;
    int signo;
};

/*
 * What a storm leaves pending counts against all processes of the user: few of its signals may wait in a
 * queue. The kernel drops what others say with them, and not the signals.
 */
static struct storm storm_at_home(int variant)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
    if (limit.rlim_cur > 1000)
        limit.rlim_cur = 1000;
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
    return (struct storm){ getpid(), variant_signo(variant) };
}

static int storm(void *arg)
{
    const struct storm *at = arg;
    for (unsigned i = 0; i < 4000; ++i) {
        if (kill(at->target, at->signo) != 0 && errno != EAGAIN)
            break;
        if (i % 4 == 0)
            usleep(50);
    }
    return 0;
}

START_TEST(h06_storm_fires_nothing)
{
    struct ticker short_one = { 0 }, far_one = { 0 };
    struct aw_guard guard;
    int kicked;

    start_variant(_i);
    struct storm at = storm_at_home(_i);
    struct aw_timer timer = timer_of(tick_once, &short_one), far = timer_of(tick_once, &far_one);
    arm_ms(far, &far_one, 3600 * 1000);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
    pid_t pid = in_child(0, storm, &at);
    uint64_t until = clock_ns() + AW_MS(250);
    do {
        arm_ms(timer, &short_one, 3);
        uint64_t start = clock_ns();
        kicked = aw_wait(AW_MS(20));
        ck_assert_int_eq(kicked, 1);
        ck_assert_uint_ge(clock_ns(), short_one.due_ns);
        start = clock_ns();
        ck_assert_int_eq(aw_wait(AW_MS(5)), 0);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(5));
        start = clock_ns();
        ck_assert_int_eq(aw_poll(NULL, 0, AW_MS(5)), 0);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(5));
    } while (clock_ns() < until);
    expect_exit(pid, 0);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_uint_eq(short_one.early, 0);
    ck_assert_uint_eq(far_one.runs, 0);
    struct aw_stats stats = stats_now();
    ck_assert_uint_gt(stats.dropped, 0);
    ck_assert_uint_eq(stats.guards, 0);
    ck_assert_uint_eq(stats.expirations, short_one.runs);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The signal may land in any wheel edit: it reads flags only, and the wheel stays whole. */
START_TEST(h05_storm_through_wheel_edits)
{
    enum {
        TIMERS = 64
    };
    struct ticker ticker = { 0 };
    struct aw_timer timers[TIMERS];
    unsigned seed = 1;

    start_variant(_i);
    struct storm at = storm_at_home(_i);
    for (unsigned i = 0; i < TIMERS; ++i)
        timers[i] = timer_of(tick_often, &ticker);
    pid_t pid = in_child(0, storm, &at);
    uint64_t until = clock_ns() + AW_MS(250), give_up = until + AW_SEC(60);
    while (clock_ns() < until || (ticker.runs == 0 && clock_ns() < give_up)) {
        seed = seed * 1664525u + 1013904223u;
        unsigned k = seed >> 16 & (TIMERS - 1);
        switch (seed >> 24 & 3) {
        case 0:
            ck_assert_int_ge(aw_timer_disarm(timers[k]), 0);
            break;
        case 1:
            ck_assert_int_eq(aw_timer_delete(timers[k]), 0);
            timers[k] = timer_of(tick_often, &ticker);
            break;
        default:
            ck_assert_int_eq(aw_timer_arm(timers[k], AW_US(seed >> 20)), 0);
        }
        ck_assert_int_ge(aw_safepoint(), 0);
    }
    expect_exit(pid, 0);
    ck_assert_uint_gt(ticker.runs, 0);
    ck_assert_uint_eq(stats_now().expirations, ticker.runs);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 7: an alarm that is kept for something cancelled ---- */

START_TEST(h07_kept_alarm_ends_no_wait)
{
    struct ticker ticker = { 0 };
    start_variant(_i);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    arm_ms(timer, &ticker, 40);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_wait(AW_MS(80)), 0);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(80));
    uint64_t give_up = clock_ns() + AW_SEC(60);
    while (stats_now().signals == 0 && clock_ns() < give_up)
        pass_ms(1);
    ck_assert_uint_eq(ticker.runs, 0);
    ck_assert_uint_ge(stats_now().signals, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(h07_kept_alarm_expires_no_guard)
{
    struct aw_guard guard;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(60), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(60));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 8: lost signals ---- */

START_TEST(h08_ignored_for_a_while)
{
    struct ticker ticker = { 0 };
    start_variant(_i);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    handle_signal(variant_signo(_i), SIG_IGN, 0);
    arm_ms(timer, &ticker, 20);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_lt(clock_ns(), ticker.due_ns + AW_SEC(10));
    struct aw_stats stats = stats_now();
    ck_assert_uint_eq(stats.signals, 0);
    ck_assert_uint_eq(stats.recoveries, 1);
    ck_assert_uint_ge(stats.thefts, 1);

    /* The handler is ours again: the next timer needs no clock. */
    arm_ms(timer, &ticker, 20);
    ck_assert_int_eq(safepoints_until(&ticker, 2), 0);
    ck_assert_uint_eq(ticker.runs, 2);
    ck_assert_uint_eq(ticker.early, 0);
    ck_assert_uint_ge(stats_now().signals, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Ignored and set free again by the thief himself: it takes a call that reads the clock. */
START_TEST(h08_noticed_by_the_next_call_with_a_clock)
{
    struct ticker ticker;
    struct aw_timer timer;
    struct sigaction ours;
    uint64_t give_up = clock_ns() + AW_SEC(60);
    int result;
    start_variant(_i);
    for (;;) {
        ticker = (struct ticker){ 0 };
        timer = timer_of(tick_once, &ticker);
        ck_assert_int_eq(sigaction(variant_signo(_i), NULL, &ours), 0);
        handle_signal(variant_signo(_i), SIG_IGN, 0);
        arm_ms(timer, &ticker, 10);
        pass_ms(30);
        ck_assert_int_eq(sigaction(variant_signo(_i), &ours, NULL), 0);
        result = aw_safepoint();
        if (stats_now().signals == 0 || clock_ns() >= give_up)
            break;
        /* So late that it came to the handler after all. */
        ck_assert_int_eq(aw_shutdown(), 0);
        start_variant(_i);
    }
    ck_assert_uint_eq(stats_now().signals, 0);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(ticker.runs, 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(stats_now().recoveries, 1);

    handle_signal(variant_signo(_i), SIG_IGN, 0);
    arm_ms(timer, &ticker, 10);
    pass_ms(30);
    struct ticker other = { 0 };
    struct aw_timer second = timer_of(tick_once, &other);
    arm_ms(second, &other, 5);
    ck_assert_uint_eq(stats_now().recoveries, 2);
    ck_assert_int_eq(safepoints_until(&ticker, 2), 0);
    ck_assert_int_eq(safepoints_until(&other, 1), 0);
    ck_assert_uint_eq(ticker.runs + other.runs, 3);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int is_armed;

/* Returns what is stolen: something, if it did not ring before. */
static void *steal_alarm(void *arg)
{
    unsigned *stolen = arg;
    block_signal(SIGALRM);
    while (__atomic_load_n(&is_armed, __ATOMIC_SEQ_CST) == 0)
        pass_ms(1);
    pass_ms(10);
    *stolen = alarm(3600);
    return NULL;
}

START_TEST(h08_stolen_while_the_owner_waits)
{
    unsigned stolen = 0;
    for (unsigned i = 0; i < 100 && stolen == 0; ++i) {
        struct ticker ticker = { 0 };
        pthread_t thief;
        __atomic_store_n(&is_armed, 0, __ATOMIC_SEQ_CST);
        start_variant(0);
        struct aw_timer timer = timer_of(tick_once, &ticker);
        ck_assert_int_eq(pthread_create(&thief, NULL, steal_alarm, &stolen), 0);
        arm_ms(timer, &ticker, 300);
        __atomic_store_n(&is_armed, 1, __ATOMIC_SEQ_CST);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_lt(clock_ns(), ticker.due_ns + AW_SEC(10));
        ck_assert_uint_eq(ticker.early, 0);
        ck_assert_int_eq(pthread_join(thief, NULL), 0);
        struct aw_stats stats = stats_now();
        ck_assert(stolen == 0 || (stats.recoveries == 1 && stats.signals == 0));
        ck_assert_int_eq(aw_shutdown(), 0);
        alarm(0);
    }
    ck_assert_uint_ne(stolen, 0);
}
END_TEST

/* With the POSIX source alarm(2) is wholly the program's. */
START_TEST(h08_posix_leaves_alarm_alone)
{
    struct ticker ticker = { 0 };
    start_variant(1);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    uint64_t recoveries, give_up = clock_ns() + AW_SEC(60);
    alarm(3600);
    do { /* again where the signal was so late that it passed for lost */
        recoveries = stats_now().recoveries;
        arm_ms(timer, &ticker, 20);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    } while (stats_now().recoveries != recoveries && clock_ns() < give_up);
    ck_assert_uint_eq(stats_now().recoveries, recoveries);
    ck_assert_uint_gt(alarm(0), 3000);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* alarm(0) takes the alarm away before a guard: entering the next guard notices. */
START_TEST(h08_stolen_before_a_guard)
{
    struct ticker ticker = { 0 };
    struct aw_guard guard;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(0);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    for (unsigned i = 0, stolen = 0; i < 100 && stolen == 0; ++i) {
        arm_ms(timer, &ticker, 200);
        stolen = alarm(0);
    }
    pass_ms(220);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_uint_eq(stats_now().recoveries, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A forged signal is pending when the alarm rings: the kernel drops one of the two. */
START_TEST(h08_coalesced)
{
    struct ticker ticker = { 0 };
    unsigned late = 0;
    start_variant(_i);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    for (unsigned i = 0; i < 20; ++i) {
        block_signal(variant_signo(_i));
        raise(variant_signo(_i));
        arm_ms(timer, &ticker, 2);
        pass_ms(5);
        unblock_signal(variant_signo(_i));
        ck_assert_int_eq(safepoints_until(&ticker, i + 1), 0);
        ck_assert_uint_eq(ticker.runs, i + 1);
        late += clock_ns() >= ticker.due_ns + AW_MS(10);
    }
    ck_assert_uint_le(stats_now().recoveries, late); /* what is so late passes for lost */
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The thief's own alarm rings through our handler: counted, and ours is programmed again. */
START_TEST(h08_thief_rings_early)
{
    struct ticker ticker = { 0 };
    start_variant(0);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    uint64_t thefts, give_up = clock_ns() + AW_SEC(20);
    unsigned tries = 0;
    bool is_early;
    do {
        thefts = stats_now().thefts;
        uint64_t signals = stats_now().signals;
        arm_ms(timer, &ticker, 200);
        ualarm(1000, 0);
        while (stats_now().signals == signals && clock_ns() < give_up)
            continue;
        is_early = clock_ns() < ticker.due_ns;
        ck_assert_int_eq(safepoints_until(&ticker, ++tries), 0);
        ck_assert_uint_eq(ticker.runs, tries);
        ck_assert_uint_eq(ticker.early, 0);
    } while (!is_early && clock_ns() < give_up);
    ck_assert_uint_eq(stats_now().thefts, thefts + 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 11: stale signals ---- */

START_TEST(h11_stale_after_disarm)
{
    struct ticker ticker = { 0 };
    start_variant(_i);
    struct aw_timer timer = timer_of(tick_once, &ticker);
    for (unsigned i = 0; i < 20; ++i) {
        block_signal(variant_signo(_i));
        arm_ms(timer, &ticker, 1);
        pass_ms(3);
        ck_assert_int_eq(aw_timer_disarm(timer), 1);
        unblock_signal(variant_signo(_i));
        ck_assert_int_ge(aw_safepoint(), 0);
        ck_assert_int_eq(aw_wait(AW_MS(1)), 0);
    }
    ck_assert_uint_eq(ticker.runs, 0);
    arm_ms(timer, &ticker, 1);
    ck_assert_int_eq(safepoints_until(&ticker, 1), 0);
    ck_assert_uint_eq(ticker.runs, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(h11_stale_after_guard)
{
    struct aw_guard guard;
    start_variant(_i);
    for (unsigned i = 0; i < 20; ++i) {
        block_signal(variant_signo(_i));
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(1), AW_GUARD_DEFAULT), 0);
        pass_ms(3);
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
        unblock_signal(variant_signo(_i));
        ck_assert_int_eq(aw_safepoint(), 0);
        ck_assert(!aw_guard_expired(&guard));
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(h11_stale_after_shutdown)
{
    for (unsigned i = 0; i < 20; ++i) {
        struct ticker ticker = { 0 };
        start_variant(_i);
        struct aw_timer timer = timer_of(tick_once, &ticker);
        block_signal(variant_signo(_i));
        arm_ms(timer, &ticker, 1);
        pass_ms(3);
        ck_assert_int_eq(aw_shutdown(), 0);
        unblock_signal(variant_signo(_i));
        ck_assert_uint_eq(ticker.runs, 0);
    }
}
END_TEST

/* Shutdown at any time around the expiry: with SIG_DFL restored a signal too many would kill. */
START_TEST(h11_shutdown_around_the_expiry)
{
    for (unsigned i = 0; i < scaled(1000); ++i) {
        struct ticker ticker = { 0 };
        start_variant(_i);
        arm_ms(timer_of(tick_once, &ticker), &ticker, 0);
        spin_until(clock_ns() + i % 200 * 1000);
        ck_assert_int_eq(aw_shutdown(), 0);
    }
}
END_TEST

/* ---- 23: time passes, the process does not ---- */

static int stop_for_a_second(void *arg)
{
    const pid_t *target = arg;
    kill(*target, SIGSTOP);
    pass_ms(1000);
    kill(*target, SIGCONT);
    return 0;
}

START_TEST(h23_stopped_for_a_second)
{
    struct ticker ticker = { 0 };
    pid_t self = getpid();
    start_variant(_i);
    struct aw_timer timer = timer_of(tick_often, &ticker);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    pid_t pid = in_child(50, stop_for_a_second, &self);
    while (ticker.most_missed < 95 && clock_ns() < start + AW_SEC(30))
        ck_assert_int_ge(aw_wait(AW_SEC(10)), 1);
    expect_exit(pid, 0);
    ck_assert_uint_ge(ticker.most_missed, 95);
    for (unsigned i = 0; i < 5; ++i)
        ck_assert_int_ge(aw_wait(AW_SEC(10)), 1);
    /* It has stayed on its schedule: each period was run or counted, and no other. */
    uint64_t periods = (clock_ns() - start) / AW_MS(10);
    ck_assert_uint_le(ticker.runs + ticker.missed, periods);
    ck_assert_uint_eq(stats_now().overruns, ticker.missed);
    uint64_t remaining;
    ck_assert_int_eq(aw_timer_remaining(timer, &remaining), 0);
    ck_assert_uint_le(remaining, AW_MS(11));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A wait that is stopped and continued sleeps on: SIGCONT without a handler is nobody's business. */
START_TEST(h23_wait_goes_on_after_a_stop)
{
    pid_t self = getpid();
    start_variant(_i);
    uint64_t start = clock_ns();
    pid_t pid = in_child(20, stop_for_a_second, &self);
    ck_assert_int_eq(aw_wait(AW_MS(1200)), 0);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(1200));
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lost and stray signals");
    TCase *stray = signal_case(suite, "stray");
    TCase *lost = signal_case(suite, "lost");
    TCase *stopped = signal_case(suite, "stopped");

    tcase_add_loop_test(stray, h06_storm_fires_nothing, 0, VARIANTS);
    tcase_add_loop_test(stray, h05_storm_through_wheel_edits, 0, SOURCES);
    tcase_add_loop_test(stray, h07_kept_alarm_ends_no_wait, 0, SOURCES);
    tcase_add_loop_test(stray, h07_kept_alarm_expires_no_guard, 0, VARIANTS);
    tcase_add_loop_test(stray, h11_stale_after_disarm, 0, SOURCES);
    tcase_add_loop_test(stray, h11_stale_after_guard, 0, VARIANTS);
    tcase_add_loop_test(stray, h11_stale_after_shutdown, 0, SOURCES);
    tcase_add_loop_test(stray, h11_shutdown_around_the_expiry, 0, SOURCES);
    tcase_add_loop_test(lost, h08_ignored_for_a_while, 0, SOURCES);
    tcase_add_loop_test(lost, h08_noticed_by_the_next_call_with_a_clock, 0, SOURCES);
    tcase_add_test(lost, h08_stolen_while_the_owner_waits);
    tcase_add_test(lost, h08_posix_leaves_alarm_alone);
    tcase_add_test(lost, h08_stolen_before_a_guard);
    tcase_add_loop_test(lost, h08_coalesced, 0, SOURCES);
    tcase_add_test(lost, h08_thief_rings_early);
    tcase_add_loop_test(stopped, h23_stopped_for_a_second, 0, SOURCES);
    tcase_add_loop_test(stopped, h23_wait_goes_on_after_a_stop, 0, SOURCES);
    return run_suite(suite);
}
