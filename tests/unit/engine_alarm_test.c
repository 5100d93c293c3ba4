/* SPDX-License-Identifier: MIT */
/* When the alarm is programmed, for how long, and what each signal is taken for: both sources, on the fake
 * clock. */
#include <stdlib.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/alarm.h"
#include "engine/pending.h"
#include "fake_clock.h"
#include "fake_fault.h"

static struct aw_options options;
static int runs;

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    return 0;
}

static int posted(void *arg)
{
    (void)arg;
    return 0;
}

static struct aw_timer new_timer(void)
{
    struct aw_timer timer;
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    return timer;
}

static struct aw_stats stats(void)
{
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    return all;
}

/* The time of the tick at which a deadline is due. */
static uint64_t due(uint64_t deadline_ns)
{
    return (deadline_ns + FAKE_TICK_NS - 1) / FAKE_TICK_NS * FAKE_TICK_NS;
}

/* Hazard 9: what reaches setitimer is never zero, never 10^6 microseconds, and never rounded down. */
START_TEST(h09_boundaries)
{
    static const uint64_t spans[] = { 0,          1,          999,        1000,       1001,
                                      999999,     1000000,    999999000,  999999001,  999999999,
                                      1000000000, 1000000001, 1999999999, 59999999999 };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; ++i) {
        EXPECT(fake_start(), 0);
        EXPECT(awi_alarm_program(fake.now_ns + spans[i], fake.now_ns), 0);
        ck_assert_uint_ge(fake.set_ns, 1000);
        ck_assert_uint_ge(fake.set_ns, spans[i]);
        ck_assert_uint_lt(fake.set_ns, spans[i] + 1000 + (spans[i] == 0));
        EXPECT(aw_shutdown(), 0);
    }
    EXPECT(fake_start(), 0);
    EXPECT(awi_alarm_program(0, fake.now_ns), 0); /* long ago */
    ck_assert_uint_eq(fake.set_ns, 1000);
    EXPECT(awi_alarm_program(AW_FOREVER, fake.now_ns), 0);
    ck_assert_uint_eq(fake.set_ns, 0);
}
END_TEST

START_TEST(h09_boundaries_posix)
{
    EXPECT(aw_init(&options), 0);
    EXPECT(awi_alarm_program(fake.now_ns + 1, fake.now_ns), 0);
    ck_assert_uint_eq(fake.alarm_ns, fake.now_ns + 1);
    EXPECT(awi_alarm_program(0, fake.now_ns), 0);
    ck_assert_uint_eq(fake.alarm_ns, 1); /* zero would disarm */
    EXPECT(awi_alarm_program(AW_SEC(5), fake.now_ns), 0);
    ck_assert_uint_eq(fake.alarm_ns, AW_SEC(5));
    EXPECT(awi_alarm_program(AW_FOREVER, fake.now_ns), 0);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
}
END_TEST

/* The same through the public calls: timers and guards with these spans, at each of them in time and not
 * early. */
START_TEST(h09_boundaries_of_timers)
{
    static const uint64_t spans[] = {
        0, 1, 999, 1000, 1001, AW_MS(1), AW_SEC(1) - 1, AW_SEC(1), AW_SEC(1) + 1
    };
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; ++i) {
        uint64_t at = due(fake.now_ns + spans[i]);
        EXPECT(aw_timer_arm(timer, spans[i]), 0);
        runs = 0;
        fake_advance(at - 1 - fake.now_ns);
        EXPECT(aw_safepoint(), 0);
        EXPECT(aw_dispatch(0), 0);
        ck_assert_uint_ge(fake.alarm_ns, at);
        ck_assert_uint_lt(fake.alarm_ns, at + 1001);
        fake_advance(1001);
        ck_assert_uint_eq(awi_pending, AWI_TIMER);
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, 1);
    }
    EXPECT(aw_timer_arm(timer, UINT64_MAX - 1), 0);
    EXPECT(aw_timer_arm_at(timer, UINT64_MAX - 1), 0);
    EXPECT(aw_timer_arm_at(timer, 0), 0);
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

/* Hazard 10: one run of the handler for each deadline, and no more calls of setitimer than that. */
START_TEST(h10_one_signal_per_period)
{
    static const uint64_t periods[] = { AW_MS(10), AW_MS(16), AW_MS(25),  AW_MS(100),  AW_MS(333),
                                        AW_SEC(1), AW_SEC(7), AW_SEC(60), AW_SEC(600), AW_SEC(3600) };
    enum {
        TURNS = 500
    };
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; ++i) {
        EXPECT(aw_init(&options), 0);
        struct aw_timer timer = new_timer();
        EXPECT(aw_timer_arm_every(timer, periods[i], periods[i], AW_MISSED_SKIP), 0);
        runs = 0;
        for (int turn = 0; turn < TURNS; ++turn) {
            fake_advance(periods[i]);
            fake_advance(turn == 0 ? FAKE_TICK_NS : 0);
            ck_assert_int_eq(aw_safepoint(), 0);
        }
        ck_assert_int_eq(runs, TURNS);
        ck_assert_uint_eq(stats().signals, TURNS);
        ck_assert_uint_eq(stats().spurious, 0);
        ck_assert_uint_eq(stats().overruns, 0);
        ck_assert_uint_le(stats().programmed, TURNS + 1);
        EXPECT(aw_shutdown(), 0);
    }
}
END_TEST

