/* SPDX-License-Identifier: MIT */
/*
 * signal_child_run.c: aw_child_run: programs that succeed, fail, take too long, or are not there; what they
 * start with; and that none of them stays behind.
 */
#include <alarmwheel/child.h>
#include <alarmwheel/signal.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

#define LIMIT AW_MS(50)
#define FOR_HANGS AW_SEC(30)
#define UNTOUCHED 0x5a5a

static int status;
static uint64_t took_ns;

static int run(const char *file, char *const argv[], const struct aw_child_options *options)
{
    uint64_t start = clock_ns();
    status = UNTOUCHED;
    int result = aw_child_run(file, argv, options, &status);
    took_ns = clock_ns() - start;
    return result;
}

static int run_shell(const char *command, const struct aw_child_options *options)
{
    char text[256];
    char *argv[] = { "sh", "-c", text, NULL };
    ck_assert_uint_lt(strlen(command), sizeof text);
    strcpy(text, command);
    return run("sh", argv, options);
}

/* A program that is deaf from its first instruction on: what is ignored stays so over an exec. */
static int run_deaf(const struct aw_child_options *options)
{
    handle_signal(SIGTERM, SIG_IGN, 0);
    int result = run_shell("exec sleep 60", options);
    handle_signal(SIGTERM, SIG_DFL, 0);
    return result;
}

#define WAS_KILLED(signo) (WIFSIGNALED(status) && WTERMSIG(status) == (signo))
#define HAS_EXITED(code) (WIFEXITED(status) && WEXITSTATUS(status) == (code))

