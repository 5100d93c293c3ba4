/* SPDX-License-Identifier: MIT */
/*
 * escape_shield.c: what the program has against being left in the middle: shields, which put an escape off to
 * aw_unshield, and clean-ups, which run after one. Counting, order, values, errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <alarmwheel/io.h>

#include "check_main.h"
#include "spin.h"

static int ends[2];

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_unshield(), -EINVAL);
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- shields ---- */

/* How far a body came. On a slow machine an escape may come before it shields itself: then once more. */
static volatile int stages;

static void shield_twice(void)
{
    struct aw_guard guard;
    stages = 0;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        aw_shield();
        aw_shield();
        spin_ms(5);
        ++stages;
        (void)aw_unshield();
        spin_ms(2);
        ++stages;
        (void)aw_unshield(); /* here, and not later */
        ++stages;
    }
    ck_assert(aw_guard_expired(&guard));
}

START_TEST(counted)
{
    start_variant(_i);
    ck_assert_int_eq(aw_unshield(), -EINVAL);
    aw_shield();
    ck_assert_int_eq(aw_unshield(), 0);
    ck_assert_int_eq(aw_unshield(), -EINVAL);
    do
        shield_twice();
    while (stages == 0);
    ck_assert_int_eq(stages, 2);
    stop();
}
END_TEST

/* In time, under a shield: nothing at all. */
START_TEST(nothing_put_off)
{
    volatile int result = 1;
    struct aw_guard guard;
    start_variant(_i);
    AW_GUARD(&guard, AW_SEC(3600), AW_GUARD_ESCAPE) {
        aw_shield();
        spin_ms(2);
        result = aw_unshield();
    }
    ck_assert_int_eq(result, 0);
    ck_assert(!aw_guard_expired(&guard));
    stop();
}
END_TEST

/* A cooperative guard says so where the shield ends. */
START_TEST(unshield_tells_of_a_cooperative_guard)
{
    struct aw_guard guard;
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(2), AW_GUARD_DEFAULT), 0);
    aw_shield();
    aw_shield();
    pass_until_expired(1);
    ck_assert_int_eq(aw_unshield(), -ETIMEDOUT);
    ck_assert_int_eq(aw_unshield(), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    stop();
}
END_TEST

static int write_later(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

/* Plain calls are left in peace, guarded ones are not. */
START_TEST(calls_under_a_shield)
{
    struct aw_guard guard;
    char byte;
    open_pipe();
    start_variant(_i);
    for (int i = 0; i < 3; ++i) {
        pid_t pid = in_child(30, write_later, &ends[1]);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_DEFAULT), 0);
        aw_shield();
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_SEC(60)), -1);
        ck_assert_int_eq(errno, ETIMEDOUT);
        ck_assert(aw_timed_out());
        ck_assert_uint_lt(clock_ns(), start + AW_SEC(30));
        aw_unshield();
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        expect_exit(pid, 0);
    }
    stop();
}
END_TEST

static void enter_under_a_shield(void)
{
    struct aw_guard outer, inner;
    stages = 0;
    AW_GUARD(&outer, AW_MS(6), AW_GUARD_ESCAPE) {
        aw_shield();
        ++stages;
        AW_GUARD(&inner, AW_MS(2), AW_GUARD_ESCAPE) {
            spin_to_the_escape();
        }
        AW_EXPIRED
        {
            ++stages;
        }
        spin_ms(8);
        ++stages;
        (void)aw_unshield();
        stages = 100;
    }
    AW_EXPIRED
    {
        stages += 10;
    }
}

/* What counts is shields set since the guard was entered; after the landing the outer one still stands. */
START_TEST(entered_under_a_shield)
{
    start_variant(_i);
    do
        enter_under_a_shield();
    while (stages == 10);
    ck_assert_int_eq(stages, 13);
    stop();
}
END_TEST

