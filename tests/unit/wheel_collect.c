/* SPDX-License-Identifier: MIT */
/*
 * wheel_collect.c: that re-arm and disarm are lazy, and that what they leave behind is collected: by dispatch
 * and create, 64 records at a time, while the dead outnumber the living, and wholly before a create fails.
 */
#include "wheel_fixture.h"

enum {
    MANY = 1000
};

static struct aw_timer timer[MANY];

static struct aw_wheel *open_many(int count)
{
    struct aw_wheel *w = wheel_open();

    for (int i = 0; i < count; i++) {
        timer[i] = timer_at(w, i, AW_SEC(100) + (uint64_t)i * AW_MS(10));
    }
    return w;
}

START_TEST(moving_later_is_one_store)
{
    struct aw_wheel *w = open_many(10);
    struct awi_record before = w->record[(uint32_t)timer[5].id];
    struct awi_record after;

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[5], AW_SEC(5000)), 0);
    after = w->record[(uint32_t)timer[5].id];
    ck_assert_uint_ne(after.when, before.when);
    ck_assert_uint_eq(after.prev, before.prev);
    ck_assert_uint_eq(after.next, before.next);
    ck_assert_uint_eq(after.meta, before.meta);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(200), 0), 9);
    ck_assert_uint_eq(next_of(w), awi_tick_ns(w, awi_tick_up(w, AW_SEC(5000))));
    wheel_close(w);
}
END_TEST

START_TEST(disarm_is_one_store)
{
    struct aw_wheel *w = open_many(10);
    struct awi_record before = w->record[(uint32_t)timer[5].id];
    struct awi_record after;

    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[5]), 1);
    after = w->record[(uint32_t)timer[5].id];
    ck_assert_uint_eq(after.meta, before.meta & ~AWI_ARMED);
    ck_assert_uint_eq(after.next, before.next);
    ck_assert_uint_eq(w->linked, 10);
    ck_assert_uint_eq(w->dead, 1);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[5], AW_SEC(101)), 0); /* and back: it was linked all the
                                                                             time */
    ck_assert_uint_eq(w->dead, 0);
    wheel_close(w);
}
END_TEST

START_TEST(disarm_never_sweeps)
{
    struct aw_wheel *w = open_many(MANY);

    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[i]), 1);
    }
    ck_assert_uint_eq(w->linked, MANY);
    ck_assert_uint_eq(w->dead, MANY);
    ck_assert_uint_eq(next_of(w), AW_FOREVER);
    wheel_close(w);
}
END_TEST

START_TEST(dispatch_collects_while_the_dead_outnumber_the_living)
{
    struct aw_wheel *w = open_many(MANY);
    uint32_t dead = 600;

    for (uint32_t i = 0; i < dead; i++) {
        ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[i]), 1);
    }
    while (dead > MANY - 600) {
        uint32_t before = dead;

        ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(1), 0), 0);
        dead = w->dead;
        ck_assert_uint_lt(dead, before);
        ck_assert_uint_le(before - dead, AWI_COLLECT);
        wheel_sound(w);
    }
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(1), 0), 0);
    ck_assert_uint_eq(w->dead, dead); /* few enough now */
    wheel_close(w);
}
END_TEST

START_TEST(create_collects_too)
{
    struct aw_wheel *w = open_many(MANY);

    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer[i]), 0);
    }
    ck_assert_uint_eq(aw_wheel_timers(w), 0);
    for (int i = 0; i < 100; i++) {
        timer_noting(w, i);
        wheel_sound(w);
    }
    ck_assert_uint_eq(w->linked, 0);
    ck_assert_uint_eq(aw_wheel_capacity(w), 1024);
    wheel_close(w);
}
END_TEST

START_TEST(create_collects_before_it_fails)
{
    static _Alignas(64) unsigned char memory[16384];
    struct aw_wheel_options options = { .size = sizeof(options),
                                        .memory = memory,
                                        .memory_bytes = sizeof(memory) };
    struct aw_wheel *w;
    uint32_t capacity;

    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    capacity = aw_wheel_capacity(w);
    ck_assert_uint_gt(capacity, 100);
    ck_assert_uint_lt(capacity, MANY);
    for (int round = 0; round < 50; round++) {
        int deleted = 1 + round % 40;
        struct aw_timer one_too_many;

        for (uint32_t i = 0; i < capacity; i++) {
            if (timer[i].id == 0 || round == 0) {
                timer[i] = timer_at(w, (int)i, AW_SEC(1000) + i * TICK);
            }
        }
        ck_assert_int_eq(aw_wheel_timer_create(w, &one_too_many, note, NULL), -ENOMEM);
        for (int i = 0; i < deleted; i++) {
            ck_assert_int_eq(aw_wheel_timer_delete(w, timer[i * 2]), 0);
            timer[i * 2].id = 0;
        }
        wheel_sound(w);
    }
    wheel_close(w);
}
END_TEST

/* In a full slab a delete and a create cost no search: the deleted record is unlinked at once. */
START_TEST(a_full_slab_unlinks_at_once)
{
    struct aw_wheel *w = open_many(64);

    ck_assert_uint_eq(aw_wheel_capacity(w), 64);
    for (int i = 0; i < 64; i++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer[i]), 0);
        ck_assert_uint_eq(w->deleted, 0);
        timer[i] = timer_at(w, i, AW_SEC(7));
    }
    ck_assert_uint_eq(aw_wheel_capacity(w), 64);
    wheel_close(w);
}
END_TEST

/* Deleted, and linked for long: growth is not the answer. */
START_TEST(deleted_records_are_found_before_growth)
{
    struct aw_wheel *w = wheel_open();

    for (int round = 0; round < 1000; round++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, timer_at(w, round, AW_SEC(1000000))), 0);
        if (round % 10 == 0) {
            timer[round / 10 % 30] = timer_at(w, round, AW_SEC(2000000));
        }
        if (round % 10 == 5 && round >= 300) {
            ck_assert_int_eq(aw_wheel_timer_delete(w, timer[(round / 10 + 1) % 30]), 0);
        }
    }
    ck_assert_uint_eq(aw_wheel_capacity(w), 64);
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        moving_later_is_one_store,   disarm_is_one_store,
        disarm_never_sweeps,         dispatch_collects_while_the_dead_outnumber_the_living,
        create_collects_too,         create_collects_before_it_fails,
        a_full_slab_unlinks_at_once, deleted_records_are_found_before_growth,
    };

    return RUN_TESTS("wheel_collect", tests);
}
