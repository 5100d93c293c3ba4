/* SPDX-License-Identifier: MIT */
/*
 * signal_watch.c: watched signals and their callbacks: who is called, in which order, with what siginfo and
 * count, and what a callback may do. The queue and the dispositions are signal_watch_state.c's, what watching
 * does to the process signal_watch_process.c's.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

/* What a watcher was told. */
struct told {
    unsigned runs;
    uint64_t counted;
    uint64_t last_count;
    siginfo_t info;
    unsigned turn; /* when it ran last, among all watchers */
    int result;
};

static unsigned turns;
static bool in_safepoint;
static unsigned outside; /* callbacks that ran anywhere else */

static int note(const siginfo_t *info, uint64_t count, void *arg)
{
    struct told *told = arg;
    outside += !in_safepoint;
    ++told->runs;
    told->counted += count;
    told->last_count = count;
    told->info = *info;
    told->turn = ++turns;
    return told->result;
}

static int dispatch(void)
{
    in_safepoint = true;
    int result = aw_dispatch(0);
    in_safepoint = false;
    return result;
}

static void watch(int signo, aw_signal_fn *fn, void *arg)
{
    ck_assert_int_eq(aw_signal_watch(signo, fn, arg), 0);
}

static void unwatch(int signo, aw_signal_fn *fn, void *arg)
{
    ck_assert_int_eq(aw_signal_unwatch(signo, fn, arg), 0);
}

static void start(int variant)
{
    turns = outside = 0;
    start_variant(variant);
}

static void stop(void)
{
    ck_assert_uint_eq(outside, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

static void queue_value(int signo, int value)
{
    const union sigval with = { .sival_int = value };
    ck_assert_int_eq(sigqueue(getpid(), signo, with), 0);
}

static struct aw_signal_state state_of(int signo)
{
    struct aw_signal_state state = { .size = sizeof state };
    ck_assert_int_eq(aw_signal_query(signo, &state), 0);
    ck_assert_uint_eq(state.size, sizeof state);
    return state;
}

/* ---- what a watcher is told ---- */

START_TEST(runs_at_the_next_safe_point)
{
    struct told told = { 0 };
    start(_i);
    watch(SIGUSR1, note, &told);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_uint_eq(told.runs, 0);
    ck_assert_int_eq(dispatch(), 1);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert_uint_eq(told.last_count, 1);
    ck_assert_int_eq(told.info.si_signo, SIGUSR1);
    ck_assert_int_eq(told.info.si_pid, getpid());
    ck_assert_int_eq(dispatch(), 0);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert_int_eq(aw_safepoint(), 0);
    raise(SIGUSR1);
    in_safepoint = true;
    ck_assert_int_eq(aw_safepoint(), 0);
    in_safepoint = false;
    ck_assert_uint_eq(told.runs, 2);
    stop();
}
END_TEST

/* The info is that of the last one, the count that of all since the last run. */
START_TEST(counts_and_the_last_info)
{
    struct told told = { 0 };
    start(_i);
    watch(SIGUSR1, note, &told);
    for (int i = 1; i <= 5; ++i)
        queue_value(SIGUSR1, i);
    ck_assert_int_eq(dispatch(), 1);
    ck_assert_uint_eq(told.last_count, 5);
    ck_assert_int_eq(told.info.si_code, SI_QUEUE);
    ck_assert_int_eq(told.info.si_value.sival_int, 5);
    queue_value(SIGUSR1, 6);
    ck_assert_int_eq(dispatch(), 1);
    ck_assert_uint_eq(told.last_count, 1);
    ck_assert_int_eq(told.info.si_value.sival_int, 6);
    ck_assert_uint_eq(state_of(SIGUSR1).received, 6);
    ck_assert_uint_eq(state_of(SIGUSR1).merged, 0);
    stop();
}
END_TEST

/* A child's end comes with its status. */
START_TEST(info_of_a_child)
{
    struct told told = { 0 };
    start(_i);
    watch(SIGCHLD, note, &told);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    in_safepoint = true;
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    in_safepoint = false;
    ck_assert_int_eq(told.info.si_code, CLD_EXITED);
    ck_assert_int_eq(told.info.si_pid, pid);
    ck_assert_int_eq(told.info.si_status, 7);
    expect_exit(pid, 7);
    stop();
}
END_TEST

START_TEST(signals_of_their_own)
{
    struct told one = { 0 }, two = { 0 };
    start(_i);
    watch(SIGUSR1, note, &one);
    watch(SIGUSR2, note, &two);
    raise(SIGUSR2);
    ck_assert_int_eq(dispatch(), 1);
    ck_assert_uint_eq(one.runs, 0);
    ck_assert_uint_eq(two.runs, 1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 2);
    ck_assert_uint_eq(one.runs, 1);
    ck_assert_uint_eq(two.runs, 2);
    stop();
}
END_TEST

/* ---- several on one signal ---- */

START_TEST(several_in_their_order)
{
    struct told told[5] = { 0 };
    start(_i);
    for (unsigned i = 0; i < 5; ++i)
        watch(SIGUSR1, note, &told[i]);
    raise(SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 5);
    for (unsigned i = 0; i < 5; ++i) {
        ck_assert_uint_eq(told[i].turn, i + 1);
        ck_assert_uint_eq(told[i].last_count, 2);
    }
    /* One that went and came again is the last. */
    unwatch(SIGUSR1, note, &told[1]);
    watch(SIGUSR1, note, &told[1]);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 5);
    const unsigned order[] = { 0, 2, 3, 4, 1 };
    for (unsigned i = 0; i < 5; ++i)
        ck_assert_uint_eq(told[order[i]].turn, 5 + i + 1);
    stop();
}
END_TEST

static struct told added;

static int add_another(const siginfo_t *info, uint64_t count, void *arg)
{
    int result = aw_signal_watch(SIGUSR1, note, &added);
    (void)info;
    (void)count;
    ck_assert(result == 0 || result == -EEXIST);
    return note(info, count, arg);
}

/* It watches what comes from then on. */
START_TEST(added_in_a_callback)
{
    struct told first = { 0 }, last = { 0 };
    memset(&added, 0, sizeof added);
    start(_i);
    watch(SIGUSR1, add_another, &first);
    watch(SIGUSR1, note, &last);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 2);
    ck_assert_uint_eq(added.runs, 0);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 3);
    ck_assert_uint_eq(added.runs, 1);
    ck_assert_uint_gt(added.turn, last.turn);
    stop();
}
END_TEST

