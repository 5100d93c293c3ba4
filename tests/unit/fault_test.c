/* SPDX-License-Identifier: MIT */
/*
 * Hazard 26: libc and the kernel fail. Each public call says so, leaves everything as it was, and works when
 * it is called again.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static void begin(void)
{
    fake_begin();
    runs = 0;
}

static void end(void)
{
    ck_assert_ptr_null(awi_engine.wheel != NULL ? aw_wheel_check(awi_engine.wheel) : NULL);
    fake_end();
}

static void stranger(int signo)
{
    (void)signo;
}

/* What aw_init may change, beside the alarm. */
struct situation {
    struct sigaction action;
    sigset_t mask, pending;
    uint64_t alarm_ns, interval_ns;
    unsigned posix_timers;
    int descriptors;
};

static int descriptors(void)
{
    int open = 0;
    for (int fd = 0; fd < 64; ++fd)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

static void look(struct situation *now, int signo)
{
    memset(now, 0, sizeof *now);
    sigaction(signo, NULL, &now->action);
    sigprocmask(SIG_BLOCK, NULL, &now->mask);
    sigpending(&now->pending);
    now->alarm_ns = fake.alarm_ns;
    now->interval_ns = fake.interval_ns;
    now->posix_timers = fake.posix_timers;
    now->descriptors = descriptors();
}

static void expect_same(const struct situation *before, int signo)
{
    struct situation now;
    look(&now, signo);
    ck_assert(now.action.sa_handler == before->action.sa_handler);
    ck_assert_int_eq(now.action.sa_flags, before->action.sa_flags);
    ck_assert_int_eq(sigismember(&now.mask, signo), sigismember(&before->mask, signo));
    ck_assert_int_eq(sigismember(&now.pending, signo), sigismember(&before->pending, signo));
    ck_assert_uint_ge(now.alarm_ns, before->alarm_ns);
    ck_assert_uint_le(now.alarm_ns - before->alarm_ns, 1000);
    ck_assert_uint_eq(now.interval_ns, before->interval_ns);
    ck_assert_uint_eq(now.posix_timers, before->posix_timers);
    ck_assert_int_eq(now.descriptors, before->descriptors);
}

/* aw_init on a process that has a handler, a running alarm, and (second half) a blocked and pending signal.
 */
static const struct {
    enum aw_alarm alarm;
    enum fault fault;
    unsigned n;
    int error;
} starts[] = {
    { AW_ALARM_ITIMER, FAULT_ATFORK, 1, ENOMEM },      { AW_ALARM_ITIMER, FAULT_ALLOCATION, 1, ENOMEM },
    { AW_ALARM_ITIMER, FAULT_ALLOCATION, 2, ENOMEM },  { AW_ALARM_ITIMER, FAULT_SIGACTION, 1, EINVAL },
    { AW_ALARM_ITIMER, FAULT_SETITIMER, 1, EINVAL }, /* looking for a running alarm, */
    { AW_ALARM_ITIMER, FAULT_SETITIMER, 2, EINVAL }, /* and taking it over */
    { AW_ALARM_POSIX, FAULT_ATFORK, 1, ENOMEM },       { AW_ALARM_POSIX, FAULT_ALLOCATION, 1, ENOMEM },
    { AW_ALARM_POSIX, FAULT_ALLOCATION, 2, ENOMEM },   { AW_ALARM_POSIX, FAULT_SIGACTION, 1, EINVAL },
    { AW_ALARM_POSIX, FAULT_TIMER_CREATE, 1, EAGAIN },
};
enum {
    STARTS = sizeof starts / sizeof starts[0]
};

START_TEST(h26_init_fails)
{
    int i = _i % STARTS;
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.alarm = starts[i].alarm;
    options.signo = options.alarm == AW_ALARM_POSIX ? SIGRTMIN + 3 : 0;
    int signo = options.alarm == AW_ALARM_POSIX ? options.signo : SIGALRM;
    struct situation before;
    struct sigaction action;
    sigset_t set;
    signal(signo, stranger);
    if (options.alarm == AW_ALARM_ITIMER) {
        fake.alarm_ns = fake.now_ns + AW_SEC(5);
        fake.interval_ns = AW_SEC(7);
    }
    if (_i >= STARTS) {
        sigemptyset(&set);
        sigaddset(&set, signo);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(signo);
    }
    look(&before, signo);
    fault_plan(starts[i].fault, starts[i].n, starts[i].error);
    errno = 4711;
    int result = aw_init(&options);
    int error = errno;
    unsigned calls = fault_calls(starts[i].fault);
    fault_clear();
    ck_assert_uint_ge(calls, starts[i].n);
    ck_assert_int_eq(result, -starts[i].error);
    ck_assert_int_eq(error, 4711);
    expect_same(&before, signo);
    EXPECT(aw_shutdown(), -ENODEV);
    EXPECT(aw_safepoint(), 0);
    /* And later it works. */
    fake.alarm_ns = AW_FOREVER;
    fake.interval_ns = 0;
    struct aw_timer timer;
    EXPECT(aw_init(&options), 0);
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_shutdown(), 0);
    sigaction(signo, NULL, &action);
    ck_assert(action.sa_handler == stranger);
}
END_TEST

