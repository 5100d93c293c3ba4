/* SPDX-License-Identifier: MIT */
/*
 * Virtual interval timers, on clocks that stand still: REAL on the fake one, VIRTUAL and PROF on two of the
 * test's own. Which values they take and tell, what they count, whom they call, what they leave when they
 * fail. How they compare with the originals, and the real clocks, are in signal_itimer.
 */
#include <limits.h>
#include <string.h>

#include "check_main.h"
#include "engine/engine.h"
#include "engine/pending.h"
#include "engine/process_time.h"
#include "fake_clock.h"
#include "fake_fault.h"

#define TICK_NS AW_MS(4)
#define CREATED_MAX 1000

static uint64_t burnt_ns[AWI_PROCESS_CLOCKS];

uint64_t __wrap_awi_process_time_now(enum awi_process_clock clock);
uint64_t __wrap_awi_process_time_tick(void);

uint64_t __wrap_awi_process_time_now(enum awi_process_clock clock)
{
    return burnt_ns[clock];
}

uint64_t __wrap_awi_process_time_tick(void)
{
    return TICK_NS;
}

/* What the callbacks were told: the last, and in sum. */
static struct {
    int id;
    unsigned calls;
    uint64_t expirations, total;
    int returns;
} seen;

static int see(int id, uint64_t expirations, void *arg)
{
    ck_assert_ptr_eq(arg, &seen);
    ++seen.calls;
    seen.id = id;
    seen.expirations = expirations;
    seen.total += expirations;
    return seen.returns;
}

static void begin(void)
{
    fake_begin();
    memset(&seen, 0, sizeof seen);
    burnt_ns[AWI_USER_TIME] = AW_SEC(3);
    burnt_ns[AWI_ALL_TIME] = AW_SEC(5);
    EXPECT(fake_start(), 0);
}

static struct itimerval value_of(uint64_t value_us, uint64_t interval_us)
{
    return (struct itimerval){
        .it_interval = { (time_t)(interval_us / 1000000), (suseconds_t)(interval_us % 1000000) },
        .it_value = { (time_t)(value_us / 1000000), (suseconds_t)(value_us % 1000000) }
    };
}

