/* SPDX-License-Identifier: MIT */
/* timer.h on the fake clock: arguments, deadlines, periods and their misses, callbacks that meddle,
 * refreshes. */
#include <stdlib.h>

#include "check_main.h"
#include "engine/engine.h"
#include "fake_clock.h"

static int runs;
static uint64_t ran_at;

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    ran_at = fake.now_ns;
    return 0;
}

static struct aw_timer new_timer(aw_timer_fn *fn, void *arg)
{
    struct aw_timer timer;
    EXPECT(aw_timer_create(&timer, fn, arg), 0);
    return timer;
}

static uint64_t due(uint64_t deadline_ns)
{
    return (deadline_ns + FAKE_TICK_NS - 1) / FAKE_TICK_NS * FAKE_TICK_NS;
}

static void begin(void)
{
    fake_begin();
    runs = 0;
    EXPECT(fake_start(), 0);
}

static void end(void)
{
    ck_assert_ptr_null(awi_engine.wheel != NULL ? aw_wheel_check(awi_engine.wheel) : NULL);
    fake_end();
}

START_TEST(bad_arguments)
{
    struct aw_timer timer = new_timer(count, NULL), none = { 0 }, wild = { UINT64_MAX };
    const struct aw_timer bad[] = { none, wild, { timer.id + 1 }, { timer.id + (UINT64_C(1) << 32) } };
    uint64_t ns;
    EXPECT(aw_timer_create(NULL, count, NULL), -EINVAL);
    EXPECT(aw_timer_create(&none, NULL, NULL), -EINVAL);
    ck_assert_uint_eq(none.id, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        EXPECT(aw_timer_arm(bad[i], AW_SEC(1)), -ENOENT);
        EXPECT(aw_timer_arm(bad[i], 0), -ENOENT);
        EXPECT(aw_timer_arm_at(bad[i], 0), -ENOENT);
        EXPECT(aw_timer_arm_every(bad[i], 1, 1, AW_MISSED_SKIP), -ENOENT);
        EXPECT(aw_timer_again(bad[i]), -ENOENT);
        EXPECT(aw_timer_disarm(bad[i]), -ENOENT);
        EXPECT(aw_timer_delete(bad[i]), -ENOENT);
        EXPECT(aw_timer_remaining(bad[i], &ns), -ENOENT);
        EXPECT(aw_timer_overrun(bad[i], &ns), -ENOENT);
        EXPECT(aw_timer_unref(bad[i]), -ENOENT);
    }
    EXPECT(aw_timer_remaining(timer, &ns), -ESRCH);
    EXPECT(aw_timer_remaining(timer, NULL), -EINVAL);
    EXPECT(aw_timer_overrun(timer, NULL), -EINVAL);
    EXPECT(aw_timer_overrun(timer, &ns), 0);
    ck_assert_uint_eq(ns, 0);
    EXPECT(aw_timer_again(timer), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, 1, 0, AW_MISSED_SKIP), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, 1, UINT64_C(1) << 61, AW_MISSED_SKIP), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, 1, 1, (enum aw_missed)3), -EINVAL);
    EXPECT(aw_timer_arm_every(timer, 1, 1, (enum aw_missed)(-1)), -EINVAL);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_timer_arm_every(timer, 1, (UINT64_C(1) << 61) - 1, AW_MISSED_DELAY), 0);
    EXPECT(aw_timer_delete(timer), 0);
    EXPECT(aw_timer_delete(timer), -ENOENT);
    EXPECT(aw_timer_arm(timer, 0), -ENOENT);
    ck_assert_int_eq(runs, 0);
}
END_TEST