static void lower_inside(void)
{
    struct aw_guard guard;
    stages = 0;
    aw_shield();
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        (void)aw_unshield();
        ++stages;
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

START_TEST(lowered_inside)
{
    start_variant(_i);
    for (lower_inside(); stages == 0; lower_inside())
        aw_unshield();
    stop();
}
END_TEST

/* ---- 34: clean-ups ---- */

static char order[64];
static volatile unsigned cleaned;

static void note(void *arg)
{
    order[cleaned++] = *(const char *)arg;
    order[cleaned] = '\0';
}

static void note_value(void *arg)
{
    order[cleaned++] = (char)(intptr_t)arg;
    order[cleaned] = '\0';
}

static void *value(char c)
{
    return (void *)(intptr_t)c;
}

static void forget_notes(void)
{
    cleaned = 0;
    order[0] = '\0';
}

static void register_in_three(void)
{
    struct aw_guard outer, middle, inner;
    forget_notes();
    stages = 0;
    AW_GUARD(&outer, AW_MS(3), AW_GUARD_ESCAPE) {
        aw_shield();
        ++stages;
        aw_guard_on_expiry(&outer, note_value, value('a'));
        AW_GUARD(&middle, AW_SEC(60), AW_GUARD_DEFAULT) {
            aw_guard_on_expiry(&middle, note_value, value('c'));
            AW_GUARD(&inner, AW_SEC(60), AW_GUARD_ESCAPE) {
                aw_guard_on_expiry(&inner, note_value, value('e'));
                aw_guard_on_expiry(&outer, note_value, value('b'));
                aw_guard_on_expiry(&middle, note_value, value('d'));
                aw_guard_on_expiry(&inner, note_value, value('f'));
                (void)aw_unshield();
                spin_to_the_escape();
            }
        }
    }
    AW_EXPIRED
    {
        note(&(char){ '.' });
    }
}

START_TEST(h34_order)
{
    start_variant(_i);
    for (int i = 0; i < 5; ++i) {
        do
            register_in_three();
        while (stages == 0);
        ck_assert_str_eq(order, "fedcba.");
    }
    stop();
}
END_TEST

/* Of a guard that was left in time nothing remains, nor of one that expired and was left. */
START_TEST(h34_only_after_an_escape)
{
    struct aw_guard guard, inner;
    start_variant(_i);
    forget_notes();
    AW_GUARD(&guard, AW_SEC(60), AW_GUARD_ESCAPE) {
        aw_guard_on_expiry(&guard, note_value, value('a'));
    }
    AW_GUARD(&guard, AW_MS(1), AW_GUARD_ESCAPE) {
        aw_shield();
        aw_guard_on_expiry(&guard, note_value, value('b'));
        spin_ms(2);
        aw_guard_leave(&guard);
    }
    (void)aw_unshield();
    spin_ms(2);
    ck_assert_uint_eq(cleaned, 0);
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        aw_shield();
        AW_GUARD(&inner, AW_SEC(60), AW_GUARD_ESCAPE) {
            aw_guard_on_expiry(&inner, note_value, value('c'));
        }
        (void)aw_unshield();
        spin_to_the_escape();
    }
    ck_assert_uint_eq(cleaned, 0);
    stop();
}
END_TEST

static volatile int forgotten[3];

static void forget_one(void)
{
    struct aw_guard guard;
    forget_notes();
    stages = 0;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        aw_shield();
        ++stages;
        aw_guard_on_expiry(&guard, note_value, value('a'));
        int slot = aw_guard_on_expiry(&guard, note_value, value('b'));
        aw_guard_on_expiry(&guard, note_value, value('c'));
        forgotten[0] = aw_guard_forget(&guard, slot);
        forgotten[1] = aw_guard_forget(&guard, slot);
        forgotten[2] = aw_guard_on_expiry(&guard, note_value, value('d'));
        (void)aw_unshield();
        spin_to_the_escape();
    }
}

START_TEST(h34_forget)
{
    start_variant(_i);
    do
        forget_one();
    while (stages == 0);
    ck_assert_int_eq(forgotten[0], 0);
    ck_assert_int_eq(forgotten[1], -ENOENT);
    ck_assert_int_ge(forgotten[2], 0);
    ck_assert_str_eq(order, "dca");
    stop();
}
END_TEST

/* The values stand in the guard's frame; those below it are written over before they are used. */
__attribute__((noinline)) static void register_deep_down(struct aw_guard *guard, int depth)
{
    volatile char bytes[512];
    memset((char *)bytes, depth, sizeof bytes);
    if (depth != 0) {
        register_deep_down(guard, depth - 1);
    } else {
        int *mine = malloc(sizeof *mine);
        if (mine != NULL)
            aw_guard_on_expiry(guard, aw_cleanup_free, mine);
        aw_guard_on_expiry(guard, note_value, value('x'));
    }
}

__attribute__((noinline)) static void spin_deep_down(int depth)
{
    volatile char bytes[512];
    memset((char *)bytes, ~depth, sizeof bytes);
    if (depth != 0)
        spin_deep_down(depth - 1);
    else
        spin_ms(SPIN_LIMIT / AW_MS(1));
    bytes[0] = 0;
}

static void register_and_go_elsewhere(int depth)
{
    struct aw_guard guard;
    forget_notes();
    stages = 0;
    AW_GUARD(&guard, AW_MS(1), AW_GUARD_ESCAPE) {
        aw_shield();
        ++stages;
        register_deep_down(&guard, depth);
        (void)aw_unshield();
        spin_deep_down(20 - depth);
        ck_abort_msg("no escape came");
    }
}