static uint64_t us_of(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

static void set(int id, uint64_t value_us, uint64_t interval_us)
{
    struct itimerval value = value_of(value_us, interval_us);
    EXPECT(aw_setitimer(id, &value, NULL), 0);
}

static void expect_value(int id, uint64_t value_us, uint64_t interval_us)
{
    struct itimerval value;
    EXPECT(aw_getitimer(id, &value), 0);
    ck_assert_uint_eq(us_of(value.it_value), value_us);
    ck_assert_uint_eq(us_of(value.it_interval), interval_us);
}

static void expect_seen(unsigned calls, uint64_t total)
{
    ck_assert_uint_eq(seen.calls, calls);
    ck_assert_uint_eq(seen.total, total);
}

/* Time passes on the clock of a kind. */
static void pass(int kind, uint64_t ns)
{
    if (kind == ITIMER_REAL)
        fake_advance(ns);
    else
        burnt_ns[kind == ITIMER_VIRTUAL ? AWI_USER_TIME : AWI_ALL_TIME] += ns;
}

/* What the kind adds to a value; and how late a callback may be in this test. */
static uint64_t more_ns(int kind)
{
    return kind == ITIMER_REAL ? 0 : TICK_NS;
}

static uint64_t late_ns(int kind)
{
    return kind == ITIMER_REAL ? FAKE_TICK_NS : 0;
}

/* ---- values, for each of the three kinds ---- */

START_TEST(one_shot)
{
    uint64_t more = more_ns(_i);
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    expect_value(_i, 0, 0);
    set(_i, 10000, 0);
    expect_value(_i, 10000 + more / 1000, 0);
    pass(_i, AW_US(4000));
    expect_value(_i, 6000 + more / 1000, 0);
    pass(_i, AW_US(6000) + more - 1);
    expect_value(_i, 1, 0); /* a nanosecond is left: not nothing */
    EXPECT(aw_dispatch(0), 0);
    pass(_i, 1);
    expect_value(_i, 0, 0); /* by its own clock it has run out, and is told so at the next tick */
    pass(_i, late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(1, 1);
    ck_assert_int_eq(seen.id, _i);
    expect_value(_i, 0, 0);
    pass(_i, AW_SEC(10));
    EXPECT(aw_dispatch(0), 0);
}
END_TEST

START_TEST(interval)
{
    uint64_t more = more_ns(_i);
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 10000, 3000);
    pass(_i, AW_US(10000) + more);
    expect_value(_i, 3000, 3000);
    pass(_i, late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(1, 1);
    /* On the schedule, from the first one, though that was late. */
    expect_value(_i, 3000 - late_ns(_i) / 1000 - (late_ns(_i) % 1000 != 0), 3000);
    pass(_i, AW_US(3000));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(2, 2);
    /* Nobody looks for five periods and a bit: they are one call. */
    pass(_i, AW_US(15000) - late_ns(_i) + AW_US(1000));
    expect_value(_i, 2000, 3000);
    EXPECT(aw_dispatch(0), 1);
    expect_seen(3, 7);
    ck_assert_uint_eq(seen.expirations, 5);
    set(_i, 0, 0);
    pass(_i, AW_SEC(1));
    EXPECT(aw_dispatch(0), 0);
}
END_TEST

START_TEST(replacement)
{
    struct itimerval old, value = value_of(500000, 7000000);
    uint64_t more_us = more_ns(_i) / 1000;
    set(_i, 2000000, 5000000);
    pass(_i, AW_US(1500000));
    EXPECT(aw_setitimer(_i, &value, &old), 0);
    ck_assert_uint_eq(us_of(old.it_value), 500000 + more_us);
    ck_assert_uint_eq(us_of(old.it_interval), 5000000);
    EXPECT(aw_setitimer(_i, &value, &value), 0); /* into the same place */
    ck_assert_uint_eq(us_of(value.it_value), 500000 + more_us);
    ck_assert_uint_eq(us_of(value.it_interval), 7000000);
    EXPECT(aw_setitimer(_i, NULL, &old), 0);
    ck_assert_uint_eq(us_of(old.it_value), 500000 + more_us);
    ck_assert_uint_eq(us_of(old.it_interval), 7000000);
    expect_value(_i, 0, 0);
    EXPECT(aw_setitimer(_i, NULL, NULL), 0);
}
END_TEST

START_TEST(stopped_with_an_interval)
{
    set(_i, 0, 6000);
    expect_value(_i, 0, _i == ITIMER_REAL ? 0 : 6000); /* as Linux has it */
    pass(_i, AW_SEC(1));
    EXPECT(aw_dispatch(0), 0);
}
END_TEST

/* What has run out is in nobody's old value, so it comes; what is in an old value does not. */
START_TEST(each_expiration_is_told_once)
{
    struct itimerval old;
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 1000, 0);
    pass(_i, AW_US(999) + more_ns(_i));
    EXPECT(aw_setitimer(_i, NULL, &old), 0);
    ck_assert_uint_eq(us_of(old.it_value), 1);
    pass(_i, AW_SEC(1));
    EXPECT(aw_dispatch(0), 0);
    set(_i, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i));
    EXPECT(aw_setitimer(_i, NULL, &old), 0);
    ck_assert_uint_eq(us_of(old.it_value), 0);
    ck_assert((awi_pending & AWI_ITIMER) != 0);
    EXPECT(aw_safepoint(), 0);
    expect_seen(1, 1);
    set(_i, 1000, 1000);
    pass(_i, AW_US(3000) + more_ns(_i));
    set(_i, 50000, 0);
    pass(_i, AW_SEC(1)); /* and it runs out once more */
    EXPECT(aw_dispatch(0), _i == ITIMER_REAL ? 1 : 1);
    expect_seen(2, 5);
    EXPECT(aw_dispatch(0), 0);
}
END_TEST