START_TEST(once_never_early)
{
    struct aw_timer timer = new_timer(count, NULL);
    EXPECT(aw_timer_arm(timer, AW_MS(5)), 0);
    uint64_t at = fake.now_ns + AW_MS(5);
    for (int i = 0; i < 10000 && runs == 0; ++i) {
        fake_advance(AW_US(1));
        EXPECT(aw_dispatch(0) >= 0, 1);
    }
    ck_assert_uint_ge(ran_at, at);
    ck_assert_uint_le(ran_at, due(at) + AW_US(1));
    fake_advance(AW_SEC(1));
    EXPECT(aw_dispatch(0), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(arming_again_replaces)
{
    struct aw_timer timer = new_timer(count, NULL);
    EXPECT(aw_timer_arm(timer, AW_MS(5)), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(50)), 0);
    fake_advance(AW_MS(49));
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(5)), 0);
    fake_advance(AW_MS(6));
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_timer_arm_every(timer, AW_MS(5), AW_MS(5), AW_MISSED_BURST), 0);
    EXPECT(aw_timer_arm_at(timer, fake.now_ns + AW_MS(1)), 0);
    fake_advance(AW_MS(20));
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_timer_disarm(timer), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(5)), 0);
    EXPECT(aw_timer_disarm(timer), 1);
    EXPECT(aw_timer_disarm(timer), 0);
    fake_advance(AW_MS(20));
    EXPECT(aw_dispatch(0), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

START_TEST(remaining_counts_down)
{
    struct aw_timer timer = new_timer(count, NULL);
    uint64_t ns = 0;
    EXPECT(aw_timer_arm(timer, AW_MS(5)), 0);
    uint64_t at = due(fake.now_ns + AW_MS(5));
    EXPECT(aw_timer_remaining(timer, &ns), 0);
    ck_assert_uint_eq(ns, at - fake.now_ns);
    fake_advance(AW_MS(2));
    EXPECT(aw_timer_remaining(timer, &ns), 0);
    ck_assert_uint_eq(ns, at - fake.now_ns);
    fake_advance(AW_MS(20));
    EXPECT(aw_timer_remaining(timer, &ns), 0);
    ck_assert_uint_eq(ns, 0);
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_timer_remaining(timer, &ns), -ESRCH);
}
END_TEST

START_TEST(again_repeats_the_delay)
{
    struct aw_timer timer = new_timer(count, NULL);
    for (int i = 0; i < 50; ++i) {
        if (i == 0)
            EXPECT(aw_timer_arm(timer, AW_MS(100)), 0);
        else
            EXPECT(aw_timer_again(timer), 0);
        fake_advance(AW_US(98765));
        EXPECT(aw_dispatch(0), 0);
    }
    EXPECT(aw_timer_again(timer), 0);
    uint64_t from = fake.now_ns;
    while (runs == 0) {
        fake_advance(AW_US(100));
        EXPECT(aw_dispatch(0) >= 0, 1);
    }
    ck_assert_uint_ge(ran_at, from + AW_MS(100));
    ck_assert_uint_le(ran_at, from + AW_MS(100) + 2 * FAKE_COARSE_NS + FAKE_TICK_NS + AW_US(100));
}
END_TEST

START_TEST(again_of_a_periodic_timer_starts_a_period)
{
    struct aw_timer timer = new_timer(count, NULL);
    EXPECT(aw_timer_arm_every(timer, AW_MS(1), AW_MS(100), AW_MISSED_SKIP), 0);
    EXPECT(aw_timer_again(timer), 0);
    uint64_t from = fake.now_ns;
    fake_advance(AW_MS(100) - 1);
    EXPECT(aw_dispatch(0), 0);
    fake_advance(AW_MS(9));
    EXPECT(aw_dispatch(0), 1);
    ck_assert_uint_ge(ran_at, from + AW_MS(100));
    fake_advance(AW_MS(100));
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

/* The delay can be shorter than the alarm is set for: then it is programmed. */
START_TEST(again_after_a_disarm_is_covered)
{
    struct aw_timer timer = new_timer(count, NULL);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    EXPECT(aw_timer_disarm(timer), 1);
    fake_advance(AW_SEC(1));
    EXPECT(aw_safepoint(), 0);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_timer_again(timer), 0);
    ck_assert_uint_ne(fake.alarm_ns, AW_FOREVER);
    fake_advance(AW_MS(10) + 2 * FAKE_COARSE_NS + FAKE_TICK_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* No drift: each run at the scheduled time, whatever the lateness of the one before. */
START_TEST(periods_do_not_drift)
{
    struct aw_timer timer = new_timer(count, NULL);
    const uint64_t period = 7777777;
    EXPECT(aw_timer_arm_every(timer, period, period, AW_MISSED_SKIP), 0);
    for (uint64_t turn = 1; turn <= 1000; ++turn) {
        uint64_t at = due(FAKE_START_NS + turn * period);
        while ((uint64_t)runs < turn) {
            fake_advance(AW_US(37));
            EXPECT(aw_safepoint(), 0);
        }
        ck_assert_uint_ge(ran_at, at);
        ck_assert_uint_le(ran_at, at + AW_US(38));
    }
}
END_TEST

static uint64_t overrun_inside;

static int read_overrun(struct aw_timer timer, void *arg)
{
    (void)arg;
    ++runs;
    EXPECT(aw_timer_overrun(timer, &overrun_inside), 0);
    return 0;
}

START_TEST(missed_skip)
{
    struct aw_timer timer = new_timer(read_overrun, NULL);
    uint64_t ns;
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    fake_advance(AW_MS(75));
    EXPECT(aw_dispatch(0), 1);
    ck_assert_uint_eq(overrun_inside, 6);
    EXPECT(aw_timer_overrun(timer, &ns), 0);
    ck_assert_uint_eq(ns, 0);
    fake_advance(AW_MS(5) - 1);
    EXPECT(aw_dispatch(0), 0);
    fake_advance(FAKE_TICK_NS);
    EXPECT(aw_dispatch(0), 1);
    ck_assert_uint_eq(overrun_inside, 0);
}
END_TEST

START_TEST(missed_burst)
{
    struct aw_timer timer = new_timer(read_overrun, NULL);
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_BURST), 0);
    fake_advance(AW_MS(75));
    for (int i = 0; i < 7; ++i) {
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, i + 1);
        ck_assert_uint_eq(overrun_inside, 0);
        fake_advance(FAKE_TICK_NS + 1001); /* never twice in a tick */
    }
    ck_assert_uint_eq(awi_pending, 0);
    EXPECT(aw_dispatch(0), 0);
    fake_advance(AW_MS(5));
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

