/* SPDX-License-Identifier: MIT */
/*
 * signal_post.c: posts from threads and handlers, and the doorbell that wakes an owner who sleeps: none lost,
 * none late, in order, and no doorbell that comes after the engine has gone.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

#define POSTERS 2

/* What a poster sends is its number and a serial. */
static uint32_t next_serial[POSTERS];
static uint32_t out_of_order;
static uint64_t received;

static int receive(void *arg)
{
    uint32_t poster = (uint32_t)((uintptr_t)arg >> 24);
    uint32_t serial = (uint32_t)((uintptr_t)arg & 0xffffff);
    if (serial != next_serial[poster])
        ++out_of_order;
    next_serial[poster] = serial + 1;
    ++received;
    return 0;
}

struct poster {
    pthread_t thread;
    uint32_t number;
    uint32_t count;
};

static void *post_all(void *arg)
{
    const struct poster *poster = arg;
    for (uint32_t i = 0; i < poster->count; ++i) {
        int result;
        while ((result = aw_post(receive, (void *)((uintptr_t)poster->number << 24 | i))) == -EAGAIN)
            sched_yield();
        if (result != 0)
            abort();
    }
    return NULL;
}

START_TEST(h32_a_million_posts)
{
    struct poster posters[POSTERS];
    uint32_t each = scaled(1000000) / POSTERS;

    received = out_of_order = 0;
    start_variant(_i);
    for (uint32_t i = 0; i < POSTERS; ++i) {
        next_serial[i] = 0;
        posters[i].number = i;
        posters[i].count = each;
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    while (received < (uint64_t)each * POSTERS)
        ck_assert_int_gt(aw_wait(AW_SEC(60)), 0);
    for (uint32_t i = 0; i < POSTERS; ++i)
        ck_assert_int_eq(pthread_join(posters[i].thread, NULL), 0);
    ck_assert_uint_eq(out_of_order, 0);
    ck_assert_uint_eq(received, (uint64_t)each * POSTERS);
    ck_assert_uint_eq(stats_now().posts, received);
    ck_assert_int_eq(aw_wait(0), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* One post at a time, into an owner that is about to sleep, or sleeps: a doorbell that is missed hangs the
 * pair. */
static uint32_t acknowledged;

static int acknowledge(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&acknowledged, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void *post_one_by_one(void *arg)
{
    uint32_t rounds = *(const uint32_t *)arg;
    for (uint32_t i = 0; i < rounds; ++i) {
        if (aw_post(acknowledge, NULL) != 0)
            abort();
        while (__atomic_load_n(&acknowledged, __ATOMIC_SEQ_CST) != i + 1)
            if (i % 2 == 0)
                sched_yield();
    }
    return NULL;
}

START_TEST(h32_no_doorbell_is_missed)
{
    uint32_t rounds = scaled(20000);
    pthread_t thread;
    acknowledged = 0;
    start_variant(_i);
    ck_assert_int_eq(pthread_create(&thread, NULL, post_one_by_one, &rounds), 0);
    for (int got = 0; (uint32_t)got < rounds;) {
        int callbacks = aw_wait(AW_SEC(60));
        ck_assert_int_gt(callbacks, 0);
        got += callbacks;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int note_number(void *arg)
{
    receive(arg);
    return 0;
}

static void post_three(int signo)
{
    (void)signo;
    for (uintptr_t i = 0; i < 3; ++i)
        aw_post(note_number, (void *)(next_serial[0] + i));
}

/* From a handler on the owner's own thread, which ends the wait; the posts run at the next safe point. */
START_TEST(h32_posts_from_a_handler)
{
    start_variant(_i);
    handle_signal(SIGUSR1, post_three, SA_RESTART);
    next_serial[0] = 0;
    received = out_of_order = 0;
    raise(SIGUSR1);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_uint_eq(received, 3);
    for (unsigned i = 1; i < 20; ++i) {
        raise(SIGUSR1);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 3);
        ck_assert_uint_eq(received, 3 * (i + 1));
    }
    ck_assert_uint_eq(out_of_order, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int send_signal(void *arg)
{
    return kill(*(const pid_t *)arg, SIGUSR1) != 0;
}

START_TEST(h32_handler_posts_into_a_sleeping_owner)
{
    pid_t self = getpid();
    int result;
    start_variant(_i);
    handle_signal(SIGUSR1, post_three, 0);
    next_serial[0] = 0;
    received = out_of_order = 0;
    pid_t pid = in_child(30, send_signal, &self);
    result = aw_wait(AW_SEC(60));
    if (result == -EINTR)
        result = aw_wait(AW_SEC(60));
    ck_assert_int_eq(result, 3);
    ck_assert_uint_eq(out_of_order, 0);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/*
 * ---- shutdown among posters: their doorbell must not come after SIG_DFL is back ----
 *
 * The system call that rings goes through here (ld --wrap), and can be made slow.
 */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, void *d);
static uint64_t bell_delay_ms;
static uint32_t bells_under_way;

long __wrap_syscall(long number, long a, long b, long c, void *d)
{
    if (number == SYS_rt_tgsigqueueinfo && bell_delay_ms != 0) {
        __atomic_store_n(&bells_under_way, 1, __ATOMIC_SEQ_CST);
        pass_ms(bell_delay_ms);
    }
    return __real_syscall(number, a, b, c, d);
}

static uint32_t posters_stop;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int never(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return -ECANCELED;
}

static void *post_once(void *arg)
{
    (void)arg;
    pass_ms(10);
    if (aw_post(nothing, NULL) != 0)
        abort();
    return NULL;
}

START_TEST(h11_slow_doorbell_of_a_post)
{
    pthread_t thread;
    bell_delay_ms = 50;
    start_variant(_i);
    ck_assert_int_eq(pthread_create(&thread, NULL, post_once, NULL), 0);
    while (aw_wait(AW_MS(1)) == 0)
        continue;
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(aw_wait(0), -ENODEV);
}
END_TEST

static void *receive_alarm(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&bells_under_way, __ATOMIC_SEQ_CST) == 0)
        pass_ms(1);
    return NULL;
}

/* The alarm goes to the other thread, which is slow to pass it on. */
START_TEST(h11_slow_doorbell_of_an_alarm)
{
    pthread_t thread;
    struct aw_timer timer;
    bell_delay_ms = 50;
    bells_under_way = 0;
    start_variant(0);
    ck_assert_int_eq(aw_timer_create(&timer, never, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, receive_alarm, NULL), 0);
    block_signal(SIGALRM);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    while (__atomic_load_n(&bells_under_way, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    ck_assert_int_eq(aw_shutdown(), 0);
    unblock_signal(SIGALRM);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void *post_for_ever(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&posters_stop, __ATOMIC_SEQ_CST) == 0) {
        int result = aw_post(nothing, NULL);
        if (result != 0 && result != -ENODEV && result != -EAGAIN)
            abort();
        aw_quit(1);
        sched_yield();
    }
    return NULL;
}

START_TEST(h11_shutdown_among_posters)
{
    pthread_t threads[3];
    posters_stop = 0;
    for (unsigned i = 0; i < 3; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_for_ever, NULL), 0);
    for (unsigned i = 0; i < scaled(3000); ++i) {
        start_variant(_i);
        ck_assert_int_ge(aw_wait(AW_US(i % 64 * 8)), 0);
        ck_assert_int_eq(aw_shutdown(), 0);
    }
    __atomic_store_n(&posters_stop, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 3; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    start_variant(_i);
    ck_assert_int_eq(aw_post(nothing, NULL), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- aw_quit from elsewhere ---- */

static void *quit_soon(void *arg)
{
    (void)arg;
    pass_ms(30);
    while (aw_quit(7) == -EINVAL)
        pass_ms(1);
    return NULL;
}

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

START_TEST(quit_from_a_thread)
{
    unsigned runs = 0;
    pthread_t thread;
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_SEC(3600)), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, quit_soon, NULL), 0);
    ck_assert_int_eq(aw_run(), 7);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(aw_quit(1), -EINVAL);
    ck_assert_uint_eq(runs, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int refuse(void *arg)
{
    (void)arg;
    return -7;
}

static int refuse_timer(struct aw_timer timer, void *arg)
{
    (void)timer;
    return refuse(arg);
}

/* What has ended one run is not waited for by the next, which has nothing to wait for. */
START_TEST(run_ends_after_one_that_was_ended)
{
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_post(refuse, NULL), 0);
    ck_assert_int_eq(aw_run(), -7);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_int_eq(aw_timer_create(&timer, refuse_timer, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    ck_assert_int_eq(aw_run(), -7);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_int_eq(aw_post(refuse, NULL), 0);
    ck_assert_int_eq(aw_post(note_number, (void *)(uintptr_t)next_serial[0]), 0);
    received = out_of_order = 0;
    ck_assert_int_eq(aw_run(), -7);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_uint_eq(received, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static void *quit_for_ever(void *arg)
{
    (void)arg;
    block_signal(SIGALRM);
    while (__atomic_load_n(&posters_stop, __ATOMIC_SEQ_CST) == 0)
        aw_quit(3);
    return NULL;
}

/* An aw_quit that comes as aw_run ends must not end the waits after it. */
START_TEST(quit_too_late_is_nobodys)
{
    unsigned runs = 0;
    pthread_t thread;
    struct aw_timer timer;
    start_variant(_i);
    posters_stop = 0;
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_SEC(3600)), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, quit_for_ever, NULL), 0);
    for (unsigned i = 0; i < scaled(2000); ++i) {
        ck_assert_int_eq(aw_run(), 3);
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_wait(AW_US(50)), 0);
        ck_assert_uint_ge(clock_ns(), start + AW_US(50));
    }
    __atomic_store_n(&posters_stop, 1, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("posts");
    TCase *posts = signal_case(suite, "posts");
    TCase *ends = signal_case(suite, "ends");

    tcase_add_loop_test(posts, h32_a_million_posts, 0, SOURCES);
    tcase_add_loop_test(posts, h32_no_doorbell_is_missed, 0, SOURCES);
    tcase_add_loop_test(posts, h32_posts_from_a_handler, 0, SOURCES);
    tcase_add_loop_test(posts, h32_handler_posts_into_a_sleeping_owner, 0, SOURCES);
    tcase_add_loop_test(ends, h11_slow_doorbell_of_a_post, 0, SOURCES);
    tcase_add_test(ends, h11_slow_doorbell_of_an_alarm);
    tcase_add_loop_test(ends, h11_shutdown_among_posters, 0, SOURCES);
    tcase_add_loop_test(ends, quit_from_a_thread, 0, SOURCES);
    tcase_add_loop_test(ends, quit_too_late_is_nobodys, 0, SOURCES);
    tcase_add_loop_test(ends, run_ends_after_one_that_was_ended, 0, SOURCES);
    return run_suite(suite);
}