START_TEST(longest)
{
    const struct itimerval most = { { LONG_MAX, 999999 }, { LONG_MAX, 999999 } };
    struct itimerval got;
    EXPECT(aw_setitimer(_i, &most, NULL), 0);
    EXPECT(aw_getitimer(_i, &got), 0);
    uint64_t now = _i == ITIMER_REAL ? fake.now_ns : 0;
    ck_assert_uint_eq(us_of(got.it_value), ((uint64_t)INT64_MAX - now) / 1000);
    ck_assert_uint_eq(us_of(got.it_interval), (uint64_t)INT64_MAX / 1000);
    /* The last second that counts, and the first that does not. */
    struct itimerval value = { { 9223372035, 999999 }, { 9223372036, 0 } };
    EXPECT(aw_setitimer(_i, &value, NULL), 0);
    EXPECT(aw_getitimer(_i, &got), 0);
    ck_assert_uint_eq(us_of(got.it_interval), UINT64_C(9223372035999999));
    ck_assert_uint_eq(us_of(got.it_value), ((uint64_t)INT64_MAX - now) / 1000);
    set(_i, 1000, UINT64_C(9223372035999999));
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), _i == ITIMER_REAL ? 1 : 0); /* a timer of the wheel ran, with nobody to call */
    EXPECT(aw_getitimer(_i, &got), 0);
    ck_assert_uint_ge(us_of(got.it_value), UINT64_C(9223370000000000));
}
END_TEST

static const struct timeval bad_times[] = { { -1, 0 },       { 0, -1 },       { 0, 1000000 },
                                            { LONG_MIN, 0 }, { 0, LONG_MAX }, { 5, LONG_MIN } };

START_TEST(out_of_range)
{
    set(_i, 10000, 20000);
    for (size_t i = 0; i < sizeof bad_times / sizeof bad_times[0]; ++i) {
        struct itimerval value = { { 0, 0 }, bad_times[i] }, old;
        memset(&old, 0x55, sizeof old);
        struct itimerval before = old;
        EXPECT(aw_setitimer(_i, &value, &old), -EINVAL);
        value = (struct itimerval){ bad_times[i], { 0, 0 } };
        EXPECT(aw_setitimer(_i, &value, &old), -EINVAL);
        ck_assert_mem_eq(&old, &before, sizeof old);
    }
    expect_value(_i, 10000 + more_ns(_i) / 1000, 20000);
}
END_TEST

/* ---- whom they call ---- */

START_TEST(nobody_to_call)
{
    set(_i, 1000, 2000);
    pass(_i, AW_US(6000) + more_ns(_i));
    EXPECT(aw_itimer_callback(_i, see, &seen), 0); /* what has run out before is lost */
    pass(_i, AW_US(3000) + late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(1, 2);
    pass(_i, AW_US(2000));
    EXPECT(aw_setitimer(_i, NULL, NULL), 0);
    EXPECT(aw_itimer_callback(_i, NULL, NULL), 0); /* and what was to be told */
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    EXPECT(aw_dispatch(0), 0);
    expect_seen(1, 2);
}
END_TEST

static int see_too(int id, uint64_t expirations, void *arg)
{
    *(uint64_t *)arg += expirations;
    return id < 0;
}

START_TEST(somebody_else_to_call)
{
    uint64_t others = 0;
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i));
    EXPECT(aw_itimer_callback(_i, see_too, &others), 0);
    pass(_i, late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(0, 0);
    ck_assert_uint_eq(others, 1);
}
END_TEST

START_TEST(negative_comes_out)
{
    int second = aw_itimer_create(_i, see, &seen), third = aw_itimer_create(_i, see, &seen);
    ck_assert_int_eq(second, 3);
    ck_assert_int_eq(third, 4);
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 1000, 0);
    set(second, 1000, 500);
    set(third, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    seen.returns = -ECANCELED;
    for (unsigned i = 1; i <= 3; ++i) {
        EXPECT(i == 1 ? aw_dispatch(0) : aw_safepoint(), -ECANCELED);
        expect_seen(i, i);
    }
    EXPECT(aw_safepoint(), 0);
    seen.returns = 1;
    pass(_i, AW_US(500));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(4, 4);
}
END_TEST

