/* SPDX-License-Identifier: MIT */
/*
 * signal_process.c: the engine beside what else there is in a process: children, exec, a mask and a
 * disposition that were inherited, a handler and an alarm that were there first, or come later. Much of it
 * ends the process by design: it runs in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

extern char **environ;

static unsigned runs;

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++runs;
    return 0;
}

static struct aw_timer ticking(uint64_t period_ns)
{
    struct aw_timer timer;
    runs = 0;
    ck_assert_int_eq(aw_timer_create(&timer, count, NULL), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, period_ns, period_ns, AW_MISSED_SKIP), 0);
    return timer;
}

/* In a child of the test: Check's own assertions would run its clean-up there. */
#define MUST(condition)                 \
    do {                                \
        if (!(condition))               \
            _exit(__LINE__ % 200 + 50); \
    } while (0)

/* A child that runs fn and exits with 0; what MUST finds wrong becomes another exit status. */
static pid_t child_of(void (*fn)(int variant), int variant)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fn(variant);
        _exit(0);
    }
    return pid;
}

static void start_in_child(int variant)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.alarm = variant_is_posix(variant) ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
    MUST(aw_init(&options) == 0);
}

/* ---- 18: fork, vfork, posix_spawn ---- */

static struct aw_timer inherited_timer;
static struct aw_guard inherited_guard;
static int inherited_fd;

static bool nothing_is_armed(void)
{
    struct itimerval value;
    return getitimer(ITIMER_REAL, &value) == 0 && value.it_value.tv_sec == 0 && value.it_value.tv_usec == 0;
}