/* Many timers: a signal for each tick that one is due at. */
START_TEST(h10_one_signal_per_deadline)
{
    enum {
        TIMERS = 300
    };
    static struct aw_timer timers[TIMERS];
    uint64_t last = fake.now_ns;
    EXPECT(aw_init(&options), 0);
    for (int i = 0; i < TIMERS; ++i) {
        timers[i] = new_timer();
        uint64_t delay = AW_MS(3) * (uint64_t)(i * 7919 % TIMERS + 1);
        EXPECT(aw_timer_arm(timers[i], delay), 0);
        last = last > fake.now_ns + delay ? last : fake.now_ns + delay;
    }
    while (fake.now_ns < last + AW_MS(1)) {
        fake_advance(AW_MS(1));
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_int_eq(runs, TIMERS);
    ck_assert_uint_eq(stats().signals, TIMERS);
    ck_assert_uint_eq(stats().spurious, 0);
}
END_TEST

/* The bar: 2 calls, and one for each 30 s that pass. */
START_TEST(refreshes_are_not_programmed)
{
    enum {
        REFRESHES = 1200000
    };
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    uint64_t before = fake.programmed;
    EXPECT(aw_timer_arm(timer, AW_SEC(30)), 0);
    int failures = 0;
    for (int i = 0; i < REFRESHES; ++i) {
        fake_advance(AW_US(100));
        failures += i % 2 == 0 ? aw_timer_again(timer) : aw_timer_arm(timer, AW_SEC(30));
        failures += aw_safepoint();
    }
    ck_assert_int_eq(failures, 0);
    ck_assert_int_eq(runs, 0);
    ck_assert_uint_le(fake.programmed - before, 2 + 120 / 30);
    ck_assert_uint_le(stats().signals, 120 / 30);
    /* And after all that it is in time. */
    fake_advance(AW_SEC(30) - 1);
    ck_assert_int_eq(aw_safepoint() + runs, 0);
    fake_advance(2 * FAKE_COARSE_NS + FAKE_TICK_NS + 1001);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(no_signals_while_nothing_is_due)
{
    enum {
        TIMERS = 100000
    };
    struct aw_timer *timers = calloc(TIMERS, sizeof *timers);
    int failures = 0;
    options.capacity = TIMERS;
    EXPECT(aw_init(&options), 0);
    for (uint32_t i = 0; i < TIMERS; ++i) {
        failures += aw_timer_create(&timers[i], count, NULL);
        failures += aw_timer_arm(timers[i], AW_SEC(3600) + AW_US(17) * (uint64_t)i);
    }
    for (int second = 0; second < 3599; ++second) {
        fake_advance(AW_SEC(1));
        failures += aw_safepoint();
        if (second % 100 == 0)
            failures += aw_dispatch(0);
    }
    ck_assert_int_eq(failures, 0);
    ck_assert_uint_eq(stats().signals, 0);
    ck_assert_uint_eq(stats().programmed, 1);
    while (runs < TIMERS && fake.now_ns < FAKE_START_NS + AW_SEC(3700)) {
        fake_advance(AW_MS(10));
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_int_eq(runs, TIMERS);
    free(timers);
}
END_TEST

START_TEST(arming_programs_only_for_the_strictly_earliest)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer a = new_timer(), b = new_timer();
    uint64_t before = fake.programmed;
    EXPECT(aw_timer_arm(a, AW_SEC(10)), 0);
    ck_assert_uint_eq(fake.programmed - before, 1);
    EXPECT(aw_timer_arm(b, AW_SEC(10)), 0);
    EXPECT(aw_timer_arm(b, AW_SEC(11)), 0);
    EXPECT(aw_timer_arm(a, AW_SEC(20)), 0);
    EXPECT(aw_timer_disarm(a), 1);
    EXPECT(aw_timer_delete(b), 0);
    ck_assert_uint_eq(fake.programmed - before, 1);
    ck_assert_uint_eq(stats().avoided, 3);
    EXPECT(aw_timer_arm(a, AW_SEC(9)), 0);
    ck_assert_uint_eq(fake.programmed - before, 2);
}
END_TEST

/* Hazard 7: a tick kept for something since cancelled is nobody's time-out. */
START_TEST(h07_lazily_kept_tick)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer shorter = new_timer(), longer = new_timer();
    struct aw_guard guard;
    EXPECT(aw_timer_arm(shorter, AW_MS(10)), 0);
    EXPECT(aw_timer_arm(longer, AW_MS(100)), 0);
    EXPECT(aw_timer_disarm(shorter), 1);
    EXPECT(aw_guard_enter(&guard, AW_MS(100), 0), 0);
    fake_advance(AW_MS(50));
    ck_assert_uint_eq(stats().signals, 1);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_dispatch(0), 0);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_int_eq(runs, 0);
    fake_advance(AW_MS(51));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(h07_a_wait_sleeps_through_it)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer shorter = new_timer();
    EXPECT(aw_timer_arm(shorter, AW_MS(10)), 0);
    EXPECT(aw_timer_disarm(shorter), 1);
    uint64_t before = fake.now_ns;
    EXPECT(aw_wait(AW_MS(100)), 0);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(100));
}
END_TEST

