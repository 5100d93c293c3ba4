/* SPDX-License-Identifier: MIT */
/*
 * signal_io.c: every guarded call that can block, blocked: it times out and never early, has its result
 * afterwards, goes on after signals with the time that is left, runs callbacks, and obeys guards. For both
 * alarm sources, by the stub and by the portable way. What is special to one call is in
 * signal_io_special.c.
 */
#include <alarmwheel/io.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blocking.h"
#include "check_main.h"
#include "signal_fixture.h"

#define LIMIT AW_MS(10)
#define FOR_HANGS AW_SEC(20)

/* valgrind does not know that this one blocks, and lets no signal through. */
static bool is_tested(const struct blocking *blocking)
{
    return !(under_valgrind() && strcmp(blocking->name, "F_OFD_SETLKW") == 0);
}

typedef void test_fn(const struct blocking *blocking, struct stage *stage);

static void for_each_call(test_fn *test)
{
    for (unsigned i = 0; i < n_blocking_calls; ++i) {
        struct stage stage;
        if (!is_tested(&blocking_calls[i]))
            continue;
        unsigned descriptors = open_descriptors();
        stage_build(&stage, &blocking_calls[i]);
        test(&blocking_calls[i], &stage);
        stage_clear(&stage);
        ck_assert_msg(open_descriptors() == descriptors, "%s: a descriptor is left", blocking_calls[i].name);
    }
}

static void expect_failure(const struct blocking *blocking, struct stage *stage, uint64_t timeout_ns,
                           int error, uint64_t at_least_ns)
{
    uint64_t start = clock_ns();
    errno = 0;
    long result = blocking->call(stage, timeout_ns);
    int got = errno;
    uint64_t took = clock_ns() - start;
    ck_assert_msg(result == -1 && got == error, "%s: %ld, %s", blocking->name, result, strerror(got));
    ck_assert_msg(aw_timed_out() == (error == ETIMEDOUT), "%s: whose time-out?", blocking->name);
    ck_assert_msg(took >= at_least_ns, "%s: early, after %llu ns", blocking->name, (unsigned long long)took);
    ck_assert_msg(took < FOR_HANGS, "%s: late, after %llu ns", blocking->name, (unsigned long long)took);
}

static void expect_result(const struct blocking *blocking, struct stage *stage, uint64_t timeout_ns)
{
    errno = 4711;
    long result = blocking->call(stage, timeout_ns);
    ck_assert_msg(result >= 0, "%s: %s", blocking->name, strerror(errno));
    ck_assert_msg(!aw_timed_out(), "%s: timed out with a result", blocking->name);
}

/* It can be had, now. */
static void expect_result_when_released(const struct blocking *blocking, struct stage *stage)
{
    pid_t pid = release_later(stage, blocking, 0);
    expect_result(blocking, stage, AW_SEC(60));
    expect_exit(pid, 0);
}

/* What times out has taken nothing: the result is there for the next call. */
static void time_out(const struct blocking *blocking, struct stage *stage)
{
    expect_failure(blocking, stage, LIMIT, ETIMEDOUT, LIMIT);
    expect_failure(blocking, stage, 1, ETIMEDOUT, 1);
    expect_failure(blocking, stage, 0, ETIMEDOUT, 0);
    expect_result_when_released(blocking, stage);
}

