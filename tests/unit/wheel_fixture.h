/* SPDX-License-Identifier: MIT */
/*
 * wheel_fixture.h: a wheel for one unit test, and a callback that writes down who ran. Each test of the wheel
 * begins with wheel_open and ends with wheel_close, which asks the oracle.
 */
#ifndef AWI_WHEEL_FIXTURE_H
#define AWI_WHEEL_FIXTURE_H

#include "check_main.h"
#include "wheel/wheel_internal.h"

#include <errno.h>

#define TICK (UINT64_C(1) << AWI_TICK_SHIFT_DEFAULT)

enum {
    RAN_MAX = 4096
};

/* The args of the timers that ran, in order. */
static struct {
    int count;
    int arg[RAN_MAX];
} ran;

static inline struct aw_wheel *wheel_open_at(uint64_t start_ns)
{
    struct aw_wheel_options options = { .size = sizeof(options), .start_ns = start_ns };
    struct aw_wheel *w = NULL;

    ran.count = 0;
    ck_assert_int_eq(aw_wheel_create(&w, &options), 0);
    return w;
}

static inline struct aw_wheel *wheel_open(void)
{
    return wheel_open_at(0);
}

static inline void wheel_sound(const struct aw_wheel *w)
{
    const char *broken = aw_wheel_check(w);

    ck_assert_msg(broken == NULL, "%s", broken);
}

static inline void wheel_close(struct aw_wheel *w)
{
    wheel_sound(w);
    ck_assert_int_eq(aw_wheel_destroy(w), 0);
}

static inline int note(struct aw_timer timer, void *arg)
{
    (void)timer;
    if (ran.count < RAN_MAX) {
        ran.arg[ran.count] = (int)(intptr_t)arg;
    }
    ran.count++;
    return 0;
}

static inline struct aw_timer timer_with(struct aw_wheel *w, aw_timer_fn *fn, void *arg)
{
    struct aw_timer timer = { 0 };

    ck_assert_int_eq(aw_wheel_timer_create(w, &timer, fn, arg), 0);
    return timer;
}

static inline struct aw_timer timer_noting(struct aw_wheel *w, int number)
{
    return timer_with(w, note, (void *)(intptr_t)number);
}

static inline struct aw_timer timer_at(struct aw_wheel *w, int number, uint64_t deadline_ns)
{
    struct aw_timer timer = timer_noting(w, number);

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer, deadline_ns), 0);
    return timer;
}

static inline uint64_t next_of(const struct aw_wheel *w)
{
    uint64_t next = 0;

    ck_assert_int_eq(aw_wheel_next(w, &next), next == AW_FOREVER ? 0 : 1);
    return next;
}

static inline Suite *suite_of(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    for (size_t i = 0; i < count; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

#define RUN_TESTS(name, tests) run_suite(suite_of(name, tests, sizeof(tests) / sizeof((tests)[0])))

#endif
