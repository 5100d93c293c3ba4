/* SPDX-License-Identifier: MIT */
/*
 * wheel_periodic.c: periodic timers: no drift, the three policies for missed periods, overruns, schedules
 * that have passed, and what the callback may do to its own timer. Hazard 23 for the wheel alone.
 */
#include "wheel/wheel_run.h"
#include "wheel_fixture.h"

static struct {
    struct aw_wheel *wheel;
    uint64_t overrun;
    int calls;
} scene;

static int count_overrun(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_overrun(scene.wheel, timer, &scene.overrun), 0);
    return 0;
}

static struct aw_timer open_periodic(aw_timer_fn *fn, uint64_t first_ns, uint64_t period_ns,
                                     enum aw_missed missed)
{
    struct aw_timer timer;

    scene.wheel = wheel_open();
    scene.calls = 0;
    scene.overrun = 0;
    timer = timer_with(scene.wheel, fn, NULL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(scene.wheel, timer, first_ns, period_ns, missed), 0);
    return timer;
}

static int advance_to(uint64_t now_ns)
{
    int result = aw_wheel_dispatch(scene.wheel, now_ns, 0);

    wheel_sound(scene.wheel);
    return result;
}

/* A period that is no multiple of the tick, for long: the k-th run is at the k-th multiple, rounded up. */
START_TEST(no_drift)
{
    uint64_t period = AW_MS(10) + 37;

    for (enum aw_missed missed = AW_MISSED_SKIP; missed <= AW_MISSED_BURST; missed++) {
        open_periodic(count_overrun, period, period, missed);
        for (uint64_t k = 1; k <= 20000; k++) {
            uint64_t next = next_of(scene.wheel);

            ck_assert_uint_eq(next, awi_wheel_round_up(scene.wheel, k * period));
            ck_assert_int_eq(aw_wheel_dispatch(scene.wheel, next + k % 7, 0), 1);
            ck_assert_uint_eq(scene.overrun, 0);
        }
        wheel_close(scene.wheel);
    }
}
END_TEST

START_TEST(skip_counts_what_it_missed)
{
    struct aw_timer timer = open_periodic(count_overrun, AW_MS(10), AW_MS(10), AW_MISSED_SKIP);
    uint64_t missed = 9;

    ck_assert_int_eq(advance_to(AW_MS(11)), 1);
    ck_assert_uint_eq(scene.overrun, 0);
    ck_assert_int_eq(advance_to(AW_MS(1000) + AW_MS(5)), 1); /* due at 20, 30 .. 1000 */
    ck_assert_uint_eq(scene.overrun, 98);
    ck_assert_int_eq(aw_wheel_timer_overrun(scene.wheel, timer, &missed), 0);
    ck_assert_uint_eq(missed, 0); /* outside of the callback */
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_MS(1010)));
    ck_assert_int_eq(advance_to(AW_SEC(86400 * 365)), 1); /* asleep for a year */
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_SEC(86400 * 365) + AW_MS(10)));
    wheel_close(scene.wheel);
}
END_TEST

START_TEST(skip_on_the_very_tick)
{
    open_periodic(count_overrun, TICK, TICK, AW_MISSED_SKIP);
    ck_assert_int_eq(advance_to(10 * TICK), 1);
    ck_assert_uint_eq(scene.overrun, 9);
    ck_assert_uint_eq(next_of(scene.wheel), 11 * TICK);
    ck_assert_int_eq(advance_to(11 * TICK - 1), 0);
    ck_assert_int_eq(advance_to(11 * TICK), 1);
    ck_assert_uint_eq(scene.overrun, 0);
    wheel_close(scene.wheel);
}
END_TEST

START_TEST(burst_runs_one_a_dispatch)
{
    open_periodic(count_overrun, AW_MS(10), AW_MS(10), AW_MISSED_BURST);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(advance_to(AW_MS(51)), 1);
        ck_assert_uint_eq(scene.overrun, 0);
        ck_assert_uint_le(next_of(scene.wheel),
                          awi_wheel_round_up(scene.wheel, i == 4 ? AW_MS(60) : AW_MS(51)));
    }
    ck_assert_int_eq(advance_to(AW_MS(51)), 0);
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_MS(60)));
    wheel_close(scene.wheel);
}
END_TEST

