/* SPDX-License-Identifier: MIT */
/*
 * wheel_handle.c: handles and bad arguments: zero, stale and foreign handles, NULL, values out of range, and
 * what the generations of a record do at their end.
 */
#include "wheel_fixture.h"

/* Every function that takes a handle refuses this one. */
static void expect_unknown(struct aw_wheel *w, struct aw_timer timer)
{
    uint64_t answer = 55;

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, 1), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, 1, 1), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, 1, 1, AW_MISSED_SKIP), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 1), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_unref(w, timer), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, 1, &answer), -ENOENT);
    ck_assert_int_eq(aw_wheel_timer_overrun(w, timer, &answer), -ENOENT);
    ck_assert_uint_eq(answer, 55);
    wheel_sound(w);
}

START_TEST(handles_that_name_nothing)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer = timer_at(w, 1, AW_SEC(1));
    uint64_t id = timer.id;

    expect_unknown(w, (struct aw_timer){ 0 });
    expect_unknown(w, (struct aw_timer){ UINT64_MAX });
    expect_unknown(w, (struct aw_timer){ id + 1 });                   /* a record not handed out yet */
    expect_unknown(w, (struct aw_timer){ id + (UINT64_C(1) << 32) }); /* another generation */
    expect_unknown(w, (struct aw_timer){ id | UINT64_C(1) << 63 });   /* more than a generation has bits */
    expect_unknown(w, (struct aw_timer){ UINT64_C(1) << 32 | 5 });    /* the head of a list */
    expect_unknown(w, (struct aw_timer){ UINT64_C(1) << 32 | AWI_TODO });
    expect_unknown(w, (struct aw_timer){ id & UINT32_MAX }); /* generation zero */
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer), 0);
    expect_unknown(w, timer);
    expect_unknown(w, (struct aw_timer){ id + (UINT64_C(1) << 32) }); /* of the next one, not handed out */
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(2), 0), 0);
    expect_unknown(w, timer);
    expect_unknown(w, (struct aw_timer){ id + (UINT64_C(1) << 32) });
    wheel_close(w);
}
END_TEST

START_TEST(a_record_used_again_is_another_timer)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer first = timer_noting(w, 1);
    struct aw_timer second;

    ck_assert_int_eq(aw_wheel_timer_delete(w, first), 0);
    second = timer_at(w, 2, AW_SEC(1));
    ck_assert_uint_eq((uint32_t)second.id, (uint32_t)first.id);
    ck_assert_uint_eq(second.id >> 32, (first.id >> 32) + 1);
    expect_unknown(w, first);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(1) + TICK, 0), 1);
    wheel_close(w);
}
END_TEST

START_TEST(free_records_are_reused_first_in_first_out)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer[8];

    for (int i = 0; i < 8; i++) {
        timer[i] = timer_noting(w, i);
    }
    for (int i = 7; i >= 0; i--) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer[i]), 0);
    }
    for (int i = 7; i >= 0; i--) {
        ck_assert_uint_eq((uint32_t)timer_noting(w, i).id, (uint32_t)timer[i].id);
    }
    wheel_close(w);
}
END_TEST

START_TEST(bad_arguments)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer timer = timer_noting(w, 1);
    uint64_t answer;

    ck_assert_int_eq(aw_wheel_timer_create(NULL, &timer, note, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_create(w, NULL, note, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_create(w, &timer, NULL, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_at(NULL, timer, 1), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, AW_FOREVER), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm(NULL, timer, 1, 1), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm(w, timer, 1, AW_FOREVER), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(NULL, timer, 1, 1, AW_MISSED_SKIP), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, 1, 0, AW_MISSED_SKIP), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, AW_FOREVER, 1, AW_MISSED_SKIP), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, 1, UINT64_C(1) << 61, AW_MISSED_SKIP), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, 1, 1, (enum aw_missed)3), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_again(NULL, timer, 1), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_again(w, timer, 1), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_disarm(NULL, timer), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_delete(NULL, timer), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_unref(NULL, timer), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_remaining(NULL, timer, 1, &answer), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_remaining(w, timer, 1, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_overrun(NULL, timer, &answer), -EINVAL);
    ck_assert_int_eq(aw_wheel_timer_overrun(w, timer, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_dispatch(NULL, 1, 0), -EINVAL);
    ck_assert_int_eq(aw_wheel_next(NULL, &answer), -EINVAL);
    ck_assert_int_eq(aw_wheel_next(w, NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_destroy(NULL), 0);
    ck_assert_uint_eq(aw_wheel_armed(NULL), 0);
    ck_assert_uint_eq(aw_wheel_timers(NULL), 0);
    ck_assert_uint_eq(aw_wheel_capacity(NULL), 0);
    ck_assert_uint_eq(aw_wheel_generation(NULL), 0);
    ck_assert_ptr_nonnull(aw_wheel_check(NULL));
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, 1, (UINT64_C(1) << 61) - 1, AW_MISSED_DELAY), 0);
    ck_assert_uint_eq(aw_wheel_armed(w), 1);
    wheel_close(w);
}
END_TEST