START_TEST(h34_deep_frames_are_gone)
{
    start_variant(_i);
    for (int i = 0; i < 20; ++i) {
        do
            register_and_go_elsewhere(i);
        while (stages == 0);
        ck_assert_str_eq(order, "x");
    }
    stop();
}
END_TEST

static volatile int opened;

static void open_and_allocate(void)
{
    struct aw_guard guard;
    opened = -1;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        aw_shield();
        opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
        aw_guard_on_expiry(&guard, aw_cleanup_close, (void *)(intptr_t)opened);
        aw_guard_on_expiry(&guard, aw_cleanup_fclose, fopen("/dev/null", "we"));
        aw_guard_on_expiry(&guard, aw_cleanup_free, malloc(1000));
        (void)aw_unshield();
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

START_TEST(h34_ready_ones)
{
    start_variant(_i);
    unsigned before = open_descriptors();
    for (int i = 0; i < 5; ++i) {
        do
            open_and_allocate();
        while (opened == -1);
        ck_assert_int_eq(fcntl(opened, F_GETFD), -1);
        ck_assert_uint_eq(open_descriptors(), before);
    }
    stop();
}
END_TEST

static void clean_slowly(void *arg)
{
    (void)arg;
    ++stages;
    spin_ms(6);
    (void)aw_safepoint();
    ++stages;
}

static void clean_up_beyond_the_next(void)
{
    struct aw_guard outer, inner;
    stages = 0;
    AW_GUARD(&outer, AW_MS(4), AW_GUARD_ESCAPE) {
        AW_GUARD(&inner, AW_MS(2), AW_GUARD_ESCAPE) {
            aw_guard_on_expiry(&inner, clean_slowly, NULL);
            spin_to_the_escape();
        }
        spin_to_the_escape();
        stages = 100;
    }
    ck_assert(aw_guard_expired(&outer));
}

/* A clean-up is not escaped from, though the guard around it has expired too; after it, that is made good. */
START_TEST(h34_clean_ups_are_shielded)
{
    start_variant(_i);
    do
        clean_up_beyond_the_next();
    while (stages == 0);
    ck_assert_int_eq(stages, 2);
    stop();
}
END_TEST

START_TEST(h34_errors)
{
    struct aw_guard guard, other = { 0 };
    volatile int results[12];
    start_variant(_i);
    ck_assert_int_eq(aw_guard_on_expiry(NULL, note, NULL), -EINVAL);
    ck_assert_int_eq(aw_guard_on_expiry(&other, note, NULL), -ENOENT);
    ck_assert_int_eq(aw_guard_forget(&other, 0), -ENOENT);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(60), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_guard_on_expiry(&guard, note, NULL), 0); /* one around it may escape */
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(60), AW_GUARD_ESCAPE), -EINVAL);
    AW_GUARD(&guard, AW_SEC(60), AW_GUARD_ESCAPE) {
        results[0] = aw_guard_on_expiry(&guard, NULL, NULL);
        results[1] = aw_guard_forget(&guard, 0);
        for (int i = 0; i < 9; ++i)
            results[2 + i] = aw_guard_on_expiry(&guard, note, NULL);
        results[11] = aw_guard_forget(&guard, 8);
    }
    ck_assert_int_eq(results[0], -EINVAL);
    ck_assert_int_eq(results[1], -ENOENT);
    for (int i = 0; i < 8; ++i)
        ck_assert_int_ge(results[2 + i], 0);
    ck_assert_int_eq(results[10], -ENOSPC);
    ck_assert_int_eq(results[11], -ENOENT);
    ck_assert_int_eq(aw_guard_on_expiry(&guard, note, NULL), -ENOENT);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_shield");
    TCase *shields = signal_case(suite, "shields");
    TCase *clean_ups = signal_case(suite, "clean-ups");

    tcase_add_loop_test(shields, counted, 0, VARIANTS);
    tcase_add_loop_test(shields, nothing_put_off, 0, VARIANTS);
    tcase_add_loop_test(shields, unshield_tells_of_a_cooperative_guard, 0, VARIANTS);
    tcase_add_loop_test(shields, calls_under_a_shield, 0, VARIANTS);
    tcase_add_loop_test(shields, entered_under_a_shield, 0, VARIANTS);
    tcase_add_loop_test(shields, lowered_inside, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_order, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_only_after_an_escape, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_forget, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_deep_frames_are_gone, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_ready_ones, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_clean_ups_are_shielded, 0, VARIANTS);
    tcase_add_loop_test(clean_ups, h34_errors, 0, VARIANTS);
    return run_suite(suite);
}
