/* SPDX-License-Identifier: MIT */
/*
 * wheel_deadline.c: when a timer runs: rounding, the ends of time, far deadlines, order, and that a wake-up
 * is wanted exactly then. Hazards 9, 10 and 33 for the wheel alone.
 */
#include "wheel/wheel_run.h"
#include "wheel_fixture.h"

/* A deadline runs at its tick's time and not a nanosecond before. */
static void expect_due(uint64_t start_ns, uint64_t deadline_ns, uint64_t due_ns)
{
    struct aw_wheel *w = wheel_open_at(start_ns);
    struct aw_timer timer = timer_at(w, 1, deadline_ns);
    uint64_t left = 77;

    ck_assert_uint_eq(next_of(w), due_ns);
    if (due_ns > start_ns) {
        ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, start_ns, &left), 0);
        ck_assert_uint_eq(left, due_ns - start_ns);
        ck_assert_int_eq(aw_wheel_dispatch(w, due_ns - 1, 0), 0);
        wheel_sound(w);
        ck_assert_uint_eq(next_of(w), due_ns);
    }
    ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, due_ns, &left), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, due_ns, 0), 1);
    ck_assert_int_eq(ran.count, 1);
    ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, due_ns, &left), -ESRCH);
    ck_assert_uint_eq(next_of(w), AW_FOREVER);
    wheel_close(w);
}

START_TEST(h09_boundaries)
{
    static const struct {
        uint64_t deadline;
        uint64_t due;
    } table[] = {
        { 0, 0 },
        { 1, TICK },
        { 999, TICK },
        { 1000, TICK },
        { TICK - 1, TICK },
        { TICK, TICK },
        { TICK + 1, 2 * TICK },
        { 63 * TICK, 63 * TICK },
        { 64 * TICK - 1, 64 * TICK },
        { 64 * TICK, 64 * TICK },
        { 64 * TICK + 1, 65 * TICK },
        { 4095 * TICK, 4095 * TICK },
        { 4096 * TICK, 4096 * TICK },
        { 4097 * TICK, 4097 * TICK },
        { UINT64_C(0xffffffff) * TICK, UINT64_C(0xffffffff) * TICK },
        { UINT64_C(0x100000000) * TICK, UINT64_C(0x100000000) * TICK },
        { UINT64_C(0x100000001) * TICK, UINT64_C(0x100000001) * TICK },
        { UINT64_C(0xfffffffff) * TICK, UINT64_C(0xfffffffff) * TICK },
        { UINT64_C(0x1000000000) * TICK, UINT64_C(0x1000000000) * TICK },
        { UINT64_MAX - TICK, UINT64_MAX - TICK + 1 },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        expect_due(0, table[i].deadline, table[i].due);
    }
}
END_TEST

START_TEST(h09_end_of_time)
{
    static const uint64_t deadlines[] = { UINT64_MAX - TICK + 2, UINT64_MAX - 1000, UINT64_MAX - 1 };

    for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        struct aw_wheel *w = wheel_open();
        uint64_t next;

        timer_at(w, 1, deadlines[i]);
        ck_assert_int_eq(aw_wheel_next(w, &next), 1);
        ck_assert_uint_eq(next, UINT64_MAX);
        ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX - 1, 0), 0);
        wheel_sound(w);
        ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX, 0), 1);
        wheel_close(w);
    }
}
END_TEST

START_TEST(sums_saturate)
{
    struct aw_wheel *w = wheel_open_at(UINT64_MAX - AW_SEC(1));
    struct aw_timer timer = timer_noting(w, 1);

    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, UINT64_MAX - AW_SEC(1), UINT64_MAX - 1), 0);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, UINT64_MAX - AW_SEC(1)), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX - 1, 0), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX, 0), 1);
    wheel_close(w);
}
END_TEST

START_TEST(every_tick_size)
{
    for (unsigned shift = AWI_TICK_SHIFT_MIN; shift <= AWI_TICK_SHIFT_MAX; shift++) {
        struct aw_wheel_options options = { .size = sizeof(options), .tick_ns = UINT64_C(1) << shift };
        uint64_t tick = options.tick_ns;
        struct aw_wheel *w;

        ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
        timer_at(w, 1, 5 * tick - tick / 2);
        timer_at(w, 2, UINT64_MAX - 1);
        ck_assert_uint_eq(next_of(w), 5 * tick);
        ck_assert_uint_eq(awi_wheel_round_up(w, 5 * tick - tick / 2), 5 * tick);
        ck_assert_uint_eq(awi_wheel_round_up(w, 0), 0);
        ck_assert_uint_eq(awi_wheel_round_up(w, UINT64_MAX), UINT64_MAX);
        ck_assert_int_eq(aw_wheel_dispatch(w, 5 * tick - 1, 0), 0);
        ck_assert_int_eq(aw_wheel_dispatch(w, 5 * tick, 0), 1);
        ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX - 1, 0), 0);
        ck_assert_int_eq(aw_wheel_dispatch(w, UINT64_MAX, 0), 1);
        wheel_close(w);
    }
}
END_TEST

