/* SPDX-License-Identifier: MIT */
/*
 * wheel_dispatch.c: budgets, and callbacks that cancel, re-arm, delete, recurse, stop the dispatch, never
 * return, or add due timers for ever. Hazard 22.
 */
#include "wheel/wheel_run.h"
#include "wheel_fixture.h"

#include <limits.h>

/* What the callbacks below act upon. */
static struct {
    struct aw_wheel *wheel;
    struct aw_timer other;
    uint64_t now_ns;
    int result;
    int calls;
} scene;

static struct aw_wheel *scene_open(void)
{
    scene.wheel = wheel_open();
    scene.calls = 0;
    scene.now_ns = 0;
    return scene.wheel;
}

static int advance_to(uint64_t now_ns, unsigned budget)
{
    int result;

    scene.now_ns = now_ns;
    result = aw_wheel_dispatch(scene.wheel, now_ns, budget);
    wheel_sound(scene.wheel);
    return result;
}

START_TEST(a_budget_of_one)
{
    struct aw_wheel *w = scene_open();

    for (int i = 0; i < 10; i++) {
        timer_at(w, i, AW_MS(1)); /* all in one slot */
    }
    for (int i = 0; i < 10; i++) {
        int visits = 0;

        while (advance_to(AW_MS(2), 1) == 0) {
            ck_assert_uint_le(next_of(w), AW_MS(2));
            ck_assert_int_lt(visits++, 100);
        }
        ck_assert_int_eq(ran.count, i + 1);
    }
    ck_assert_int_eq(advance_to(AW_MS(2), 1), 0);
    ck_assert_uint_eq(next_of(w), AW_FOREVER);
    wheel_close(w);
}
END_TEST

START_TEST(a_budget_counts_visits)
{
    struct aw_wheel *w = scene_open();
    struct aw_timer timer[6];

    for (int i = 0; i < 6; i++) {
        timer[i] = timer_at(w, i, 5 * TICK);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[i]), 1);
    }
    for (uint32_t visited = 0; visited < 6; visited += 2) {
        ck_assert_uint_eq(w->linked, 6 - visited);
        ck_assert_uint_eq(next_of(w), 5 * TICK);
        ck_assert_int_ge(advance_to(5 * TICK, 2), 0); /* two, be they dead or alive */
    }
    ck_assert_int_eq(ran.count, 3);
    ck_assert_uint_eq(next_of(w), AW_FOREVER);
    wheel_close(w);
}
END_TEST

/* Between two halves of a dispatch anything may be done, and time may go on. */
START_TEST(an_interrupted_dispatch_goes_on)
{
    struct aw_wheel *w = scene_open();
    struct aw_timer timer[100];
    int last = -1;

    for (int i = 0; i < 100; i++) {
        timer[i] = timer_at(w, i, AW_MS(100) + (uint64_t)i * AW_MS(1));
    }
    ck_assert_int_le(advance_to(AW_MS(150), 20), 20);
    ck_assert_uint_le(next_of(w), AW_MS(150));
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[99], AW_MS(120)), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[98], 0), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer[97], AW_SEC(5)), 0);
    ck_assert_int_eq(aw_wheel_timer_delete(w, timer[96]), 0);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, timer[95]), 1);
    wheel_sound(w);
    advance_to(AW_MS(1000), 30);
    advance_to(AW_MS(1000), 0);
    ck_assert_int_eq(ran.count, 97);
    for (int i = 0; i < ran.count; i++) {
        if (ran.arg[i] < 95) {
            ck_assert_int_gt(ran.arg[i], last);
            last = ran.arg[i];
        }
    }
    ck_assert_uint_ge(next_of(w), AW_SEC(5));
    wheel_close(w);
}
END_TEST

static int stop_with(struct aw_timer timer, void *arg)
{
    (void)timer;
    scene.calls++;
    return (int)(intptr_t)arg;
}

START_TEST(a_negative_value_stops_the_dispatch)
{
    struct aw_wheel *w = scene_open();
    struct aw_timer periodic = timer_with(w, stop_with, (void *)(intptr_t)-77);

    ck_assert_int_eq(aw_wheel_timer_arm_every(w, periodic, TICK, AW_SEC(1), AW_MISSED_DELAY), 0);
    timer_at(w, 1, 2 * TICK);
    ck_assert_int_eq(advance_to(3 * TICK, 0), -77);
    ck_assert_int_eq(ran.count, 0);
    ck_assert_uint_le(next_of(w), 3 * TICK);
    ck_assert_int_eq(advance_to(3 * TICK, 0), 1);
    ck_assert_int_eq(advance_to(3 * TICK + AW_SEC(1) + TICK, 0), -77); /* it was armed again all the same */
    ck_assert_int_eq(aw_wheel_timer_delete(w, periodic), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer_with(w, stop_with, (void *)(intptr_t)5), 0), 0);
    ck_assert_int_eq(advance_to(AW_SEC(2), 0), 1); /* a positive value goes on */
    wheel_close(w);
}
END_TEST

