/* SPDX-License-Identifier: MIT */
/* Safe points, waits and the loop: what is run when, and callbacks that never come back. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/engine.h"
#include "engine/pending.h"
#include "fake_clock.h"
#include "fake_fault.h"

static int runs;

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    return 0;
}

static int post_count(void *arg)
{
    (void)arg;
    ++runs;
    return 0;
}

static struct aw_timer new_timer(aw_timer_fn *fn, void *arg)
{
    struct aw_timer timer;
    EXPECT(aw_timer_create(&timer, fn, arg), 0);
    return timer;
}

static void begin(void)
{
    fake_begin();
    runs = 0;
    EXPECT(fake_start(), 0);
}

static void end(void)
{
    ck_assert_ptr_null(awi_engine.wheel != NULL ? aw_wheel_check(awi_engine.wheel) : NULL);
    fake_end();
}

START_TEST(nothing_pending)
{
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_safepoint_slow(), 0);
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_dispatch(1), 0);
}
END_TEST

/* The flag is cleared before callbacks run: what comes during one is not lost. */
static int overtaken(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    if (runs++ == 0)
        fake_advance(AW_MS(50)); /* the second one comes due, and the handler runs */
    return 0;
}

START_TEST(what_comes_due_in_a_callback_runs_next)
{
    EXPECT(aw_timer_arm(new_timer(overtaken, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(overtaken, NULL), AW_MS(20)), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    ck_assert_uint_ne(awi_pending, 0);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
    ck_assert_uint_eq(awi_pending, 0);
}
END_TEST

/* A callback left by longjmp. */
static jmp_buf out;
static struct aw_guard outer;

static int leave_by_jump(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    longjmp(out, 1);
}

__attribute__((noinline)) static int deeper(int levels, int (*fn)(void))
{
    volatile char room[512];
    memset((char *)(uintptr_t)room, 0x5a, sizeof room);
    int result = levels == 0 ? fn() : deeper(levels - 1, fn);
    return result + (room[0] != 0x5a);
}

static int next_safe_point(void)
{
    return aw_safepoint();
}

/* Where the next safe point is: as deep as the one that was left, shallower, or far below it. */
START_TEST(h22_callback_left_by_longjmp)
{
    struct aw_timer jumper = new_timer(leave_by_jump, NULL), other = new_timer(count, NULL);
    EXPECT(aw_timer_arm(jumper, AW_MS(10)), 0);
    EXPECT(aw_timer_arm_every(other, AW_MS(20), AW_MS(20), AW_MISSED_SKIP), 0);
    fake_advance(AW_MS(25)); /* both are due; the first never comes back */
    if (setjmp(out) == 0) {
        deeper(_i == 0 ? 0 : 3, next_safe_point);
        ck_abort_msg("the callback came back");
    }
    ck_assert_int_eq(runs, 1);
    EXPECT(deeper(_i == 1 ? 9 : 1, next_safe_point), 0);
    ck_assert_int_eq(runs, 2);
    for (int turn = 0; turn < 5; ++turn) {
        fake_advance(AW_MS(20));
        EXPECT(aw_safepoint(), 0);
        ck_assert_int_eq(runs, 3 + turn);
    }
    ck_assert_uint_eq(awi_pending, 0);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

START_TEST(h22_left_by_longjmp_then_other_calls)
{
    static struct aw_timer other;
    uint64_t ns;
    other = new_timer(count, NULL);
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    if (setjmp(out) == 0) {
        deeper(3, next_safe_point);
        ck_abort_msg("the callback came back");
    }
    switch (_i) {
    case 0: /* armed before the dispatch is known to be dead: covered all the same */
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        fake_advance(AW_MS(11));
        EXPECT(aw_safepoint(), 0);
        break;
    case 1:
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        EXPECT(aw_wait(AW_SEC(1)), 1);
        break;
    case 2:
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        EXPECT(aw_run(), 0);
        break;
    case 3:
        EXPECT(aw_quiet() >= 0, 1);
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        EXPECT(aw_poll(NULL, 0, AW_MS(50)), 0);
        break;
    case 4:
        EXPECT(aw_shutdown(), 0);
        EXPECT(fake_start(), 0);
        other = new_timer(count, NULL);
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        EXPECT(aw_next(&ns), 1);
        ck_assert_uint_gt(ns, fake.now_ns);
        EXPECT(aw_wait(AW_SEC(1)), 1);
        break;
    default:
        EXPECT(fake_start(), 0);
        EXPECT(aw_shutdown(), 1);
        EXPECT(aw_timer_arm(other, AW_MS(10)), 0);
        EXPECT(aw_wait(AW_SEC(1)), 1);
        break;
    }
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* What the dispatch had taken on is not lost, whoever finds out that it is dead. */
START_TEST(h22_left_by_longjmp_with_work_to_do)
{
    static struct aw_timer jumper;
    struct aw_timer other = new_timer(count, NULL);
    uint64_t missed = 0;
    jumper = new_timer(leave_by_jump, NULL);
    EXPECT(aw_timer_arm_every(jumper, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    EXPECT(aw_post(post_count, NULL), 0);
    fake_advance(AW_MS(35));
    if (setjmp(out) == 0) {
        deeper(3, next_safe_point);
        ck_abort_msg("the callback came back");
    }
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_timer_arm(other, AW_SEC(1)), 0);
    EXPECT(aw_timer_overrun(jumper, &missed), 0);
    ck_assert_uint_eq(missed, 0); /* its callback no longer runs */
    EXPECT(aw_timer_delete(jumper), 0);
    ck_assert_uint_ne(awi_pending, 0);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* Hazard 13: the guard that stands around the dispatch bounds the code again. */
START_TEST(h13_left_by_longjmp_into_a_guard)
{
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(10)), 0);
    EXPECT(aw_guard_enter(&outer, AW_MS(50), 0), 0);
    fake_advance(AW_MS(11));
    if (setjmp(out) == 0) {
        deeper(3, next_safe_point);
        ck_abort_msg("the callback came back");
    }
    fake_advance(AW_MS(40));
    /* Nagged for, though no safe point has been passed since. */
    ck_assert_uint_ne(fake.alarm_ns, AW_FOREVER);
    ck_assert_uint_le(fake.alarm_ns, fake.now_ns + AW_US(51));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
}
END_TEST

__attribute__((noinline)) static int guarded_safe_point(void)
{
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(50), 0), 0);
    return aw_safepoint();
}

/* The jump passes the guard around the dispatch, too. */
START_TEST(h13_left_by_longjmp_past_a_guard)
{
    struct aw_guard inner;
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    if (setjmp(out) == 0) {
        deeper(3, guarded_safe_point);
        ck_abort_msg("the callback came back");
    }
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_guard_rewind(0), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(10), 0), 0);
    fake_advance(AW_MS(11));
    ck_assert_uint_le(fake.alarm_ns, fake.now_ns + AW_US(51)); /* it counts: nagged for */
    EXPECT(aw_guard_leave(&inner), -ETIMEDOUT);
    fake_advance(AW_MS(50));
    EXPECT(aw_safepoint(), 0);
}
END_TEST