START_TEST(h33_starts_near_the_edges)
{
    static const uint64_t edges[] = { UINT64_C(1) << 32, UINT64_C(1) << 36, UINT64_C(5) << 36 };
    static const uint64_t before[] = { 1, 63, 64, 65, 5000, 300000 };
    static const uint64_t away[] = {
        0, 1, 62, 63, 64, 65, 4096, 262144, UINT64_C(0xffffffff), UINT64_C(1) << 32
    };

    for (size_t e = 0; e < 3; e++) {
        for (size_t b = 0; b < 6; b++) {
            for (size_t a = 0; a < 10; a++) {
                uint64_t start = (edges[e] - before[b]) * TICK;

                expect_due(start, start + away[a] * TICK, start + away[a] * TICK);
            }
        }
    }
}
END_TEST

START_TEST(passed_deadlines_are_due_at_once)
{
    struct aw_wheel *w = wheel_open_at(AW_SEC(10));
    struct aw_timer timer = timer_at(w, 1, 0);
    uint64_t left;

    ck_assert_uint_le(next_of(w), AW_SEC(10));
    ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, AW_SEC(10), &left), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, 0, 0), 1); /* an earlier time counts as the latest */
    timer_at(w, 2, AW_SEC(11));
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(20), 0), 1);
    timer_at(w, 3, AW_SEC(15));
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(20), 0), 1);
    wheel_close(w);
}
END_TEST

/* Far deadlines: beyond 2^32 ticks, re-armed there and back, and reached in one leap or in small ones. */
START_TEST(far_deadlines)
{
    uint64_t far = (UINT64_C(1) << 32) * TICK;
    struct aw_wheel *w = wheel_open();
    struct aw_timer mover = timer_at(w, 9, 3 * far);

    for (int i = 1; i <= 5; i++) {
        timer_at(w, i, (uint64_t)i * far + TICK);
    }
    ck_assert_uint_eq(next_of(w), far + TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, mover, 40 * TICK), 0); /* near again */
    ck_assert_uint_eq(next_of(w), 40 * TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, mover, 40 * far), 0); /* far from a slot */
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, mover, 30 * far), 0); /* far within the far list */
    wheel_sound(w);
    for (int i = 1; i <= 5; i++) {
        uint64_t due = (uint64_t)i * far + TICK;

        for (int step = 1; step < 8; step++) {
            ck_assert_int_eq(aw_wheel_dispatch(w, due - far / 8 * (uint64_t)(8 - step), 0), 0);
            wheel_sound(w);
            ck_assert_uint_eq(next_of(w), due);
        }
        ck_assert_int_eq(aw_wheel_dispatch(w, due, 0), 1);
        ck_assert_int_eq(ran.arg[i - 1], i);
    }
    ck_assert_uint_eq(next_of(w), 30 * far);
    ck_assert_int_eq(aw_wheel_dispatch(w, 100 * far, 0), 1);
    wheel_close(w);
}
END_TEST

START_TEST(far_and_near_in_one_leap_keep_order)
{
    uint64_t far = (UINT64_C(1) << 32) * TICK;
    struct aw_wheel *w = wheel_open();

    timer_at(w, 3, far + 64 * TICK); /* at the very start of a slot of level 1 */
    timer_at(w, 5, 2 * far);
    ck_assert_int_eq(aw_wheel_dispatch(w, 32 * TICK, 0), 0);
    timer_at(w, 1, far + 3 * TICK);
    timer_at(w, 4, far + 65 * TICK);
    timer_at(w, 2, far + 64 * TICK);
    ck_assert_int_eq(aw_wheel_dispatch(w, 3 * far, 0), 5);
    ck_assert_int_eq(ran.arg[0], 1);
    ck_assert_int_eq(ran.arg[1] + ran.arg[2], 2 + 3);
    ck_assert_int_eq(ran.arg[3], 4);
    ck_assert_int_eq(ran.arg[4], 5);
    wheel_close(w);
}
END_TEST

START_TEST(order_is_by_tick)
{
    struct aw_wheel *w = wheel_open();
    uint32_t random = 1;
    uint64_t deadline[1000];

    for (int i = 0; i < 1000; i++) {
        random = random * 1664525 + 1013904223;
        deadline[i] = (uint64_t)(random >> 8) * 1000;
        timer_at(w, i, deadline[i]);
    }
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(30), 0), 1000);
    for (int i = 1; i < 1000; i++) {
        ck_assert_uint_le(awi_wheel_round_up(w, deadline[ran.arg[i - 1]]),
                          awi_wheel_round_up(w, deadline[ran.arg[i]]));
    }
    wheel_close(w);
}
END_TEST

/* Each dispatch that the wheel asks for runs something: a slot's start is no reason to wake. */
START_TEST(h10_one_dispatch_a_deadline)
{
    static const uint64_t periods[] = { AW_MS(10), AW_MS(100), AW_SEC(1), AW_SEC(60), AW_SEC(3600) };

    for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        struct aw_wheel *w = wheel_open_at(AW_SEC(12345) + 678);
        struct aw_timer timer = timer_noting(w, 1);
        uint64_t first = AW_SEC(12345) + 678 + periods[i];

        ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, first, periods[i], AW_MISSED_SKIP), 0);
        for (uint64_t k = 0; k < 1000; k++) {
            uint64_t next = next_of(w);

            ck_assert_uint_eq(next, awi_wheel_round_up(w, first + k * periods[i]));
            ck_assert_int_eq(aw_wheel_dispatch(w, next, 0), 1);
        }
        wheel_close(w);
    }
}
END_TEST

