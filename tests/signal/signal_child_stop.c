/* SPDX-License-Identifier: MIT */
/*
 * signal_child_stop.c: aw_child_stop: children that obey, that are deaf, stopped or dead already; groups
 * with grandchildren; and what ends the grace. A grandchild is watched through a pipe that it holds open.
 */
#include <alarmwheel/child.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

#define GRACE AW_MS(50)
#define LONG_GRACE AW_SEC(60)

/* What ends a long grace: not before the stop has begun, on a slow machine either. */
#define MEANWHILE AW_MS(300)
#define FOR_HANGS AW_SEC(30)
#define UNTOUCHED 0x5a5a

static int status;
static uint64_t took_ns;

static int stop_for(pid_t pid, uint64_t grace_ns)
{
    uint64_t start = clock_ns();
    status = UNTOUCHED;
    int result = aw_child_stop(pid, grace_ns, &status);
    took_ns = clock_ns() - start;
    return result;
}

#define WAS_KILLED(signo) (WIFSIGNALED(status) && WTERMSIG(status) == (signo))
#define HAS_EXITED(code) (WIFEXITED(status) && WEXITSTATUS(status) == (code))

/* ---- children ---- */

static int stay(void *arg)
{
    (void)arg;
    pass_ms(120000);
    return 0;
}

static int exit_7(void *arg)
{
    (void)arg;
    return 7;
}

/* SIGTERM is handled so in the child from its first instruction on. */
static pid_t child_with(void (*on_term)(int signo), int (*fn)(void *arg), void *arg)
{
    handle_signal(SIGTERM, on_term, 0);
    pid_t pid = in_child(0, fn, arg);
    handle_signal(SIGTERM, SIG_DFL, 0);
    return pid;
}

static void exit_5(int signo)
{
    (void)signo;
    _exit(5);
}

/* Has something to put in order first. */
static void exit_6_later(int signo)
{
    (void)signo;
    pass_ms(100);
    _exit(6);
}

/* Check has a handler for SIGTERM. */
static pid_t obedient(void)
{
    return child_with(SIG_DFL, stay, NULL);
}

static pid_t deaf(void)
{
    return child_with(SIG_IGN, stay, NULL);
}

