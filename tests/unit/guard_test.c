/* SPDX-License-Identifier: MIT */
/* Guards as functions: entering, nesting, leaving, telling and nagging, marks, frames that were left,
 * callbacks. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "engine/engine.h"
#include "engine/pending.h"
#include "fake_clock.h"

static int runs;

static void begin(void)
{
    fake_begin();
    runs = 0;
    EXPECT(fake_start(), 0);
}

static struct aw_stats stats(void)
{
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    return all;
}

START_TEST(bad_arguments)
{
    struct aw_guard guard;
    memset(&guard, 0, sizeof guard);
    EXPECT(aw_guard_enter(NULL, 1, 0), -EINVAL);
    EXPECT(aw_guard_leave(NULL), -EINVAL);
    EXPECT(aw_guard_error(NULL), -EINVAL);
    EXPECT(aw_guard_expired(NULL), false);
    ck_assert_ptr_null(aw_guard_fired(NULL));
    ck_assert_uint_eq(aw_guard_lateness_ns(NULL), 0);
    EXPECT(aw_guard_call(NULL, 1, 0, NULL, NULL), -EINVAL);
    EXPECT(aw_guard_call(&guard, 1, 0, NULL, NULL), -EINVAL);
    EXPECT(aw_guard_leave(&guard), -ENOENT);
    EXPECT(aw_guard_error(&guard), 0);
    const unsigned known = AW_GUARD_COARSE | AW_GUARD_CPU | AW_GUARD_USER;
    for (unsigned flag = 1; flag != 0; flag <<= 1) {
        if ((flag & known) != 0)
            continue;
        EXPECT(aw_guard_enter(&guard, 1, flag), -EINVAL);
        EXPECT(aw_guard_error(&guard), -EINVAL);
        EXPECT(aw_guard_leave(&guard), -ENOENT);
    }
    EXPECT(aw_guard_mark(), 0);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
}
END_TEST

START_TEST(in_time)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    ck_assert(!aw_guard_expired(&guard));
    fake_advance(AW_MS(10) - 1);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_dispatch(0), 0);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_ptr_null(aw_guard_fired(&guard));
    EXPECT(aw_guard_leave(&guard), 0);
    EXPECT(aw_guard_leave(&guard), -ENOENT);
    ck_assert(!aw_guard_expired(&guard));
    EXPECT(aw_guard_error(&guard), 0);
    fake_advance(AW_SEC(1));
    EXPECT(aw_safepoint(), 0);
    ck_assert_uint_eq(stats().guards, 0);
}
END_TEST

START_TEST(expired)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(10) + 1001);
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_safepoint(), -ETIMEDOUT); /* as long as it stands */
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert(aw_guard_expired(&guard));
    ck_assert_ptr_eq(aw_guard_fired(&guard), &guard);
    uint64_t late = aw_guard_lateness_ns(&guard);
    ck_assert_uint_le(late, 1000);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert(aw_guard_expired(&guard)); /* and afterwards */
    ck_assert_ptr_eq(aw_guard_fired(&guard), &guard);
    ck_assert_uint_eq(aw_guard_lateness_ns(&guard), late);
    EXPECT(aw_safepoint(), 0);
    ck_assert_uint_eq(awi_pending, 0);
    ck_assert_uint_eq(stats().guards, 1);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0); /* again, as new */
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_uint_eq(aw_guard_lateness_ns(&guard), 0);
    EXPECT(aw_guard_leave(&guard), 0);
}
END_TEST

START_TEST(lateness_is_from_deadline_to_notice)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_lose(AW_MS(17)); /* no signal: the next call with a clock notices */
    ck_assert(!aw_guard_expired(&guard));
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert_uint_eq(aw_guard_lateness_ns(&guard), AW_MS(7));
    fake_advance(AW_MS(5));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_uint_eq(aw_guard_lateness_ns(&guard), AW_MS(7));
}
END_TEST

START_TEST(zero_is_expired_at_once)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, 0, 0), 0);
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