/* After a timer was moved later or disarmed one early wake-up may come, and only one. */
START_TEST(h10_a_stale_wakeup_comes_once)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer = timer_at(w, 1, 100 * TICK);

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, 9000 * TICK), 0);
    ck_assert_uint_eq(next_of(w), 100 * TICK);
    ck_assert_int_eq(aw_wheel_dispatch(w, 100 * TICK, 0), 0);
    ck_assert_uint_eq(next_of(w), 9000 * TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, 7000 * TICK), 0);
    ck_assert_uint_eq(next_of(w), 7000 * TICK);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer), 1);
    ck_assert_uint_eq(next_of(w), AW_FOREVER);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(100), 0), 0);
    wheel_close(w);
}
END_TEST

/* The exact next deadline, which costs a look at what stands in front of it. */
START_TEST(settling_is_exact)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer[6];
    struct aw_timer far;

    ck_assert_uint_eq(awi_wheel_settle(w), AW_FOREVER);
    for (int i = 0; i < 6; i++) {
        timer[i] = timer_at(w, i, (uint64_t)(4000 + i) * TICK);
    }
    far = timer_at(w, 6, (UINT64_C(3) << 33) * TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[5], 3990 * TICK), 0); /* earlier, in the same slot */
    ck_assert_uint_eq(next_of(w), 3990 * TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[5], 4005 * TICK), 0);
    ck_assert_uint_eq(awi_wheel_settle(w), 4000 * TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[0], 4003 * TICK), 0); /* later, in the same slot */
    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[1]), 1);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[2], AW_SEC(100)), 0); /* later, elsewhere */
    ck_assert_uint_eq(next_of(w), 4000 * TICK);
    ck_assert_uint_eq(awi_wheel_settle(w), 4003 * TICK);
    ck_assert_uint_eq(next_of(w), 4003 * TICK);
    wheel_sound(w);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer[i]), 0);
    }
    ck_assert_uint_eq(awi_wheel_settle(w), (UINT64_C(3) << 33) * TICK);
    ck_assert_int_eq(aw_wheel_timer_delete(w, far), 0);
    timer_at(w, 7, (UINT64_C(5) << 33) * TICK);
    ck_assert_uint_eq(awi_wheel_settle(w), (UINT64_C(5) << 33) * TICK);
    wheel_close(w);
}
END_TEST

START_TEST(a_refresh_that_is_not_covered_changes_nothing)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer = timer_noting(w, 1);
    uint64_t deadline = 0;

    ck_assert_int_eq(awi_wheel_again(w, timer, 0, 0, &deadline), -EINVAL);
    ck_assert_int_eq(awi_wheel_again(w, (struct aw_timer){ 0 }, 0, 0, &deadline), -ENOENT);
    ck_assert(awi_wheel_knows(w, timer));
    ck_assert(!awi_wheel_knows(w, (struct aw_timer){ 0 }));
    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, 0, 100 * TICK), 0);
    ck_assert_int_eq(awi_wheel_again(w, timer, 50 * TICK, 150 * TICK + 1, &deadline), 1);
    ck_assert_uint_eq(deadline, 150 * TICK);
    ck_assert_int_eq(aw_wheel_dispatch(w, 100 * TICK, 0), 1);
    ck_assert_int_eq(awi_wheel_again(w, timer, 100 * TICK, 200 * TICK, &deadline), 0);
    ck_assert_uint_eq(next_of(w), 200 * TICK);
    wheel_close(w);
}
END_TEST

START_TEST(again_repeats_the_last_delay)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer = timer_noting(w, 1);

    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 0), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, 50 * TICK), 0);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 0), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, 0, 10 * TICK), 0);
    ck_assert_uint_eq(next_of(w), 10 * TICK);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 70 * TICK), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, 79 * TICK, 0), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, 80 * TICK, 0), 1);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 80 * TICK), 0);
    ck_assert_uint_eq(next_of(w), 90 * TICK);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer), 1);
    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, 80 * TICK, 0), 0); /* no delay is a delay too */
    ck_assert_int_eq(aw_wheel_dispatch(w, 80 * TICK, 0), 1);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 80 * TICK), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, 80 * TICK, 0), 1);
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        h09_boundaries,
        h09_end_of_time,
        sums_saturate,
        every_tick_size,
        h33_starts_near_the_edges,
        passed_deadlines_are_due_at_once,
        far_deadlines,
        far_and_near_in_one_leap_keep_order,
        order_is_by_tick,
        h10_one_dispatch_a_deadline,
        h10_a_stale_wakeup_comes_once,
        settling_is_exact,
        a_refresh_that_is_not_covered_changes_nothing,
        again_repeats_the_last_delay,
    };

    return RUN_TESTS("wheel_deadline", tests);
}