/* One that can never catch up leaves the others their turn, even with a budget of one visit. */
START_TEST(burst_starves_nobody)
{
    unsigned turns = 0;

    open_periodic(count_overrun, 1, 1, AW_MISSED_BURST);
    for (int i = 0; i < 20; i++) {
        timer_at(scene.wheel, i, AW_MS(5) + (uint64_t)i * AW_MS(5));
    }
    while (ran.count < 20) {
        ck_assert_uint_lt(turns++, 1000);
        ck_assert_int_ge(aw_wheel_dispatch(scene.wheel, AW_SEC(1), 1), 0);
        wheel_sound(scene.wheel);
    }
    ck_assert_int_gt(scene.calls, 0);
    wheel_close(scene.wheel);
}
END_TEST

START_TEST(delay_starts_from_the_callback)
{
    unsigned budget = 10;
    struct awi_due due;

    open_periodic(count_overrun, AW_MS(10), AW_MS(10), AW_MISSED_DELAY);
    ck_assert_int_eq(advance_to(AW_MS(95)), 1);
    ck_assert_uint_eq(scene.overrun, 0);
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_MS(105)));
    awi_wheel_begin(scene.wheel, AW_MS(106)); /* as the engine does it: the callback took 50 ms */
    ck_assert_int_eq(awi_wheel_pop(scene.wheel, &budget, &due), 1);
    ck_assert_uint_eq(due.deadline_ns, AW_MS(105));
    ck_assert_uint_eq(aw_wheel_armed(scene.wheel), 0);
    awi_wheel_ran(scene.wheel, AW_MS(156));
    ck_assert_int_eq(awi_wheel_pop(scene.wheel, &budget, &due), 0);
    awi_wheel_end(scene.wheel);
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_MS(166)));
    wheel_close(scene.wheel);
}
END_TEST

static int disarm_itself(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 1);
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 0);
    return 0;
}

static int arm_once(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_arm_at(scene.wheel, timer, AW_SEC(5)), 0);
    return 0;
}

static int change_period(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_arm_every(scene.wheel, timer, AW_SEC(2), AW_SEC(3), AW_MISSED_SKIP), 0);
    return 0;
}

START_TEST(the_callback_has_the_last_word)
{
    for (enum aw_missed missed = AW_MISSED_SKIP; missed <= AW_MISSED_DELAY; missed++) {
        open_periodic(disarm_itself, AW_MS(10), AW_MS(10), missed);
        ck_assert_int_eq(advance_to(AW_MS(15)), 1);
        ck_assert_uint_eq(next_of(scene.wheel), AW_FOREVER);
        ck_assert_int_eq(advance_to(AW_SEC(10)), 0);
        wheel_close(scene.wheel);

        open_periodic(arm_once, AW_MS(10), AW_MS(10), missed);
        ck_assert_int_eq(advance_to(AW_MS(15)), 1);
        ck_assert_int_eq(advance_to(AW_SEC(4)), 0);
        ck_assert_int_eq(advance_to(AW_SEC(6)), 1);
        wheel_close(scene.wheel);

        open_periodic(change_period, AW_MS(10), AW_MS(10), missed);
        ck_assert_int_eq(advance_to(AW_MS(15)), 1);
        ck_assert_int_eq(advance_to(AW_SEC(2) - TICK), 0);
        ck_assert_int_eq(advance_to(AW_SEC(2) + TICK), 1);
        wheel_close(scene.wheel);
    }
}
END_TEST