static int watch_again(const siginfo_t *info, uint64_t count, void *arg)
{
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, watch_again, arg), 0);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, watch_again, arg), 0);
    return note(info, count, arg);
}

/* One that leaves and comes back is not called for ever for what came once. */
START_TEST(watches_again_in_its_callback)
{
    struct told told = { 0 };
    start(_i);
    watch(SIGUSR1, watch_again, &told);
    for (unsigned i = 1; i <= 3; ++i) {
        raise(SIGUSR1);
        ck_assert_int_eq(dispatch(), 1);
        ck_assert_int_eq(dispatch(), 0);
        ck_assert_uint_eq(told.runs, i);
    }
    stop();
}
END_TEST

static struct told *victim;

static int remove_victim(const siginfo_t *info, uint64_t count, void *arg)
{
    if (victim != NULL)
        ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, victim == arg ? remove_victim : note, victim), 0);
    victim = NULL;
    return note(info, count, arg);
}

/* Before it, itself, and behind it. */
START_TEST(removed_in_a_callback)
{
    for (unsigned which = 0; which < 3; ++which) {
        struct told told[3] = { 0 };
        start(_i);
        watch(SIGUSR1, note, &told[0]);
        watch(SIGUSR1, remove_victim, &told[1]);
        watch(SIGUSR1, note, &told[2]);
        victim = &told[which];
        raise(SIGUSR1);
        ck_assert_int_eq(dispatch(), which == 2 ? 2 : 3);
        raise(SIGUSR1);
        ck_assert_int_eq(dispatch(), 2);
        for (unsigned i = 0; i < 3; ++i)
            ck_assert_uint_eq(told[i].runs, i != which ? 2 : which == 2 ? 0 : 1);
        stop();
    }
}
END_TEST

static int remove_all(const siginfo_t *info, uint64_t count, void *arg)
{
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, NULL, NULL), 0);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, NULL, NULL), -ENOENT);
    return note(info, count, arg);
}

START_TEST(all_removed_in_a_callback)
{
    struct told first = { 0 }, second = { 0 };
    start(_i);
    signal(SIGUSR1, SIG_IGN);
    watch(SIGUSR1, remove_all, &first);
    watch(SIGUSR1, note, &second);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), 1);
    ck_assert_uint_eq(second.runs, 0);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_IGNORED);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(dispatch(), 0);
    stop();
}
END_TEST

/* ---- what comes out of a callback ---- */

START_TEST(negative_value_ends_the_dispatch)
{
    struct told told[3] = { 0 }, other = { 0 };
    start(_i);
    told[1].result = -77;
    for (unsigned i = 0; i < 3; ++i)
        watch(SIGUSR1, note, &told[i]);
    watch(SIGUSR2, note, &other);
    raise(SIGUSR1);
    raise(SIGUSR2);
    ck_assert_int_eq(dispatch(), -77);
    ck_assert_uint_eq(told[0].runs, 1);
    ck_assert_uint_eq(told[1].runs, 1);
    ck_assert_uint_eq(told[2].runs, 0);
    ck_assert_uint_eq(other.runs, 0);
    /* The others run at the next safe point. */
    ck_assert_int_eq(dispatch(), 2);
    ck_assert_uint_eq(told[0].runs, 1);
    ck_assert_uint_eq(told[1].runs, 1);
    ck_assert_uint_eq(told[2].runs, 1);
    ck_assert_uint_eq(other.runs, 1);
    ck_assert_int_eq(dispatch(), 0);
    stop();
}
END_TEST

/* Out of each kind of safe point. */
START_TEST(negative_value_comes_out)
{
    struct told told = { .result = -5 };
    start(_i);
    watch(SIGUSR1, note, &told);
    in_safepoint = true;
    raise(SIGUSR1);
    ck_assert_int_eq(aw_safepoint(), -5);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), -5);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_poll(NULL, 0, AW_SEC(60)), -5);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_run(), -5);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_pause(), -5);
    told.result = 12;
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(told.runs, 6);
    stop();
}
END_TEST