static int kind;

static int set_itself(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    if (seen.calls < 4)
        set(id, 2000, 0);
    return 0;
}

static int delete_itself(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    EXPECT(aw_itimer_delete(id), 0);
    EXPECT(aw_itimer_delete(id), -EINVAL);
    if (seen.calls < 3) {
        EXPECT(aw_itimer_create(kind, delete_itself, arg), id); /* its place */
        set(id, 2000, 1000);
    }
    return 0;
}

START_TEST(callbacks_change_timers)
{
    kind = _i;
    int other = aw_itimer_create(_i, set_itself, &seen);
    set(other, 1000, 0);
    for (unsigned i = 1; i < 6; ++i) {
        pass(_i, AW_US(2000) + more_ns(_i) + late_ns(_i));
        EXPECT(aw_dispatch(0), i <= 4);
    }
    expect_seen(4, 4);
    memset(&seen, 0, sizeof seen);
    EXPECT(aw_itimer_delete(other), 0);
    EXPECT(aw_itimer_create(_i, delete_itself, &seen), other);
    set(other, 1000, 1000);
    for (unsigned i = 1; i < 5; ++i) {
        pass(_i, AW_US(2000) + more_ns(_i) + late_ns(_i));
        EXPECT(aw_dispatch(0), i <= 3);
    }
    ck_assert_uint_eq(seen.calls, 3);
    expect_value(_i, 0, 0);
    ck_assert_uint_eq(awi_engine.keeping, 0);
    EXPECT(aw_run(), 0);
}
END_TEST

static int delete_the_other(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    EXPECT(aw_itimer_delete(id == 3 ? 4 : 3), 0);
    return 0;
}

START_TEST(deleted_while_it_is_due)
{
    EXPECT(aw_itimer_create(_i, delete_the_other, &seen), 3);
    EXPECT(aw_itimer_create(_i, delete_the_other, &seen), 4);
    set(3, 1000, 0);
    set(4, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_dispatch(0), 0);
    expect_seen(1, 1);
    /* Its record is given out again, and its place in the queue is empty. */
    int again = aw_itimer_create(_i, see, &seen);
    ck_assert_int_eq(again, seen.id == 3 ? 4 : 3);
    EXPECT(aw_dispatch(0), 0);
    set(again, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(2, 2);
}
END_TEST

static int replace_the_other(int id, uint64_t expirations, void *arg)
{
    int other = id == 3 ? 4 : 3;
    see(id, expirations, arg);
    EXPECT(aw_itimer_delete(other), 0);
    EXPECT(aw_itimer_create(kind, see, arg), other);
    set(other, 1000, 0);
    pass(kind, AW_US(1000) + more_ns(kind) + late_ns(kind));
    set(other, 9000, 0);
    return -ECANCELED;
}

/* A new timer in the record of one that is to be told still: due while the old one is in the queue. */
START_TEST(replaced_while_it_is_due)
{
    kind = _i;
    EXPECT(aw_itimer_create(_i, replace_the_other, &seen), 3);
    EXPECT(aw_itimer_create(_i, replace_the_other, &seen), 4);
    set(3, 1000, 0);
    set(4, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), -ECANCELED);
    expect_seen(1, 1);
    EXPECT(aw_dispatch(0), 1);
    expect_seen(2, 2);
    EXPECT(aw_dispatch(0), 0);
    pass(_i, AW_US(9000) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(3, 3);
}
END_TEST

/* The signal of the first was lost, or has not come yet: the second does not take its place. */
START_TEST(set_while_another_is_due)
{
    EXPECT(aw_itimer_create(_i, see, &seen), 3);
    EXPECT(aw_itimer_create(_i, see, &seen), 4);
    set(3, 1000, 0);
    pass(_i, AW_US(1000) + more_ns(_i) + late_ns(_i));
    set(4, 10000000, 0);
    EXPECT(aw_dispatch(0), 1);
    ck_assert_int_eq(seen.id, 3);
    set(3, 20000000, 0);
    set(3, 5000000, 0);
    pass(_i, AW_SEC(5) + more_ns(_i) + late_ns(_i));
    EXPECT(aw_dispatch(0), 1);
    ck_assert_int_eq(seen.id, 3);
    pass(_i, AW_SEC(5));
    EXPECT(aw_dispatch(0), 1);
    ck_assert_int_eq(seen.id, 4);
}
END_TEST

/* The signal was lost: who reads the value has the next safe point look. */
START_TEST(h08_reading_notices)
{
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 1000, 5000);
    pass(_i, AW_US(1000) + TICK_NS);
    EXPECT(aw_safepoint(), 0);
    expect_seen(0, 0);
    expect_value(_i, 5000, 5000);
    EXPECT(aw_safepoint(), 0);
    expect_seen(1, 1);
}
END_TEST