static void expect_no_children(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static struct aw_child_options within(uint64_t timeout_ns)
{
    struct aw_child_options options = { .size = sizeof options, .timeout_ns = timeout_ns };
    return options;
}

/* ---- how they end ---- */

START_TEST(ends_by_itself)
{
    const struct aw_child_options options = within(FOR_HANGS);
    char *argv[] = { "true", NULL };
    start_variant(_i);
    unsigned descriptors = open_descriptors();
    errno = EDOM;
    ck_assert_int_eq(run("true", argv, NULL), 0);
    ck_assert_int_eq(errno, EDOM);
    ck_assert(HAS_EXITED(0));
    ck_assert_int_eq(run("/bin/true", argv, &options), 0);
    ck_assert(HAS_EXITED(0));
    ck_assert_int_eq(run_shell("exit 7", &options), 0);
    ck_assert(HAS_EXITED(7));
    ck_assert_int_eq(run_shell("kill -KILL $$", &options), 0);
    ck_assert(WAS_KILLED(SIGKILL));
    ck_assert_int_eq(aw_child_run("true", argv, NULL, NULL), 0);
    ck_assert_uint_eq(open_descriptors(), descriptors);
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(cannot_be_started)
{
    char *argv[] = { "x", NULL };
    start_variant(_i);
    errno = EDOM;
    ck_assert_int_eq(run("/nonexistent/program", argv, NULL), -ENOENT);
    ck_assert_int_eq(run("aw-no-such-program", argv, NULL), -ENOENT);
    ck_assert_int_eq(run("/dev/null", argv, NULL), -EACCES);
    ck_assert_int_eq(errno, EDOM);
    ck_assert_int_eq(status, UNTOUCHED);
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(time_over)
{
    struct aw_child_options options = within(LIMIT);
    start_variant(_i);
    options.grace_ns = AW_SEC(60);
    ck_assert_int_eq(run_shell("exec sleep 60", &options), -ETIMEDOUT);
    ck_assert_uint_ge(took_ns, LIMIT);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert(WAS_KILLED(SIGTERM));
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(time_over_and_deaf)
{
    struct aw_child_options options = within(LIMIT);
    start_variant(_i);
    options.grace_ns = LIMIT;
    ck_assert_int_eq(run_deaf(&options), -ETIMEDOUT);
    ck_assert_uint_ge(took_ns, 2 * LIMIT);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert(WAS_KILLED(SIGKILL));
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Everything it has started goes with it: all of them hold the pipe open. */
START_TEST(time_over_for_a_group)
{
    struct aw_child_options options = within(LIMIT);
    posix_spawn_file_actions_t actions;
    int ends[2];
    start_variant(_i);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
    ck_assert_int_eq(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    options.group = true;
    options.actions = &actions;
    ck_assert_int_eq(run_shell("sleep 60 & sleep 60 | sleep 60 & wait", &options), -ETIMEDOUT);
    ck_assert_uint_ge(took_ns, LIMIT);
    ck_assert(WIFSIGNALED(status));
    close(ends[1]);
    struct pollfd fd = { .fd = ends[0], .events = POLLIN };
    ck_assert_int_eq(poll(&fd, 1, 0), 1);
    ck_assert_int_ne(fd.revents & POLLHUP, 0);
    close(ends[0]);
    ck_assert_int_eq(posix_spawn_file_actions_destroy(&actions), 0);
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- what they start with ---- */

START_TEST(descriptors_and_environment)
{
    static char name[] = "WHEEL=alarm";
    char *envp[] = { name, NULL };
    struct aw_child_options options = within(FOR_HANGS);
    posix_spawn_file_actions_t actions;
    char text[16] = "";
    int ends[2];
    start_variant(_i);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
    ck_assert_int_eq(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    options.envp = envp;
    options.actions = &actions;
    ck_assert_int_eq(run_shell("echo $WHEEL", &options), 0);
    ck_assert(HAS_EXITED(0));
    ck_assert_int_eq(read(ends[0], text, sizeof text), 6);
    ck_assert_str_eq(text, "alarm\n");
    ck_assert_int_eq(setenv("WHEEL", "ours", 1), 0);
    options.envp = NULL;
    ck_assert_int_eq(run_shell("test $WHEEL = ours", &options), 0);
    ck_assert(HAS_EXITED(0));
    ck_assert_int_eq(posix_spawn_file_actions_destroy(&actions), 0);
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static bool child_says(const char *line)
{
    char text[64];
    char *argv[] = { "grep", "-q", text, "/proc/self/status", NULL };
    ck_assert_uint_lt(strlen(line), sizeof text);
    strcpy(text, line);
    ck_assert_int_eq(run("grep", argv, NULL), 0);
    return HAS_EXITED(0);
}

static int nothing(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    return 0;
}

/*
 * Nothing blocked; what the program ignores stays ignored, what alarmwheel watches or ignores does not.
 * (glibc ignores two signals of its own in there.)
 */
START_TEST(mask_and_dispositions)
{
    start_variant(_i);
    block_signal(SIGTERM);
    block_signal(SIGUSR1);
    ck_assert(child_says("^SigBlk:[[:space:]]*0*$"));
    ck_assert(is_blocked(SIGTERM) && is_blocked(SIGUSR1));
    for (int signo = 1; signo < 32; ++signo)
        if (signo != SIGKILL && signo != SIGSTOP && signo != SIGCHLD && signo != variant_signo(_i))
            handle_signal(signo, SIG_DFL, 0);
    handle_signal(SIGUSR2, SIG_IGN, 0);
    ck_assert(child_says("^SigIgn:.*0000800$"));
    ck_assert_int_eq(aw_signal_watch(SIGUSR2, nothing, NULL), 0);
    ck_assert(child_says("^SigIgn:.*0000000$"));
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR2, NULL, NULL), 0);
    ck_assert(child_says("^SigIgn:.*0000800$"));
    handle_signal(SIGUSR2, SIG_DFL, 0);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR2), 0);
    ck_assert(child_says("^SigIgn:.*0000000$"));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- what runs meanwhile ---- */

static int hostile(struct aw_timer timer, void *arg)
{
    (void)timer;
    return *(int *)arg;
}

START_TEST(value_of_a_callback)
{
    struct aw_timer timer;
    int value = -7;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(20)), 0);
    ck_assert_int_eq(run_shell("exec sleep 60", NULL), -7);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert(status == UNTOUCHED || WIFSIGNALED(status));
    expect_no_children();

    /* Due before it begins: nothing is started. */
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    pass_ms(3);
    ck_assert_int_eq(run_shell("exec sleep 60", NULL), -7);
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* In the grace, too: its value is what comes out. It repeats, for where the first comes before the grace. */
START_TEST(value_of_a_callback_in_the_grace)
{
    struct aw_child_options options = within(LIMIT);
    struct aw_timer timer;
    int value = -7;
    start_variant(_i);
    options.grace_ns = AW_SEC(60);
    ck_assert_int_eq(aw_timer_create(&timer, hostile, &value), 0);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(500), AW_MS(500), AW_MISSED_SKIP), 0);
    ck_assert_int_eq(run_deaf(&options), -7);
    ck_assert_uint_ge(clock_ns() - start, AW_MS(500));
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- guards ---- */

/* The child is stopped, with its grace. */
START_TEST(guard_around_it)
{
    struct aw_guard guard;
    struct aw_child_options options = within(AW_FOREVER);
    start_variant(_i);
    options.grace_ns = AW_SEC(60);
    options.group = true;
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(300), AW_GUARD_DEFAULT), 0);
    /* A process that the shell has just forked may lose SIGTERM before its exec: so none of them lasts. */
    static const char *const command = "trap 'sleep 0.1; exit 6' TERM; while :; do sleep 0.05 & wait; done";
    ck_assert_int_eq(run_shell(command, &options), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns() - start, AW_MS(300));
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    /* Where the machine was so slow that the trap was not there yet it has ended by SIGTERM. */
    ck_assert(status == UNTOUCHED || HAS_EXITED(6) || WAS_KILLED(SIGTERM));
    expect_no_children();
    ck_assert_int_eq(run_shell("exit 0", NULL), -ETIMEDOUT); /* nothing is started */
    ck_assert_int_eq(status, UNTOUCHED);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* An escape leaves no child behind either. */
START_TEST(escaping_guard_around_it)
{
    struct aw_guard guard;
    volatile bool returned = false, expired = false;
    start_variant(_i);
    AW_GUARD(&guard, LIMIT, AW_GUARD_ESCAPE) {
        run_shell("exec sleep 60", NULL);
        returned = true;
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert(expired);
    ck_assert(!returned);
    ck_assert(status == UNTOUCHED || WIFSIGNALED(status));
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- who is in the wrong ---- */

START_TEST(wrong_arguments)
{
    struct aw_child_options options = { .size = sizeof options };
    char *argv[] = { "true", NULL };
    ck_assert_int_eq(run("true", argv, NULL), -ENODEV);
    start_variant(_i);
    ck_assert_int_eq(run(NULL, argv, NULL), -EINVAL);
    ck_assert_int_eq(run("true", NULL, NULL), -EINVAL);
    options.size = 0;
    ck_assert_int_eq(run("true", argv, &options), -EINVAL);
    options.size = sizeof options + 8;
    ck_assert_int_eq(run("true", argv, &options), -EINVAL);
    options.size = sizeof options;
    options.grace_ns = AW_FOREVER;
    ck_assert_int_eq(run("true", argv, &options), -EINVAL);
    ck_assert_int_eq(status, UNTOUCHED);
    options.grace_ns = 0;
    options.timeout_ns = AW_FOREVER - 1;
    ck_assert_int_eq(run("true", argv, &options), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static char *const true_argv[] = { "true", NULL };

static void *run_elsewhere(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)aw_child_run("true", true_argv, NULL, NULL);
}

static int run_in_fork(void *arg)
{
    (void)arg;
    return aw_child_run("true", true_argv, NULL, NULL) == -ENODEV ? 0 : 1;
}

START_TEST(wrong_thread_and_process)
{
    pthread_t thread;
    void *result;
    start_variant(_i);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((intptr_t)result, -EPERM);
    expect_exit(in_child(0, run_in_fork, NULL), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int fork_here(struct aw_timer timer, void *arg)
{
    (void)timer;
    *(pid_t *)arg = fork();
    return 0;
}

START_TEST(callback_that_forks)
{
    struct aw_timer timer;
    pid_t fork_result = -1;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, fork_here, &fork_result), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(20)), 0);
    int result = run_shell("exec sleep 0.2", NULL);
    if (fork_result == 0)
        _exit(result == -ENODEV && status == UNTOUCHED ? 0 : 1);
    ck_assert_int_eq(result, 0);
    ck_assert(HAS_EXITED(0));
    if (fork_result > 0) /* not on so slow a machine that the child had ended first */
        expect_exit(fork_result, 0);
    expect_no_children();
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Nobody gets a status, and nobody stays. */
START_TEST(children_that_are_ignored)
{
    const struct aw_child_options options = within(LIMIT);
    start_variant(_i);
    handle_signal(SIGCHLD, SIG_IGN, 0);
    ck_assert_int_eq(run_shell("exit 0", NULL), -ECHILD);
    ck_assert_int_eq(run_shell("exec sleep 60", &options), -ETIMEDOUT);
    ck_assert_uint_lt(took_ns, FOR_HANGS);
    ck_assert_int_eq(status, UNTOUCHED);
    expect_no_children();
    handle_signal(SIGCHLD, SIG_DFL, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("running a program");
    TCase *tcase = signal_case(suite, "run");

    tcase_add_loop_test(tcase, ends_by_itself, 0, VARIANTS);
    tcase_add_loop_test(tcase, cannot_be_started, 0, VARIANTS);
    tcase_add_loop_test(tcase, time_over, 0, VARIANTS);
    tcase_add_loop_test(tcase, time_over_and_deaf, 0, VARIANTS);
    tcase_add_loop_test(tcase, time_over_for_a_group, 0, VARIANTS);
    tcase_add_loop_test(tcase, descriptors_and_environment, 0, VARIANTS);
    tcase_add_loop_test(tcase, mask_and_dispositions, 0, VARIANTS);
    tcase_add_loop_test(tcase, value_of_a_callback, 0, VARIANTS);
    tcase_add_loop_test(tcase, value_of_a_callback_in_the_grace, 0, VARIANTS);
    tcase_add_loop_test(tcase, guard_around_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, escaping_guard_around_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_arguments, 0, VARIANTS);
    tcase_add_loop_test(tcase, wrong_thread_and_process, 0, VARIANTS);
    tcase_add_loop_test(tcase, callback_that_forks, 0, VARIANTS);
    tcase_add_loop_test(tcase, children_that_are_ignored, 0, VARIANTS);
    return run_suite(suite);
}
