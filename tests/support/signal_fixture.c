/* SPDX-License-Identifier: MIT */
/* signal_fixture.c: see signal_fixture.h. */
#include "signal_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* valgrind does not grow the main stack for a signal's frame. */
static __attribute__((noinline)) void touch_stack(void)
{
    volatile char block[256 * 1024];
    for (size_t i = 0; i < sizeof block; i += 512)
        block[i] = 0;
}

static void begin(void)
{
    const struct itimerval stop = { { 0, 0 }, { 0, 0 } };
    struct sigaction action;
    sigset_t none;

    touch_stack();
    setitimer(ITIMER_REAL, &stop, NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* A test that passed has stopped its engine; what it leaves armed would strike the next one in a run without
 * forks. */
static void end(void)
{
    while (aw_shutdown() > 0)
        continue;
    begin();
}

TCase *signal_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin, end);
    suite_add_tcase(suite, tcase);
    return tcase;
}

bool variant_is_posix(int variant)
{
    return (variant & 1) != 0;
}

int variant_signo(int variant)
{
    return variant_is_posix(variant) ? SIGRTMIN + 6 : SIGALRM;
}

void start_variant(int variant)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.alarm = variant_is_posix(variant) ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
    options.interrupt = (variant & 2) != 0 ? AW_INTERRUPT_RESTART : AW_INTERRUPT_STEP;
    ck_assert_int_eq(aw_init(&options), 0);
}

struct aw_stats stats_now(void)
{
    struct aw_stats stats = { .size = sizeof stats };
    ck_assert_int_eq(aw_stats_read(&stats), 0);
    return stats;
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void pass_ms(uint64_t ms)
{
    uint64_t until = clock_ns() + AW_MS(ms);
    for (uint64_t now = clock_ns(); now < until; now = clock_ns()) {
        uint64_t left = until - now;
        struct timespec span = { (time_t)(left / AW_SEC(1)), (long)(left % AW_SEC(1)) };
        ppoll(NULL, 0, &span, NULL);
    }
}

void spin_until(uint64_t at_ns)
{
    while (clock_ns() < at_ns)
        continue;
}

void pass_until_expired(uint64_t guards)
{
    uint64_t give_up = clock_ns() + AW_SEC(60);
    while (stats_now().guards < guards) {
        ck_assert_uint_lt(clock_ns(), give_up);
        pass_ms(1);
    }
}

void enter_and_leave_in_time(struct aw_guard *guard, uint64_t timeout_ns)
{
    int left;
    do {
        ck_assert_int_eq(aw_guard_enter(guard, timeout_ns, AW_GUARD_DEFAULT), 0);
        left = aw_guard_leave(guard);
    } while (left == -ETIMEDOUT);
    ck_assert_int_eq(left, 0);
}

bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

unsigned scaled(unsigned count)
{
    unsigned by = under_valgrind() ? 50 : UNDER_TSAN ? 10 : 1;
    return count / by != 0 ? count / by : 1;
}

pid_t in_child(uint64_t delay_ms, int (*fn)(void *arg), void *arg)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        pass_ms(delay_ms);
        _exit(fn(arg));
    }
    return pid;
}

int child_status(pid_t pid)
{
    int status;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    ck_assert_int_eq(got, pid);
    return status;
}

void expect_exit(pid_t pid, int code)
{
    int status = child_status(pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "status %#x, expected exit %d",
                  (unsigned)status, code);
}

void expect_killed(pid_t pid, int signo)
{
    int status = child_status(pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signo, "status %#x, expected signal %d",
                  (unsigned)status, signo);
}

unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        ++n;
    closedir(dir);
    return n;
}

void handle_signal(int signo, void (*handler)(int signo), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static void change_mask(int how, int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    pthread_sigmask(how, &set, NULL);
}

void block_signal(int signo)
{
    change_mask(SIG_BLOCK, signo);
}

void unblock_signal(int signo)
{
    change_mask(SIG_UNBLOCK, signo);
}

bool is_blocked(int signo)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, signo) == 1;
}