static int recurse(struct aw_timer timer, void *arg)
{
    uint64_t next;

    (void)timer;
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_dispatch(scene.wheel, UINT64_MAX, 0), -EDEADLK);
    ck_assert_int_eq(aw_wheel_destroy(scene.wheel), -EBUSY);
    ck_assert_int_ge(aw_wheel_next(scene.wheel, &next), 0);
    wheel_sound(scene.wheel);
    return 0;
}

START_TEST(no_dispatch_inside_a_callback)
{
    struct aw_wheel *w = scene_open();

    timer_at(w, 1, TICK);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer_with(w, recurse, NULL), TICK), 0);
    ck_assert_int_eq(advance_to(TICK, 0), 2);
    ck_assert_int_eq(scene.calls, 1);
    wheel_close(w);
}
END_TEST

static int arm_again_now(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_arm_at(scene.wheel, timer, 0), 0);
    return 0;
}

static int add_another(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_arm(scene.wheel, timer_with(scene.wheel, add_another, NULL), 0, 1), 0);
    return 0;
}

START_TEST(due_timers_added_for_ever)
{
    struct aw_wheel *w = scene_open();

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer_with(w, arm_again_now, NULL), TICK), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer_with(w, add_another, NULL), TICK), 0);
    for (uint64_t i = 1; i < 200; i++) {
        ck_assert_int_eq(advance_to(i * TICK, 0), 2);
        ck_assert_uint_eq(next_of(w), (i + 1) * TICK);
    }
    wheel_close(w);
}
END_TEST

static int delete_itself(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_delete(scene.wheel, timer), 0);
    ck_assert_int_eq(aw_wheel_timer_delete(scene.wheel, timer), -ENOENT);
    scene.other = timer_at(scene.wheel, 9, scene.now_ns + AW_SEC(1));
    ck_assert_uint_eq((uint32_t)scene.other.id, (uint32_t)timer.id); /* the very record */
    wheel_sound(scene.wheel);
    return 0;
}

START_TEST(a_callback_deletes_its_timer)
{
    for (enum aw_missed missed = AW_MISSED_SKIP; missed <= AW_MISSED_DELAY; missed++) {
        struct aw_wheel *w = scene_open();
        struct aw_timer timer = timer_with(w, delete_itself, NULL);
        uint64_t left;

        ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, AW_SEC(1), AW_SEC(1), missed), 0);
        if (missed != AW_MISSED_DELAY) {
            /* Armed for the next period, so the record is not free yet; use up the others first. */
            while (aw_wheel_timers(w) < aw_wheel_capacity(w)) {
                timer_noting(w, 0);
            }
        }
        ck_assert_int_eq(advance_to(AW_SEC(1) + TICK, 0), 1);
        ck_assert_int_eq(aw_wheel_timer_remaining(w, scene.other, scene.now_ns, &left), 0);
        ck_assert_int_eq(advance_to(AW_SEC(20), 0), 1); /* as a timer that runs once, not as the periodic one
                                                         */
        ck_assert_int_eq(ran.count, 1);
        ck_assert_int_eq(scene.calls, 1);
        wheel_close(w);
    }
}
END_TEST

static int disarm_other(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, scene.other), 1);
    return 0;
}

static int delete_other(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_delete(scene.wheel, scene.other), 0);
    return 0;
}

static int postpone_other(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_arm_at(scene.wheel, scene.other, scene.now_ns + AW_SEC(10)), 0);
    return 0;
}

/* What is due in the same tick, and is on the todo list already, can still be stopped. */
START_TEST(a_callback_stops_one_that_is_due_too)
{
    aw_timer_fn *const actions[] = { disarm_other, delete_other, postpone_other };

    for (size_t i = 0; i < 3; i++) {
        struct aw_wheel *w = scene_open();
        struct aw_timer first = timer_with(w, actions[i], NULL);

        scene.other = timer_noting(w, 1);
        ck_assert_int_eq(aw_wheel_timer_arm_at(w, first, AW_MS(700)), 0);
        ck_assert_int_eq(aw_wheel_timer_arm_at(w, scene.other, AW_MS(700) + TICK), 0);
        ck_assert_int_eq(advance_to(AW_SEC(1), 0), 1);
        ck_assert_int_eq(ran.count, 0);
        ck_assert_int_eq(advance_to(AW_SEC(20), 0), i == 2);
        wheel_close(w);
    }
}
END_TEST