static pid_t zombie(void)
{
    siginfo_t info;
    pid_t pid = in_child(0, exit_7, NULL);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

static void expect_no_child(pid_t pid)
{
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* ---- one child ---- */

START_TEST(obedient_child)
{
    start_variant(_i);
    pid_t pid = obedient();
    errno = EDOM;
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
    ck_assert_int_eq(errno, EDOM);
    ck_assert(WAS_KILLED(SIGTERM));
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    expect_no_child(pid);

    ck_assert_int_eq(stop_for(child_with(exit_5, stay, NULL), LONG_GRACE), 0);
    ck_assert(HAS_EXITED(5));
    ck_assert_int_eq(stop_for(child_with(exit_6_later, stay, NULL), LONG_GRACE), 0);
    ck_assert(HAS_EXITED(6));
    ck_assert_int_eq(aw_child_stop(obedient(), LONG_GRACE, NULL), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(deaf_child)
{
    start_variant(_i);
    pid_t pid = deaf();
    ck_assert_int_eq(stop_for(pid, GRACE), 0);
    ck_assert(WAS_KILLED(SIGKILL));
    ck_assert_uint_ge(took_ns, GRACE);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    expect_no_child(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(no_grace)
{
    start_variant(_i);
    ck_assert_int_eq(stop_for(obedient(), 0), 0);
    ck_assert(WAS_KILLED(SIGKILL));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(stopped_child)
{
    start_variant(_i);
    pid_t pid = child_with(exit_5, stay, NULL);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
    ck_assert(HAS_EXITED(5));
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(ended_child)
{
    start_variant(_i);
    ck_assert_int_eq(stop_for(zombie(), LONG_GRACE), 0);
    ck_assert(HAS_EXITED(7));
    ck_assert_int_eq(stop_for(zombie(), 0), 0);
    ck_assert(HAS_EXITED(7));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- what runs meanwhile ---- */

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned kicks;

static int kick(struct aw_timer timer, void *arg)
{
    (void)timer;
    return ++kicks == 5 ? kill(*(pid_t *)arg, SIGUSR1) : 0;
}

/* It ends when a timer has run five times. */
START_TEST(timers_go_on)
{
    struct aw_timer timer;
    start_variant(_i);
    kicks = 0;
    pid_t pid = deaf();
    ck_assert_int_eq(aw_timer_create(&timer, kick, &pid), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(2), AW_MS(2), AW_MISSED_SKIP), 0);
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
    ck_assert(WAS_KILLED(SIGUSR1));
    ck_assert_uint_ge(kicks, 5);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int hostile(struct aw_timer timer, void *arg)
{
    (void)timer;
    return *(int *)arg;
}

/* It comes out, and the child has gone. */
START_TEST(value_of_a_callback_ends_the_grace)
{
    static const int values[] = { -7, -EINTR, -ECHILD, -ETIMEDOUT };
    struct aw_timer timer;
    int value;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; ++i) {
        pid_t pid = deaf();
        value = values[i];
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(5)), 0);
        ck_assert_int_eq(stop_for(pid, LONG_GRACE), value);
        ck_assert(WAS_KILLED(SIGKILL));
        ck_assert_uint_lt(took_ns, FOR_HANGS);
        expect_no_child(pid);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int end_and_reap_it(struct aw_timer timer, void *arg)
{
    pid_t pid = *(pid_t *)arg;
    (void)timer;
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    expect_killed(pid, SIGKILL);
    return 0;
}

/* A callback that reaps it takes the status; its number is not signalled any more. */
START_TEST(reaped_by_a_callback)
{
    struct aw_timer timer;
    start_variant(_i);
    pid_t pid = deaf();
    ck_assert_int_eq(aw_timer_create(&timer, end_and_reap_it, &pid), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), -ECHILD);
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int fork_here(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(pid_t *)arg = fork();
    return 0;
}

/* The forked one leaves its sister alone. */
START_TEST(callback_that_forks)
{
    struct aw_timer timer;
    pid_t fork_result = -1;
    start_variant(_i);
    pid_t pid = child_with(exit_6_later, stay, NULL);
    ck_assert_int_eq(aw_timer_create(&timer, fork_here, &fork_result), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
    int result = stop_for(pid, LONG_GRACE);
    if (fork_result == 0)
        _exit(result == -ENODEV && status == UNTOUCHED ? 0 : 1);
    ck_assert_int_eq(result, 0);
    ck_assert(HAS_EXITED(6));
    if (fork_result > 0) /* not on so slow a machine that the child had ended first */
        expect_exit(fork_result, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static struct aw_timer other;

static int stop_inside(struct aw_timer timer, void *arg)
{
    (void)timer;
    ck_assert_int_eq(aw_timer_arm(other, AW_MS(1)), 0);
    ck_assert_int_eq(stop_for(deaf(), GRACE), 0);
    ck_assert_uint_ge(took_ns, GRACE);
    ck_assert_uint_eq(*(unsigned *)arg, 0);
    return 0;
}

START_TEST(inside_a_callback)
{
    struct aw_timer timer;
    unsigned runs = 0;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, stop_inside, &runs), 0);
    ck_assert_int_eq(aw_timer_create(&other, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    ck_assert_int_ge(aw_wait(AW_FOREVER), 1);
    ck_assert(WAS_KILLED(SIGKILL));
    while (runs == 0)
        ck_assert_int_ge(aw_wait(FOR_HANGS), 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- guards ---- */

static int write_later(void *arg)
{
    return write(*(int *)arg, "x", 1) == 1 ? 0 : 1;
}

/*
 * A guard ends the grace, and says so itself: the program was not told, and its plain calls are interrupted
 * as before.
 */
START_TEST(guard_ends_the_grace)
{
    struct aw_guard guard;
    int ends[2];
    char byte;
    start_variant(_i);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = deaf(), writer = in_child(20000, write_later, &ends[1]);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, MEANWHILE, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
    ck_assert(WAS_KILLED(SIGKILL));
    ck_assert_uint_ge(clock_ns() - start, MEANWHILE);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    expect_no_child(pid);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(kill(writer, SIGKILL), 0);
    expect_killed(writer, SIGKILL);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* It is for such a guard that one stops a child: told or not, it does not take the grace away. */
START_TEST(expired_guard_leaves_the_grace)
{
    struct aw_guard guard, inner;
    struct aw_timer timer;
    unsigned runs = 0;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    for (unsigned is_told = 0; is_told < 2; ++is_told) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(1), AW_GUARD_DEFAULT), 0);
        pass_ms(3);
        if (is_told)
            ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
        pid_t pid = child_with(exit_6_later, stay, NULL);
        ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
        ck_assert(HAS_EXITED(6));
        ck_assert_uint_eq(runs, is_told + 1);
        ck_assert_int_eq(stop_for(deaf(), GRACE), 0);
        ck_assert_uint_ge(took_ns, GRACE);
        ck_assert(WAS_KILLED(SIGKILL));
        /* Another one does. */
        ck_assert_int_eq(aw_guard_enter(&inner, MEANWHILE, AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(stop_for(deaf(), LONG_GRACE), 0);
        ck_assert_uint_lt(took_ns, FOR_HANGS);
        ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The escape waits until the child is reaped. */
START_TEST(escape_at_its_end)
{
    struct aw_guard guard;
    volatile bool returned = false, expired = false;
    start_variant(_i);
    volatile pid_t pid = deaf();
    AW_GUARD(&guard, MEANWHILE, AW_GUARD_ESCAPE) {
        stop_for(pid, LONG_GRACE);
        returned = true;
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert(expired);
    ck_assert(!returned);
    ck_assert(WAS_KILLED(SIGKILL));
    expect_no_child(pid);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- groups ---- */

/* A leader and its child, who hold the pipe open and say when they are there. */
struct family {
    int ends[2];
    void (*on_term)(int signo); /* in the leader's child */
    bool leader_ends;
    pid_t leader;
};

static int grow(void *arg)
{
    const struct family *family = arg;
    close(family->ends[0]);
    handle_signal(SIGTERM, SIG_DFL, 0);
    setpgid(0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        handle_signal(SIGTERM, family->on_term, 0);
        if (write(family->ends[1], "x", 1) == 1)
            pass_ms(120000);
        _exit(0);
    }
    if (pid > 0 && !family->leader_ends)
        pass_ms(120000);
    return 7;
}

static void start_family(struct family *family, void (*on_term)(int signo), bool leader_ends)
{
    char byte;
    family->on_term = on_term;
    family->leader_ends = leader_ends;
    ck_assert_int_eq(pipe(family->ends), 0);
    family->leader = in_child(0, grow, family);
    ck_assert_int_eq(read(family->ends[0], &byte, 1), 1);
    close(family->ends[1]);
    if (leader_ends) {
        siginfo_t info;
        ck_assert_int_eq(waitid(P_PID, (id_t)family->leader, &info, WEXITED | WNOWAIT), 0);
    }
}

static bool has_gone(const struct family *family)
{
    struct pollfd fd = { .fd = family->ends[0], .events = POLLIN };
    return poll(&fd, 1, 0) == 1;
}

static void expect_gone(struct family *family)
{
    ck_assert(has_gone(family));
    expect_no_child(family->leader);
    close(family->ends[0]);
}

/* It is over when the last has gone, and nobody was killed before the time. */
START_TEST(obedient_group)
{
    struct family family;
    start_variant(_i);
    for (unsigned leader_ends = 0; leader_ends < 2; ++leader_ends) {
        start_family(&family, exit_6_later, leader_ends != 0);
        ck_assert_int_eq(stop_for(-family.leader, LONG_GRACE), 0);
        ck_assert(leader_ends ? HAS_EXITED(7) : WAS_KILLED(SIGTERM));
        ck_assert_uint_ge(took_ns, AW_MS(100));
        ck_assert_uint_lt(took_ns, FOR_HANGS);
        expect_gone(&family);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(deaf_group)
{
    struct family family;
    start_variant(_i);
    for (unsigned leader_ends = 0; leader_ends < 2; ++leader_ends) {
        start_family(&family, SIG_IGN, leader_ends != 0);
        ck_assert_int_eq(stop_for(-family.leader, GRACE), 0);
        ck_assert(leader_ends ? HAS_EXITED(7) : WIFSIGNALED(status));
        ck_assert_uint_ge(took_ns, GRACE);
        expect_gone(&family);
    }
    start_family(&family, exit_5, false);
    ck_assert_int_eq(stop_for(-family.leader, 0), 0);
    ck_assert(WAS_KILLED(SIGKILL));
    expect_gone(&family);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* In a group the rest is waited for in steps: the same holds there. */
START_TEST(what_ends_the_grace_of_a_group)
{
    struct family family;
    struct aw_timer timer;
    struct aw_guard guard;
    int value = -7;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    start_family(&family, SIG_IGN, false);
    ck_assert_int_eq(aw_timer_arm(timer, MEANWHILE), 0);
    ck_assert_int_eq(stop_for(-family.leader, LONG_GRACE), -7);
    ck_assert(WAS_KILLED(SIGTERM));
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    expect_gone(&family);

    start_family(&family, SIG_IGN, false);
    ck_assert_int_eq(aw_guard_enter(&guard, MEANWHILE, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(stop_for(-family.leader, LONG_GRACE), 0);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    expect_gone(&family);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static pid_t in_group(pid_t leader, void (*on_term)(int signo))
{
    pid_t pid = child_with(on_term, stay, NULL);
    ck_assert_int_eq(setpgid(pid, leader != 0 ? leader : pid), 0);
    return pid;
}

/* Children of ours in it are reaped, too; one outside is not. */
START_TEST(children_in_a_group)
{
    start_variant(_i);
    pid_t leader = in_group(0, SIG_DFL), second = in_group(leader, SIG_IGN), third = in_group(leader, exit_5),
          outside = zombie();
    ck_assert_int_eq(stop_for(-leader, GRACE), 0);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_ge(took_ns, GRACE);
    expect_no_child(leader);
    expect_no_child(second);
    expect_no_child(third);
    expect_exit(outside, 7);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Out of descriptors, as without /proc: nobody can tell who is there, so the whole grace is given. */
START_TEST(group_that_cannot_be_seen)
{
    struct family family;
    struct rlimit before, none;
    start_variant(_i);
    start_family(&family, SIG_DFL, false);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = stop_for(-family.leader, GRACE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(result, 0);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_ge(took_ns, GRACE);
    expect_no_child(family.leader);
    close(family.ends[0]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- who is in the wrong ---- */

START_TEST(wrong_arguments)
{
    ck_assert_int_eq(stop_for(0, 0), -ENODEV);
    start_variant(_i);
    pid_t pid = obedient();
    ck_assert_int_eq(stop_for(0, GRACE), -EINVAL);
    ck_assert_int_eq(stop_for(1, GRACE), -EINVAL);
    ck_assert_int_eq(stop_for(-1, GRACE), -EINVAL);
    ck_assert_int_eq(stop_for(INT_MIN, GRACE), -EINVAL);
    ck_assert_int_eq(stop_for(pid, AW_FOREVER), -EINVAL);
    ck_assert_int_eq(stop_for(-getpgrp(), GRACE), -EINVAL);
    ck_assert_int_eq(stop_for(getpid(), GRACE), -ECHILD);
    ck_assert_int_eq(stop_for(getppid(), 0), -ECHILD);
    ck_assert_int_eq(stop_for(INT_MAX, GRACE), -ECHILD);
    ck_assert_int_eq(stop_for(-INT_MAX, GRACE), -ECHILD);
    ck_assert_int_eq(stop_for(-pid, GRACE), -ECHILD); /* ours, but leads no group */
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(stop_for(pid, AW_FOREVER - 1), 0); /* untouched till now */
    ck_assert(WAS_KILLED(SIGTERM));
    ck_assert_int_eq(stop_for(pid, GRACE), -ECHILD);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(stop_for(getpid(), 0), -ENODEV);
}
END_TEST

static void *stop_elsewhere(void *arg)
{
    return (void *)(intptr_t)aw_child_stop(*(pid_t *)arg, 0, NULL);
}

static int stop_in_fork(void *arg)
{
    return stop_for(*(pid_t *)arg, 0) == -ENODEV ? 0 : 1;
}

START_TEST(wrong_thread_and_process)
{
    pthread_t thread;
    void *result;
    start_variant(_i);
    pid_t pid = obedient();
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_elsewhere, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((intptr_t)result, -EPERM);
    expect_exit(in_child(0, stop_in_fork, &pid), 0);
    ck_assert_int_eq(stop_for(pid, LONG_GRACE), 0);
    ck_assert(WAS_KILLED(SIGTERM));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A child that has become another user's: a process that gave its own rights up tries. */
static int stop_forbidden(void *arg)
{
    (void)arg;
    start_variant(0);
    pid_t pid = obedient();
    if (setresuid(65534, 65534, 65534) != 0)
        return 1;
    if (stop_for(pid, GRACE) != -EPERM || stop_for(pid, 0) != -EPERM || status != UNTOUCHED)
        return 2;
    return aw_child_wait(pid, NULL, AW_MS(1)) == -ETIMEDOUT ? (int)(pid & 0) : 3;
}

START_TEST(not_permitted)
{
    if (geteuid() != 0)
        return;
    expect_exit(in_child(0, stop_forbidden, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stopping a child");
    TCase *tcase = signal_case(suite, "stop");

    tcase_add_loop_test(tcase, obedient_child, 0, VARIANTS);
    tcase_add_loop_test(tcase, deaf_child, 0, VARIANTS);
    tcase_add_loop_test(tcase, no_grace, 0, VARIANTS);
    tcase_add_loop_test(tcase, stopped_child, 0, VARIANTS);
    tcase_add_loop_test(tcase, ended_child, 0, VARIANTS);
    tcase_add_loop_test(tcase, timers_go_on, 0, VARIANTS);
    tcase_add_loop_test(tcase, value_of_a_callback_ends_the_grace, 0, VARIANTS);
    tcase_add_loop_test(tcase, reaped_by_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, callback_that_forks, 0, VARIANTS);
    tcase_add_loop_test(tcase, inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, guard_ends_the_grace, 0, VARIANTS);
    tcase_add_loop_test(tcase, expired_guard_leaves_the_grace, 0, VARIANTS);
    tcase_add_loop_test(tcase, escape_at_its_end, 0, VARIANTS);
    tcase_add_loop_test(tcase, obedient_group, 0, VARIANTS);
    tcase_add_loop_test(tcase, deaf_group, 0, VARIANTS);
    tcase_add_loop_test(tcase, what_ends_the_grace_of_a_group, 0, VARIANTS);
    tcase_add_loop_test(tcase, children_in_a_group, 0, VARIANTS);
    tcase_add_loop_test(tcase, group_that_cannot_be_seen, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_arguments, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_thread_and_process, 0, VARIANTS);
    tcase_add_test(tcase, not_permitted);
    return run_suite(suite);
}