/* ---- how many ---- */

static unsigned runs_of[3 + CREATED_MAX];
static unsigned wrong;

/* No assertions: Check allocates. */
static int count_run(int id, uint64_t expirations, void *arg)
{
    const uint64_t *passed = arg;
    int kind_of = (id - 3) % 3;
    uint64_t due = AW_US(1000) + AW_US(10) * (uint64_t)(id - 3) + more_ns(kind_of);
    wrong += expirations != 1 || *passed < due || *passed > due + late_ns(kind_of) + AW_US(500);
    ++runs_of[id];
    return 0;
}

START_TEST(a_thousand)
{
    uint64_t passed = 0;
    for (int i = 0; i < CREATED_MAX; ++i)
        EXPECT(aw_itimer_create(i % 3, count_run, &passed), 3 + i);
    EXPECT(aw_itimer_create(ITIMER_REAL, count_run, NULL), -ENOSPC);
    fault_clear();
    for (int i = 0; i < CREATED_MAX; ++i) {
        struct itimerval value = value_of(1000 + (uint64_t)i * 10, 0);
        wrong += aw_setitimer(3 + i, &value, &value) != 0;
    }
    for (; passed < AW_MS(20); passed += AW_US(500)) {
        for (int k = 0; k < 3; ++k)
            pass(k, passed == 0 ? 0 : AW_US(500));
        wrong += aw_dispatch(0) < 0;
    }
    unsigned allocations = fault_calls(FAULT_ALLOCATION);
    ck_assert_uint_eq(wrong, 0);
    for (int i = 0; i < CREATED_MAX; ++i)
        ck_assert_uint_eq(runs_of[3 + i], 1);
    ck_assert_uint_eq(allocations, 0); /* neither to set nor to run them */
    EXPECT(aw_itimer_delete(500), 0);
    EXPECT(aw_itimer_create(ITIMER_PROF, count_run, NULL), 500);
    EXPECT(aw_itimer_create(ITIMER_PROF, count_run, NULL), -ENOSPC);
    /* Gone with the engine; and there is room for as many in the next. */
    EXPECT(aw_shutdown(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_itimer_delete(500), -EINVAL);
    for (int i = 0; i < CREATED_MAX; ++i)
        EXPECT(aw_itimer_create(i % 3, count_run, NULL), 3 + i);
}
END_TEST

/* ---- alarm(2) ---- */

START_TEST(alarm_rounds)
{
    static const struct {
        uint64_t left_ns;
        int64_t seconds;
    } table[] = { { 1, 1 },
                  { AW_MS(400), 1 },
                  { AW_MS(500), 1 },
                  { AW_SEC(1), 1 },
                  { AW_SEC(1) + AW_MS(500) - 1, 1 },
                  { AW_SEC(1) + AW_MS(500), 2 },
                  { AW_SEC(2) - 1, 2 },
                  { AW_SEC(7) + AW_MS(499), 7 },
                  { AW_SEC(UINT64_C(4294967295)), 4294967295 },
                  { AW_SEC(UINT64_C(5000000000)), 5000000000 } };
    EXPECT(aw_alarm(0), 0);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
        uint64_t up = (table[i].left_ns + 999) / 1000;
        set(ITIMER_REAL, up, 3000000);
        fake_advance(AW_US(up) - table[i].left_ns);
        EXPECT(aw_alarm(10), table[i].seconds);
        expect_value(ITIMER_REAL, 10000000, 0);
    }
    EXPECT(aw_alarm(UINT_MAX), 10);
    expect_value(ITIMER_REAL, UINT64_C(4294967295000000), 0);
    EXPECT(aw_alarm(0), 4294967295);
    EXPECT(aw_alarm(0), 0);
    EXPECT(aw_itimer_callback(ITIMER_REAL, see, &seen), 0);
    EXPECT(aw_alarm(1), 0);
    fake_advance(AW_SEC(1));
    EXPECT(aw_alarm(1), 0); /* the first has run out: it comes */
    EXPECT(aw_dispatch(0), 1);
    fake_advance(AW_SEC(1) + FAKE_TICK_NS);
    EXPECT(aw_dispatch(0), 1);
    expect_seen(2, 2);
}
END_TEST

