/* SPDX-License-Identifier: MIT */
/* aw_post: order, bounds, from handlers and threads, what wakes the owner, what is dropped. */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/pending.h"
#include "fake_clock.h"

enum {
    QUEUE = 1024
};

static int runs;
static uintptr_t last;
static bool in_order;

static void begin(void)
{
    fake_begin();
    runs = 0;
    last = 0;
    in_order = true;
    EXPECT(fake_start(), 0);
}

static int count(void *arg)
{
    (void)arg;
    ++runs;
    return 0;
}

static int note(void *arg)
{
    in_order = in_order && (uintptr_t)arg == last + 1;
    last = (uintptr_t)arg;
    ++runs;
    return 0;
}

START_TEST(bad_arguments)
{
    EXPECT(aw_post(NULL, NULL), -EINVAL);
    ck_assert_uint_eq(awi_pending, 0);
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_post(count, NULL), -ENODEV);
    EXPECT(aw_post(NULL, NULL), -ENODEV);
}
END_TEST

START_TEST(run_in_order_once)
{
    for (int turn = 0; turn < 5; ++turn) {
        for (int i = 0; i < 300; ++i)
            EXPECT(aw_post(note, (void *)(last + 1 + (uintptr_t)i)), 0);
        EXPECT(aw_dispatch(0), 300);
        EXPECT(aw_dispatch(0), 0);
        ck_assert_uint_eq(awi_pending, 0);
    }
    ck_assert(in_order);
    ck_assert_int_eq(runs, 1500);
}
END_TEST

START_TEST(a_full_queue)
{
    for (int turn = 0; turn < 3; ++turn) {
        runs = 0;
        last = 0;
        for (uintptr_t i = 1; i <= QUEUE; ++i)
            EXPECT(aw_post(note, (void *)i), 0);
        EXPECT(aw_post(note, NULL), -EAGAIN);
        EXPECT(aw_post(note, NULL), -EAGAIN);
        while (awi_pending != 0)
            EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, QUEUE);
        ck_assert(in_order);
    }
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    ck_assert_uint_eq(all.posts, 3 * QUEUE);
}
END_TEST

static int again(void *arg)
{
    ++runs;
    return aw_post(again, arg);
}

/* A function that posts itself does not keep the dispatch for ever, and is not lost. */
START_TEST(posting_oneself)
{
    EXPECT(aw_post(again, NULL), 0);
    int before = 0;
    for (int i = 0; i < 3; ++i) {
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_gt(runs, before);
        ck_assert_int_le(runs - before, QUEUE);
        ck_assert_uint_ne(awi_pending, 0);
        before = runs;
    }
}
END_TEST

static int answer(void *arg)
{
    ++runs;
    return (int)(intptr_t)arg;
}

START_TEST(negative_values)
{
    EXPECT(aw_post(answer, (void *)(intptr_t)-5), 0);
    EXPECT(aw_post(answer, (void *)(intptr_t)5), 0);
    EXPECT(aw_post(answer, (void *)(intptr_t)-6), 0);
    EXPECT(aw_safepoint(), -5);
    ck_assert_int_eq(runs, 1);
    ck_assert_uint_ne(awi_pending, 0);
    EXPECT(aw_safepoint(), -6);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 3);
    EXPECT(aw_safepoint(), 0);
    ck_assert_uint_eq(awi_pending, 0);
}
END_TEST

static int order[2];

static int timer_first(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    order[0] = ++runs;
    return -1;
}

static int post_second(void *arg)
{
    (void)arg;
    order[1] = ++runs;
    return 0;
}

START_TEST(after_the_timers)
{
    struct aw_timer timer;
    EXPECT(aw_post(post_second, NULL), 0);
    EXPECT(aw_timer_create(&timer, timer_first, NULL), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), -1);
    ck_assert_int_eq(order[1], 0); /* the timer's negative value came first; this is not lost */
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(order[1], 2);
}
END_TEST

static void posting_handler(int signo)
{
    (void)signo;
    aw_post(count, NULL);
}

static void send_usr1(void)
{
    raise(SIGUSR1);
}

START_TEST(from_a_handler)
{
    signal(SIGUSR1, posting_handler);
    raise(SIGUSR1);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    /* While the owner sleeps: its own signal ends the sleep. */
    fake.asleep = send_usr1;
    EXPECT(aw_wait(AW_SEC(1)), -EINTR);
    EXPECT(aw_wait(AW_SEC(1)), 1);
    ck_assert_int_eq(runs, 2);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS);
}
END_TEST

static void post_there(void)
{
    EXPECT(aw_post(count, NULL), 0);
    EXPECT(aw_post(count, NULL), 0);
}

static void another_thread_posts(void)
{
    fake_elsewhere(post_there);
}

/* Hazard 32: one doorbell, and the sleep is over. */
START_TEST(h32_from_a_thread_while_the_owner_sleeps)
{
    fake.asleep = another_thread_posts;
    EXPECT(aw_wait(AW_SEC(1)), 2);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS);
    fake.asleep = another_thread_posts;
    EXPECT(aw_poll(NULL, 0, AW_MS(5)), 0);
    ck_assert_int_eq(runs, 4);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS + AW_MS(5));
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    ck_assert_uint_eq(all.signals, 2);
    ck_assert_uint_eq(all.dropped + all.chained, 0);
}
END_TEST

START_TEST(no_doorbell_for_one_who_is_awake)
{
    fake_elsewhere(post_there);
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    ck_assert_uint_eq(all.signals, 0);
    EXPECT(aw_wait(AW_SEC(1)), 2);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS);
}
END_TEST

START_TEST(dropped_by_shutdown)
{
    EXPECT(aw_post(count, NULL), 0);
    EXPECT(aw_shutdown(), 0);
    ck_assert_uint_eq(awi_pending, 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_post(count, NULL), 0);
    EXPECT(aw_dispatch(0), 1);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static void dispatch_in_child(void)
{
    EXPECT(aw_safepoint(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_dispatch(0), 0);
    ck_assert_int_eq(runs, 0);
}

START_TEST(dropped_by_fork)
{
    EXPECT(aw_post(count, NULL), 0);
    ck_assert_int_eq(fake_forked(dispatch_in_child), 0);
    EXPECT(aw_dispatch(0), 1);
}
END_TEST

static jmp_buf out;

static int leave_by_jump(void *arg)
{
    (void)arg;
    ++runs;
    longjmp(out, 1);
}

START_TEST(h22_left_by_longjmp)
{
    EXPECT(aw_post(leave_by_jump, NULL), 0);
    EXPECT(aw_post(count, NULL), 0);
    if (setjmp(out) == 0)
        aw_dispatch(0);
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
    ck_assert_uint_eq(awi_pending, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("post");
    TCase *tc = tcase_create("post");
    tcase_add_checked_fixture(tc, begin, fake_end);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, run_in_order_once);
    tcase_add_test(tc, a_full_queue);
    tcase_add_test(tc, posting_oneself);
    tcase_add_test(tc, negative_values);
    tcase_add_test(tc, after_the_timers);
    tcase_add_test(tc, from_a_handler);
    tcase_add_test(tc, h32_from_a_thread_while_the_owner_sleeps);
    tcase_add_test(tc, no_doorbell_for_one_who_is_awake);
    tcase_add_test(tc, dropped_by_shutdown);
    tcase_add_test(tc, dropped_by_fork);
    tcase_add_test(tc, h22_left_by_longjmp);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