START_TEST(times_out_and_never_early)
{
    start_variant(_i);
    for_each_call(time_out);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- signals of others ---- */

static volatile unsigned foreign_runs;

static void note_foreign(int signo)
{
    (void)signo;
    ++foreign_runs;
}

/* A signal every other millisecond, until killed. */
static int send_signals(void *arg)
{
    for (unsigned i = 0; i < 30000; ++i) {
        if (kill(*(const pid_t *)arg, SIGUSR1) != 0)
            return 0;
        usleep(2000);
    }
    return 0;
}

static pid_t storm_begin(int flags)
{
    static pid_t self;
    self = getpid();
    foreign_runs = 0;
    handle_signal(SIGUSR1, note_foreign, flags);
    return in_child(0, send_signals, &self);
}

static void storm_end(pid_t storm)
{
    kill(storm, SIGKILL);
    expect_killed(storm, SIGKILL);
    handle_signal(SIGUSR1, SIG_IGN, 0);
}

/* A call that began anew with all its time after each signal would not end before the storm. */
static void go_on(const struct blocking *blocking, struct stage *stage)
{
    unsigned before = foreign_runs;
    do
        expect_failure(blocking, stage, 3 * LIMIT, ETIMEDOUT, 3 * LIMIT);
    while (foreign_runs == before);
    pid_t pid = release_later(stage, blocking, 5);
    expect_result(blocking, stage, AW_FOREVER);
    expect_exit(pid, 0);
}

START_TEST(goes_on_after_signals)
{
    start_variant(_i);
    pid_t storm = storm_begin(0);
    for_each_call(go_on);
    storm_end(storm);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(goes_on_after_signals_that_restart)
{
    start_variant(_i);
    pid_t storm = storm_begin(SA_RESTART);
    for_each_call(go_on);
    storm_end(storm);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- callbacks ---- */

static struct ticks {
    unsigned runs;
    unsigned enough;                 /* by this one it is enough; 0: never */
    const struct blocking *blocking; /* and then this is released; NULL: it answers -EIO */
    struct stage *stage;
    pid_t releases;
} ticks;

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer, (void)arg;
    if (++ticks.runs != ticks.enough)
        return 0;
    if (ticks.blocking == NULL)
        return -EIO;
    ticks.releases = release_later(ticks.stage, ticks.blocking, 0);
    return 0;
}

static void tick_every(uint64_t period_ns)
{
    struct aw_timer timer;
    ck_assert_int_eq(aw_timer_create(&timer, tick, NULL), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, period_ns, period_ns, AW_MISSED_SKIP), 0);
}

/* It runs while the call blocks, which would not end without it, and has its result all the same. */
static void tick_meanwhile(const struct blocking *blocking, struct stage *stage)
{
    ticks = (struct ticks){ 0, 3, blocking, stage, -1 };
    expect_result(blocking, stage, AW_SEC(60));
    ck_assert_msg(ticks.runs >= 3, "%s: %u ticks", blocking->name, ticks.runs);
    expect_exit(ticks.releases, 0);
    ticks.enough = 0;
}

START_TEST(timers_run_meanwhile)
{
    start_variant(_i);
    ticks = (struct ticks){ .enough = 0 };
    tick_every(AW_MS(2));
    for_each_call(tick_meanwhile);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static void tick_and_time_out(const struct blocking *blocking, struct stage *stage)
{
    do {
        ticks.runs = 0;
        expect_failure(blocking, stage, LIMIT, ETIMEDOUT, LIMIT);
    } while (ticks.runs < 2);
}

START_TEST(timers_do_not_prolong_the_call)
{
    start_variant(_i);
    ticks = (struct ticks){ .enough = 0 };
    tick_every(AW_MS(1));
    for_each_call(tick_and_time_out);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static void cancel(const struct blocking *blocking, struct stage *stage)
{
    ticks = (struct ticks){ .enough = 3 };
    expect_failure(blocking, stage, AW_FOREVER, ECANCELED, 0);
    ck_assert_uint_eq(ticks.runs, 3);
    ticks.enough = 0;
    expect_result_when_released(blocking, stage);
}

START_TEST(negative_callback_cancels)
{
    start_variant(_i);
    ticks = (struct ticks){ .enough = 0 };
    tick_every(AW_MS(2));
    for_each_call(cancel);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int refuse(void *arg)
{
    (void)arg;
    return -EIO;
}

static void *post_later(void *arg)
{
    (void)arg;
    struct timespec span = { 0, 5000000 };
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    nanosleep(&span, NULL);
    ck_assert_int_eq(aw_post(refuse, NULL), 0);
    return NULL;
}

/* Another thread's post wakes the call. */
static void post(const struct blocking *blocking, struct stage *stage)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_later, NULL), 0);
    expect_failure(blocking, stage, AW_FOREVER, ECANCELED, 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(posts_wake_the_call)
{
    start_variant(_i);
    for (unsigned i = 0; i < 3; ++i)
        for_each_call(post);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Inside a callback: its own time-out, its own guards; neither other callbacks nor guards around it. */
static struct inside {
    const struct blocking *blocking;
    struct stage *stage;
    unsigned runs;
} inside;

static int call_inside(void *arg)
{
    struct aw_guard guard;
    unsigned ticks_before = ticks.runs;
    (void)arg;
    ++inside.runs;
    expect_failure(inside.blocking, inside.stage, 2 * LIMIT, ETIMEDOUT, 2 * LIMIT);
    ck_assert_int_eq(aw_guard_enter(&guard, LIMIT, AW_GUARD_DEFAULT), 0);
    expect_failure(inside.blocking, inside.stage, AW_FOREVER, ETIMEDOUT, 0);
    ck_assert(aw_guard_expired(&guard));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    expect_result_when_released(inside.blocking, inside.stage);
    ck_assert_uint_eq(ticks.runs, ticks_before);
    return 0;
}

static void call_in_callback(const struct blocking *blocking, struct stage *stage)
{
    struct aw_guard guard;
    inside = (struct inside){ blocking, stage, 0 };
    ck_assert_int_eq(aw_post(call_inside, NULL), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, LIMIT / 2, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_dispatch(0), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_uint_eq(inside.runs, 1);
}

START_TEST(h30_inside_a_callback)
{
    start_variant(_i);
    ticks = (struct ticks){ .enough = 0 };
    tick_every(AW_MS(1));
    for_each_call(call_in_callback);
    ck_assert_uint_gt(ticks.runs, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- guards ---- */

static void obey(const struct blocking *blocking, struct stage *stage)
{
    struct aw_guard outer, inner;
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&outer, LIMIT, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_guard_enter(&inner, AW_SEC(60), AW_GUARD_DEFAULT), 0);
    expect_failure(blocking, stage, AW_FOREVER, ETIMEDOUT, 0);
    ck_assert_uint_ge(clock_ns(), start + LIMIT);
    expect_failure(blocking, stage, AW_FOREVER, ETIMEDOUT, 0); /* and at once */
    ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
    ck_assert_int_eq(aw_guard_leave(&inner), -ECANCELED);
    ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_enter(&outer, AW_SEC(60), AW_GUARD_DEFAULT), 0);
    expect_failure(blocking, stage, LIMIT, ETIMEDOUT, LIMIT);
    ck_assert(!aw_guard_expired(&outer));
    expect_result_when_released(blocking, stage);
    ck_assert_int_eq(aw_guard_leave(&outer), 0);
}

START_TEST(obeys_guards)
{
    start_variant(_i);
    for_each_call(obey);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* In an escaping guard the call does not return: it escapes. Under a shield it does, with the time-out. */
static void escape(const struct blocking *blocking, struct stage *stage)
{
    struct aw_guard guard;
    volatile bool returned = false, expired = false;
    volatile uint64_t start = clock_ns();
    AW_GUARD(&guard, LIMIT, AW_GUARD_ESCAPE) {
        (void)blocking->call(stage, AW_FOREVER);
        returned = true;
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert_msg(!returned && expired, "%s: returned", blocking->name);
    ck_assert_uint_ge(clock_ns(), start + LIMIT);
    AW_GUARD(&guard, LIMIT, AW_GUARD_ESCAPE) {
        aw_shield();
        expect_failure(blocking, stage, AW_FOREVER, ETIMEDOUT, 0);
        expired = false;
        aw_unshield();
        returned = true;
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert_msg(!returned && expired, "%s: returned from the shield", blocking->name);
    expect_result_when_released(blocking, stage);
}

START_TEST(escapes_out_of_the_call)
{
    start_variant(_i);
    for_each_call(escape);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- the alarm ---- */

/* Nothing but the call's own time-out wants the alarm: it comes once, and takes nothing along. */
static void count_signals(const struct blocking *blocking, struct stage *stage)
{
    struct aw_stats before = stats_now();
    expect_failure(blocking, stage, LIMIT, ETIMEDOUT, LIMIT);
    pass_ms(3);
    uint64_t signals = stats_now().signals - before.signals;
    ck_assert_msg(signals >= 1 && signals <= 50, "%s: %llu signals", blocking->name,
                  (unsigned long long)signals);
    pass_ms(3);
    ck_assert_msg(stats_now().signals - before.signals == signals, "%s: they go on", blocking->name);
}

START_TEST(one_signal_a_time_out)
{
    start_variant(_i);
    for_each_call(count_signals);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guarded calls that block");
    TCase *tcase = signal_case(suite, "calls");

    tcase_add_loop_test(tcase, times_out_and_never_early, 0, VARIANTS);
    tcase_add_loop_test(tcase, goes_on_after_signals, 0, VARIANTS);
    tcase_add_loop_test(tcase, goes_on_after_signals_that_restart, 0, VARIANTS);
    tcase_add_loop_test(tcase, timers_run_meanwhile, 0, VARIANTS);
    tcase_add_loop_test(tcase, timers_do_not_prolong_the_call, 0, VARIANTS);
    tcase_add_loop_test(tcase, negative_callback_cancels, 0, VARIANTS);
    tcase_add_loop_test(tcase, posts_wake_the_call, 0, VARIANTS);
    tcase_add_loop_test(tcase, h30_inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, obeys_guards, 0, VARIANTS);
    tcase_add_loop_test(tcase, escapes_out_of_the_call, 0, VARIANTS);
    tcase_add_loop_test(tcase, one_signal_a_time_out, 0, VARIANTS);
    return run_suite(suite);
}