static void forked_child(int variant)
{
    struct sigaction now;
    struct aw_guard guard;
    struct aw_timer timer;
    char byte;
    int ends[2];
    uint64_t next;

    /* At peace: no engine, the old disposition, no alarm, no descriptor. */
    MUST(aw_safepoint() == 0);
    MUST(aw_dispatch(0) == -ENODEV);
    MUST(aw_wait(0) == -ENODEV);
    MUST(aw_timer_arm(inherited_timer, 1) == -ENODEV);
    MUST(aw_next(&next) == -ENODEV);
    MUST(aw_guard_enter(&guard, 1, 0) == -ENODEV);
    MUST(aw_guard_leave(&inherited_guard) == 0);
    MUST(aw_shutdown() == -ENODEV);
    MUST(sigaction(variant_signo(variant), NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    MUST(nothing_is_armed());
    MUST(fcntl(inherited_fd, F_GETFD) == -1 && errno == EBADF);

    /* An engine of its own. */
    start_in_child(variant);
    MUST(aw_timer_arm(inherited_timer, 1) == -ENOENT);
    MUST(aw_timer_create(&timer, count, NULL) == 0);
    runs = 0;
    MUST(aw_timer_arm(timer, AW_MS(5)) == 0);
    MUST(aw_wait(AW_SEC(60)) == 1 && runs == 1);
    MUST(pipe(ends) == 0);
    MUST(aw_guard_enter(&guard, AW_MS(5), 0) == 0);
    MUST(read(ends[0], &byte, 1) == -1 && errno == EINTR);
    MUST(aw_guard_leave(&guard) == -ETIMEDOUT);
    MUST(aw_shutdown() == 0);
}

START_TEST(h18_forked_child)
{
    start_variant(_i);
    inherited_timer = ticking(AW_MS(2));
    inherited_fd = aw_wakeup_fd();
    ck_assert_int_ge(inherited_fd, 0);
    ck_assert_int_eq(aw_guard_enter(&inherited_guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
    for (unsigned i = 0; i < 5; ++i) {
        unsigned before = runs;
        expect_exit(child_of(forked_child, _i), 0);
        while (runs == before)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    }
    ck_assert_int_eq(aw_guard_leave(&inherited_guard), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int forking_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(pid_t *)arg = fork();
    return 0;
}

/* Fork in a callback: the child's dispatch touches nothing of an engine that it has not got. */
START_TEST(h18_fork_in_a_callback)
{
    struct aw_timer timer;
    pid_t pid = -1;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, forking_callback, &pid), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    int result = aw_wait(AW_SEC(60));
    if (pid == 0)
        _exit(result == -ENODEV && aw_wait(0) == -ENODEV ? 0 : 1);
    ck_assert_int_eq(result, 1);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static void *fork_elsewhere(void *arg)
{
    pid_t *pid = arg;
    *pid = fork();
    if (*pid == 0) {
        MUST(aw_wait(0) == -ENODEV);
        start_in_child(0);
        MUST(aw_wait(AW_MS(1)) == 0);
        MUST(aw_shutdown() == 0);
        _exit(0);
    }
    return NULL;
}

START_TEST(h18_fork_on_another_thread)
{
    pthread_t thread;
    pid_t pid = -1;
    start_variant(_i);
    ticking(AW_MS(2));
    ck_assert_int_eq(pthread_create(&thread, NULL, fork_elsewhere, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    expect_exit(pid, 0);
    ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static char *const sleep_argv[] = { "sleep", "0.15", NULL };

/* While the alarm rings a thousand times a second; the children sleep through it. */
START_TEST(h18_vfork_and_spawn)
{
    pid_t pid;
    start_variant(_i);
    ticking(AW_MS(1));
    pid = vfork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execvp(sleep_argv[0], sleep_argv);
        _exit(127);
    }
    while (waitpid(pid, NULL, WNOHANG) == 0)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    ck_assert_int_eq(posix_spawnp(&pid, sleep_argv[0], NULL, NULL, sleep_argv, environ), 0);
    for (unsigned i = 0; i < 20; ++i)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    expect_exit(pid, 0);
    unsigned before = runs;
    ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_gt(runs, before);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- 19: exec ---- */

static void start_and_arm(int variant, uint64_t timeout_ns)
{
    struct aw_timer timer;
    start_in_child(variant);
    MUST(aw_timer_create(&timer, count, NULL) == 0);
    MUST(aw_timer_arm(timer, timeout_ns) == 0);
}

static void exec_as_it_is(int variant)
{
    start_and_arm(variant, AW_MS(50));
    execvp(sleep_argv[0], sleep_argv);
}

static unsigned armed_s = 1;

static void exec_for_a_minute(int variant)
{
    start_and_arm(variant, AW_SEC(armed_s));
    execlp("sleep", "sleep", "60", (char *)NULL);
}

static void exec_after_shutdown(int variant)
{
    start_and_arm(variant, AW_MS(50));
    MUST(aw_shutdown() == 0);
    execvp(sleep_argv[0], sleep_argv);
}

static void fork_then_exec(int variant)
{
    int status;
    pid_t got;
    start_and_arm(variant, AW_MS(50));
    pid_t pid = fork();
    if (pid == 0) {
        execvp(sleep_argv[0], sleep_argv);
        _exit(127);
    }
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    MUST(got == pid && status == 0);
    MUST(aw_shutdown() == 0);
}

START_TEST(h19_exec_after_shutdown_survives)
{
    expect_exit(child_of(exec_after_shutdown, _i), 0);
}
END_TEST

START_TEST(h19_fork_then_exec_survives)
{
    expect_exit(child_of(fork_then_exec, _i), 0);
}
END_TEST

/* What the documentation warns of: if this ever survives, the warning is wrong. */
START_TEST(h19_exec_with_an_armed_itimer_is_killed)
{
    int status;
    /* It ends in good order where the alarm has come before the exec was through. */
    do
        status = child_status(child_of(exec_for_a_minute, 0));
    while (status == 0 && (armed_s *= 4) <= 16);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}
END_TEST

START_TEST(h19_exec_with_a_posix_timer_survives)
{
    expect_exit(child_of(exec_as_it_is, 1), 0);
}
END_TEST

/* ---- 20: inherited blocked, inherited ignored ---- */

START_TEST(h20_inherited_blocked)
{
    block_signal(variant_signo(_i));
    start_variant(_i);
    ck_assert(!is_blocked(variant_signo(_i)));
    ticking(AW_MS(2));
    uint64_t give_up = clock_ns() + AW_SEC(20);
    while (runs < 3 && clock_ns() < give_up)
        ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_uint_ge(runs, 3);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert(is_blocked(variant_signo(_i)));
}
END_TEST

/* One that was pending there stays for whoever blocked it. */
START_TEST(h20_inherited_pending)
{
    sigset_t pending;
    block_signal(SIGALRM);
    raise(SIGALRM);
    start_variant(0);
    ck_assert_int_eq(aw_wait(AW_MS(2)), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert(is_blocked(SIGALRM));
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGALRM), 1);
    handle_signal(SIGALRM, SIG_IGN, 0);
}
END_TEST

START_TEST(h20_inherited_ignored)
{
    struct sigaction now;
    handle_signal(variant_signo(_i), SIG_IGN, 0);
    start_variant(_i);
    ticking(AW_MS(2));
    uint64_t give_up = clock_ns() + AW_SEC(20);
    while (runs < 3 && clock_ns() < give_up)
        ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_uint_ge(runs, 3);
    raise(variant_signo(_i));
    ck_assert_uint_eq(stats_now().dropped, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(sigaction(variant_signo(_i), NULL, &now), 0);
    ck_assert(now.sa_handler == SIG_IGN);
}
END_TEST

/* ---- 21: a foreign handler, a foreign alarm ---- */

static struct {
    unsigned runs;
    int signo, code;
    bool had_usr1, had_usr2, had_itself;
    uint64_t at_ns;
} foreign;

static void note_foreign(int signo)
{
    ++foreign.runs;
    foreign.signo = signo;
    foreign.at_ns = clock_ns();
    foreign.had_usr1 = is_blocked(SIGUSR1);
    foreign.had_usr2 = is_blocked(SIGUSR2);
    foreign.had_itself = is_blocked(signo);
}

static void note_foreign_info(int signo, siginfo_t *info, void *context)
{
    note_foreign(signo);
    foreign.code = context != NULL ? info->si_code : -1;
}

static void plain_foreign(int signo)
{
    note_foreign(signo);
    errno = EILSEQ;
}

static struct sigaction install_foreign(int signo, int flags)
{
    struct sigaction action;
    memset(&foreign, 0, sizeof foreign);
    memset(&action, 0, sizeof action);
    if ((flags & SA_SIGINFO) != 0)
        action.sa_sigaction = note_foreign_info;
    else
        action.sa_handler = plain_foreign;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR1);
    ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
    return action;
}

static void expect_installed(int signo, const struct sigaction *action)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(signo, NULL, &now), 0);
    ck_assert(now.sa_handler == action->sa_handler);
    ck_assert_int_eq(now.sa_flags & ~0x04000000 /* SA_RESTORER */, action->sa_flags);
    ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR1), 1);
    ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR2), 0);
}

/* A signal sent by hand reaches it, in its own mask and flags, and never one of ours. */
START_TEST(h21_foreign_handler_is_chained)
{
    static const int flags[] = { 0, SA_RESTART, SA_SIGINFO, SA_NODEFER, SA_SIGINFO | SA_NODEFER };
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; ++i) {
        struct sigaction theirs = install_foreign(variant_signo(_i), flags[i]);
        start_variant(_i);
        struct aw_timer timer = ticking(AW_MS(1));
        while (runs < 5)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_eq(foreign.runs, 0);
        /* The kernel would merge it with an alarm of ours that rings at this moment. */
        ck_assert_int_eq(aw_timer_arm(timer, AW_SEC(3600)), 0);
        ck_assert_int_ge(aw_quiet(), 0);
        errno = 0;
        ck_assert_int_eq(kill(getpid(), variant_signo(_i)), 0);
        ck_assert_int_eq(errno, 0);
        ck_assert_uint_eq(foreign.runs, 1);
        ck_assert_int_eq(foreign.signo, variant_signo(_i));
        ck_assert(foreign.had_usr1 && !foreign.had_usr2);
        ck_assert_int_eq(foreign.had_itself, (flags[i] & SA_NODEFER) == 0);
        if ((flags[i] & SA_SIGINFO) != 0)
            ck_assert_int_eq(foreign.code, SI_USER);
        ck_assert(!is_blocked(SIGUSR1) && !is_blocked(variant_signo(_i)));
        ck_assert_uint_eq(stats_now().chained, 1);
        unsigned before = runs;
        ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
        while (runs < before + 5)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        ck_assert_int_eq(aw_shutdown(), 0);
        expect_installed(variant_signo(_i), &theirs);
    }
}
END_TEST