START_TEST(disarm_and_counts)
{
    struct aw_wheel *w = wheel_open();
    struct aw_timer a = timer_at(w, 1, AW_SEC(1));
    struct aw_timer b = timer_at(w, 2, AW_SEC(2));

    ck_assert_uint_eq(aw_wheel_armed(w), 2);
    ck_assert_int_eq(aw_wheel_timer_unref(w, a), 0);
    ck_assert_int_eq(aw_wheel_timer_unref(w, a), 0);
    ck_assert_uint_eq(aw_wheel_armed(w), 1);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, a), 1);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, a), 0);
    ck_assert_int_eq(aw_wheel_timer_unref(w, b), 0);
    ck_assert_uint_eq(aw_wheel_armed(w), 0);
    ck_assert_uint_eq(next_of(w), awi_tick_ns(w, awi_tick_up(w, AW_SEC(1)))); /* a's slot, a lower bound */
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, a, AW_SEC(3)), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, a, AW_SEC(3), AW_SEC(1), AW_MISSED_SKIP), 0);
    ck_assert_uint_eq(aw_wheel_armed(w), 0);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(5), 0), 2);
    ck_assert_uint_eq(aw_wheel_timers(w), 2);
    ck_assert_int_eq(aw_wheel_timer_delete(w, a), 0);
    ck_assert_int_eq(aw_wheel_timer_delete(w, b), 0);
    ck_assert_uint_eq(aw_wheel_timers(w), 0);
    wheel_close(w);
}
END_TEST

/* Where the slab may grow, a record without a generation left is never used again. */
START_TEST(generations_retire)
{
    struct aw_wheel_options options = { .size = sizeof(options), .generation = AWI_GENERATION_MAX };
    struct aw_wheel *w;
    struct aw_timer timer[3];

    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    timer[0] = timer_at(w, 0, AW_SEC(1));
    timer[1] = timer_noting(w, 1);
    timer[2] = timer_noting(w, 2);
    ck_assert_uint_eq(timer[0].id >> 32, AWI_GENERATION_MAX);
    ck_assert_uint_eq(aw_wheel_generation(w), 1);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer[0]), 0);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer[1]), 0);
    wheel_sound(w);
    ck_assert_uint_eq(w->retired, 1); /* the armed one is linked until it is collected */
    expect_unknown(w, timer[0]);
    expect_unknown(w, timer[1]);
    ck_assert_uint_eq((uint32_t)timer_noting(w, 3).id, (uint32_t)timer[2].id + 1);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(2), 0), 0);
    ck_assert_uint_eq(w->retired, 2);
    expect_unknown(w, timer[0]);
    ck_assert_uint_eq((uint32_t)timer_noting(w, 4).id, (uint32_t)timer[2].id + 2);
    wheel_close(w);
}
END_TEST

START_TEST(a_slab_of_retired_records_grows)
{
    struct aw_wheel_options options = { .size = sizeof(options),
                                        .capacity = 2,
                                        .generation = AWI_GENERATION_MAX };
    struct aw_wheel *w;

    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer_at(w, 0, AW_SEC(1))), 0);
    }
    ck_assert_uint_eq(aw_wheel_capacity(w), 2);
    timer_noting(w, 1);
    ck_assert_uint_eq(aw_wheel_capacity(w), 4);
    ck_assert_uint_eq(w->retired, 2);
    wheel_close(w);
}
END_TEST

START_TEST(generations_wrap_in_fixed_memory)
{
    static _Alignas(64) unsigned char memory[16384];
    struct aw_wheel_options options = { .size = sizeof(options),
                                        .generation = AWI_GENERATION_MAX - 1,
                                        .memory = memory,
                                        .memory_bytes = aw_wheel_bytes(1) };
    struct aw_wheel *w;
    struct aw_timer timer;

    ck_assert_uint_le(options.memory_bytes, sizeof(memory));
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    for (uint64_t i = 0; i < 4; i++) {
        static const uint64_t expected[] = { AWI_GENERATION_MAX - 1, AWI_GENERATION_MAX, 1, 2 };

        timer = timer_noting(w, 1);
        ck_assert_uint_eq(timer.id >> 32, expected[i]);
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer), 0);
        expect_unknown(w, timer);
    }
    wheel_close(w);
}
END_TEST

START_TEST(a_successor_knows_no_old_handle)
{
    struct aw_wheel *w = wheel_open();
    struct aw_wheel_options options = { .size = sizeof(options) };
    struct aw_timer timer;

    ck_assert_uint_eq(aw_wheel_generation(w), 1);
    for (int i = 0; i < 5; i++) {
        timer = timer_noting(w, 1);
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer), 0);
    }
    timer = timer_noting(w, 1);
    options.generation = aw_wheel_generation(w);
    ck_assert_uint_eq(options.generation, 7);
    wheel_close(w);
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    ck_assert_uint_eq(timer_noting(w, 2).id >> 32, 7);
    expect_unknown(w, timer);
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        handles_that_name_nothing,
        a_record_used_again_is_another_timer,
        free_records_are_reused_first_in_first_out,
        bad_arguments,
        disarm_and_counts,
        generations_retire,
        a_slab_of_retired_records_grows,
        generations_wrap_in_fixed_memory,
        a_successor_knows_no_old_handle,
    };

    return RUN_TESTS("wheel_handle", tests);
}