/* The coarse clock lags; with what it may lag by added it is late, and never early. */
START_TEST(coarse)
{
    for (uint64_t phase = 0; phase < FAKE_COARSE_NS; phase += 333333) {
        struct aw_guard guard;
        uint64_t deadline;
        fake.now_ns = FAKE_START_NS / FAKE_COARSE_NS * FAKE_COARSE_NS + AW_SEC(1) * (phase + 1) + phase;
        fake.alarm_ns = AW_FOREVER;
        awi.armed_at = AW_FOREVER;
        EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_COARSE), 0);
        EXPECT(aw_next(&deadline), 1);
        ck_assert_uint_eq(deadline,
                          fake.now_ns - fake.now_ns % FAKE_COARSE_NS + 2 * FAKE_COARSE_NS + AW_MS(10));
        fake_advance(AW_MS(10) - 1);
        EXPECT(aw_safepoint(), 0);
        fake_advance(2 * FAKE_COARSE_NS + 1001);
        EXPECT(aw_safepoint(), -ETIMEDOUT);
        EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    }
}
END_TEST

START_TEST(depth_is_64)
{
    enum {
        DEPTH = 64
    };
    static struct aw_guard guards[DEPTH + 1];
    for (int i = 0; i < DEPTH; ++i) {
        EXPECT(aw_guard_enter(&guards[i], AW_MS(100) - (uint64_t)i * AW_US(1), 0), 0);
        EXPECT(aw_guard_mark(), i + 1);
    }
    EXPECT(aw_guard_enter(&guards[DEPTH], AW_MS(1), 0), -EAGAIN);
    EXPECT(aw_guard_error(&guards[DEPTH]), -EAGAIN);
    EXPECT(aw_guard_leave(&guards[DEPTH]), -ENOENT);
    EXPECT(aw_guard_mark(), DEPTH);
    fake_advance(AW_MS(100) - AW_US(20)); /* the inner ones from index 20 on */
    for (int i = 0; i < DEPTH; ++i)
        ck_assert_int_eq(aw_guard_expired(&guards[i]), i >= 20);
    ck_assert_ptr_eq(aw_guard_fired(&guards[63]), &guards[20]);
    for (int i = DEPTH - 1; i >= 20; --i)
        EXPECT(aw_guard_leave(&guards[i]), -ETIMEDOUT);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_leave(&guards[19]), 0);
    EXPECT(aw_guard_leave(&guards[0]), 0); /* and those inside it */
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_guard_leave(&guards[10]), 0);
    EXPECT(aw_guard_leave(&guards[10]), -ENOENT);
}
END_TEST

/* Hazard 12: three guards, all orders of their deadlines, equal ones among them, looked at after each of
 * them. */
START_TEST(h12_permutations_of_three)
{
    for (int code = 0; code < 27; ++code) {
        const int at[3] = { code % 3 + 1, code / 3 % 3 + 1, code / 9 + 1 };
        for (int after = 0; after <= 3; ++after) {
            struct aw_guard guards[3];
            int outermost = -1;
            for (int i = 0; i < 3; ++i)
                EXPECT(aw_guard_enter(&guards[i], AW_MS(10) * (uint64_t)at[i], 0), 0);
            fake_advance(AW_MS(10) * (uint64_t)after + 1001);
            for (int i = 2; i >= 0; --i) {
                if (at[i] <= after)
                    outermost = i;
            }
            EXPECT(aw_safepoint(), outermost >= 0 ? -ETIMEDOUT : 0);
            for (int i = 2; i >= 0; --i) {
                int around = outermost >= 0 && outermost <= i ? outermost : -1;
                ck_assert_int_eq(aw_guard_expired(&guards[i]), around >= 0);
                ck_assert_ptr_eq(aw_guard_fired(&guards[i]), around >= 0 ? &guards[around] : NULL);
                /* ITIMER_REAL counts microseconds, a POSIX timer rings on the nanosecond. */
                ck_assert_int_eq(aw_guard_lateness_ns(&guards[i]) != 0, at[i] <= after && !fake_is_posix());
                EXPECT(aw_guard_leave(&guards[i]), at[i] <= after ? -ETIMEDOUT
                                                   : around >= 0  ? -ECANCELED
                                                                  : 0);
                ck_assert_ptr_eq(aw_guard_fired(&guards[i]), around >= 0 ? &guards[around] : NULL);
            }
            EXPECT(aw_safepoint(), 0);
            EXPECT(aw_guard_mark(), 0);
        }
    }
}
END_TEST