/* Armed with its first time in the past: due at the next dispatch, on the schedule that was asked for. */
START_TEST(a_schedule_that_has_passed)
{
    struct aw_timer timer = open_periodic(count_overrun, AW_SEC(50), AW_SEC(50), AW_MISSED_SKIP);
    uint64_t left;

    ck_assert_int_eq(advance_to(AW_SEC(100) + AW_MS(1)), 1);
    ck_assert_int_eq(aw_wheel_timer_arm_every(scene.wheel, timer, AW_SEC(40), AW_SEC(7), AW_MISSED_SKIP), 0);
    ck_assert_uint_le(next_of(scene.wheel), AW_SEC(100) + AW_MS(1));
    ck_assert_int_eq(aw_wheel_timer_remaining(scene.wheel, timer, AW_SEC(100), &left), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(advance_to(AW_SEC(100) + AW_MS(1)), 1);
    ck_assert_uint_eq(scene.overrun, 8); /* 40 ran, 47 .. 96 did not */
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_SEC(103)));

    ck_assert_int_eq(aw_wheel_timer_arm_every(scene.wheel, timer, 0, AW_SEC(60), AW_MISSED_BURST), 0);
    ck_assert_int_eq(advance_to(AW_SEC(100) + AW_MS(1)), 1);
    ck_assert_int_eq(advance_to(AW_SEC(100) + AW_MS(1)), 1);
    ck_assert_int_eq(advance_to(AW_SEC(100) + AW_MS(1)), 0);
    ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, AW_SEC(120)));

    ck_assert_int_eq(aw_wheel_timer_arm_every(scene.wheel, timer, AW_SEC(1), AW_SEC(1), AW_MISSED_BURST), 0);
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 1); /* overdue, and then not armed */
    ck_assert_uint_eq(next_of(scene.wheel), AW_FOREVER);
    ck_assert_int_eq(advance_to(AW_SEC(101)), 0);
    wheel_close(scene.wheel);
}
END_TEST

START_TEST(again_starts_a_whole_period)
{
    struct aw_timer timer = open_periodic(count_overrun, AW_SEC(1), AW_SEC(1), AW_MISSED_SKIP);

    ck_assert_int_eq(aw_wheel_timer_again(scene.wheel, timer, AW_MS(700)), 0);
    ck_assert_int_eq(advance_to(AW_MS(1700) - TICK), 0);
    ck_assert_int_eq(advance_to(AW_MS(1700) + TICK), 1);
    ck_assert_int_eq(advance_to(AW_MS(2700) + TICK), 1);
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 1);
    ck_assert_int_eq(aw_wheel_timer_again(scene.wheel, timer, AW_SEC(10)), 0);
    ck_assert_int_eq(advance_to(AW_SEC(11) + TICK), 1);
    ck_assert_int_eq(aw_wheel_timer_arm_at(scene.wheel, timer, AW_SEC(20)), 0); /* once, from now on */
    ck_assert_int_eq(aw_wheel_timer_again(scene.wheel, timer, AW_SEC(15)), 0);  /* the period was its last
                                                                                   delay */
    ck_assert_int_eq(advance_to(AW_SEC(16) + TICK), 1);
    ck_assert_uint_eq(next_of(scene.wheel), AW_FOREVER);
    wheel_close(scene.wheel);
}
END_TEST

/* Exact times survive the far list: 2^32 ticks and more, and an odd nanosecond. */
START_TEST(far_periods)
{
    uint64_t period = (UINT64_C(1) << 33) * TICK + 12345;

    open_periodic(count_overrun, period, period, AW_MISSED_SKIP);
    for (uint64_t k = 1; k < 100; k++) {
        ck_assert_uint_eq(next_of(scene.wheel), awi_wheel_round_up(scene.wheel, k * period));
        ck_assert_int_eq(advance_to(k * period - period / 3), 0);
        ck_assert_int_eq(advance_to(awi_wheel_round_up(scene.wheel, k * period)), 1);
    }
    wheel_close(scene.wheel);
}
END_TEST

START_TEST(periods_at_the_end_of_time)
{
    for (enum aw_missed missed = AW_MISSED_SKIP; missed <= AW_MISSED_DELAY; missed++) {
        open_periodic(count_overrun, UINT64_MAX - 5, (UINT64_C(1) << 61) - 1, missed);
        ck_assert_int_eq(advance_to(UINT64_MAX - 1), 0);
        ck_assert_int_eq(advance_to(UINT64_MAX), 1);
        ck_assert_int_eq(advance_to(UINT64_MAX), 1); /* the sum saturates: the next period is that time too */
        wheel_close(scene.wheel);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        no_drift,
        skip_counts_what_it_missed,
        skip_on_the_very_tick,
        burst_runs_one_a_dispatch,
        burst_starves_nobody,
        delay_starts_from_the_callback,
        the_callback_has_the_last_word,
        a_schedule_that_has_passed,
        again_starts_a_whole_period,
        far_periods,
        periods_at_the_end_of_time,
    };

    return RUN_TESTS("wheel_periodic", tests);
}