/* Without descriptors the stack is not known; all the rest works. */
START_TEST(h26_init_without_descriptors)
{
    struct rlimit none, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    errno = 4711;
    int result = fake_start();
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(error, 4711);
    struct aw_guard guard;
    EXPECT(aw_guard_enter(&guard, AW_MS(1), 0), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

START_TEST(h26_create_fails)
{
    struct aw_timer timers[200];
    int made = 0;
    EXPECT(fake_start(), 0);
    fault_plan_always(FAULT_ALLOCATION, ENOMEM);
    int error = 0, result = 0;
    while (made < 200) {
        errno = 4711;
        result = aw_timer_create(&timers[made], count, NULL);
        error = errno;
        if (result != 0)
            break;
        ++made;
    }
    fault_clear();
    ck_assert_int_eq(result, -ENOMEM);
    ck_assert_int_eq(error, 4711);
    ck_assert_int_eq(made, 64);
    for (int i = 0; i < made; ++i)
        EXPECT(aw_timer_arm(timers[i], AW_MS(1)), 0);
    EXPECT(aw_timer_create(&timers[made], count, NULL), 0);
    EXPECT(aw_timer_arm(timers[made], AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_dispatch(0), made + 1);
}
END_TEST

/* The alarm cannot be programmed: the timer is as it was. */
enum {
    ARM,
    ARM_AT,
    ARM_EVERY,
    AGAIN,
    ARM_CALLS
};

static int call(int which, struct aw_timer timer)
{
    switch (which) {
    case ARM:
        return aw_timer_arm(timer, AW_MS(1));
    case ARM_AT:
        return aw_timer_arm_at(timer, fake.now_ns + AW_MS(1));
    case ARM_EVERY:
        return aw_timer_arm_every(timer, AW_MS(1), AW_SEC(50), AW_MISSED_SKIP);
    default:
        return aw_timer_again(timer);
    }
}

START_TEST(h26_arm_fails)
{
    bool armed = _i % 2 == 1;
    int which = _i / 2;
    struct aw_timer timer, other;
    uint64_t left = 0, ns;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    EXPECT(aw_timer_create(&other, count, NULL), 0);
    /* It has a short delay, but is armed for later, or not at all. */
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    EXPECT(aw_timer_disarm(timer), 1);
    EXPECT(aw_quiet(), 1);
    EXPECT(aw_timer_arm(other, AW_SEC(2)), 0);
    if (armed) {
        EXPECT(aw_timer_arm_at(timer, fake.now_ns + AW_SEC(1)), 0);
        EXPECT(aw_timer_remaining(timer, &left), 0);
    }
    uint64_t alarm = fake.alarm_ns;
    fault_plan_always(fake_programming(), EINVAL);
    errno = 4711;
    int result = call(which, timer);
    int error = errno;
    fault_clear();
    ck_assert_int_eq(result, -EINVAL);
    ck_assert_int_eq(error, 4711);
    ck_assert_uint_eq(fake.alarm_ns, alarm);
    if (armed) {
        EXPECT(aw_timer_remaining(timer, &ns), 0);
        ck_assert_uint_eq(ns, left);
    } else {
        EXPECT(aw_timer_remaining(timer, &ns), -ESRCH);
    }
    EXPECT(aw_next(&ns), 1);
    ck_assert_uint_ge(ns, fake.now_ns + (armed ? AW_SEC(1) : AW_SEC(2)));
    /* What was armed still comes, by its signal. */
    fake_advance(AW_SEC(2) + FAKE_TICK_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, armed ? 2 : 1);
    EXPECT(call(which, timer), 0);
    fake_advance(AW_MS(1) + FAKE_TICK_NS + 2 * FAKE_COARSE_NS + 1001);
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, armed ? 3 : 2);
}
END_TEST

START_TEST(h26_guard_fails)
{
    struct aw_guard guard, outer;
    int gave_up = 0;
    EXPECT(fake_start(), 0);
    EXPECT(aw_guard_enter(&outer, AW_SEC(1), 0), 0);
    uint64_t alarm = fake.alarm_ns;
    fault_plan_always(fake_programming(), ENOSYS);
    EXPECT(aw_guard_enter(&guard, AW_MS(1), 0), -ENOSYS);
    EXPECT(aw_guard_error(&guard), -ENOSYS);
    EXPECT(aw_guard_leave(&guard), -ENOENT);
    EXPECT(aw_guard_mark(), 1);
    AW_GUARD(&guard, AW_MS(1), 0) {
        ck_abort();
    }
    AW_EXPIRED
    {
        ++gave_up;
        EXPECT(aw_guard_error(&guard), -ENOSYS);
    }
    ck_assert_int_eq(gave_up, 1);
    fault_clear();
    ck_assert_uint_eq(fake.alarm_ns, alarm);
    EXPECT(aw_guard_enter(&guard, AW_MS(1), 0), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&outer), 0);
}
END_TEST

START_TEST(h26_quiet_fails)
{
    struct aw_timer timer;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    EXPECT(aw_timer_disarm(timer), 1);
    fault_plan_always(fake_programming(), ENOSYS);
    EXPECT(aw_quiet(), -ENOSYS);
    fault_clear();
    EXPECT(aw_quiet(), 1);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* The dispatch cannot program the next deadline: it says so, and the timers are not lost. */
START_TEST(h26_dispatch_fails)
{
    struct aw_timer timer;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    fake_advance(AW_MS(11));
    fault_plan_always(fake_programming(), ENOSYS);
    EXPECT(aw_safepoint(), -ENOSYS);
    ck_assert_int_eq(runs, 1);
    fault_clear();
    fake_advance(AW_MS(10));
    EXPECT(aw_dispatch(0), 1);
    fake_advance(AW_MS(10));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 3);
}
END_TEST

/* The handler cannot re-arm: a call that reads the clock finds it overdue, again and again until it works. */
START_TEST(h26_handler_and_recovery_fail)
{
    struct aw_timer timer, other;
    struct aw_stats all = { .size = sizeof all };
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, count, NULL), 0);
    EXPECT(aw_timer_create(&other, count, NULL), 0);
    EXPECT(aw_timer_arm(other, AW_SEC(60)), 0);
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    fake.alarm_ns = fake.now_ns + AW_MS(500); /* another's */
    fault_plan_always(fake_programming(), ENOSYS);
    fake_advance(AW_SEC(2));
    EXPECT(aw_timer_arm(other, AW_SEC(60)), 0);
    fake_lose(AW_MS(20));
    EXPECT(aw_timer_arm(other, AW_SEC(60)), 0);
    EXPECT(aw_stats_read(&all), 0);
    ck_assert_uint_eq(all.recoveries, 2);
    fault_clear();
    EXPECT(aw_dispatch(0), 1);
    fake_advance(AW_SEC(61));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(runs, 2);
}
END_TEST

START_TEST(h26_wakeup_fd_fails)
{
    EXPECT(fake_start(), 0);
    fault_plan(FAULT_EVENTFD, 1, EMFILE);
    EXPECT(aw_wakeup_fd(), -EMFILE);
    EXPECT(aw_dispatch(0), 0);
    int fd = aw_wakeup_fd();
    ck_assert_int_ge(fd, 0);
    EXPECT(aw_wakeup_fd(), fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault");
    TCase *tc = tcase_create("fault");
    tcase_add_checked_fixture(tc, begin, end);
    if (!fake_is_posix()) /* its table has both */
        tcase_add_loop_test(tc, h26_init_fails, 0, 2 * STARTS);
    tcase_add_test(tc, h26_init_without_descriptors);
    tcase_add_test(tc, h26_create_fails);
    tcase_add_loop_test(tc, h26_arm_fails, 0, 2 * ARM_CALLS);
    tcase_add_test(tc, h26_guard_fails);
    tcase_add_test(tc, h26_quiet_fails);
    tcase_add_test(tc, h26_dispatch_fails);
    tcase_add_test(tc, h26_handler_and_recovery_fail);
    tcase_add_test(tc, h26_wakeup_fd_fails);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