static int enter_and_jump(struct aw_timer timer, void *arg)
{
    struct aw_guard inner;
    (void)timer;
    (void)arg;
    ++runs;
    EXPECT(aw_guard_enter(&inner, AW_MS(1), 0), 0);
    longjmp(out, 1);
}

START_TEST(h30_guard_in_a_callback_left_by_longjmp)
{
    EXPECT(aw_timer_arm(new_timer(enter_and_jump, NULL), AW_MS(10)), 0);
    EXPECT(aw_guard_enter(&outer, AW_SEC(50), 0), 0);
    fake_advance(AW_MS(11));
    if (setjmp(out) == 0) {
        deeper(3, next_safe_point);
        ck_abort_msg("the callback came back");
    }
    EXPECT(aw_guard_mark(), 1);
    fake_advance(AW_MS(20));
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_leave(&outer), 0);
}
END_TEST

/* A callback that forks: in the child the dispatch has lost its engine. */
static pid_t child;

static int fork_inside(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++runs;
    child = fork();
    if (child == 0) {
        fake.alarm_ns = AW_FOREVER;
        if (*(int *)arg != 0) {
            EXPECT(fake_start(), 0);
            EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
        }
        return *(int *)arg == 2 ? -5 : 0;
    }
    return 0;
}

static void expect_child(void)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(h18_forked_in_a_callback)
{
    int mode = _i;
    EXPECT(aw_timer_arm(new_timer(fork_inside, &mode), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    fake_advance(AW_MS(11));
    int result = aw_dispatch(0);
    if (child == 0) {
        ck_assert_int_eq(result, -ENODEV);
        int before = runs;
        if (mode == 0) {
            EXPECT(aw_dispatch(0), -ENODEV);
            EXPECT(aw_safepoint(), 0);
            EXPECT(fake_start(), 0);
            EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
        }
        EXPECT(aw_wait(AW_SEC(1)), 1);
        ck_assert_int_eq(runs, before + 1);
        EXPECT(aw_quit(0), -EINVAL);
        EXPECT(aw_shutdown(), 0);
        exit(0);
    }
    ck_assert_int_eq(result, 2);
    expect_child();
    fake_advance(AW_MS(10));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 3);
}
END_TEST

static int fork_in_post(void *arg)
{
    return fork_inside((struct aw_timer){ 0 }, arg);
}

START_TEST(h18_forked_in_a_posted_function)
{
    int mode = _i;
    EXPECT(aw_post(fork_in_post, &mode), 0);
    EXPECT(aw_post(post_count, NULL), 0);
    int result = aw_dispatch(0);
    if (child == 0) {
        ck_assert_int_eq(result, -ENODEV);
        ck_assert_int_eq(runs, 1);
        exit(0);
    }
    ck_assert_int_eq(result, 2);
    expect_child();
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* Forked in a callback of aw_run: that run is over in the child. */
START_TEST(h18_forked_under_run)
{
    int mode = _i;
    EXPECT(aw_timer_arm(new_timer(fork_inside, &mode), AW_MS(10)), 0);
    int result = aw_run();
    if (child == 0) {
        ck_assert_int_eq(result, -ENODEV);
        if (mode == 0)
            EXPECT(fake_start(), 0);
        EXPECT(aw_quit(7), -EINVAL);
        struct aw_timer timer = new_timer(count, NULL);
        EXPECT(aw_timer_arm(timer, AW_MS(20)), 0);
        EXPECT(aw_wait(AW_SEC(1)), 1);
        EXPECT(aw_run(), 0);
        EXPECT(aw_shutdown(), 0);
        exit(0);
    }
    ck_assert_int_eq(result, 0);
    expect_child();
}
END_TEST

/* The time that a wait may take, to the nanosecond: on this clock nothing is late. */
START_TEST(wait_lasts_as_long_as_asked)
{
    static const uint64_t spans[] = { 0, 1, 999, AW_MS(1), AW_SEC(1), AW_SEC(86400) };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; ++i) {
        uint64_t before = fake.now_ns;
        EXPECT(aw_wait(spans[i]), 0);
        ck_assert_uint_eq(fake.now_ns - before, spans[i]);
        EXPECT(aw_poll(NULL, 0, spans[i]), 0);
        ck_assert_uint_eq(fake.now_ns - before, 2 * spans[i]);
    }
}
END_TEST

START_TEST(wait_returns_with_the_first_callbacks)
{
    uint64_t before = fake.now_ns;
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    EXPECT(aw_wait(AW_MS(1)), 0);
    EXPECT(aw_wait(AW_FOREVER), 1);
    EXPECT(aw_wait(AW_FOREVER), 1);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(20));
    ck_assert_uint_le(fake.now_ns - before, AW_MS(20) + FAKE_TICK_NS + 1001);
    /* By their signals, which the time-outs of the sleeps do not race. */
    struct aw_stats all = { .size = sizeof all };
    fake_advance(AW_MS(5));
    EXPECT(aw_stats_read(&all), 0);
    ck_assert_uint_eq(all.signals, 2);
    ck_assert_uint_eq(all.spurious, 0);
    ck_assert_uint_eq(fake.sleeps, 3);
}
END_TEST