/* Hazard 6: signals that mean nothing. */
START_TEST(h06_storm_of_forged_signals)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    struct aw_guard guard;
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    EXPECT(aw_guard_enter(&guard, AW_SEC(1), 0), 0);
    uint64_t before = fake.programmed;
    for (int i = 0; i < 1000; ++i) {
        fake_advance(AW_US(900));
        fake_forge();
        ck_assert_int_eq(aw_safepoint(), 0);
        ck_assert(!aw_guard_expired(&guard));
    }
    ck_assert_int_eq(runs, 0);
    ck_assert_uint_eq(fake.programmed, before);
    ck_assert_uint_eq(stats().signals, 1000);
    ck_assert_uint_eq(stats().spurious, 1000);
    ck_assert_uint_eq(stats().dropped, 1000);
    fake_advance(AW_MS(101));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static void forge_three(void)
{
    for (int i = 0; i < 3; ++i)
        fake_forge();
}

START_TEST(h06_a_forged_signal_wakes_no_waiter)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    uint64_t at = due(fake.now_ns + AW_SEC(1));
    fake.asleep = forge_three;
    EXPECT(aw_wait(AW_SEC(5)), 1);
    ck_assert_uint_ge(fake.now_ns, at);
    ck_assert_uint_lt(fake.now_ns, at + 1001);
}
END_TEST

/* A forged signal that merged with the clock's own: whoever comes, the clock decides, and the alarm goes on.
 */
START_TEST(h06_a_forged_signal_in_place_of_the_clocks)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    for (int i = 0; i < 10; ++i) {
        fake_lose(AW_MS(10) + (i == 0 ? FAKE_TICK_NS : 0));
        fake_forge();
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, i + 1);
        ck_assert_uint_gt(fake.alarm_ns, fake.now_ns);
        ck_assert_uint_ne(fake.alarm_ns, AW_FOREVER);
    }
    ck_assert_uint_eq(stats().recoveries, 0);
}
END_TEST

/* Hazard 8: the alarm is lost, and each call that reads the clock notices. */
static struct aw_timer lost, other;
static struct aw_guard lost_guard;

static void lose(void)
{
    EXPECT(aw_init(&options), 0);
    lost = new_timer();
    other = new_timer();
    EXPECT(aw_timer_arm(other, AW_SEC(30)), 0);
    EXPECT(aw_timer_disarm(other), 1);
    EXPECT(aw_timer_arm(lost, AW_MS(20)), 0);
    fake_lose(AW_MS(29)); /* overdue by less than 10 ms: it may be on its way */
    EXPECT(aw_timer_arm(other, AW_SEC(30)), 0);
    ck_assert_uint_eq(stats().recoveries, 0);
    fake_lose(AW_MS(2));
    fake_lose(FAKE_TICK_NS);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
}

static void expect_found(void)
{
    ck_assert_uint_eq(stats().recoveries, 1);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
}

START_TEST(h08_lost_found_by_arm)
{
    lose();
    EXPECT(aw_timer_arm(other, AW_SEC(30)), 0);
    expect_found();
}
END_TEST

START_TEST(h08_lost_found_by_arm_every)
{
    lose();
    EXPECT(aw_timer_arm_every(other, AW_SEC(30), AW_SEC(30), AW_MISSED_SKIP), 0);
    expect_found();
}
END_TEST

START_TEST(h08_lost_found_by_again)
{
    lose();
    EXPECT(aw_timer_again(other), 0);
    expect_found();
}
END_TEST

START_TEST(h08_lost_found_by_remaining)
{
    uint64_t ns;
    lose();
    EXPECT(aw_timer_remaining(other, &ns), 0);
    expect_found();
}
END_TEST

START_TEST(h08_lost_found_by_guard)
{
    lose();
    EXPECT(aw_guard_enter(&lost_guard, AW_SEC(30), 0), 0);
    EXPECT(aw_guard_leave(&lost_guard), 0);
    expect_found();
}
END_TEST

START_TEST(h08_lost_found_by_coarse_guard)
{
    lose();
    EXPECT(aw_guard_enter(&lost_guard, AW_SEC(30), AW_GUARD_COARSE), 0);
    EXPECT(aw_guard_leave(&lost_guard), 0);
    expect_found();
}
END_TEST

/* What the coarse clock is ahead of the time does not make an alarm late. */
START_TEST(h08_not_lost_by_the_coarse_clock)
{
    fake.now_ns = FAKE_START_NS / FAKE_COARSE_NS * FAKE_COARSE_NS; /* where it is ahead the most */
    EXPECT(aw_init(&options), 0);
    other = new_timer();
    EXPECT(aw_timer_arm(other, AW_MS(1)), 0);
    fake_lose(AW_MS(4));
    EXPECT(aw_guard_enter(&lost_guard, AW_SEC(30), AW_GUARD_COARSE), 0);
    EXPECT(aw_guard_leave(&lost_guard), 0);
    EXPECT(aw_timer_again(other), 0);
    ck_assert_uint_eq(stats().recoveries, 0);
}
END_TEST

