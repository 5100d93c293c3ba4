/* SPDX-License-Identifier: MIT */
/*
 * signal_guards_told.c: who was told of an expired guard, and who was not: to the one plain calls work again,
 * the other's are interrupted. Real signals and blocking reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

static int ends[2];
static uint64_t expired; /* guards, since the engine was started */

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    expired = 0;
}

/* Until the handler has seen that so many more are over; that tells nobody. */
static void let_expire(unsigned guards)
{
    expired += guards;
    pass_until_expired(expired);
}

static int write_byte(void *arg)
{
    (void)arg;
    return write(ends[1], "x", 1) == 1 ? 0 : 1;
}

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    close(ends[0]);
    close(ends[1]);
}

/* Should no signal come, a byte ends the read, late. */
static void expect_interruption(void)
{
    char byte;
    pid_t pid = in_child(20000, write_byte, NULL);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    kill(pid, SIGKILL);
    expect_killed(pid, SIGKILL);
}

static void expect_peace(void)
{
    char byte;
    pid_t pid = in_child(30, write_byte, NULL);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    expect_exit(pid, 0);
}

static void enter(struct aw_guard *guard, uint64_t timeout_ns)
{
    ck_assert_int_eq(aw_guard_enter(guard, timeout_ns, AW_GUARD_DEFAULT), 0);
}

/* ---- shields ---- */

/* Whose result nobody looks at: as in a function that shields its own output. */
static void shield_until(unsigned guards_expire, unsigned shields)
{
    for (unsigned i = 0; i < shields; ++i)
        aw_shield();
    let_expire(guards_expire);
    for (unsigned i = 0; i < shields; ++i)
        (void)aw_unshield();
}

START_TEST(h24_unshielded_is_not_told)
{
    struct aw_guard guard;
    open_pipe();
    start_variant(_i);
    for (unsigned shields = 1; shields <= 2; ++shields) {
        enter(&guard, AW_MS(5));
        shield_until(1, shields);
        expect_interruption();
        ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        expect_peace();
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    stop();
}
END_TEST

/* Told before, it stays so: a function that is called to clear up may shield what it likes. */
START_TEST(h24_told_before_a_shield)
{
    struct aw_guard guard;
    open_pipe();
    start_variant(_i);
    enter(&guard, AW_MS(5));
    let_expire(1);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    shield_until(0, 1);
    expect_peace();
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    stop();
}
END_TEST

/* ---- guards within guards ---- */

static void be_told_by_safe_point(const struct aw_guard *inner)
{
    (void)inner;
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
}

static void be_told_by_dispatch(const struct aw_guard *inner)
{
    (void)inner;
    ck_assert_int_eq(aw_dispatch(0), -ETIMEDOUT);
}

static void be_told_by_asking(const struct aw_guard *inner)
{
    ck_assert(aw_guard_expired(inner));
}

/* The inner guard says that its own time is over; who goes on after it has not heard of the outer one's. */
START_TEST(h12_told_inside_of_an_equal_deadline)
{
    static void (*const be_told[])(const struct aw_guard *inner) = { be_told_by_safe_point,
                                                                     be_told_by_dispatch, be_told_by_asking };
    struct aw_guard outer, inner;
    open_pipe();
    start_variant(_i);
    for (unsigned i = 0; i < sizeof be_told / sizeof *be_told; ++i) {
        enter(&outer, AW_MS(5));
        enter(&inner, AW_MS(5));
        let_expire(2);
        be_told[i](&inner);
        ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
        expect_interruption();
        ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        expect_peace();
        ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    }
    stop();
}
END_TEST

/* Cancelled, the inner guard says that it was one around it. */
START_TEST(h12_told_inside_and_cancelled)
{
    struct aw_guard outer, inner;
    open_pipe();
    start_variant(_i);
    enter(&outer, AW_MS(5));
    enter(&inner, AW_SEC(3600));
    let_expire(1);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&inner), -ECANCELED);
    expect_peace();
    ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    stop();
}
END_TEST

/* Told of the outer guard before: what clears up may have guards of its own, which expire. */
START_TEST(h12_told_before_the_inner_guard)
{
    struct aw_guard outer, inner;
    open_pipe();
    start_variant(_i);
    for (unsigned asks = 0; asks < 2; ++asks) {
        enter(&outer, AW_MS(5));
        let_expire(1);
        ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        enter(&inner, AW_MS(1));
        let_expire(1);
        if (asks != 0)
            ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
        expect_peace();
        ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    }
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signal_guards_told");
    TCase *shields = signal_case(suite, "shields");
    TCase *nested = signal_case(suite, "nested");

    tcase_add_loop_test(shields, h24_unshielded_is_not_told, 0, VARIANTS);
    tcase_add_loop_test(shields, h24_told_before_a_shield, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_told_inside_of_an_equal_deadline, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_told_inside_and_cancelled, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_told_before_the_inner_guard, 0, VARIANTS);
    return run_suite(suite);
}
