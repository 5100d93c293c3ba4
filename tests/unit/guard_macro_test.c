/* SPDX-License-Identifier: MIT */
/* AW_GUARD ... AW_EXPIRED: every way in and out of it, and where it may stand. */
#include <setjmp.h>
#include <stdlib.h>

#include "check_main.h"
#include "engine/pending.h"
#include "fake_clock.h"

static void begin(void)
{
    fake_begin();
    EXPECT(fake_start(), 0);
}

static void expect_clean(void)
{
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_safepoint(), 0);
}

START_TEST(in_time)
{
    struct aw_guard guard;
    int body = 0, gave_up = 0;
    AW_GUARD(&guard, AW_MS(10), AW_GUARD_DEFAULT) {
        ++body;
        EXPECT(aw_guard_mark(), 1);
    }
    AW_EXPIRED
    {
        ++gave_up;
    }
    ck_assert_int_eq(body, 1);
    ck_assert_int_eq(gave_up, 0);
    EXPECT(aw_guard_error(&guard), 0);
    expect_clean();
}
END_TEST

START_TEST(expired)
{
    struct aw_guard guard;
    int body = 0, gave_up = 0;
    AW_GUARD(&guard, AW_MS(10), AW_GUARD_COARSE) {
        ++body;
        fake_advance(AW_MS(30));
        EXPECT(aw_safepoint(), -ETIMEDOUT);
    }
    AW_EXPIRED
    {
        ++gave_up;
        EXPECT(aw_guard_mark(), 0); /* outside it already */
        EXPECT(aw_safepoint(), 0);
        ck_assert(aw_guard_expired(&guard));
    }
    ck_assert_int_eq(body, 1);
    ck_assert_int_eq(gave_up, 1);
    expect_clean();
}
END_TEST

START_TEST(without_expired)
{
    struct aw_guard guard;
    int body = 0;
    AW_GUARD(&guard, AW_MS(10), 0) {
        ++body;
        fake_advance(AW_MS(11));
    }
    ck_assert_int_eq(body, 1);
    ck_assert(aw_guard_expired(&guard));
    expect_clean();
}
END_TEST

/* AW_EXPIRED is for this guard's own expiry. */
START_TEST(not_for_the_outer_ones_expiry)
{
    struct aw_guard outer, inner;
    int gave_up = 0;
    AW_GUARD(&outer, AW_MS(10), 0) {
        AW_GUARD(&inner, AW_MS(20), 0) {
            fake_advance(AW_MS(11));
        }
        AW_EXPIRED
        {
            gave_up += 1;
        }
        ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
    }
    AW_EXPIRED
    {
        gave_up += 10;
    }
    ck_assert_int_eq(gave_up, 10);
    expect_clean();
}
END_TEST

START_TEST(nested_inner_expires)
{
    struct aw_guard outer, inner;
    int gave_up = 0, after = 0;
    AW_GUARD(&outer, AW_MS(100), 0) {
        AW_GUARD(&inner, AW_MS(10), 0) {
            fake_advance(AW_MS(11));
        }
        AW_EXPIRED
        {
            gave_up += 1;
        }
        EXPECT(aw_safepoint(), 0);
        ++after;
    }
    AW_EXPIRED
    {
        gave_up += 10;
    }
    ck_assert_int_eq(gave_up, 1);
    ck_assert_int_eq(after, 1);
    expect_clean();
}
END_TEST

/* break and continue leave the guard only, not the loop around it. */
START_TEST(h13_break_and_continue)
{
    struct aw_guard guard;
    int rounds = 0, beyond = 0, gave_up = 0;
    for (int i = 0; i < 4; ++i) {
        AW_GUARD(&guard, AW_MS(10), 0) {
            if (i == 0)
                break;
            if (i == 1)
                continue;
            fake_advance(AW_MS(11));
            if (i == 2)
                break;
            if (i == 3)
                continue;
            ++beyond;
        }
        AW_EXPIRED
        {
            ++gave_up;
        }
        expect_clean();
        ++rounds;
    }
    ck_assert_int_eq(rounds, 4);
    ck_assert_int_eq(beyond, 0);
    ck_assert_int_eq(gave_up, 2);
}
END_TEST

/* In AW_EXPIRED, too. */
START_TEST(h13_break_in_expired)
{
    struct aw_guard guard;
    int rounds = 0, beyond = 0;
    for (int i = 0; i < 2; ++i) {
        AW_GUARD(&guard, 0, 0) {
            EXPECT(aw_safepoint(), -ETIMEDOUT);
        }
        AW_EXPIRED
        {
            if (i == 0)
                break;
            if (i == 1)
                continue;
            ++beyond;
        }
        expect_clean();
        ++rounds;
    }
    ck_assert_int_eq(rounds, 2);
    ck_assert_int_eq(beyond, 0);
}
END_TEST

static int leave_by_return(bool late)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(10), 0) {
        if (late)
            fake_advance(AW_MS(11));
        return 5;
    }
    AW_EXPIRED
    {
        return 6;
    }
    return 7;
}

static int leave_two_by_return(void)
{
    struct aw_guard outer, inner;
    AW_GUARD(&outer, AW_MS(10), 0) {
        AW_GUARD(&inner, AW_MS(20), 0) {
            return 8;
        }
    }
    return 9;
}

static int return_from_expired(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(10), 0) {
        fake_advance(AW_MS(11));
    }
    AW_EXPIRED
    {
        return 10;
    }
    return 11;
}

START_TEST(h13_return)
{
    EXPECT(leave_by_return(false), 5);
    expect_clean();
    EXPECT(leave_by_return(true), 5);
    expect_clean();
    EXPECT(leave_two_by_return(), 8);
    expect_clean();
    EXPECT(return_from_expired(), 10);
    expect_clean();
}
END_TEST