START_TEST(h08_lost_found_by_dispatch)
{
    lose();
    EXPECT(aw_dispatch(0), 1);
    ck_assert_uint_eq(stats().recoveries, 1);
}
END_TEST

START_TEST(h08_lost_found_by_quiet)
{
    lose();
    EXPECT(aw_quiet() >= 0, 1);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    fake_advance(AW_SEC(31));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

static void steal(void)
{
    fake.alarm_ns = AW_FOREVER;
}

START_TEST(h08_stolen_while_the_owner_waits)
{
    EXPECT(aw_init(&options), 0);
    lost = new_timer();
    EXPECT(aw_timer_arm(lost, AW_SEC(1)), 0);
    uint64_t at = due(fake.now_ns + AW_SEC(1));
    fake.asleep = steal;
    EXPECT(aw_wait(AW_FOREVER), 1);
    ck_assert_uint_ge(fake.now_ns, at);
    ck_assert_uint_le(fake.now_ns, at + AW_MS(10));
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* Another's alarm: it rings early, with ours gone. */
START_TEST(thefts_are_counted_and_put_right)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, AW_SEC(2)), 0);
    uint64_t at = fake.alarm_ns;
    fake.alarm_ns = fake.now_ns + AW_SEC(1); /* alarm(1) */
    fake_advance(AW_SEC(1));
    ck_assert_uint_eq(stats().thefts, 1);
    ck_assert_uint_eq(stats().spurious, 1);
    ck_assert_uint_ge(fake.alarm_ns, at - 1000);
    ck_assert_uint_le(fake.alarm_ns, at + 1000);
    fake_advance(AW_SEC(1) + FAKE_TICK_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    ck_assert_uint_eq(stats().thefts, 1);
}
END_TEST

static int strangers;

static void stranger(int signo)
{
    (void)signo;
    ++strangers;
}

START_TEST(a_handler_in_place_of_ours_is_chained_from_then_on)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    signal(fake_signo(), stranger);
    fake_advance(AW_MS(30));
    ck_assert_int_eq(strangers, 1);
    ck_assert_uint_eq(stats().signals, 0);
    EXPECT(aw_dispatch(0), 1);
    ck_assert_uint_eq(stats().recoveries, 1);
    ck_assert_uint_eq(stats().thefts, 1);
    fake_forge();
    ck_assert_int_eq(strangers, 2);
    ck_assert_uint_eq(stats().chained, 1);
    EXPECT(aw_shutdown(), 0);
    fake_forge();
    ck_assert_int_eq(strangers, 3);
}
END_TEST

START_TEST(a_handler_set_by_others_is_left_alone_by_shutdown)
{
    struct sigaction action;
    EXPECT(aw_init(&options), 0);
    signal(fake_signo(), stranger);
    EXPECT(aw_shutdown(), 0);
    sigaction(fake_signo(), NULL, &action);
    ck_assert(action.sa_handler == stranger);
}
END_TEST

static sigset_t mask_inside;
static int signo_inside, code_inside;

static void informed_stranger(int signo, siginfo_t *info, void *context)
{
    (void)context;
    ++strangers;
    signo_inside = signo;
    code_inside = info->si_code;
    sigprocmask(SIG_BLOCK, NULL, &mask_inside);
}

/* Hazard 21: chained with the flags and the mask that it asked for. */
START_TEST(h21_found_handler_is_chained)
{
    struct sigaction action = { .sa_sigaction = informed_stranger, .sa_flags = SA_SIGINFO }, after;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR1);
    sigaction(fake_signo(), &action, NULL);
    EXPECT(aw_init(&options), 0);
    errno = 4711;
    fake_forge();
    ck_assert_int_eq(errno, 4711);
    ck_assert_int_eq(strangers, 1);
    ck_assert_int_eq(signo_inside, fake_signo());
    ck_assert_int_eq(code_inside, SI_USER);
    ck_assert_int_eq(sigismember(&mask_inside, SIGUSR1), 1);
    ck_assert_int_eq(sigismember(&mask_inside, fake_signo()), 1);
    ck_assert_int_eq(sigismember(&mask_inside, SIGUSR2), 0);
    ck_assert_uint_eq(stats().chained, 1);
    ck_assert_uint_eq(stats().dropped, 0);
    fake_ring(); /* the clock's: not theirs */
    ck_assert_int_eq(strangers, 1);
    EXPECT(aw_shutdown(), 0);
    sigaction(fake_signo(), NULL, &after);
    ck_assert(after.sa_sigaction == informed_stranger);
    ck_assert_int_eq(after.sa_flags & SA_SIGINFO, SA_SIGINFO);
    ck_assert_int_eq(sigismember(&after.sa_mask, SIGUSR1), 1);
}
END_TEST