static jmp_buf back;

static int jump(const siginfo_t *info, uint64_t count, void *arg)
{
    note(info, count, arg);
    longjmp(back, 1);
}

START_TEST(longjmp_out_of_a_callback)
{
    static struct told jumper, behind, later;
    jumper = behind = later = (struct told){ 0 };
    start(_i);
    watch(SIGUSR1, jump, &jumper);
    watch(SIGUSR1, note, &behind);
    watch(SIGUSR2, note, &later);
    for (volatile unsigned i = 1; i <= 3; ++i) {
        raise(SIGUSR1);
        raise(SIGUSR2);
        if (setjmp(back) == 0) {
            dispatch();
            ck_abort_msg("it returned");
        }
        ck_assert_uint_eq(jumper.runs, i);
        ck_assert_uint_eq(later.runs, i - 1);
        ck_assert_int_eq(dispatch(), 2);
        ck_assert_uint_eq(jumper.runs, i);
        ck_assert_uint_eq(behind.runs, i);
        ck_assert_uint_eq(later.runs, i);
    }
    stop();
}
END_TEST

static volatile unsigned counted;

static void count_signal(int signo)
{
    (void)signo;
    ++counted;
}

static int call_everything(const siginfo_t *info, uint64_t count, void *arg)
{
    siginfo_t other;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &other, 0), -EDEADLK);
    ck_assert_int_eq(aw_pause(), -EDEADLK);
    ck_assert_int_eq(aw_wait(0), -EDEADLK);
    ck_assert_int_ge(aw_signal_pending(&set), 0);
    raise(SIGUSR1); /* it comes again at the next look */
    ck_assert_int_eq(aw_safepoint(), 0);
    return note(info, count, arg);
}

START_TEST(waits_and_safe_points_in_a_callback)
{
    struct told told = { .result = -1 };
    start(_i);
    handle_signal(SIGUSR1, count_signal, 0);
    counted = 0;
    watch(SIGUSR1, call_everything, &told);
    raise(SIGUSR1);
    ck_assert_int_eq(dispatch(), -1);
    ck_assert_uint_eq(told.runs, 1);
    /* What was raised in the callback is there, and nobody watches any more. */
    unwatch(SIGUSR1, call_everything, &told);
    ck_assert_uint_eq(counted, 1);
    ck_assert_int_eq(dispatch(), 0);
    stop();
}
END_TEST

/* A timer, a guard, a post and a second signal from inside a callback. */
static int tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

static struct aw_timer armed_inside;

static int arm_a_timer(const siginfo_t *info, uint64_t count, void *arg)
{
    struct aw_guard guard;
    uint64_t expired = stats_now().guards;
    ck_assert_int_eq(aw_timer_arm(armed_inside, AW_MS(1)), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(2), AW_GUARD_DEFAULT), 0);
    pass_until_expired(expired + 1);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    return note(info, count, arg);
}

START_TEST(timers_and_guards_in_a_callback)
{
    struct told told = { 0 };
    unsigned ticks = 0;
    start(_i);
    ck_assert_int_eq(aw_timer_create(&armed_inside, tick, &ticks), 0);
    watch(SIGUSR1, arm_a_timer, &told);
    for (unsigned i = 1; i <= 3; ++i) {
        raise(SIGUSR1);
        in_safepoint = true;
        while (ticks < i)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        in_safepoint = false;
        ck_assert_uint_eq(told.runs, i);
    }
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watched signals");
    TCase *told = signal_case(suite, "told");
    TCase *several = signal_case(suite, "several");
    TCase *out = signal_case(suite, "out of a callback");

    tcase_add_loop_test(told, runs_at_the_next_safe_point, 0, VARIANTS);
    tcase_add_loop_test(told, counts_and_the_last_info, 0, VARIANTS);
    tcase_add_loop_test(told, info_of_a_child, 0, VARIANTS);
    tcase_add_loop_test(told, signals_of_their_own, 0, VARIANTS);
    tcase_add_loop_test(several, several_in_their_order, 0, VARIANTS);
    tcase_add_loop_test(several, added_in_a_callback, 0, VARIANTS);
    tcase_add_loop_test(several, watches_again_in_its_callback, 0, VARIANTS);
    tcase_add_loop_test(several, removed_in_a_callback, 0, VARIANTS);
    tcase_add_loop_test(several, all_removed_in_a_callback, 0, VARIANTS);
    tcase_add_loop_test(out, negative_value_ends_the_dispatch, 0, VARIANTS);
    tcase_add_loop_test(out, negative_value_comes_out, 0, VARIANTS);
    tcase_add_loop_test(out, longjmp_out_of_a_callback, 0, VARIANTS);
    tcase_add_loop_test(out, waits_and_safe_points_in_a_callback, 0, VARIANTS);
    tcase_add_loop_test(out, timers_and_guards_in_a_callback, 0, VARIANTS);
    return run_suite(suite);
}