/* ---- who may, and what for ---- */

START_TEST(no_such_timer)
{
    const int none[] = { -1, 3, 4, INT_MIN, INT_MAX };
    struct itimerval value = value_of(1000, 0), old;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; ++i) {
        EXPECT(aw_setitimer(none[i], &value, &old), -EINVAL);
        EXPECT(aw_getitimer(none[i], &old), -EINVAL);
        EXPECT(aw_itimer_callback(none[i], see, NULL), -EINVAL);
        EXPECT(aw_itimer_delete(none[i]), -EINVAL);
        EXPECT(aw_itimer_create(none[i], see, NULL), -EINVAL);
    }
    for (int id = 0; id < 3; ++id) {
        EXPECT(aw_itimer_delete(id), -EINVAL);
        EXPECT(aw_itimer_create(id, NULL, NULL), -EINVAL);
        EXPECT(aw_getitimer(id, NULL), -EFAULT);
    }
    EXPECT(aw_itimer_create(ITIMER_VIRTUAL, see, NULL), 3);
    EXPECT(aw_itimer_delete(3), 0);
    EXPECT(aw_setitimer(3, &value, NULL), -EINVAL);
}
END_TEST

static int denied;

static void expect_denied(void)
{
    struct itimerval value = value_of(1000, 0);
    EXPECT(aw_setitimer(0, &value, &value), denied);
    EXPECT(aw_setitimer(-1, (const struct itimerval *)16, NULL), denied);
    EXPECT(aw_getitimer(0, &value), denied);
    EXPECT(aw_alarm(1), denied);
    EXPECT(aw_itimer_create(0, see, NULL), denied);
    EXPECT(aw_itimer_create(-1, NULL, NULL), denied);
    EXPECT(aw_itimer_callback(0, see, NULL), denied);
    EXPECT(aw_itimer_delete(3), denied);
}

static void new_engine(void)
{
    expect_denied();
    memset(&seen, 0, sizeof seen);
    EXPECT(fake_start(), 0);
    for (int id = 0; id < 3; ++id)
        expect_value(id, 0, 0);
    EXPECT(aw_itimer_delete(3), -EINVAL);
    ck_assert_uint_eq(awi_engine.keeping, 0);
    EXPECT(aw_itimer_callback(ITIMER_VIRTUAL, see, &seen), 0);
    set(ITIMER_VIRTUAL, 1000, 0);
    pass(ITIMER_VIRTUAL, AW_MS(5));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(1, 1);
    EXPECT(aw_shutdown(), 0);
}

START_TEST(h18_who_may)
{
    denied = -EPERM;
    fake_elsewhere(expect_denied);
    EXPECT(aw_itimer_create(ITIMER_PROF, see, &seen), 3);
    for (int id = 0; id < 4; ++id)
        set(id, 1000, 1000);
    denied = -ENODEV;
    ck_assert_int_eq(fake_forked(new_engine), 0);
    ck_assert_uint_eq(awi_engine.keeping, 3);
    pass(ITIMER_PROF, AW_MS(5));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(1, 1);
    EXPECT(aw_shutdown(), 0);
    expect_denied();
    new_engine();
    new_engine();
}
END_TEST