START_TEST(h21_one_shot_handler_with_nodefer)
{
    struct sigaction action = { .sa_sigaction = informed_stranger,
                                .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER) };
    sigaction(fake_signo(), &action, NULL);
    EXPECT(aw_init(&options), 0);
    fake_forge();
    ck_assert_int_eq(strangers, 1);
    ck_assert_int_eq(sigismember(&mask_inside, fake_signo()), 0);
    fake_forge();
    ck_assert_int_eq(strangers, 1);
    ck_assert_uint_eq(stats().chained, 1);
    ck_assert_uint_eq(stats().dropped, 1);
}
END_TEST

START_TEST(ignored_signals_are_dropped)
{
    signal(fake_signo(), SIG_IGN);
    EXPECT(aw_init(&options), 0);
    fake_forge();
    ck_assert_uint_eq(stats().dropped, 1);
}
END_TEST

/* Hazard 21: an alarm that runs already rings for who set it, at its time, beside ours. */
START_TEST(h21_running_alarm_is_delivered)
{
    signal(SIGALRM, stranger);
    fake.alarm_ns = fake.now_ns + AW_SEC(3);
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm_every(timer, AW_SEC(1), AW_SEC(1), AW_MISSED_SKIP), 0);
    for (int second = 1; second <= 5; ++second) {
        fake_advance(AW_SEC(1) + (second == 1 ? FAKE_TICK_NS : 0));
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, second);
        ck_assert_int_eq(strangers, second >= 3);
    }
    ck_assert_uint_eq(stats().chained, 1);
}
END_TEST

START_TEST(h21_running_interval_goes_on)
{
    signal(SIGALRM, stranger);
    fake.alarm_ns = fake.now_ns + AW_SEC(1);
    fake.interval_ns = AW_SEC(2);
    EXPECT(aw_init(&options), 0);
    fake_advance(AW_SEC(6));
    ck_assert_int_eq(strangers, 3); /* at 1, 3 and 5 s */
    fake_lose(AW_SEC(4));           /* two of them, merged */
    EXPECT(aw_dispatch(0), 0);
    fake_advance(AW_US(1));
    ck_assert_int_eq(strangers, 4);
    EXPECT(aw_shutdown(), 0); /* the next at 11 s, now it is 10 s */
    ck_assert_uint_ge(fake.alarm_ns, FAKE_START_NS + AW_SEC(11));
    ck_assert_uint_lt(fake.alarm_ns, FAKE_START_NS + AW_SEC(11) + 1001);
    ck_assert_uint_eq(fake.interval_ns, AW_SEC(2));
    fake_advance(AW_SEC(3));
    ck_assert_int_eq(strangers, 6);
}
END_TEST

START_TEST(h21_running_alarm_is_given_back)
{
    signal(SIGALRM, stranger);
    fake.alarm_ns = fake.now_ns + AW_SEC(3);
    EXPECT(aw_init(&options), 0);
    fake_advance(AW_SEC(1));
    EXPECT(aw_shutdown(), 0);
    ck_assert_uint_ge(fake.alarm_ns, FAKE_START_NS + AW_SEC(3));
    ck_assert_uint_lt(fake.alarm_ns, FAKE_START_NS + AW_SEC(3) + 1001);
    ck_assert_uint_eq(fake.interval_ns, 0);
    fake_advance(AW_SEC(3));
    ck_assert_int_eq(strangers, 1);
}
END_TEST

/* Due, but the signal was blocked all the time: it is owed. */
START_TEST(h21_overdue_alarm_is_given_back)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    signal(SIGALRM, stranger);
    fake.alarm_ns = fake.now_ns + AW_SEC(3);
    EXPECT(aw_init(&options), 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fake_advance(AW_SEC(4));
    EXPECT(aw_shutdown(), 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    fake_advance(AW_US(1));
    ck_assert_int_eq(strangers, 1);
}
END_TEST

static void be_alarmed(void)
{
    fake.alarm_ns = fake.now_ns + AW_SEC(1);
    EXPECT(aw_init(&options), 0);
    fake_advance(AW_SEC(2));
}

/* alarm(1) without a handler ends the process; aw_init does not change that. */
START_TEST(h21_running_alarm_with_default_disposition_kills)
{
    ck_assert_int_eq(fake_forked(be_alarmed), -SIGALRM);
}
END_TEST

START_TEST(posix_source)
{
    struct sigaction action;
    const int signos[] = { 0, SIGRTMIN + 9 };
    fake.alarm_ns = AW_FOREVER;
    for (size_t i = 0; i < 2; ++i) {
        options.signo = signos[i];
        int signo = signos[i] != 0 ? signos[i] : SIGRTMIN + 6;
        EXPECT(aw_init(&options), 0);
        ck_assert_uint_eq(fake.posix_timers, 1);
        ck_assert_int_eq(fake.signo, signo);
        sigaction(SIGALRM, NULL, &action);
        ck_assert(action.sa_handler == SIG_DFL);
        struct aw_timer timer = new_timer();
        runs = 0;
        EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
        uint64_t at = due(fake.now_ns + AW_MS(10));
        ck_assert_uint_eq(fake.alarm_ns, at); /* to the nanosecond */
        fake_advance(at - fake.now_ns);
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, 1);
        fake_forge();
        ck_assert_uint_eq(stats().signals, 2);
        ck_assert_uint_eq(stats().dropped, 1);
        EXPECT(aw_shutdown(), 0);
        ck_assert_uint_eq(fake.posix_timers, 0);
        sigaction(signo, NULL, &action);
        ck_assert(action.sa_handler == SIG_DFL);
    }
}
END_TEST