/* An expired inner guard is left; the outer one goes on, and its own expiry is noticed. */
START_TEST(outer_goes_on_after_inner)
{
    struct aw_guard outer, inner;
    EXPECT(aw_guard_enter(&outer, AW_MS(20), 0), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_guard_leave(&inner), -ETIMEDOUT);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(100), 0), 0);
    fake_advance(AW_MS(10));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&inner), -ECANCELED);
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    ck_assert_uint_eq(stats().guards, 2);
}
END_TEST

/* The nag: each 50 us for 100 ms, then each ms, until the program knows. */
START_TEST(nag_until_told)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(10) + 1001);
    uint64_t before = stats().signals;
    ck_assert_uint_eq(before, 1);
    fake_advance(AW_MS(99));
    uint64_t quick = stats().signals - before;
    ck_assert_uint_ge(quick, 99 * 1000 / 52);
    ck_assert_uint_le(quick, 99 * 1000 / 50);
    fake_advance(AW_MS(2));
    before = stats().signals;
    fake_advance(AW_MS(100));
    uint64_t slow = stats().signals - before;
    ck_assert_uint_ge(slow, 98);
    ck_assert_uint_le(slow, 101);
    ck_assert_uint_eq(stats().spurious, 0); /* they have a reason */
    ck_assert_uint_eq(stats().guards, 1);
    if (_i == 0)
        EXPECT(aw_safepoint(), -ETIMEDOUT);
    else
        ck_assert(aw_guard_expired(&guard));
    before = stats().signals;
    fake_advance(AW_SEC(10));
    ck_assert_uint_le(stats().signals - before, 1); /* the nag that was armed already */
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(nag_ends_with_the_guard)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    uint64_t before = stats().signals;
    fake_advance(AW_SEC(1));
    ck_assert_uint_le(stats().signals - before, 1);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
}
END_TEST

/* Told of the inner one; the outer one expires later, and is nagged for anew. */
START_TEST(nag_for_the_outer_after_the_inner)
{
    struct aw_guard outer, inner;
    EXPECT(aw_guard_enter(&outer, AW_MS(20), 0), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    ck_assert(aw_guard_expired(&inner));
    fake_advance(AW_MS(10));
    uint64_t before = stats().signals;
    fake_advance(AW_MS(1));
    ck_assert_uint_ge(stats().signals - before, 15);
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&inner), 0);
}
END_TEST

/* An alarm that is late for a nag by a second of stopped time goes on as if nothing were. */
START_TEST(nag_beside_a_timer)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake.now_ns += AW_SEC(1);
    fake_advance(0);
    fake_advance(AW_MS(1));
    ck_assert_uint_ge(stats().signals, 10);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(mark_and_rewind)
{
    struct aw_guard guards[4];
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_guard_rewind(0), 0);
    EXPECT(aw_guard_rewind(1), -EINVAL);
    EXPECT(aw_guard_rewind(-1), -EINVAL);
    for (int i = 0; i < 4; ++i)
        EXPECT(aw_guard_enter(&guards[i], AW_MS(10) * (uint64_t)(4 - i), 0), 0);
    int mark = aw_guard_mark();
    ck_assert_int_eq(mark, 4);
    fake_advance(AW_MS(21)); /* the inner two */
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_rewind(2), 2);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_mark(), 2);
    EXPECT(aw_guard_leave(&guards[3]), 0); /* dropped */
    EXPECT(aw_guard_leave(&guards[1]), 0);
    EXPECT(aw_guard_rewind(5), -EINVAL);
    EXPECT(aw_guard_rewind(0), 1);
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

/* Hazard 13: frames that were left. */
static jmp_buf out;

__attribute__((noinline)) static int enter_and_jump(int levels, uint64_t timeout_ns)
{
    struct aw_guard guard;
    int result = aw_guard_enter(&guard, timeout_ns, 0);
    if (result == 0 && levels > 0)
        result = enter_and_jump(levels - 1, timeout_ns);
    else if (result == 0)
        longjmp(out, 1);
    aw_guard_leave(&guard);
    return result;
}

static int call_safepoint(void *arg)
{
    (void)arg;
    return aw_safepoint();
}

