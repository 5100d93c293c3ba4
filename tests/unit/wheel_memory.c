/* SPDX-License-Identifier: MIT */
/*
 * wheel_memory.c: making a wheel, its options, growth, memory of the caller's, and what is there when the
 * allocator fails (hazard 26: malloc and aligned_alloc are wrapped by the linker).
 */
#include "wheel_fixture.h"

#include <string.h>

static int allocations_left = -1; /* negative: no bound */

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    return __real_aligned_alloc(alignment, bytes);
}

static _Alignas(64) unsigned char memory[65536];

/* What aw_wheel_create says to these options. Nothing may change where it is an error. */
static int try(const struct aw_wheel_options *options)
{
    struct aw_wheel *untouched = (struct aw_wheel *)(void *)memory;
    struct aw_wheel *w = untouched;
    int result = aw_wheel_create(&w, options);

    if (result == 0) {
        wheel_sound(w);
        ck_assert_int_eq(aw_wheel_destroy(w), 0);
    } else {
        ck_assert_ptr_eq(w, untouched);
    }
    return result;
}

START_TEST(options_are_checked)
{
    struct aw_wheel_options good = { .size = sizeof(good) };
    struct aw_wheel_options options;
    struct aw_wheel *w;

    ck_assert_int_eq(try(&good), 0);
    ck_assert_int_eq(try(NULL), -EINVAL);
    ck_assert_int_eq(aw_wheel_create(NULL, &good), -EINVAL);

    options = good;
    options.size = 0;
    ck_assert_int_eq(try(&options), -EINVAL);
    options.size = sizeof(options) + 8;
    ck_assert_int_eq(try(&options), -EINVAL);

    for (unsigned shift = 0; shift < 64; shift++) {
        options = good;
        options.tick_ns = UINT64_C(1) << shift;
        ck_assert_int_eq(try(&options), shift >= 10 && shift <= 24 ? 0 : -EINVAL);
    }
    options.tick_ns = 100000;
    ck_assert_int_eq(try(&options), -EINVAL);

    options = good;
    options.generation = AWI_GENERATION_MAX;
    ck_assert_int_eq(try(&options), 0);
    options.generation++;
    ck_assert_int_eq(try(&options), -EINVAL);

    options = good;
    options.memory_bytes = 4096; /* of what? */
    ck_assert_int_eq(try(&options), -EINVAL);

    options = good;
    options.start_ns = UINT64_MAX;
    ck_assert_int_eq(try(&options), 0);

    ck_assert_int_eq(aw_wheel_create(&w, &good), 0);
    ck_assert_uint_eq(aw_wheel_capacity(w), AWI_CAPACITY_DEFAULT);
    wheel_close(w);
}
END_TEST

START_TEST(memory_of_the_callers)
{
    struct aw_wheel_options options = { .size = sizeof(options), .capacity = 100, .memory = memory };
    struct aw_timer timer[101];
    struct aw_wheel *w;
    size_t exact = aw_wheel_bytes(100);

    ck_assert_uint_lt(exact + 64, sizeof(memory));
    allocations_left = 0;
    memset(memory, 0xa5, sizeof(memory));
    options.memory_bytes = exact - 1;
    ck_assert_int_eq(try(&options), -EINVAL);
    options.memory_bytes = 0;
    ck_assert_int_eq(try(&options), -EINVAL);
    options.memory_bytes = exact;
    options.memory = memory + 8;
    ck_assert_int_eq(try(&options), -EINVAL);
    options.memory = memory;
    options.capacity = 101;
    ck_assert_int_eq(try(&options), -EINVAL);
    options.capacity = 0; /* as many as fit */
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    ck_assert_uint_eq(aw_wheel_capacity(w), 100);
    for (int i = 0; i < 100; i++) {
        timer[i] = timer_at(w, i, (uint64_t)i * AW_MS(50));
    }
    ck_assert_int_eq(aw_wheel_timer_create(w, &timer[100], note, NULL), -ENOMEM);
    wheel_sound(w);
    ck_assert_uint_eq(aw_wheel_timers(w), 100);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer[50]), 0);
    timer[50] = timer_at(w, 50, AW_MS(2500));
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(10), 0), 100);
    wheel_close(w);
    for (size_t i = exact; i < sizeof(memory); i++) {
        ck_assert_uint_eq(memory[i], 0xa5);
    }
    allocations_left = -1;
}
END_TEST