static void start_anew(void)
{
    fake.alarm_ns = AW_FOREVER;
    fake.posix_timers = 0;
    EXPECT(aw_init(&options), 0);
    ck_assert_uint_eq(fake.posix_timers, 1);
    EXPECT(aw_shutdown(), 0);
    ck_assert_uint_eq(fake.posix_timers, 0);
}

START_TEST(posix_source_after_fork)
{
    EXPECT(aw_init(&options), 0);
    ck_assert_int_eq(fake_forked(start_anew), 0);
    ck_assert_uint_eq(fake.posix_timers, 1);
}
END_TEST

/* Slack: one wake-up serves all that may be as late as that; none is late by more. */
START_TEST(slack_coalesces_timers)
{
    enum {
        TIMERS = 100
    };
    options.slack_ns = AW_MS(20);
    EXPECT(aw_init(&options), 0);
    for (unsigned i = 0; i < TIMERS; ++i) /* one each 0.2 ms */
        EXPECT(aw_timer_arm(new_timer(), AW_MS(50) + AW_US(200) * (uint64_t)i), 0);
    while (runs < TIMERS) {
        fake_advance(AW_US(100));
        EXPECT(aw_safepoint(), 0);
        ck_assert_uint_lt(fake.now_ns, FAKE_START_NS + AW_SEC(1));
    }
    ck_assert_uint_eq(stats().signals, 1);
    ck_assert_uint_le(stats().worst_lateness_ns, AW_MS(20) + FAKE_TICK_NS + AW_US(100));
}
END_TEST

START_TEST(slack_does_not_delay_guards)
{
    struct aw_guard guard;
    options.slack_ns = AW_SEC(10);
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_timer_arm(new_timer(), AW_MS(50)), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(100), 0), 0);
    ck_assert_uint_lt(fake.alarm_ns, fake.now_ns + AW_MS(100) + 1001);
    fake_advance(AW_MS(100) - 1);
    ck_assert_uint_eq(stats().signals, 0);
    fake_advance(1001);
    ck_assert_uint_eq(stats().signals, 1);
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(runs, 1); /* the timer comes along */
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(slack_is_no_reason_to_miss_a_safe_point)
{
    options.slack_ns = AW_SEC(10);
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_timer_arm(new_timer(), AW_MS(50)), 0);
    fake_advance(AW_MS(51));
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

/* Beyond 104 days the alarm is asked to wake early, and asked again. */
START_TEST(deadlines_beyond_the_alarms_reach)
{
    const uint64_t day = AW_SEC(24 * 3600);
    struct aw_guard guard;
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, 1000 * day), 0);
    ck_assert_uint_le(fake.set_ns, AWI_ALARM_LONGEST + 1000);
    ck_assert_uint_ge(fake.set_ns, AWI_ALARM_LONGEST);
    fake_advance(1000 * day - 1);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 0);
    ck_assert_uint_eq(stats().signals, 9);
    fake_advance(FAKE_TICK_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_guard_enter(&guard, 300 * day, 0), 0);
    fake_advance(300 * day - 1);
    EXPECT(aw_safepoint(), 0);
    fake_advance(1001);
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(forever)
{
    struct aw_guard guard;
    uint64_t ns = 0;
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, AW_FOREVER), -EINVAL);
    EXPECT(aw_timer_arm_at(timer, AW_FOREVER), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, AW_FOREVER, 1, AW_MISSED_SKIP), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, 1, AW_FOREVER, AW_MISSED_SKIP), -EINVAL);
    EXPECT(aw_guard_enter(&guard, AW_FOREVER, 0), 0);
    EXPECT(aw_next(&ns), 0);
    ck_assert_uint_eq(ns, AW_FOREVER);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    fake_advance(AW_SEC(1000000));
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_leave(&guard), 0);
}
END_TEST

START_TEST(next_tells_the_deadline)
{
    struct aw_guard guard, inner;
    uint64_t ns = 0;
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_next(NULL), -EINVAL);
    EXPECT(aw_next(&ns), 0);
    ck_assert_uint_eq(ns, AW_FOREVER);
    EXPECT(aw_timer_arm(timer, AW_SEC(5)), 0);
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_eq(ns, due(fake.now_ns + AW_SEC(5)));
    EXPECT(aw_guard_enter(&guard, AW_SEC(3), 0), 0);
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_eq(ns, fake.now_ns + AW_SEC(3));
    EXPECT(aw_guard_enter(&inner, AW_SEC(4), 0), 0);
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_eq(ns, fake.now_ns + AW_SEC(3));
    EXPECT(aw_guard_leave(&inner), 0);
    EXPECT(aw_guard_leave(&guard), 0);
    fake_advance(AW_SEC(6));
    EXPECT(aw_next(&ns), 1); /* due: dispatch now */
    ck_assert_uint_le(ns, fake.now_ns);
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_next(&ns), 0);
    EXPECT(aw_timer_arm(timer, AW_SEC(5)), 0);
    EXPECT(aw_post(posted, NULL), 0);
    EXPECT(aw_next(&ns), 1); /* something is to be done now, though no deadline has passed */
    ck_assert_uint_le(ns, fake.now_ns);
}
END_TEST