START_TEST(h13_left_frames_are_dropped)
{
    struct aw_guard guard;
    if (setjmp(out) == 0)
        ck_abort_msg("%d", enter_and_jump(3, AW_MS(10)));
    switch (_i) {
    case 0:
        EXPECT(aw_guard_mark(), 0);
        break;
    case 1:
        EXPECT(aw_guard_enter(&guard, AW_SEC(1), 0), 0);
        EXPECT(aw_guard_mark(), 1);
        EXPECT(aw_guard_leave(&guard), 0);
        break;
    case 2:
        fake_advance(AW_MS(20));
        EXPECT(aw_safepoint(), 0);
        break;
    case 3:
        EXPECT(aw_shutdown(), 0);
        return;
    case 4:
        EXPECT(aw_wait(AW_MS(20)), 0);
        break;
    case 5:
        EXPECT(aw_guard_call(&guard, AW_SEC(1), 0, call_safepoint, NULL), 0);
        break;
    default:
        EXPECT(aw_dispatch(0), 0);
        break;
    }
    fake_advance(AW_MS(20));
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_mark(), 0);
    EXPECT(_i != 1 || aw_guard_error(&guard) == 0, 1);
}
END_TEST

/* The usual loop of an interpreter: the same frame is entered and left by longjmp, again and again. */
START_TEST(h13_the_same_frame_again_and_again)
{
    for (volatile int i = 0; i < 200; ++i) {
        if (setjmp(out) == 0)
            ck_abort_msg("%d at %d", enter_and_jump(i % 5, AW_SEC(10)), i);
    }
    EXPECT(aw_guard_mark(), 0);
}
END_TEST

START_TEST(h13_outer_survives)
{
    struct aw_guard outer;
    EXPECT(aw_guard_enter(&outer, AW_MS(50), 0), 0);
    for (volatile int i = 0; i < 100; ++i) {
        if (setjmp(out) == 0)
            ck_abort_msg("%d at %d", enter_and_jump(i % 5, AW_MS(10)), i);
    }
    EXPECT(aw_guard_mark(), 1);
    fake_advance(AW_MS(20));
    EXPECT(aw_safepoint(), 0);
    fake_advance(AW_MS(31));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
}
END_TEST

START_TEST(entered_twice_starts_anew)
{
    struct aw_guard guard, inner;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(5), 0), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(30), 0), 0);
    EXPECT(aw_guard_mark(), 1);
    fake_advance(AW_MS(20));
    EXPECT(aw_safepoint(), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&inner), 0);
}
END_TEST

/* aw_guard_call */
static int answer(void *arg)
{
    fake_advance(*(uint64_t *)arg);
    ++runs;
    return -17;
}

START_TEST(call)
{
    struct aw_guard guard, outer;
    uint64_t takes = AW_MS(5);
    EXPECT(aw_guard_call(&guard, AW_MS(10), 0, answer, &takes), -17);
    EXPECT(aw_guard_mark(), 0);
    takes = AW_MS(11);
    EXPECT(aw_guard_call(&guard, AW_MS(10), 0, answer, &takes), -ETIMEDOUT);
    ck_assert(aw_guard_expired(&guard));
    EXPECT(aw_guard_enter(&outer, AW_MS(10), 0), 0);
    EXPECT(aw_guard_call(&guard, AW_MS(20), 0, answer, &takes), -ECANCELED);
    ck_assert_ptr_eq(aw_guard_fired(&guard), &outer);
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    ck_assert_int_eq(runs, 3);
    EXPECT(aw_guard_call(&guard, AW_MS(20), 64, answer, &takes), -EINVAL);
    EXPECT(aw_guard_error(&guard), -EINVAL);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_int_eq(runs, 3);
}
END_TEST

/* Hazard 30: guards in callbacks. */
static struct aw_guard inside;
static int results[8];

static int guard_inside(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++runs;
    results[0] = aw_guard_enter(&inside, AW_MS(10), 0);
    results[1] = aw_safepoint();
    fake_advance(AW_MS(11));
    results[2] = aw_safepoint();
    results[3] = aw_guard_expired(&inside);
    if (arg == NULL)
        results[4] = aw_guard_leave(&inside);
    results[5] = aw_safepoint();
    return 0;
}