static int slowly(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    fake_advance(AW_MS(33));
    return 0;
}

/* From the callback's return, not from its call. */
START_TEST(missed_delay)
{
    struct aw_timer timer = new_timer(slowly, NULL);
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_DELAY), 0);
    fake_advance(AW_MS(75));
    EXPECT(aw_dispatch(0), 1);
    fake_advance(AW_MS(10) - 1);
    EXPECT(aw_dispatch(0), 0);
    fake_advance(FAKE_TICK_NS);
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

/* Hazard 22: callbacks that change what they stand on. */
static struct aw_timer victims[3];

static int meddle(struct aw_timer timer, void *arg)
{
    ++runs;
    EXPECT(aw_timer_delete(timer), 0);
    EXPECT(aw_timer_arm(timer, 0), -ENOENT);
    EXPECT(aw_timer_delete(victims[0]), 0);
    EXPECT(aw_timer_disarm(victims[1]), 1);
    EXPECT(aw_timer_arm(victims[2], AW_SEC(1)), 0);
    *(struct aw_timer *)arg = new_timer(count, NULL);
    EXPECT(aw_timer_arm(*(struct aw_timer *)arg, 0), 0);
    return 0;
}

START_TEST(h22_callbacks_meddle)
{
    struct aw_timer made = { 0 };
    struct aw_timer first = new_timer(meddle, &made);
    for (int i = 0; i < 3; ++i) {
        victims[i] = new_timer(count, NULL);
        EXPECT(aw_timer_arm(victims[i], AW_MS(20)), 0);
    }
    EXPECT(aw_timer_arm(first, AW_MS(10)), 0);
    fake_advance(AW_MS(30));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1); /* the new one not in this pass */
    fake_advance(FAKE_TICK_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
    EXPECT(aw_timer_delete(victims[0]), -ENOENT);
    fake_advance(AW_SEC(1) + FAKE_TICK_NS);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 3);
}
END_TEST

static int add_for_ever(struct aw_timer timer, void *arg)
{
    ++runs;
    EXPECT(aw_timer_arm(timer, 0), 0);
    struct aw_timer another;
    if (runs < 1000) {
        EXPECT(aw_timer_create(&another, add_for_ever, arg), 0);
        EXPECT(aw_timer_arm_at(another, 0), 0);
    }
    return 0;
}

START_TEST(h22_due_timers_added_for_ever)
{
    struct aw_timer timer = new_timer(add_for_ever, NULL);
    EXPECT(aw_timer_arm_at(timer, 0), 0);
    for (int pass = 0; pass < 8; ++pass) {
        int before = runs;
        EXPECT(aw_dispatch(0), before + 1);
        ck_assert_int_eq(runs, 2 * before + 1);
        fake_advance(FAKE_TICK_NS);
    }
}
END_TEST

static int recurse_result[2];

static int recurse(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    recurse_result[0] = aw_dispatch(0);
    recurse_result[1] = aw_safepoint();
    return 0;
}

START_TEST(h22_a_safe_point_in_a_callback_runs_none)
{
    EXPECT(aw_timer_arm_at(new_timer(recurse, NULL), 0), 0);
    EXPECT(aw_timer_arm_at(new_timer(recurse, NULL), 0), 0);
    EXPECT(aw_dispatch(0), 2);
    ck_assert_int_eq(runs, 2);
    ck_assert_int_eq(recurse_result[0], 0);
    ck_assert_int_eq(recurse_result[1], 0);
}
END_TEST