START_TEST(wait_inside_a_guard)
{
    struct aw_guard guard;
    uint64_t before = fake.now_ns;
    EXPECT(aw_guard_enter(&guard, AW_MS(10), 0), 0);
    EXPECT(aw_wait(AW_FOREVER), -ETIMEDOUT);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(10));
    ck_assert_uint_le(fake.now_ns - before, AW_MS(10) + 1001);
    EXPECT(aw_wait(AW_FOREVER), -ETIMEDOUT);
    EXPECT(aw_poll(NULL, 0, AW_FOREVER), -ETIMEDOUT);
    EXPECT(aw_run(), 0); /* nothing is armed */
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    EXPECT(aw_run(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

static void stranger(int signo)
{
    (void)signo;
}

static void send_usr1(void)
{
    raise(SIGUSR1);
}

static void send_both(void)
{
    raise(SIGUSR1);
    fake_ring();
}

START_TEST(wait_ended_by_a_foreign_signal)
{
    const struct sigaction action = { .sa_handler = stranger, .sa_flags = SA_RESTART };
    sigaction(SIGUSR1, &action, NULL);
    uint64_t before = fake.now_ns;
    fake.asleep = _i == 0 ? send_usr1 : send_both;
    EXPECT(aw_wait(AW_SEC(1)), -EINTR);
    ck_assert_uint_eq(fake.now_ns, before);
    fake.asleep = _i == 0 ? send_usr1 : send_both;
    EXPECT(aw_poll(NULL, 0, AW_SEC(1)), -EINTR);
    ck_assert_uint_eq(fake.now_ns, before);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    fake.asleep = _i == 0 ? send_usr1 : send_both;
    EXPECT(aw_run(), 0); /* goes on */
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* The handler that stood there is not ours: a wait says so when it was passed a signal. */
START_TEST(wait_ended_by_a_chained_signal)
{
    EXPECT(aw_shutdown(), 0);
    signal(fake_signo(), stranger);
    EXPECT(fake_start(), 0);
    fake.asleep = fake_forge;
    EXPECT(aw_wait(AW_SEC(1)), -EINTR);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS);
    fake.asleep = fake_ring; /* the clock's is ours */
    EXPECT(aw_wait(AW_SEC(1)), 0);
}
END_TEST

START_TEST(wait_with_the_alarm_blocked)
{
    sigset_t set, mask;
    sigemptyset(&set);
    sigaddset(&set, fake_signo());
    sigprocmask(SIG_BLOCK, &set, NULL);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    uint64_t before = fake.now_ns;
    EXPECT(aw_wait(AW_FOREVER), 1);
    ck_assert_uint_le(fake.now_ns - before, AW_MS(20) + FAKE_TICK_NS);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 1);
    ck_assert_int_eq(sigismember(&mask, SIGUSR1), 0);
}
END_TEST

START_TEST(wait_with_a_negative_callback)
{
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(30)), 0);
    EXPECT(aw_wait(AW_FOREVER), 1);
    if (setjmp(out) == 0)
        aw_wait(AW_FOREVER);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 0);
    EXPECT(aw_wait(AW_MS(10)), 0);
}
END_TEST

