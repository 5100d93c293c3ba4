/* SPDX-License-Identifier: MIT */
/*
 * What guards on processor time and hard limits refuse, and what is left behind when they cannot be had.
 * Their clocks are real: signal_burn and signal_hard let them run.
 */
#include <string.h>
#include <sys/time.h>

#include "check_main.h"
#include "engine/pending.h"
#include "fake_clock.h"
#include "fake_fault.h"

static void begin(void)
{
    fake_begin();
    EXPECT(fake_start(), 0);
}

static const unsigned kinds[] = { AW_GUARD_CPU, AW_GUARD_USER };

static void expect_refused(struct aw_guard *guard, unsigned flags, int error)
{
    EXPECT(aw_guard_enter(guard, AW_MS(10), flags), error);
    EXPECT(aw_guard_error(guard), error);
    EXPECT(aw_guard_leave(guard), -ENOENT);
    EXPECT(aw_guard_mark(), 0);
    ck_assert_uint_eq(awi.burning, 0);
}

static bool sigvtalrm_is_default(void)
{
    struct sigaction action;
    sigset_t mask;
    ck_assert_int_eq(sigaction(SIGVTALRM, NULL, &action), 0);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    return action.sa_handler == SIG_DFL && sigismember(&mask, SIGVTALRM) == 0;
}

START_TEST(flags_that_do_not_go_together)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    const unsigned together[] = { AW_GUARD_CPU | AW_GUARD_USER,    AW_GUARD_CPU | AW_GUARD_COARSE,
                                  AW_GUARD_USER | AW_GUARD_COARSE, AW_GUARD_CPU | AW_GUARD_NOMASK,
                                  AW_GUARD_USER | AW_GUARD_ESCAPE, AW_GUARD_CPU | AW_GUARD_ESCAPE };
    for (unsigned i = 0; i < sizeof together / sizeof together[0]; ++i)
        expect_refused(&guard, together[i], -EINVAL);
    ck_assert(sigvtalrm_is_default());
}
END_TEST

static void others(void)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    for (unsigned i = 0; i < 2; ++i)
        EXPECT(aw_guard_enter(&guard, AW_MS(10), kinds[i]), -EPERM);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -EPERM);
}

START_TEST(other_threads_and_no_engine)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    fake_elsewhere(others);
    EXPECT(aw_shutdown(), 0);
    for (unsigned i = 0; i < 2; ++i) {
        EXPECT(aw_guard_enter(&guard, AW_MS(10), kinds[i]), -ENODEV);
        EXPECT(aw_guard_enter(NULL, AW_MS(10), kinds[i]), -EINVAL);
    }
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -ENODEV);
    EXPECT(aw_guard_hard_limit(NULL, AW_MS(10), NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(too_deep)
{
    static struct aw_guard guards[AWI_GUARD_DEPTH + 1];
    for (unsigned i = 0; i < AWI_GUARD_DEPTH; ++i)
        EXPECT(aw_guard_enter(&guards[i], AW_SEC(1), 0), 0);
    EXPECT(aw_guard_enter(&guards[AWI_GUARD_DEPTH], AW_SEC(1), AW_GUARD_USER), -EAGAIN);
    EXPECT(aw_guard_error(&guards[AWI_GUARD_DEPTH]), -EAGAIN);
    ck_assert(sigvtalrm_is_default());
    EXPECT(aw_guard_leave(&guards[0]), 0);
}
END_TEST

START_TEST(h26_no_timer)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    fault_plan(FAULT_TIMER_CREATE, 1, EAGAIN);
    expect_refused(&guard, AW_GUARD_CPU, -EAGAIN);
    fault_plan(FAULT_SIGACTION, 1, EINVAL);
    expect_refused(&guard, AW_GUARD_USER, -EINVAL);
    fault_clear();
    ck_assert(sigvtalrm_is_default());
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_USER), 0);
    ck_assert(!sigvtalrm_is_default());
    EXPECT(aw_guard_leave(&guard), 0);
    ck_assert(sigvtalrm_is_default());
}
END_TEST

START_TEST(hard_limit_refused)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    EXPECT(aw_guard_hard_limit(NULL, AW_MS(10), NULL, NULL), -EINVAL);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -ENOENT);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    EXPECT(aw_guard_hard_limit(&guard, 0, NULL, NULL), -EINVAL);
    EXPECT(aw_guard_hard_limit(&guard, AW_FOREVER, NULL, NULL), -EINVAL);
    EXPECT(aw_guard_leave(&guard), 0);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -ENOENT);
    EXPECT(aw_guard_enter(&guard, AW_FOREVER, 0), 0);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -EINVAL);
    EXPECT(aw_guard_leave(&guard), 0);
    EXPECT(aw_guard_enter(&guard, AW_SEC(1000), AW_GUARD_USER), 0);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -EINVAL);
    EXPECT(aw_guard_leave(&guard), 0);
    ck_assert_uint_eq(awi.limited, 0);
}
END_TEST

/* The guard stays as it is. */
START_TEST(h26_no_hard_limit)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fault_plan(FAULT_TIMER_CREATE, 1, EAGAIN);
    EXPECT(aw_guard_hard_limit(&guard, AW_MS(10), NULL, NULL), -EAGAIN);
    fault_clear();
    ck_assert_uint_eq(awi.limited, 0);
    fake_advance(AW_SEC(1));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_burn");
    TCase *tcase = tcase_create("guard_burn");
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, begin, fake_end);
    tcase_add_test(tcase, flags_that_do_not_go_together);
    tcase_add_test(tcase, other_threads_and_no_engine);
    tcase_add_test(tcase, too_deep);
    tcase_add_test(tcase, h26_no_timer);
    tcase_add_test(tcase, hard_limit_refused);
    tcase_add_test(tcase, h26_no_hard_limit);
    return run_suite(suite);
}