static int answer(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++runs;
    return *(int *)arg;
}

/* A negative value stops the dispatch; nothing that is due is lost. */
START_TEST(negative_values_come_out)
{
    int minus = -77, plus = 77;
    EXPECT(aw_timer_arm_at(new_timer(answer, &minus), 0), 0);
    EXPECT(aw_timer_arm_at(new_timer(answer, &minus), 0), 0);
    EXPECT(aw_timer_arm_at(new_timer(answer, &plus), 0), 0);
    int seen = 0;
    for (int i = 0; i < 3 && runs < 3; ++i) {
        ck_assert_uint_ne(awi_pending, 0);
        seen += aw_safepoint() == -77;
    }
    ck_assert_int_eq(runs, 3);
    ck_assert_int_eq(seen, 2);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_dispatch(0), 0);
}
END_TEST

START_TEST(budget_is_kept)
{
    enum {
        TIMERS = 100
    };
    uint64_t ns;
    for (int i = 0; i < TIMERS; ++i)
        EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    fake_advance(due(fake.now_ns + AW_MS(1)) - fake.now_ns); /* on the tick */
    EXPECT(aw_dispatch(7), 7);
    ck_assert_uint_ne(awi_pending, 0);
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_le(ns, fake.now_ns);
    EXPECT(aw_dispatch(TIMERS), TIMERS - 7);
    EXPECT(aw_dispatch(0), 0);
    ck_assert_uint_eq(awi_pending, 0);
    ck_assert_int_eq(runs, TIMERS);
}
END_TEST

START_TEST(budget_of_the_options)
{
    struct aw_options options = fake_options();
    options.budget = 3;
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_init(&options), 0);
    for (int i = 0; i < 10; ++i)
        EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_dispatch(0), 3);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 6);
    EXPECT(aw_wait(0), 3);
    EXPECT(aw_wait(0), 1);
}
END_TEST

START_TEST(unref)
{
    struct aw_timer timer = new_timer(count, NULL);
    EXPECT(aw_timer_unref(timer), 0);
    EXPECT(aw_timer_unref(timer), 0);
    EXPECT(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    EXPECT(aw_timer_unref(timer), 0);
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(runs, 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

static int order[5];
static int orders;

static int note(struct aw_timer timer, void *arg)
{
    (void)timer;
    order[orders++] = *(int *)arg;
    return 0;
}

START_TEST(in_the_order_of_deadlines)
{
    static int number[5] = { 3, 1, 4, 0, 2 };
    for (int i = 0; i < 5; ++i)
        EXPECT(aw_timer_arm(new_timer(note, &number[i]), AW_MS(10) * (uint64_t)(number[i] + 1)), 0);
    fake_advance(AW_SEC(1));
    EXPECT(aw_dispatch(0), 5);
    for (int i = 0; i < 5; ++i)
        ck_assert_int_eq(order[i], i);
}
END_TEST

START_TEST(growth_keeps_what_is_armed)
{
    enum {
        TIMERS = 5000
    };
    for (unsigned i = 0; i < TIMERS; ++i)
        EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1) * (uint64_t)(i % 50 + 1)), 0);
    fake_advance(AW_MS(60));
    while (awi_pending != 0)
        EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, TIMERS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tc = tcase_create("timer");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, once_never_early);
    tcase_add_test(tc, arming_again_replaces);
    tcase_add_test(tc, remaining_counts_down);
    tcase_add_test(tc, again_repeats_the_delay);
    tcase_add_test(tc, again_of_a_periodic_timer_starts_a_period);
    tcase_add_test(tc, again_after_a_disarm_is_covered);
    tcase_add_test(tc, periods_do_not_drift);
    tcase_add_test(tc, missed_skip);
    tcase_add_test(tc, missed_burst);
    tcase_add_test(tc, missed_delay);
    tcase_add_test(tc, h22_callbacks_meddle);
    tcase_add_test(tc, h22_due_timers_added_for_ever);
    tcase_add_test(tc, h22_a_safe_point_in_a_callback_runs_none);
    tcase_add_test(tc, negative_values_come_out);
    tcase_add_test(tc, budget_is_kept);
    tcase_add_test(tc, budget_of_the_options);
    tcase_add_test(tc, unref);
    tcase_add_test(tc, in_the_order_of_deadlines);
    tcase_add_test(tc, growth_keeps_what_is_armed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