START_TEST(poll_goes_on_after_callbacks)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    struct pollfd polled = { .fd = fds[0], .events = POLLIN };
    EXPECT(aw_timer_arm_every(new_timer(count, NULL), AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    uint64_t before = fake.now_ns;
    EXPECT(aw_poll(&polled, 1, AW_MS(105)), 0);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(105));
    ck_assert_int_eq(runs, 10);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    EXPECT(aw_poll(&polled, 1, AW_MS(105)), 1);
    ck_assert_int_eq(polled.revents, POLLIN);
    EXPECT(aw_poll(&polled, 1, 0), 1);
    polled.fd = -1;
    EXPECT(aw_poll(&polled, 1, 0), 0);
    EXPECT(aw_poll(NULL, 100000000, 0), -EINVAL);
    EXPECT(aw_poll(NULL, 1, 0), -EFAULT);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* More is due than a budget takes: poll still sees a ready descriptor, and still ends in time. */
static int rearm(struct aw_timer timer, void *arg)
{
    (void)arg;
    ++runs;
    fake_advance(FAKE_TICK_NS);
    EXPECT(aw_timer_arm(timer, 0), 0);
    return 0;
}

START_TEST(poll_beside_endless_callbacks)
{
    for (int i = 0; i < 4; ++i)
        EXPECT(aw_timer_arm(new_timer(rearm, NULL), 0), 0);
    uint64_t before = fake.now_ns;
    EXPECT(aw_poll(NULL, 0, AW_MS(20)), 0);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(20));
    ck_assert_uint_le(fake.now_ns - before, AW_MS(30));
    ck_assert_int_gt(runs, 10);
}
END_TEST