static void forks(void)
{
    denied = -ENODEV;
    expect_denied();
}

static int fork_in_callback(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    ck_assert_int_eq(fake_forked(forks), 0);
    return 0;
}

START_TEST(h18_fork_in_a_callback)
{
    EXPECT(aw_itimer_callback(_i, fork_in_callback, &seen), 0);
    set(_i, 1000, 1000);
    for (unsigned i = 1; i < 3; ++i) {
        pass(_i, AW_MS(1) + more_ns(_i) + late_ns(_i));
        EXPECT(aw_dispatch(0), 1);
        ck_assert_uint_eq(seen.calls, i);
    }
}
END_TEST

/* ---- aw_run ---- */

static int quit(int id, uint64_t expirations, void *arg)
{
    see(id, expirations, arg);
    return aw_quit(17);
}

static void burn_while_asleep(void)
{
    burnt_ns[AWI_ALL_TIME] += AW_SEC(1);
    awi_raise(AWI_ITIMER);
    fake_ring();
}

START_TEST(run_goes_on_for_them)
{
    EXPECT(aw_run(), 0);
    EXPECT(aw_itimer_callback(ITIMER_PROF, quit, &seen), 0);
    set(ITIMER_PROF, 100000, 0);
    ck_assert_uint_eq(awi_engine.keeping, 1);
    fake.asleep = burn_while_asleep;
    EXPECT(aw_run(), 17);
    expect_seen(1, 1);
    ck_assert_uint_eq(awi_engine.keeping, 0);
    EXPECT(aw_run(), 0);
    /* What has run out, and is to be told, is waited for, too. */
    EXPECT(aw_itimer_callback(ITIMER_REAL, quit, &seen), 0);
    set(ITIMER_REAL, 1000, 0);
    fake_advance(AW_US(1000));
    set(ITIMER_REAL, 0, 0);
    EXPECT(aw_run(), 17);
    EXPECT(aw_run(), 0);
}
END_TEST

/* ---- faults ---- */

START_TEST(h26_no_memory)
{
    static char memory[1 << 16] __attribute__((aligned(64)));
    struct aw_options options = fake_options();
    struct itimerval value = value_of(1000, 0), old;
    EXPECT(aw_shutdown(), 0);
    options.memory = memory;
    options.memory_bytes = aw_wheel_bytes(1);
    EXPECT(aw_init(&options), 0);
    struct aw_timer timer;
    int result;
    do
        result =
            aw_timer_create(&timer, NULL, NULL) == -EINVAL ? aw_itimer_create(ITIMER_REAL, see, NULL) : 0;
    while (result > 0);
    EXPECT(result, -ENOMEM);
    memset(&old, 0x55, sizeof old);
    EXPECT(aw_setitimer(ITIMER_REAL, &value, &old), -ENOMEM);
    ck_assert_int_eq(old.it_value.tv_sec, 0x5555555555555555);
    EXPECT(aw_alarm(5), -ENOMEM);
    EXPECT(aw_alarm(0), 0); /* nothing to do, so nothing fails */
    expect_value(ITIMER_REAL, 0, 0);
    EXPECT(aw_itimer_delete(3), 0);
    EXPECT(aw_alarm(5), 0);
    EXPECT(aw_itimer_create(ITIMER_REAL, see, NULL), -ENOMEM);
    EXPECT(aw_itimer_create(ITIMER_VIRTUAL, see, NULL), 3);
}
END_TEST