START_TEST(h13_goto)
{
    struct aw_guard guard;
    int beyond = 0;
    AW_GUARD(&guard, AW_MS(10), 0) {
        fake_advance(AW_MS(11));
        goto out;
    }
    AW_EXPIRED
    {
        ++beyond;
    }
    ++beyond;
out:
    ck_assert_int_eq(beyond, 0);
    expect_clean();
    ck_assert(aw_guard_expired(&guard));
}
END_TEST

static jmp_buf out;

/* In a frame of its own: the guard's is what counts. */
__attribute__((noinline)) static void leave_by_jump(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(10), 0) {
        longjmp(out, 1);
    }
    AW_EXPIRED
    {
        ck_abort_msg("entering failed: %d", aw_guard_error(&guard));
    }
}

START_TEST(h13_longjmp)
{
    for (volatile int i = 0; i < 100; ++i) {
        if (setjmp(out) == 0)
            leave_by_jump();
    }
    fake_advance(AW_MS(11));
    expect_clean();
}
END_TEST

static int which(bool guarded, bool expires)
{
    struct aw_guard guard;
    int result = 0;
    if (guarded) {
        AW_GUARD(&guard, AW_MS(10), 0) {
            if (expires)
                fake_advance(AW_MS(11));
            result = 1;
        }
        AW_EXPIRED
        {
            result += 2;
        }
    } else {
        result = 4;
    }
    return result;
}

/* With its AW_EXPIRED it is one statement. */
static int which_unbraced(bool guarded, bool expires)
{
    struct aw_guard guard;
    int result = 0;
    if (guarded)
        AW_GUARD(&guard, AW_MS(10), 0) {
            if (expires)
                fake_advance(AW_MS(11));
            result = 1;
        }
    AW_EXPIRED
    {
        result += 2;
    }
    else result = 4;
    return result;
}

START_TEST(under_if_and_else)
{
    for (int i = 0; i < 2; ++i) {
        int (*fn)(bool, bool) = i == 0 ? which : which_unbraced;
        EXPECT(fn(true, false), 1);
        EXPECT(fn(true, true), 3);
        EXPECT(fn(false, false), 4);
        expect_clean();
    }
}
END_TEST

START_TEST(in_a_switch)
{
    struct aw_guard guard;
    int body = 0;
    switch (_i) {
    case 0:
        AW_GUARD(&guard, AW_MS(10), 0) {
            ++body;
            break; /* the guard */
        }
        ++body;
        break;
    default:
        body = 2;
    }
    ck_assert_int_eq(body, 2);
    expect_clean();
}
END_TEST

/* Entering fails: the body does not run, AW_EXPIRED does, and the error says why. */
START_TEST(entering_fails)
{
    struct aw_guard guard;
    int body = 0, gave_up = 0;
    EXPECT(aw_shutdown(), 0);
    AW_GUARD(&guard, AW_MS(10), 0) {
        ++body;
    }
    AW_EXPIRED
    {
        ++gave_up;
        EXPECT(aw_guard_error(&guard), -ENODEV);
        ck_assert(!aw_guard_expired(&guard));
    }
    EXPECT(fake_start(), 0);
    AW_GUARD(&guard, AW_MS(10), 1u << 31) {
        ++body;
    }
    AW_EXPIRED
    {
        ++gave_up;
        EXPECT(aw_guard_error(&guard), -EINVAL);
    }
    AW_GUARD(NULL, AW_MS(10), 0) {
        ++body;
    }
    AW_EXPIRED
    {
        ++gave_up;
    }
    ck_assert_int_eq(body, 0);
    ck_assert_int_eq(gave_up, 3);
    expect_clean();
}
END_TEST

/* The arguments are evaluated once. */
static int evaluated;

static struct aw_guard *once(struct aw_guard *guard)
{
    ++evaluated;
    return guard;
}

START_TEST(arguments_once)
{
    struct aw_guard guard;
    AW_GUARD(once(&guard), AW_MS(10) * (uint64_t)++evaluated, 0) {
    }
    ck_assert_int_eq(evaluated, 2);
    /* Two in one scope, and one after the other. */
    AW_GUARD(&guard, AW_MS(10), 0) {
    }
    AW_GUARD(&guard, AW_MS(10), 0) {
    }
    expect_clean();
}
END_TEST

/* The guard remembers where it stands, for messages. */
START_TEST(knows_its_place)
{
    struct aw_guard guard;
    int line = __LINE__ + 1;
    AW_GUARD(&guard, AW_MS(10), 0) {
        ck_assert_int_eq(guard.awi_line, line);
        ck_assert_str_eq(guard.awi_file, __FILE__);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_macro");
    TCase *tc = tcase_create("guard_macro");
    tcase_add_checked_fixture(tc, begin, fake_end);
    tcase_add_test(tc, in_time);
    tcase_add_test(tc, expired);
    tcase_add_test(tc, without_expired);
    tcase_add_test(tc, not_for_the_outer_ones_expiry);
    tcase_add_test(tc, nested_inner_expires);
    tcase_add_test(tc, h13_break_and_continue);
    tcase_add_test(tc, h13_break_in_expired);
    tcase_add_test(tc, h13_return);
    tcase_add_test(tc, h13_goto);
    tcase_add_test(tc, h13_longjmp);
    tcase_add_test(tc, under_if_and_else);
    tcase_add_loop_test(tc, in_a_switch, 0, 2);
    tcase_add_test(tc, entering_fails);
    tcase_add_test(tc, arguments_once);
    tcase_add_test(tc, knows_its_place);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