START_TEST(ppoll_fails)
{
    fault_plan(FAULT_PPOLL, 1, ENOMEM);
    EXPECT(aw_wait(AW_SEC(1)), -ENOMEM);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 0);
    ck_assert_uint_eq(awi.sleeping, 0);
    EXPECT(aw_wait(AW_SEC(1)), 0);
}
END_TEST

static int quit_with(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++runs;
    EXPECT(aw_quit(*(int *)arg), 0);
    return 0;
}

START_TEST(run_until_quit)
{
    int result = -3;
    EXPECT(aw_quit(1), -EINVAL);
    EXPECT(aw_timer_arm(new_timer(quit_with, &result), AW_MS(30)), 0);
    EXPECT(aw_timer_arm_every(new_timer(count, NULL), AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    EXPECT(aw_run(), -3);
    ck_assert_int_ge(runs, 3);
    ck_assert_int_le(runs, 4);
    EXPECT(aw_quit(1), -EINVAL);
    ck_assert_uint_eq(awi_pending, 0);
    runs = 0;
    EXPECT(aw_wait(AW_MS(9)), 0);
}
END_TEST

START_TEST(run_until_nothing_is_armed)
{
    uint64_t before = fake.now_ns;
    EXPECT(aw_run(), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(runs, 2);
    ck_assert_uint_ge(fake.now_ns - before, AW_MS(20));
    EXPECT(aw_post(post_count, NULL), 0);
    EXPECT(aw_run(), 0); /* what was posted runs, too */
    ck_assert_int_eq(runs, 3);
}
END_TEST

static int negative(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    return -9;
}

START_TEST(run_ended_by_a_negative_value)
{
    EXPECT(aw_timer_arm(new_timer(negative, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    EXPECT(aw_run(), -9);
    EXPECT(aw_quit(0), -EINVAL);
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

static int interrupted(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    return -EINTR;
}

static int post_interrupted(void *arg)
{
    (void)arg;
    ++runs;
    return -EINTR;
}

/* A callback's own -EINTR is a value like another; of a foreign handler's the loop makes nothing. */
START_TEST(run_ended_by_a_callback_with_eintr)
{
    if (_i == 0)
        EXPECT(aw_timer_arm(new_timer(interrupted, NULL), AW_MS(10)), 0);
    else
        EXPECT(aw_post(post_interrupted, NULL), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    EXPECT(aw_run(), -EINTR);
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

START_TEST(run_goes_on_after_a_foreign_handler)
{
    signal(SIGUSR1, stranger);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(20)), 0);
    fake.asleep = send_usr1;
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static void quit_handler(int signo)
{
    aw_quit(signo);
}

START_TEST(run_quit_from_a_handler)
{
    signal(SIGUSR1, quit_handler);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_SEC(10)), 0);
    fake.asleep = send_usr1;
    EXPECT(aw_run(), SIGUSR1);
    ck_assert_int_eq(runs, 0);
}
END_TEST

static void quit_there(void)
{
    EXPECT(aw_quit(11), 0);
}

static void another_thread_quits(void)
{
    fake_elsewhere(quit_there);
}

START_TEST(run_quit_from_a_thread)
{
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_SEC(10)), 0);
    fake.asleep = another_thread_quits;
    EXPECT(aw_run(), 11);
    ck_assert_int_eq(runs, 0);
}
END_TEST

static int run_inside(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(int *)arg = aw_run();
    ++runs;
    return 0;
}

START_TEST(run_does_not_nest)
{
    int result = 0;
    EXPECT(aw_timer_arm(new_timer(run_inside, &result), AW_MS(1)), 0);
    EXPECT(aw_run(), 0);
    ck_assert_int_eq(result, -EDEADLK);
}
END_TEST

/* aw_run left by longjmp: there is none any more. */
START_TEST(run_left_by_longjmp)
{
    struct aw_timer other = new_timer(count, NULL);
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(1)), 0);
    if (setjmp(out) == 0)
        deeper(3, aw_run);
    ck_assert_int_eq(runs, 1);
    if (_i == 0) {
        EXPECT(aw_timer_arm(other, AW_MS(1)), 0);
        EXPECT(aw_run(), 0);
        ck_assert_int_eq(runs, 2);
        EXPECT(aw_quit(0), -EINVAL);
        EXPECT(aw_shutdown(), 0);
    } else if (_i == 1) {
        aw_quit(5); /* nobody's */
        uint64_t before = fake.now_ns;
        EXPECT(aw_wait(AW_MS(10)), 0);
        ck_assert_uint_ge(fake.now_ns - before, AW_MS(10));
        EXPECT(aw_quit(5), -EINVAL);
    } else {
        EXPECT(aw_shutdown(), 0);
        EXPECT(fake_start(), 0);
        EXPECT(aw_quit(0), -EINVAL);
        EXPECT(aw_wait(AW_MS(10)), 0);
    }
}
END_TEST

static int shutdown_under_run(void *arg)
{
    (void)arg;
    return aw_shutdown();
}

START_TEST(shutdown_under_run_is_busy)
{
    EXPECT(aw_post(shutdown_under_run, NULL), 0);
    EXPECT(aw_run(), -EBUSY);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

/* The descriptor for foreign loops: readable when a dispatch is due, and not when it is done. */
static bool readable(int fd)
{
    struct pollfd polled = { .fd = fd, .events = POLLIN };
    return poll(&polled, 1, 0) == 1;
}

START_TEST(wakeup_fd)
{
    int fd = aw_wakeup_fd();
    ck_assert_int_ge(fd, 0);
    EXPECT(aw_wakeup_fd(), fd);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert(!readable(fd));
    struct aw_timer timer = new_timer(count, NULL);
    for (int i = 0; i < 3; ++i) {
        EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
        ck_assert(!readable(fd));
        errno = 4711;
        fake_advance(AW_MS(11));
        ck_assert_int_eq(errno, 4711);
        ck_assert(readable(fd));
        EXPECT(aw_dispatch(0), 1);
        ck_assert(!readable(fd));
        EXPECT(aw_post(post_count, NULL), 0);
        ck_assert(readable(fd));
        EXPECT(aw_dispatch(0), 1);
        ck_assert(!readable(fd));
    }
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(1), 0), 0);
    fake_advance(AW_MS(2));
    ck_assert(readable(fd));
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert(!readable(fd));
    EXPECT(aw_shutdown(), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(wakeup_fd_made_late)
{
    EXPECT(aw_post(post_count, NULL), 0);
    int fd = aw_wakeup_fd();
    ck_assert(readable(fd));
    EXPECT(aw_dispatch(0), 1);
    ck_assert(!readable(fd));
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_dispatch(1), 1);
    ck_assert(readable(fd)); /* a spent budget left some */
    EXPECT(aw_dispatch(0), 1);
    ck_assert(!readable(fd));
}
END_TEST

/* A foreign loop has to hear of a dispatch that never ended, and calls nothing that would find out. */
START_TEST(h22_wakeup_fd_after_a_longjmp)
{
    int fd = aw_wakeup_fd();
    EXPECT(aw_timer_arm(new_timer(leave_by_jump, NULL), AW_MS(10)), 0);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(100)), 0);
    if (_i == 1)
        EXPECT(aw_post(post_count, NULL), 0);
    fake_advance(AW_MS(11));
    if (setjmp(out) == 0) {
        aw_dispatch(0);
        ck_abort_msg("the callback came back");
    }
    ck_assert(readable(fd));
    EXPECT(aw_dispatch(0), _i);
    ck_assert(!readable(fd));
    fake_advance(AW_MS(90));
    ck_assert(readable(fd));
    EXPECT(aw_dispatch(0), 1);
    ck_assert(!readable(fd));
    ck_assert_int_eq(runs, 2 + _i);
}
END_TEST