/* aw_quiet: after it the alarm stands for a real deadline, or not at all. */
START_TEST(quiet_leaves_only_real_deadlines)
{
    struct aw_guard guard;
    EXPECT(aw_init(&options), 0);
    struct aw_timer a = new_timer(), b = new_timer();
    EXPECT(aw_quiet(), 0);
    EXPECT(aw_timer_arm(a, AW_SEC(1)), 0);
    EXPECT(aw_quiet(), 0);
    EXPECT(aw_timer_disarm(a), 1);
    ck_assert_uint_ne(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_quiet(), 1);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_quiet(), 0);
    EXPECT(aw_timer_arm(a, AW_SEC(1)), 0);
    EXPECT(aw_timer_arm(b, AW_SEC(100)), 0);
    EXPECT(aw_timer_arm(a, AW_SEC(200)), 0); /* moved: still linked where it was */
    uint64_t at = due(fake.now_ns + AW_SEC(100));
    EXPECT(aw_quiet(), 1);
    ck_assert_uint_ge(fake.alarm_ns, at);
    ck_assert_uint_lt(fake.alarm_ns, at + 1001);
    EXPECT(aw_quiet(), 0);
    EXPECT(aw_guard_enter(&guard, AW_SEC(10), 0), 0);
    EXPECT(aw_quiet(), 0);
    EXPECT(aw_guard_leave(&guard), 0);
    EXPECT(aw_quiet(), 1);
    ck_assert_uint_ge(fake.alarm_ns, at);
    fake_advance(AW_SEC(99));
    ck_assert_uint_eq(stats().signals, 0);
    fake_advance(AW_SEC(102));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* Timers beyond the wheel's reach, some of them dead. */