START_TEST(bytes)
{
    struct aw_wheel_options options = { .size = sizeof(options), .memory = memory };

    ck_assert_uint_le(aw_wheel_bytes(1000000), 48 * (size_t)1000000);
    ck_assert_uint_eq(aw_wheel_bytes(UINT32_MAX), 0);
    ck_assert_uint_eq(aw_wheel_bytes(AWI_CAPACITY_LIMIT + 1), 0);
    options.memory_bytes = aw_wheel_bytes(0);
    ck_assert_int_eq(try(&options), -EINVAL);
    options.memory_bytes = aw_wheel_bytes(1);
    ck_assert_int_eq(try(&options), 0);
    options.memory_bytes = aw_wheel_bytes(1) - 1;
    ck_assert_int_eq(try(&options), -EINVAL);
}
END_TEST

START_TEST(an_impossible_capacity)
{
    struct aw_wheel_options options = { .size = sizeof(options), .capacity = UINT32_MAX };

    ck_assert_int_eq(try(&options), -ENOMEM);
    options.memory = memory;
    options.memory_bytes = sizeof(memory);
    ck_assert_int_eq(try(&options), -EINVAL);
}
END_TEST

START_TEST(growth_keeps_everything)
{
    struct aw_wheel_options options = { .size = sizeof(options), .capacity = 1 };
    struct aw_timer timer[1000];
    struct aw_wheel *w;
    struct aw_wheel *at;

    ran.count = 0;
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    at = w;
    for (int i = 0; i < 1000; i++) {
        uint64_t far = (UINT64_C(1) << 32) * TICK;

        timer[i] = timer_noting(w, i);
        switch (i % 4) {
        case 0:
            ck_assert_int_eq(aw_wheel_timer_arm(w, timer[i], 0, (uint64_t)(i + 1) * AW_MS(10)), 0);
            break;
        case 1:
            ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer[i], (uint64_t)i * 1001 * 1001,
                                                      AW_SEC(1000) + 1, AW_MISSED_BURST),
                             0);
            break;
        case 2:
            ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[i], far + (uint64_t)i), 0);
            break;
        default:
            break;
        }
        wheel_sound(w);
    }
    ck_assert_ptr_eq(w, at);
    ck_assert_uint_eq(aw_wheel_capacity(w), 1024);
    ck_assert_uint_eq(aw_wheel_timers(w), 1000);
    ck_assert_uint_eq(aw_wheel_armed(w), 750);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(20), 0), 500);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(1019), 0), 250);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(aw_wheel_timer_again(w, timer[i], AW_SEC(1019)), i % 4 < 2 ? 0 : -EINVAL);
    }
    wheel_close(w);
}
END_TEST

static int create_many(struct aw_timer timer, void *arg)
{
    struct aw_wheel *w = arg;

    (void)timer;
    for (int i = 0; i < 500; i++) {
        timer_at(w, i, 1);
    }
    return 0;
}

START_TEST(growth_inside_a_callback)
{
    struct aw_wheel_options options = { .size = sizeof(options), .capacity = 4 };
    struct aw_wheel *w;

    ran.count = 0;
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    for (int i = 0; i < 3; i++) {
        struct aw_timer timer = timer_with(w, create_many, w);

        ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, AW_MS(10), AW_SEC(1), AW_MISSED_DELAY), 0);
    }
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_MS(20), 0), 3);
    wheel_sound(w);
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_MS(21), 0), 1500);
    wheel_close(w);
}
END_TEST

START_TEST(h26_allocation_fails)
{
    struct aw_wheel_options options = { .size = sizeof(options), .capacity = 4 };
    struct aw_timer timer[5] = { { 0 } };
    struct aw_wheel *w;

    for (allocations_left = 0; allocations_left < 2; allocations_left++) {
        int kept = allocations_left;

        ck_assert_int_eq(try(&options), -ENOMEM);
        allocations_left = kept;
    }
    allocations_left = -1;
    ran.count = 0;
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    for (int i = 0; i < 4; i++) {
        timer[i] = timer_at(w, i, AW_SEC(1));
    }
    allocations_left = 0;
    ck_assert_int_eq(aw_wheel_timer_create(w, &timer[4], note, NULL), -ENOMEM);
    ck_assert_uint_eq(timer[4].id, 0);
    wheel_sound(w);
    ck_assert_uint_eq(aw_wheel_timers(w), 4);
    ck_assert_uint_eq(aw_wheel_capacity(w), 4);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer[0]), 0);
    timer[4] = timer_at(w, 4, AW_SEC(2)); /* the deleted one's place */
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(3), 0), 4);
    allocations_left = -1;
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        options_are_checked,    memory_of_the_callers,   bytes,
        an_impossible_capacity, growth_keeps_everything, growth_inside_a_callback,
        h26_allocation_fails,
    };

    return RUN_TESTS("wheel_memory", tests);
}