/* One that the program was told of leaves it unreadable: a loop would spin. */
START_TEST(wakeup_fd_beside_an_expired_guard)
{
    struct aw_guard guard;
    int fd = aw_wakeup_fd();
    EXPECT(aw_timer_arm(new_timer(negative, NULL), AW_MS(10)), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(5), 0), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_dispatch(0), -9);
    ck_assert(readable(fd)); /* the callback's value hides the guard */
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert(!readable(fd));
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert(!readable(fd));
    EXPECT(aw_post(post_count, NULL), 0);
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert(!readable(fd));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert(!readable(fd));
}
END_TEST

/* A counter that is full is readable already. */
START_TEST(wakeup_fd_is_full)
{
    int fd = aw_wakeup_fd();
    const uint64_t most = UINT64_MAX - 1;
    ck_assert_int_eq(write(fd, &most, sizeof most), sizeof most);
    EXPECT(aw_post(post_count, NULL), 0);
    ck_assert(readable(fd));
    EXPECT(aw_dispatch(0), 1);
    ck_assert(!readable(fd));
}
END_TEST

static int inherited_fd;

static void look_at_fds(void)
{
    ck_assert_int_eq(fcntl(inherited_fd, F_GETFD), -1);
    EXPECT(fake_start(), 0);
    EXPECT(aw_set_wakeup_fd(-1), -ENOENT);
}