static int arm_self_and_disarm(struct aw_timer timer, void *arg)
{
    (void)arg;
    scene.calls++;
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 0);
    ck_assert_int_eq(aw_wheel_timer_arm(scene.wheel, timer, scene.now_ns, AW_SEC(1)), 0);
    ck_assert_int_eq(aw_wheel_timer_disarm(scene.wheel, timer), 1);
    ck_assert_int_eq(aw_wheel_timer_again(scene.wheel, timer, scene.now_ns), 0);
    return 0;
}

START_TEST(a_callback_arms_its_timer)
{
    struct aw_wheel *w = scene_open();

    ck_assert_int_eq(aw_wheel_timer_arm_at(w, timer_with(w, arm_self_and_disarm, NULL), AW_SEC(1)), 0);
    for (uint64_t i = 1; i < 20; i++) {
        uint64_t next = next_of(w);

        ck_assert_int_eq(advance_to(next - 1, 0), 0);
        ck_assert_int_eq(advance_to(next, 0), 1);
    }
    wheel_close(w);
}
END_TEST

/* The engine's steps, and a callback that is left by longjmp. */
START_TEST(a_callback_that_never_returns)
{
    for (enum aw_missed missed = AW_MISSED_SKIP; missed <= AW_MISSED_DELAY; missed++) {
        struct aw_wheel *w = scene_open();
        struct aw_timer timer = timer_noting(w, 1);
        unsigned budget = UINT_MAX;
        struct awi_due due;
        uint64_t overrun;

        ck_assert_int_eq(aw_wheel_timer_arm_every(w, timer, AW_SEC(1), AW_MS(100), missed), 0);
        timer_at(w, 2, AW_SEC(2));
        awi_wheel_begin(w, AW_SEC(3));
        ck_assert_int_eq(awi_wheel_pop(w, &budget, &due), 1);
        ck_assert_uint_eq(due.timer.id, timer.id);
        ck_assert_uint_eq(due.deadline_ns, AW_SEC(1));
        ck_assert_int_eq(aw_wheel_timer_overrun(w, timer, &overrun), 0);
        ck_assert_uint_eq(overrun, missed == AW_MISSED_SKIP ? 20 : 0);
        wheel_sound(w);
        awi_wheel_abandon(w);
        wheel_sound(w);
        ck_assert_int_eq(aw_wheel_timer_overrun(w, timer, &overrun), 0);
        ck_assert_uint_eq(overrun, 0);
        ck_assert_int_eq(advance_to(AW_SEC(3), 0), missed == AW_MISSED_BURST ? 2 : 1);
        ck_assert_int_eq(ran.arg[0], 2); /* the missed period comes after what was due all along */
        awi_wheel_abandon(w);            /* where nothing runs */
        wheel_close(w);
    }
}
END_TEST

START_TEST(steps_of_a_dispatch)
{
    struct aw_wheel *w = scene_open();
    unsigned budget = 1;
    struct awi_due due;

    timer_at(w, 1, TICK + 5);
    timer_at(w, 2, 2 * TICK);
    awi_wheel_begin(w, 3 * TICK);
    ck_assert_int_eq(awi_wheel_pop(w, &budget, &due), 1);
    ck_assert_uint_eq(due.deadline_ns, 2 * TICK); /* the tick's time: the exact one is not kept */
    ck_assert_ptr_eq((void *)(intptr_t)1, due.arg);
    ck_assert(due.fn == note);
    awi_wheel_ran(w, 3 * TICK);
    ck_assert_uint_eq(budget, 0);
    ck_assert_int_eq(awi_wheel_pop(w, &budget, &due), -EAGAIN);
    budget = 1;
    ck_assert_int_eq(awi_wheel_pop(w, &budget, &due), 1);
    awi_wheel_ran(w, 3 * TICK);
    ck_assert_int_eq(awi_wheel_pop(w, &budget, &due), 0); /* nothing more, whatever the budget */
    awi_wheel_end(w);
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_budget_of_one,
        a_budget_counts_visits,
        an_interrupted_dispatch_goes_on,
        a_negative_value_stops_the_dispatch,
        no_dispatch_inside_a_callback,
        due_timers_added_for_ever,
        a_callback_deletes_its_timer,
        a_callback_stops_one_that_is_due_too,
        a_callback_arms_its_timer,
        a_callback_that_never_returns,
        steps_of_a_dispatch,
    };

    return RUN_TESTS("wheel_dispatch", tests);
}