START_TEST(h30_guard_in_a_callback)
{
    struct aw_timer timer;
    bool left_behind = _i == 1;
    EXPECT(aw_timer_create(&timer, guard_inside, left_behind ? &runs : NULL), 0);
    EXPECT(aw_timer_arm_every(timer, AW_MS(50), AW_MS(100), AW_MISSED_SKIP), 0);
    for (int turn = 0; turn < 3; ++turn) {
        fake_advance(AW_MS(100));
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, turn + 1);
        ck_assert_int_eq(results[0], 0);
        ck_assert_int_eq(results[1], 0);
        ck_assert_int_eq(results[2], -ETIMEDOUT);
        ck_assert_int_eq(results[3], true);
        ck_assert_int_eq(results[5], left_behind ? -ETIMEDOUT : 0);
        EXPECT(aw_guard_mark(), 0);
        ck_assert_uint_eq(awi_pending, 0);
    }
    EXPECT(aw_shutdown(), 0);
}
END_TEST

/* A guard around the dispatch neither interrupts nor times out the callback; it is reported when the dispatch
 * returns. */
static struct aw_guard outside;

static int under_a_guard(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    fake_advance(AW_MS(11));
    uint64_t before = stats().signals;
    fake_advance(AW_MS(10));
    results[0] = (int)(stats().signals - before); /* no nags */
    results[1] = aw_safepoint();
    results[2] = aw_guard_enter(&inside, AW_SEC(1), 0);
    results[3] = aw_safepoint();
    results[4] = aw_guard_expired(&inside);
    results[5] = aw_guard_leave(&inside);
    results[6] = aw_guard_expired(&outside);
    results[7] = aw_guard_rewind(0);
    return 0;
}