START_TEST(quiet_beside_far_timers)
{
    const uint64_t day = AW_SEC(24 * 3600);
    EXPECT(aw_init(&options), 0);
    struct aw_timer far[3] = { new_timer(), new_timer(), new_timer() }, near = new_timer();
    uint64_t ns;
    for (int i = 0; i < 3; ++i)
        EXPECT(aw_timer_arm(far[i], day * (uint64_t)(10 * (i + 1))), 0);
    EXPECT(aw_timer_disarm(far[0]), 1);
    EXPECT(aw_timer_arm(near, AW_SEC(1)), 0);
    EXPECT(aw_timer_disarm(near), 1);
    EXPECT(aw_quiet(), 1);
    uint64_t at = due(FAKE_START_NS + 20 * day);
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_eq(ns, at);
    ck_assert_uint_ge(fake.alarm_ns, at);
    ck_assert_uint_lt(fake.alarm_ns, at + 1001);
    fake_advance(31 * day);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

static int quiet_result;

static int call_quiet(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    quiet_result = aw_quiet();
    return 0;
}

START_TEST(quiet_inside_a_callback)
{
    struct aw_timer timer;
    EXPECT(aw_init(&options), 0);
    struct aw_timer later = new_timer();
    EXPECT(aw_timer_create(&timer, call_quiet, NULL), 0);
    EXPECT(aw_timer_arm(later, AW_SEC(2)), 0);
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    fake_advance(AW_SEC(1) + FAKE_TICK_NS);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_ge(quiet_result, 0);
    fake_advance(AW_SEC(1) + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* Hazard 23: stopped for many periods. */
START_TEST(h23_after_a_long_stop_skip_runs_once)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    fake.now_ns += AW_SEC(1) + AW_MS(5); /* nothing is delivered to a stopped process until it goes on */
    fake_advance(0);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    ck_assert_uint_eq(stats().overruns, 99);
    ck_assert_uint_eq(stats().signals, 1);
    fake_advance(AW_MS(5) + FAKE_TICK_NS + 1001); /* on the original schedule */
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* Hazard 33: engine time starts wherever the machine's clock is. */
START_TEST(h33_wrap_of_wheel_time)
{
    static const uint64_t near_ticks[] = { UINT64_C(1) << 32, UINT64_C(1) << 36 };
    for (size_t i = 0; i < 2; ++i) {
        fake.now_ns = near_ticks[i] * FAKE_TICK_NS - AW_SEC(1) - 77;
        EXPECT(aw_init(&options), 0);
        struct aw_timer timer = new_timer(), one = new_timer();
        EXPECT(aw_timer_arm_every(timer, AW_MS(100), AW_MS(100), AW_MISSED_SKIP), 0);
        EXPECT(aw_timer_arm(one, AW_MS(1500)), 0);
        runs = 0;
        for (int turn = 0; turn < 20; ++turn) {
            fake_advance(AW_MS(100) + (turn == 0 ? FAKE_TICK_NS : 0));
            EXPECT(aw_safepoint(), 0);
            ck_assert_int_eq(runs, turn + 1 + (turn >= 14));
        }
        ck_assert_uint_le(stats().signals, 21);
        ck_assert_uint_eq(stats().spurious, 0);
        EXPECT(aw_shutdown(), 0);
    }
}
END_TEST

/* Another thread gets the signal: it passes it on, and touches nothing else. */
static void ring_here(void)
{
    fake_ring();
    fake_forge();
}

START_TEST(h14_a_signal_on_another_thread_is_passed_on)
{
    signal(fake_signo(), stranger);
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_lose(AW_MS(11));
    fake_elsewhere(ring_here);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    ck_assert_int_eq(strangers, 1);
    ck_assert_uint_eq(stats().forwarded, 1);
    ck_assert_uint_eq(stats().signals, 1);
    ck_assert_uint_eq(stats().chained, 1);
    ck_assert_uint_eq(stats().dropped, 0);
}
END_TEST

START_TEST(coarse_clock_without_resolution_is_the_fine_one)
{
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer = new_timer();
    fault_plan_always(FAULT_CLOCK_GETRES, ENOSYS);
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    fake_advance(AW_MS(1));
    int again = aw_timer_again(timer);
    fault_clear();
    ck_assert_int_eq(again, 0);
    uint64_t ns;
    EXPECT(aw_timer_remaining(timer, &ns), 0);
    ck_assert_uint_ge(ns, AW_SEC(1));
    ck_assert_uint_lt(ns, AW_SEC(1) + FAKE_TICK_NS);
}
END_TEST

static void begin(void)
{
    fake_begin();
    options = fake_options();
    runs = strangers = 0;
}

int main(void)
{
    Suite *suite = suite_create("engine_alarm");
    TCase *tc = tcase_create("engine_alarm");
    tcase_add_checked_fixture(tc, begin, fake_end);
    tcase_add_test(tc, fake_is_posix() ? h09_boundaries_posix : h09_boundaries);
    tcase_add_test(tc, h09_boundaries_of_timers);
    tcase_add_test(tc, h10_one_signal_per_period);
    tcase_add_test(tc, h10_one_signal_per_deadline);
    tcase_add_test(tc, refreshes_are_not_programmed);
    tcase_add_test(tc, no_signals_while_nothing_is_due);
    tcase_add_test(tc, arming_programs_only_for_the_strictly_earliest);
    tcase_add_test(tc, h07_lazily_kept_tick);
    tcase_add_test(tc, h07_a_wait_sleeps_through_it);
    tcase_add_test(tc, h06_storm_of_forged_signals);
    tcase_add_test(tc, h06_a_forged_signal_wakes_no_waiter);
    tcase_add_test(tc, h06_a_forged_signal_in_place_of_the_clocks);
    tcase_add_test(tc, h08_lost_found_by_arm);
    tcase_add_test(tc, h08_lost_found_by_arm_every);
    tcase_add_test(tc, h08_lost_found_by_again);
    tcase_add_test(tc, h08_lost_found_by_remaining);
    tcase_add_test(tc, h08_lost_found_by_guard);
    tcase_add_test(tc, h08_lost_found_by_coarse_guard);
    tcase_add_test(tc, h08_not_lost_by_the_coarse_clock);
    tcase_add_test(tc, h08_lost_found_by_dispatch);
    tcase_add_test(tc, h08_lost_found_by_quiet);
    tcase_add_test(tc, h08_stolen_while_the_owner_waits);
    tcase_add_test(tc, thefts_are_counted_and_put_right);
    tcase_add_test(tc, a_handler_in_place_of_ours_is_chained_from_then_on);
    tcase_add_test(tc, a_handler_set_by_others_is_left_alone_by_shutdown);
    tcase_add_test(tc, h21_found_handler_is_chained);
    tcase_add_test(tc, h21_one_shot_handler_with_nodefer);
    tcase_add_test(tc, ignored_signals_are_dropped);
    if (fake_is_posix()) {
        tcase_add_test(tc, posix_source);
        tcase_add_test(tc, posix_source_after_fork);
    } else {
        /* There is one ITIMER_REAL, which somebody may have set; a POSIX timer is the engine's own. */
        tcase_add_test(tc, h21_running_alarm_is_delivered);
        tcase_add_test(tc, h21_running_interval_goes_on);
        tcase_add_test(tc, h21_running_alarm_is_given_back);
        tcase_add_test(tc, h21_overdue_alarm_is_given_back);
        tcase_add_test(tc, h21_running_alarm_with_default_disposition_kills);
    }
    tcase_add_test(tc, slack_coalesces_timers);
    tcase_add_test(tc, slack_does_not_delay_guards);
    tcase_add_test(tc, slack_is_no_reason_to_miss_a_safe_point);
    tcase_add_test(tc, deadlines_beyond_the_alarms_reach);
    tcase_add_test(tc, forever);
    tcase_add_test(tc, next_tells_the_deadline);
    tcase_add_test(tc, quiet_leaves_only_real_deadlines);
    tcase_add_test(tc, quiet_beside_far_timers);
    tcase_add_test(tc, quiet_inside_a_callback);
    tcase_add_test(tc, h23_after_a_long_stop_skip_runs_once);
    tcase_add_test(tc, h33_wrap_of_wheel_time);
    tcase_add_test(tc, h14_a_signal_on_another_thread_is_passed_on);
    tcase_add_test(tc, coarse_clock_without_resolution_is_the_fine_one);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