START_TEST(wakeup_fds_in_a_forked_child)
{
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
    inherited_fd = aw_wakeup_fd();
    EXPECT(aw_set_wakeup_fd(fds[1]), -ENOENT);
    ck_assert_int_eq(fake_forked(look_at_fds), 0);
    ck_assert_int_ge(fcntl(inherited_fd, F_GETFD), 0);
}
END_TEST

START_TEST(set_wakeup_fd)
{
    int fds[2];
    unsigned char bytes[16];
    ck_assert_int_eq(pipe(fds), 0);
    EXPECT(aw_set_wakeup_fd(-1), -ENOENT);
    EXPECT(aw_set_wakeup_fd(fds[1]), -EINVAL); /* blocking */
    EXPECT(aw_set_wakeup_fd(9999), -EBADF);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    EXPECT(aw_set_wakeup_fd(fds[1]), -ENOENT);
    EXPECT(aw_set_wakeup_fd(9999), -EBADF);
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    ck_assert_int_eq(read(fds[0], bytes, sizeof bytes), 1);
    ck_assert_int_eq(bytes[0], fake_signo());
    EXPECT(aw_dispatch(0), 1);
    fake_forge(); /* nothing was due */
    ck_assert_int_eq(read(fds[0], bytes, sizeof bytes), -1);
    /* A full pipe: the byte is lost, and nothing else. */
    while (write(fds[1], "0123456789abcdef", 16) > 0) {
    }
    while (write(fds[1], "0", 1) > 0) {
    }
    EXPECT(aw_timer_arm(new_timer(count, NULL), AW_MS(1)), 0);
    errno = 4711;
    fake_advance(AW_MS(2));
    ck_assert_int_eq(errno, 4711);
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_set_wakeup_fd(-5), fds[1]);
    EXPECT(aw_set_wakeup_fd(fds[1]), -ENOENT);
    EXPECT(aw_set_wakeup_fd(-ENOENT), fds[1]); /* what it returned may be passed back */
    EXPECT(aw_set_wakeup_fd(fds[1]), -ENOENT);
    EXPECT(aw_shutdown(), 0);
    ck_assert_int_ge(fcntl(fds[1], F_GETFD), 0); /* the caller's */
    EXPECT(fake_start(), 0);
    EXPECT(aw_set_wakeup_fd(-1), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safepoint");
    TCase *tc = tcase_create("safepoint");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, nothing_pending);
    tcase_add_test(tc, what_comes_due_in_a_callback_runs_next);
    tcase_add_loop_test(tc, h22_callback_left_by_longjmp, 0, 3);
    tcase_add_loop_test(tc, h22_left_by_longjmp_then_other_calls, 0, 6);
    tcase_add_test(tc, h22_left_by_longjmp_with_work_to_do);
    tcase_add_test(tc, h13_left_by_longjmp_into_a_guard);
    tcase_add_test(tc, h13_left_by_longjmp_past_a_guard);
    tcase_add_test(tc, h30_guard_in_a_callback_left_by_longjmp);
    tcase_add_loop_test(tc, h18_forked_in_a_callback, 0, 3);
    tcase_add_loop_test(tc, h18_forked_in_a_posted_function, 0, 3);
    tcase_add_loop_test(tc, h18_forked_under_run, 0, 3);
    tcase_add_test(tc, wait_lasts_as_long_as_asked);
    tcase_add_test(tc, wait_returns_with_the_first_callbacks);
    tcase_add_test(tc, wait_inside_a_guard);
    tcase_add_loop_test(tc, wait_ended_by_a_foreign_signal, 0, 2);
    tcase_add_test(tc, wait_ended_by_a_chained_signal);
    tcase_add_test(tc, wait_with_the_alarm_blocked);
    tcase_add_test(tc, wait_with_a_negative_callback);
    tcase_add_test(tc, poll_goes_on_after_callbacks);
    tcase_add_test(tc, poll_beside_endless_callbacks);
    tcase_add_test(tc, ppoll_fails);
    tcase_add_test(tc, run_until_quit);
    tcase_add_test(tc, run_until_nothing_is_armed);
    tcase_add_test(tc, run_ended_by_a_negative_value);
    tcase_add_loop_test(tc, run_ended_by_a_callback_with_eintr, 0, 2);
    tcase_add_test(tc, run_goes_on_after_a_foreign_handler);
    tcase_add_test(tc, run_quit_from_a_handler);
    tcase_add_test(tc, run_quit_from_a_thread);
    tcase_add_test(tc, run_does_not_nest);
    tcase_add_loop_test(tc, run_left_by_longjmp, 0, 3);
    tcase_add_test(tc, shutdown_under_run_is_busy);
    tcase_add_test(tc, wakeup_fd);
    tcase_add_test(tc, wakeup_fd_made_late);
    tcase_add_loop_test(tc, h22_wakeup_fd_after_a_longjmp, 0, 2);
    tcase_add_test(tc, wakeup_fd_beside_an_expired_guard);
    tcase_add_test(tc, wakeup_fd_is_full);
    tcase_add_test(tc, wakeup_fds_in_a_forked_child);
    tcase_add_test(tc, set_wakeup_fd);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
