/* SPDX-License-Identifier: MIT */
/*
 * signal_child.c: aw_child_wait: the status, the time-out, what runs meanwhile, and who is in the wrong to
 * call it. That no status is lost is the race checker's business, and stress_children's.
 */
#include <alarmwheel/child.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

#define LIMIT AW_MS(20)
#define FOR_HANGS AW_SEC(20)
#define UNTOUCHED 0x5a5a

static int status;

static int wait_for(pid_t pid, uint64_t timeout_ns)
{
    status = UNTOUCHED;
    return aw_child_wait(pid, &status, timeout_ns);
}

/* Children that end when they are told to, or are. */

static int exit_7(void *arg)
{
    (void)arg;
    return 7;
}

static int die(void *arg)
{
    (void)arg;
    return raise(SIGKILL);
}

static int stay(void *arg)
{
    (void)arg;
    pass_ms(60000);
    return 0;
}

static pid_t zombie(void)
{
    siginfo_t info;
    pid_t pid = in_child(0, exit_7, NULL);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

static void kill_and_reap(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    expect_killed(pid, SIGKILL);
}

#define IS_EXIT_7 (WIFEXITED(status) && WEXITSTATUS(status) == 7)

/* ---- statuses and time ---- */

START_TEST(statuses)
{
    start_variant(_i);
    pid_t pid = in_child(20, exit_7, NULL);
    uint64_t start = clock_ns();
    errno = EDOM;
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), 0);
    ck_assert_int_eq(errno, EDOM);
    ck_assert_uint_lt(clock_ns() - start, FOR_HANGS);
    ck_assert(IS_EXIT_7);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), -ECHILD);
    ck_assert_int_eq(errno, EDOM);
    ck_assert_int_eq(status, UNTOUCHED);

    pid = in_child(20, die, NULL);
    ck_assert_int_eq(wait_for(pid, FOR_HANGS), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    pid = in_child(5, exit_7, NULL);
    ck_assert_int_eq(aw_child_wait(pid, NULL, AW_FOREVER), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), -1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(time_over)
{
    start_variant(_i);
    pid_t pid = in_child(0, stay, NULL);
    for (unsigned i = 0; i < 3; ++i) {
        uint64_t start = clock_ns();
        ck_assert_int_eq(wait_for(pid, LIMIT), -ETIMEDOUT);
        ck_assert_uint_ge(clock_ns() - start, LIMIT);
        ck_assert_uint_lt(clock_ns() - start, FOR_HANGS);
        ck_assert_int_eq(status, UNTOUCHED);
    }
    ck_assert_int_eq(wait_for(pid, 1), -ETIMEDOUT);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(wait_for(pid, FOR_HANGS), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

/* Nothing runs in a look, not even what is due. */
START_TEST(zero_only_looks)
{
    struct aw_timer timer;
    unsigned runs = 0;
    start_variant(_i);
    pid_t running = in_child(0, stay, NULL), ended = zombie();
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    pass_ms(5);
    ck_assert_int_eq(wait_for(running, 0), -ETIMEDOUT);
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(wait_for(ended, 0), 0);
    ck_assert(IS_EXIT_7);
    ck_assert_int_eq(wait_for(ended, 0), -ECHILD);
    ck_assert_uint_eq(runs, 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    kill_and_reap(running);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A child that has ended is never said to be late, however little time there was. */
START_TEST(ended_is_in_time)
{
    start_variant(_i);
    for (unsigned i = 0; i < scaled(100); ++i) {
        pid_t pid = zombie();
        ck_assert_int_eq(wait_for(pid, i % 2 == 0 ? 1 : AW_US(i)), 0);
        ck_assert(IS_EXIT_7);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Stopped and continued is not ended. */
START_TEST(stopped_is_not_ended)
{
    start_variant(_i);
    pid_t pid = in_child(0, stay, NULL);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(wait_for(pid, LIMIT), -ETIMEDOUT);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(wait_for(pid, LIMIT), -ETIMEDOUT);
    kill_and_reap(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The status of one child, and of no other. */
START_TEST(others_keep_theirs)
{
    start_variant(_i);
    pid_t before = zombie(), it = in_child(10, exit_7, NULL), after = zombie();
    ck_assert_int_eq(wait_for(it, AW_FOREVER), 0);
    expect_exit(before, 7);
    expect_exit(after, 7);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- what runs meanwhile ---- */

static unsigned kicks;

static int kick(struct aw_timer timer, void *arg)
{
    (void)timer;
    return ++kicks == 5 ? kill(*(pid_t *)arg, SIGKILL) : 0;
}

/* It lives until a timer has run five times. */
START_TEST(timers_go_on)
{
    struct aw_timer timer;
    start_variant(_i);
    kicks = 0;
    pid_t pid = in_child(0, stay, NULL);
    ck_assert_int_eq(aw_timer_create(&timer, kick, &pid), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(2), AW_MS(2), AW_MISSED_SKIP), 0);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_uint_ge(kicks, 5);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int hostile(struct aw_timer timer, void *arg)
{
    (void)timer;
    return *(int *)arg;
}

START_TEST(value_of_a_callback_comes_out)
{
    static const int values[] = { -7, -ECANCELED, -EINTR, -ECHILD, -1 };
    struct aw_timer timer;
    int value;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    pid_t pid = in_child(0, stay, NULL);
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; ++i) {
        value = values[i];
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
        ck_assert_int_eq(wait_for(pid, FOR_HANGS), value);
        ck_assert_int_eq(status, UNTOUCHED);
    }
    kill_and_reap(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int end_it_and_say_timed_out(struct aw_timer timer, void *arg)
{
    const pid_t *pid = arg;
    siginfo_t info;
    (void)timer;
    ck_assert_int_eq(kill(*pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)*pid, &info, WEXITED | WNOWAIT), 0);
    return -ETIMEDOUT;
}

/* One that looks like a time-out: it comes out, and the child that ended meanwhile is left. */
START_TEST(callback_that_says_timed_out)
{
    struct aw_timer timer;
    pid_t pid = 0;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, end_it_and_say_timed_out, &pid), 0);
    for (unsigned i = 0; i < 2; ++i) {
        pid = in_child(0, stay, NULL);
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
        ck_assert_int_eq(wait_for(pid, i == 0 ? AW_FOREVER : FOR_HANGS), -ETIMEDOUT);
        ck_assert_int_eq(status, UNTOUCHED);
        ck_assert_int_eq(wait_for(pid, 0), 0);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static struct aw_timer other;
static unsigned other_runs;

static int wait_inside(struct aw_timer timer, void *arg)
{
    (void)timer;
    ck_assert_int_eq(aw_timer_arm(other, AW_MS(1)), 0);
    uint64_t start = clock_ns();
    ck_assert_int_eq(wait_for(*(pid_t *)arg, LIMIT), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns() - start, LIMIT);
    ck_assert_int_eq(kill(*(pid_t *)arg, SIGKILL), 0);
    ck_assert_int_eq(wait_for(*(pid_t *)arg, AW_FOREVER), 0);
    ck_assert_uint_eq(other_runs, 0);
    return 0;
}

START_TEST(inside_a_callback)
{
    struct aw_timer timer;
    start_variant(_i);
    other_runs = 0;
    pid_t pid = in_child(0, stay, NULL);
    ck_assert_int_eq(aw_timer_create(&timer, wait_inside, &pid), 0);
    ck_assert_int_eq(aw_timer_create(&other, count, &other_runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    ck_assert_int_ge(aw_wait(AW_FOREVER), 1);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (other_runs == 0)
        ck_assert_int_ge(aw_wait(FOR_HANGS), 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int fork_here(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(pid_t *)arg = fork();
    return 0;
}

/* Whose callback forks has two returns of one call: the child's is an error. */
START_TEST(callback_that_forks)
{
    struct aw_timer timer;
    pid_t fork_result = -1;
    start_variant(_i);
    pid_t pid = in_child(100, exit_7, NULL);
    ck_assert_int_eq(aw_timer_create(&timer, fork_here, &fork_result), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
    int result = wait_for(pid, AW_FOREVER);
    if (fork_result == 0)
        _exit(result == -ENODEV && status == UNTOUCHED ? 0 : 1);
    ck_assert_int_eq(result, 0);
    ck_assert(IS_EXIT_7);
    if (fork_result > 0) /* not on so slow a machine that the child had ended first */
        expect_exit(fork_result, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static volatile sig_atomic_t handled;

static void on_signal(int signo)
{
    (void)signo;
    handled = handled + 1;
}

static int bother(void *arg)
{
    pid_t parent = getppid();
    (void)arg;
    for (unsigned i = 0; i < 20; ++i) {
        kill(parent, SIGUSR1);
        pass_ms(1);
    }
    return 0;
}

/* Handlers of others, SIGCHLD's among them, do not end it. */
START_TEST(handlers_do_not_end_it)
{
    start_variant(_i);
    handle_signal(SIGUSR1, on_signal, 0);
    handle_signal(SIGCHLD, on_signal, 0);
    pid_t pid = in_child(60, exit_7, NULL), sender = in_child(5, bother, NULL);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), 0);
    ck_assert(IS_EXIT_7);
    ck_assert_int_eq(wait_for(sender, AW_FOREVER), 0);
    ck_assert_int_gt(handled, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- guards ---- */

START_TEST(guard_ends_it)
{
    struct aw_guard guard;
    start_variant(_i);
    pid_t pid = in_child(0, stay, NULL);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, LIMIT, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns() - start, LIMIT);
    ck_assert_int_eq(status, UNTOUCHED);
    pid_t ended = zombie();
    ck_assert_int_eq(wait_for(ended, AW_FOREVER), -ETIMEDOUT); /* over before it begins */
    ck_assert_int_eq(wait_for(ended, 0), 0);                   /* but a look is a look */
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(wait_for(pid, LIMIT), -ETIMEDOUT);
    kill_and_reap(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(in_time_for_the_guard)
{
    struct aw_guard guard;
    start_variant(_i);
    pid_t pid = in_child(10, exit_7, NULL);
    ck_assert_int_eq(aw_guard_enter(&guard, FOR_HANGS, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert(IS_EXIT_7);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int write_byte(void *arg)
{
    return write(*(int *)arg, "x", 1) == 1 ? 0 : 1;
}

/* A callback's value hides a guard: nobody has told of it, so it goes on interrupting plain calls. */
START_TEST(guard_behind_a_callback)
{
    struct aw_guard guard;
    struct aw_timer timer;
    int ends[2], value = -7;
    char byte;
    start_variant(_i);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = in_child(0, stay, NULL), writer = in_child(5000, write_byte, &ends[1]);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(2), AW_GUARD_DEFAULT), 0);
    pass_ms(5);
    ck_assert_int_eq(wait_for(pid, AW_FOREVER), -7);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    kill_and_reap(writer);
    kill_and_reap(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(escape_out_of_it)
{
    struct aw_guard guard;
    volatile bool returned = false, expired = false;
    start_variant(_i);
    volatile pid_t pid = in_child(0, stay, NULL);
    AW_GUARD(&guard, LIMIT, AW_GUARD_ESCAPE) {
        wait_for(pid, AW_FOREVER);
        returned = true;
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert(expired);
    ck_assert(!returned);
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(wait_for(pid, LIMIT), -ETIMEDOUT);
    kill_and_reap(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- who is in the wrong ---- */

START_TEST(wrong_arguments)
{
    ck_assert_int_eq(wait_for(1, 0), -ENODEV);
    ck_assert_int_eq(wait_for(0, AW_FOREVER), -ENODEV);
    start_variant(_i);
    ck_assert_int_eq(wait_for(0, AW_FOREVER), -EINVAL);
    ck_assert_int_eq(wait_for(-1, AW_FOREVER), -EINVAL);
    ck_assert_int_eq(wait_for(-getpgrp(), AW_FOREVER), -EINVAL);
    ck_assert_int_eq(wait_for(1, AW_FOREVER), -ECHILD);
    ck_assert_int_eq(wait_for(getpid(), AW_FOREVER), -ECHILD);
    ck_assert_int_eq(wait_for(getppid(), LIMIT), -ECHILD);
    ck_assert_int_eq(wait_for(INT32_MAX, 0), -ECHILD);
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(wait_for(getpid(), 0), -ENODEV);
}
END_TEST

static void *wait_elsewhere(void *arg)
{
    return (void *)(intptr_t)aw_child_wait(*(pid_t *)arg, NULL, AW_FOREVER);
}

static int wait_in_fork(void *arg)
{
    return wait_for(*(pid_t *)arg, AW_FOREVER) == -ENODEV ? 0 : 1;
}

START_TEST(wrong_thread_and_process)
{
    pthread_t thread;
    void *result;
    start_variant(_i);
    pid_t pid = zombie();
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_elsewhere, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((intptr_t)result, -EPERM);
    expect_exit(in_child(0, wait_in_fork, &pid), 0);
    ck_assert_int_eq(wait_for(pid, 0), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Where SIGCHLD is ignored nobody gets a status; but the wait ends. */
START_TEST(children_that_are_ignored)
{
    start_variant(_i);
    handle_signal(SIGCHLD, SIG_IGN, 0);
    pid_t pid = in_child(10, exit_7, NULL);
    ck_assert_int_eq(wait_for(pid, FOR_HANGS), -ECHILD);
    ck_assert_int_eq(status, UNTOUCHED);
    handle_signal(SIGCHLD, SIG_DFL, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("waiting for a child");
    TCase *tcase = signal_case(suite, "wait");

    tcase_add_loop_test(tcase, statuses, 0, VARIANTS);
    tcase_add_loop_test(tcase, time_over, 0, VARIANTS);
    tcase_add_loop_test(tcase, zero_only_looks, 0, VARIANTS);
    tcase_add_loop_test(tcase, ended_is_in_time, 0, VARIANTS);
    tcase_add_loop_test(tcase, stopped_is_not_ended, 0, VARIANTS);
    tcase_add_loop_test(tcase, others_keep_theirs, 0, VARIANTS);
    tcase_add_loop_test(tcase, timers_go_on, 0, VARIANTS);
    tcase_add_loop_test(tcase, value_of_a_callback_comes_out, 0, VARIANTS);
    tcase_add_loop_test(tcase, callback_that_says_timed_out, 0, VARIANTS);
    tcase_add_loop_test(tcase, inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, callback_that_forks, 0, VARIANTS);
    tcase_add_loop_test(tcase, handlers_do_not_end_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, guard_ends_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, in_time_for_the_guard, 0, VARIANTS);
    tcase_add_loop_test(tcase, guard_behind_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, escape_out_of_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_arguments, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_thread_and_process, 0, VARIANTS);
    tcase_add_loop_test(tcase, children_that_are_ignored, 0, VARIANTS);
    return run_suite(suite);
}