START_TEST(h30_guard_around_a_callback)
{
    struct aw_timer timer;
    EXPECT(aw_timer_create(&timer, under_a_guard, NULL), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    EXPECT(aw_guard_enter(&outside, AW_MS(10), 0), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(runs, 1);
    ck_assert_int_le(results[0], 1);
    for (int i = 1; i < 6; ++i)
        ck_assert_int_eq(results[i], 0);
    ck_assert_int_eq(results[6], true);
    ck_assert_int_eq(results[7], -EINVAL);
    EXPECT(aw_guard_leave(&outside), -ETIMEDOUT);
}
END_TEST

/* The outer guard is left inside the callback: what is entered there afterwards is the callback's own. */
static int leave_the_outer(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    results[0] = aw_guard_leave(&outside);
    results[1] = aw_guard_enter(&inside, AW_MS(5), 0);
    fake_advance(AW_MS(6));
    results[2] = aw_safepoint();
    results[3] = aw_guard_leave(&inside);
    return 0;
}

START_TEST(outer_left_inside_a_callback)
{
    struct aw_timer timer;
    EXPECT(aw_timer_create(&timer, leave_the_outer, NULL), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    EXPECT(aw_guard_enter(&outside, AW_SEC(10), 0), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(results[0], 0);
    ck_assert_int_eq(results[1], 0);
    ck_assert_int_eq(results[2], -ETIMEDOUT);
    ck_assert_int_eq(results[3], -ETIMEDOUT);
    EXPECT(aw_guard_mark(), 0);
}
END_TEST

/* With SA_RESTART dropped for as long as an expired guard stands untold. */
static bool restarts(void)
{
    struct sigaction action;
    sigaction(fake_signo(), NULL, &action);
    return (action.sa_flags & SA_RESTART) != 0;
}

START_TEST(restart_is_dropped_and_comes_back)
{
    struct aw_options options = fake_options();
    struct aw_guard outer, guard;
    options.interrupt = AW_INTERRUPT_RESTART;
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_guard_enter(&outer, AW_MS(20), 0), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    ck_assert(restarts());
    fake_advance(AW_MS(9));
    ck_assert(restarts());
    fake_advance(AW_MS(2));
    ck_assert(!restarts());
    switch (_i) {
    case 0:
        EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
        break;
    case 1:
        EXPECT(aw_safepoint(), -ETIMEDOUT);
        break;
    case 2:
        ck_assert(aw_guard_expired(&guard));
        break;
    default:
        EXPECT(aw_guard_rewind(1), 1);
        break;
    }
    ck_assert(restarts());
    fake_forge(); /* a signal that comes when the program knows drops nothing */
    ck_assert(restarts());
    fake_advance(AW_MS(11));
    ck_assert(!restarts()); /* the outer one */
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    ck_assert(restarts());
}
END_TEST

START_TEST(restart_stays_dropped_for_the_outer)
{
    struct aw_options options = fake_options();
    struct aw_guard outer, guard;
    options.interrupt = AW_INTERRUPT_RESTART;
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_guard_enter(&outer, AW_MS(10), 0), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    ck_assert(!restarts());
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert(!restarts());
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    ck_assert(restarts());
}
END_TEST

static int expect_restart(struct aw_timer timer, void *arg)
{
    (void)timer;
    ck_assert(restarts());
    fake_advance(AW_MS(30)); /* somebody looks after the guard now and then */
    ck_assert(restarts());
    ++*(int *)arg;
    return 0;
}

/* Expired before the dispatch, which hides it: the callback is left in peace. */
START_TEST(restart_comes_back_for_callbacks)
{
    struct aw_options options = fake_options();
    struct aw_guard guard;
    struct aw_timer timer;
    int calls = 0;
    options.interrupt = AW_INTERRUPT_RESTART;
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_timer_create(&timer, expect_restart, &calls), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    ck_assert(!restarts());
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert_int_eq(calls, 1);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert(restarts());
}
END_TEST

START_TEST(stepping_leaves_the_disposition_alone)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    ck_assert(restarts());
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

/* Entered by the owner, seen from another thread: nothing. */
static void look_from_elsewhere(void)
{
    ck_assert(!aw_guard_expired(&outside));
    ck_assert_uint_eq(aw_guard_lateness_ns(&outside), 0);
    EXPECT(aw_guard_leave(&outside), -EPERM);
    EXPECT(aw_guard_enter(&inside, 1, 0), -EPERM);
    EXPECT(aw_guard_error(&inside), -EPERM);
}

START_TEST(other_threads_have_none)
{
    EXPECT(aw_guard_enter(&outside, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    fake_elsewhere(look_from_elsewhere);
    EXPECT(aw_guard_leave(&outside), -ETIMEDOUT);
}
END_TEST

/* Entering costs no system call where the alarm comes early enough. */
START_TEST(steady_state_programs_nothing)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    EXPECT(aw_guard_leave(&guard), 0);
    uint64_t before = fake.programmed;
    for (int i = 0; i < 1000; ++i) {
        EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
        EXPECT(aw_guard_leave(&guard), 0);
    }
    ck_assert_uint_eq(fake.programmed, before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *tc = tcase_create("guard");
    tcase_add_checked_fixture(tc, begin, fake_end);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, in_time);
    tcase_add_test(tc, expired);
    tcase_add_test(tc, lateness_is_from_deadline_to_notice);
    tcase_add_test(tc, zero_is_expired_at_once);
    tcase_add_test(tc, coarse);
    tcase_add_test(tc, depth_is_64);
    tcase_add_test(tc, h12_permutations_of_three);
    tcase_add_test(tc, outer_goes_on_after_inner);
    tcase_add_loop_test(tc, nag_until_told, 0, 2);
    tcase_add_test(tc, nag_ends_with_the_guard);
    tcase_add_test(tc, nag_for_the_outer_after_the_inner);
    tcase_add_test(tc, nag_beside_a_timer);
    tcase_add_test(tc, mark_and_rewind);
    tcase_add_loop_test(tc, h13_left_frames_are_dropped, 0, 7);
    tcase_add_test(tc, h13_the_same_frame_again_and_again);
    tcase_add_test(tc, h13_outer_survives);
    tcase_add_test(tc, entered_twice_starts_anew);
    tcase_add_test(tc, call);
    tcase_add_loop_test(tc, h30_guard_in_a_callback, 0, 2);
    tcase_add_test(tc, h30_guard_around_a_callback);
    tcase_add_test(tc, outer_left_inside_a_callback);
    tcase_add_loop_test(tc, restart_is_dropped_and_comes_back, 0, 4);
    tcase_add_test(tc, restart_stays_dropped_for_the_outer);
    tcase_add_test(tc, restart_comes_back_for_callbacks);
    tcase_add_test(tc, stepping_leaves_the_disposition_alone);
    tcase_add_test(tc, other_threads_have_none);
    tcase_add_test(tc, steady_state_programs_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