START_TEST(h26_alarm_cannot_be_programmed)
{
    struct itimerval value = value_of(1000, 2000), old;
    EXPECT(aw_itimer_callback(ITIMER_REAL, see, &seen), 0);
    set(ITIMER_REAL, 50000, 3000);
    fault_plan_always(fake_programming(), EINVAL);
    memset(&old, 0x55, sizeof old);
    EXPECT(aw_setitimer(ITIMER_REAL, &value, &old), -EINVAL);
    ck_assert_int_eq(old.it_value.tv_sec, 0x5555555555555555);
    fault_clear();
    expect_value(ITIMER_REAL, 50000, 3000);
    EXPECT(aw_setitimer(ITIMER_REAL, &value, NULL), 0);
    fake_advance(AW_MS(1) + FAKE_TICK_NS);
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

START_TEST(h26_no_timer_for_a_clock)
{
    struct itimerval value = value_of(1000, 0);
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    fault_plan(FAULT_TIMER_CREATE, 1, EAGAIN);
    EXPECT(aw_setitimer(_i, &value, NULL), -EAGAIN);
    fault_clear();
    expect_value(_i, 0, 0);
    ck_assert_uint_eq(awi_engine.keeping, 0);
    EXPECT(aw_setitimer(_i, &value, NULL), 0);
    pass(_i, AW_MS(5));
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

/* Somebody deletes all timers of the process: those of the clocks, too. */
static void delete_posix_timers(void)
{
    for (intptr_t id = 0; id < 64; ++id) {
        union {
            intptr_t id;
            timer_t timer;
        } each = { id };
        timer_delete(each.timer);
    }
}

START_TEST(h26_a_clocks_timer_cannot_be_programmed)
{
    EXPECT(aw_itimer_callback(_i, see, &seen), 0);
    set(_i, 50000, 3000);
    delete_posix_timers();
    struct itimerval value = value_of(1000, 2000);
    EXPECT(aw_setitimer(_i, &value, NULL), -EINVAL);
    expect_value(_i, 50000 + TICK_NS / 1000, 3000);
    /* A dispatch sees by the clock what is due, though nothing rings any more. */
    pass(_i, AW_MS(50) + TICK_NS);
    EXPECT(aw_dispatch(0), 1);
    pass(_i, AW_MS(6));
    EXPECT(aw_dispatch(0), 1);
    expect_seen(2, 3);
    EXPECT(aw_setitimer(_i, NULL, NULL), 0);
    expect_value(_i, 0, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("itimer");
    TCase *tcase = tcase_create("fake");
    tcase_add_checked_fixture(tcase, begin, fake_end);
    tcase_add_loop_test(tcase, one_shot, 0, 3);
    tcase_add_loop_test(tcase, interval, 0, 3);
    tcase_add_loop_test(tcase, replacement, 0, 3);
    tcase_add_loop_test(tcase, stopped_with_an_interval, 0, 3);
    tcase_add_loop_test(tcase, each_expiration_is_told_once, 0, 3);
    tcase_add_loop_test(tcase, longest, 0, 3);
    tcase_add_loop_test(tcase, out_of_range, 0, 3);
    tcase_add_loop_test(tcase, nobody_to_call, 0, 3);
    tcase_add_loop_test(tcase, somebody_else_to_call, 0, 3);
    tcase_add_loop_test(tcase, negative_comes_out, 0, 3);
    tcase_add_loop_test(tcase, callbacks_change_timers, 0, 3);
    tcase_add_loop_test(tcase, deleted_while_it_is_due, 0, 3);
    tcase_add_loop_test(tcase, replaced_while_it_is_due, 0, 3);
    tcase_add_loop_test(tcase, set_while_another_is_due, 0, 3);
    tcase_add_loop_test(tcase, h08_reading_notices, ITIMER_VIRTUAL, ITIMER_PROF + 1);
    tcase_add_test(tcase, a_thousand);
    tcase_add_test(tcase, alarm_rounds);
    tcase_add_test(tcase, no_such_timer);
    tcase_add_test(tcase, h18_who_may);
    tcase_add_loop_test(tcase, h18_fork_in_a_callback, 0, 3);
    tcase_add_test(tcase, run_goes_on_for_them);
    tcase_add_test(tcase, h26_no_memory);
    tcase_add_test(tcase, h26_alarm_cannot_be_programmed);
    tcase_add_loop_test(tcase, h26_no_timer_for_a_clock, ITIMER_VIRTUAL, ITIMER_PROF + 1);
    tcase_add_loop_test(tcase, h26_a_clocks_timer_cannot_be_programmed, ITIMER_VIRTUAL, ITIMER_PROF + 1);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