START_TEST(h21_one_shot_handler_is_chained_once)
{
    install_foreign(SIGALRM, (int)SA_RESETHAND);
    start_variant(0);
    raise(SIGALRM);
    raise(SIGALRM);
    ck_assert_uint_eq(foreign.runs, 1);
    ck_assert_uint_eq(stats_now().chained, 1);
    ck_assert_uint_eq(stats_now().dropped, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static uint64_t start_alarm(uint64_t first_us, uint64_t interval_us)
{
    struct itimerval value;
    value.it_value = (struct timeval){ (time_t)(first_us / 1000000), (suseconds_t)(first_us % 1000000) };
    value.it_interval =
        (struct timeval){ (time_t)(interval_us / 1000000), (suseconds_t)(interval_us % 1000000) };
    uint64_t now = clock_ns();
    ck_assert_int_eq(setitimer(ITIMER_REAL, &value, NULL), 0);
    return now + AW_US(first_us);
}

/* An alarm that runs at aw_init: it comes when it would have, once, to its own handler. */
START_TEST(h21_running_alarm_is_delivered)
{
    install_foreign(SIGALRM, SA_RESTART);
    uint64_t due = start_alarm(60000, 0);
    pass_ms(10);
    start_variant(0);
    ticking(AW_MS(3));
    while (foreign.runs == 0 && clock_ns() < due + AW_SEC(20))
        ck_assert_int_ne(aw_wait(AW_MS(5)), -EPERM);
    ck_assert_uint_eq(foreign.runs, 1);
    ck_assert_uint_ge(foreign.at_ns, due);
    pass_ms(5);
    for (unsigned i = 0; i < 10; ++i)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 0);
    ck_assert_uint_eq(foreign.runs, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert(nothing_is_armed());
}
END_TEST

START_TEST(h21_running_interval_goes_on)
{
    install_foreign(SIGALRM, SA_RESTART);
    uint64_t due = start_alarm(20000, 10000);
    start_variant(0);
    while (foreign.runs < 5 && clock_ns() < due + AW_SEC(20)) {
        int result = aw_wait(AW_SEC(1));
        ck_assert(result == 0 || result == -EINTR);
    }
    ck_assert_uint_ge(foreign.at_ns, due + AW_MS(40));
    ck_assert_int_eq(aw_shutdown(), 0);
    unsigned before = foreign.runs;
    while (foreign.runs < before + 3 && clock_ns() < due + AW_SEC(20))
        pass_ms(5);
    ck_assert_uint_ge(foreign.runs, before + 3);
}
END_TEST

/* Not due by shutdown: it goes on with the time it has left. */
START_TEST(h21_running_alarm_is_given_back)
{
    uint64_t due, give_up = clock_ns() + AW_SEC(60);
    bool came_before;
    do { /* again where it was due so soon */
        install_foreign(SIGALRM, SA_RESTART);
        due = start_alarm(400000, 0);
        start_variant(0);
        ticking(AW_MS(3));
        while (runs < 5) {
            int result = aw_wait(AW_SEC(60));
            ck_assert(result >= 0 || (result == -EINTR && foreign.runs == 1));
        }
        came_before = foreign.runs != 0;
        ck_assert(!came_before || foreign.at_ns >= due);
        ck_assert_int_eq(aw_shutdown(), 0);
    } while (came_before && clock_ns() < give_up);
    while (foreign.runs == 0 && clock_ns() < due + AW_SEC(20))
        pass_ms(1);
    ck_assert_uint_eq(foreign.runs, 1);
    ck_assert_uint_ge(foreign.at_ns, due);
}
END_TEST

static void run_into_alarm(int variant)
{
    struct aw_timer timer;
    const struct itimerval soon = { { 0, 0 }, { 0, 50000 } };
    setitimer(ITIMER_REAL, &soon, NULL);
    start_in_child(variant);
    MUST(aw_timer_create(&timer, count, NULL) == 0);
    MUST(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP) == 0);
    for (uint64_t until = clock_ns() + AW_SEC(20); clock_ns() < until;)
        aw_wait(AW_MS(7));
}

/* alarm(2) without a handler is meant to end the process: it still does. */
START_TEST(h21_running_alarm_with_no_handler_kills)
{
    expect_killed(child_of(run_into_alarm, 0), SIGALRM);
}
END_TEST

/* A handler that comes later: it is there for a moment, and found out; from then on it is chained. */
START_TEST(h21_later_handler_is_found_out)
{
    start_variant(_i);
    struct aw_timer timer = ticking(AW_MS(5));
    install_foreign(variant_signo(_i), SA_RESTART);
    uint64_t give_up = clock_ns() + AW_SEC(20);
    while (stats_now().recoveries == 0 && clock_ns() < give_up) {
        int result = aw_wait(AW_MS(50));
        ck_assert(result > 0 || result == -EINTR);
    }
    ck_assert_uint_eq(stats_now().recoveries, 1);
    ck_assert_uint_ge(stats_now().thefts, 1);
    unsigned theirs = foreign.runs;
    for (unsigned i = 0; i < 5; ++i)
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(foreign.runs, theirs);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    raise(variant_signo(_i));
    ck_assert_uint_eq(foreign.runs, theirs + 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Ours was replaced: shutdown leaves the newcomer in place. */
START_TEST(h21_later_handler_survives_shutdown)
{
    start_variant(_i);
    struct sigaction theirs = install_foreign(variant_signo(_i), SA_RESTART);
    ck_assert_int_eq(aw_shutdown(), 0);
    expect_installed(variant_signo(_i), &theirs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the process around the engine");
    TCase *children = signal_case(suite, "children");
    TCase *inherited = signal_case(suite, "inherited");
    TCase *others = signal_case(suite, "others");

    tcase_add_loop_test(children, h18_forked_child, 0, SOURCES);
    tcase_add_loop_test(children, h18_fork_in_a_callback, 0, SOURCES);
    tcase_add_loop_test(children, h18_fork_on_another_thread, 0, SOURCES);
    tcase_add_loop_test(children, h18_vfork_and_spawn, 0, SOURCES);
    tcase_add_loop_test(children, h19_exec_after_shutdown_survives, 0, SOURCES);
    tcase_add_loop_test(children, h19_fork_then_exec_survives, 0, SOURCES);
    tcase_add_test(children, h19_exec_with_an_armed_itimer_is_killed);
    tcase_add_test(children, h19_exec_with_a_posix_timer_survives);
    tcase_add_loop_test(inherited, h20_inherited_blocked, 0, SOURCES);
    tcase_add_test(inherited, h20_inherited_pending);
    tcase_add_loop_test(inherited, h20_inherited_ignored, 0, SOURCES);
    tcase_add_loop_test(others, h21_foreign_handler_is_chained, 0, SOURCES);
    tcase_add_test(others, h21_one_shot_handler_is_chained_once);
    tcase_add_test(others, h21_running_alarm_is_delivered);
    tcase_add_test(others, h21_running_interval_goes_on);
    tcase_add_test(others, h21_running_alarm_is_given_back);
    tcase_add_test(others, h21_running_alarm_with_no_handler_kills);
    tcase_add_loop_test(others, h21_later_handler_is_found_out, 0, SOURCES);
    tcase_add_loop_test(others, h21_later_handler_survives_shutdown, 0, SOURCES);
    return run_suite(suite);
}
