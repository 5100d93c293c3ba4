/* SPDX-License-Identifier: MIT */
/*
 * signals.c: a program with plans of its own for SIGPROF. It runs alike with and without aw-prof, or fails
 * with 99: the tests run it both ways.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

BURNER(burn_signals)

typedef void handler(int);

/* What is tried is old. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

handler *bsd_signal(int signo, handler *function);

static volatile sig_atomic_t calls;
static volatile sig_atomic_t was_usr1_blocked, was_prof_blocked, had_info;
static sigjmp_buf place;

static void see_mask(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    was_usr1_blocked = sigismember(&mask, SIGUSR1);
    was_prof_blocked = sigismember(&mask, SIGPROF);
}

static void count(int signo)
{
    require(signo == SIGPROF, "the handler's signal");
    see_mask();
    ++calls;
}

static void count_info(int signo, siginfo_t *info, void *context)
{
    had_info = info != NULL && context != NULL && info->si_signo == signo;
    see_mask();
    ++calls;
}

static void leave(int signo)
{
    (void)signo;
    siglongjmp(place, 1);
}

static void set_itimer(long us)
{
    struct itimerval value = { .it_interval.tv_usec = us, .it_value.tv_usec = us };
    require(setitimer(ITIMER_PROF, &value, NULL) == 0, "setitimer");
}

static struct sigaction current(void)
{
    struct sigaction action;
    require(sigaction(SIGPROF, NULL, &action) == 0, "sigaction");
    return action;
}

static void is_default(void)
{
    require(current().sa_handler == SIG_DFL, "it is the default");
}

/* Its own profiler: counts its own timer's signals, and no more of them than can have come. */
static void own_timer(void)
{
    struct sigaction action = { .sa_sigaction = count_info, .sa_flags = SA_SIGINFO | SA_RESTART };
    struct sigaction old;
    is_default();
    sigaddset(&action.sa_mask, SIGUSR1);
    require(sigaction(SIGPROF, &action, &old) == 0 && old.sa_handler == SIG_DFL, "it was the default");
    old = current();
    require(old.sa_sigaction == count_info && (old.sa_flags & SA_SIGINFO) != 0 &&
                (old.sa_flags & SA_RESTART) != 0 && sigismember(&old.sa_mask, SIGUSR1) == 1 &&
                sigismember(&old.sa_mask, SIGUSR2) == 0,
            "what was installed is reported");
    const uint64_t start = now_ms(CLOCK_MONOTONIC);
    set_itimer(20000);
    burn_signals(800);
    /* Where others have the processor at the ticks few of them find this program. */
    while (calls < 10 && now_ms(CLOCK_MONOTONIC) < start + 60000)
        burn_signals(20);
    set_itimer(0);
    /* The processor's time is counted in ticks, and of these there are no more than the wall's time has. */
    require(calls >= 10 && (uint64_t)calls <= (now_ms(CLOCK_MONOTONIC) - start) / 20 + 1,
            "its own timer's signals, and no others");
    require(had_info && was_usr1_blocked && was_prof_blocked, "called as it asked");
    require(signal(SIGPROF, SIG_DFL) != SIG_ERR, "signal");
}

/* POSIX timers of its own, whatever value they bring. */
static void own_posix_timer(void)
{
    const uintptr_t values[] = { 0, 1, 0x10000, 0x10001, UINTPTR_MAX };
    require(signal(SIGPROF, count) == SIG_DFL, "signal");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        timer_t timer;
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
        event.sigev_value.sival_ptr = (void *)values[i];
        struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
        require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
        calls = 0;
        require(timer_settime(timer, 0, &soon, NULL) == 0, "timer_settime");
        /* It comes where the timer was set, and that processor may stand still while this runs on another. */
        const uint64_t start = now_ms(CLOCK_MONOTONIC);
        while (calls == 0 && now_ms(CLOCK_MONOTONIC) < start + 60000)
            burn_signals(1);
        burn_signals(50);
        require(calls == 1, "its own timer's signal, once");
        require(timer_delete(timer) == 0, "timer_delete");
    }
}

static void flags(void)
{
    struct sigaction action = { .sa_handler = count, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };
    calls = 0;
    require(sigaction(SIGPROF, &action, NULL) == 0 && raise(SIGPROF) == 0, "raise");
    require(calls == 1 && !was_prof_blocked, "one call, not deferred");
    is_default();

    require(signal(SIGPROF, count) == SIG_DFL && current().sa_handler == count, "signal");
    require((current().sa_flags & SA_RESTART) != 0, "signal restarts");
    require(raise(SIGPROF) == 0 && calls == 2 && was_prof_blocked, "it stays, and defers");
    require(siginterrupt(SIGPROF, 1) == 0 && (current().sa_flags & SA_RESTART) == 0, "siginterrupt");
    require(signal(SIGPROF, count) == count && (current().sa_flags & SA_RESTART) == 0, "it is remembered");
    require(siginterrupt(SIGPROF, 0) == 0 && (current().sa_flags & SA_RESTART) != 0, "and taken back");
    require(bsd_signal(SIGPROF, SIG_IGN) == count && raise(SIGPROF) == 0 && calls == 2, "ignored");
    require(sysv_signal(SIGPROF, count) == SIG_IGN && raise(SIGPROF) == 0 && calls == 3, "System V: called");
    is_default();
    require(sigset(SIGPROF, count) == SIG_DFL && sigset(SIGPROF, SIG_HOLD) == count, "sigset, held");
    require(raise(SIGPROF) == 0 && calls == 3, "held");
    require(sigset(SIGPROF, count) == SIG_HOLD && calls == 4, "let go");
    require(sigignore(SIGPROF) == 0 && current().sa_handler == SIG_IGN, "sigignore");
    errno = 0;
    require(signal(SIGPROF, SIG_ERR) == SIG_ERR && errno == EINVAL, "a handler that is none");
    require(signal(SIGPROF, leave) == SIG_IGN, "signal");
    for (volatile int round = 0; round < 3; ++round) {
        if (sigsetjmp(place, 1) == 0) {
            raise(SIGPROF);
            require(0, "it is left by a jump, each time");
        }
        see_mask();
        require(!was_prof_blocked, "the jump restores the mask");
    }
    require(signal(SIGPROF, SIG_DFL) == leave, "signal");
    burn_signals(300);
}

/* As daemons do at their start; over and over. */
static void resets(void)
{
    for (int round = 0; round < 300; ++round) {
        for (int signo = 1; signo < NSIG; ++signo)
            signal(signo, SIG_DFL);
        struct sigaction standard = { .sa_handler = SIG_DFL };
        for (int signo = 1; signo < NSIG; ++signo)
            sigaction(signo, &standard, NULL);
        burn_signals(2);
    }
}

/* A thread that takes all signals gets what was sent to it. */
static void *wait_for_all(void *arg)
{
    sigset_t all;
    siginfo_t info;
    int signo = 0;
    (void)arg;
    sigfillset(&all);
    require(sigwait(&all, &signo) == 0 && signo == SIGUSR1, "sigwait: what was sent");
    require(sigwaitinfo(&all, &info) == SIGUSR2 && info.si_signo == SIGUSR2, "sigwaitinfo: what was sent");
    const struct timespec limit = { .tv_nsec = 200000000 };
    errno = 0;
    require(sigtimedwait(&all, &info, &limit) < 0 && errno == EAGAIN, "sigtimedwait: the time");
    return NULL;
}

static void pause_ms(long ms)
{
    struct timespec rest = { .tv_nsec = ms * 1000000 };
    while (nanosleep(&rest, &rest) != 0)
        continue;
}

static void waits(void)
{
    sigset_t all;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    require(pthread_create(&thread, NULL, wait_for_all, NULL) == 0, "pthread_create");
    pause_ms(200);
    pthread_kill(thread, SIGUSR1);
    pause_ms(200);
    pthread_kill(thread, SIGUSR2);
    require(pthread_join(thread, NULL) == 0, "pthread_join");
}

static atomic_bool has_come;

static void *wait_for_prof(void *arg)
{
    sigset_t set;
    int signo = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    require(sigwait(&set, &signo) == 0 && signo == SIGPROF, "sigwait: SIGPROF");
    atomic_store(&has_come, true);
    return arg;
}

static void *work_until_it_comes(void *arg)
{
    while (!atomic_load(&has_come))
        burn_signals(1);
    return arg;
}

/* All threads block all signals; the one that waits for SIGPROF gets it, and no other dies of it. */
static void taken_by_one(void)
{
    sigset_t all;
    pthread_t threads[3];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < 3; ++i) {
        void *(*routine)(void *) = i < 2 ? work_until_it_comes : wait_for_prof;
        require(pthread_create(&threads[i], NULL, routine, NULL) == 0, "pthread_create");
    }
    pause_ms(100);
    kill(getpid(), SIGPROF);
    for (int i = 0; i < 3; ++i)
        require(pthread_join(threads[i], NULL) == 0, "pthread_join");
}

/* Reads a byte that a child writes after so many SIGPROF. */
static ssize_t read_while_signals_come(int signals)
{
    int ends[2];
    char byte;
    ssize_t bytes;
    pid_t parent = getpid();
    require(pipe(ends) == 0, "pipe");
    calls = 0;
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        for (int i = 0; i < signals; ++i) {
            pause_ms(20);
            kill(parent, SIGPROF);
        }
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    /* With -c wall the ticks interrupt, too. */
    while ((bytes = read(ends[0], &byte, 1)) < 0 && errno == EINTR && calls == 0)
        continue;
    kill(pid, SIGKILL);
    pid_t ended;
    while ((ended = waitpid(pid, NULL, 0)) < 0 && errno == EINTR)
        continue;
    require(ended == pid, "waitpid");
    return bytes;
}

/* A handler without SA_RESTART is there to end a read: long before the last of 500 signals. */
static void interrupts(void)
{
    struct sigaction action = { .sa_handler = count };
    require(sigaction(SIGPROF, &action, NULL) == 0, "sigaction");
    require(read_while_signals_come(500) < 0 && calls > 0, "the handler interrupts a read");
    action.sa_flags = SA_RESTART;
    require(sigaction(SIGPROF, &action, NULL) == 0, "sigaction");
    require(read_while_signals_come(5) == 1 && calls > 0, "with SA_RESTART it does not");
}

/* A SIGPROF that somebody sends kills, as it would have. */
static void killed(void)
{
    burn_signals(300);
    kill(getpid(), SIGPROF);
    pause_ms(900);
    require(0, "it is killed");
}

/*
 * The child of a fork has the handler that its parent has; one that vfork gives cannot change its parent's.
 */
static void children(void)
{
    int status = -1;
    calls = 0;
    require(signal(SIGPROF, count) == SIG_DFL, "signal");
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        raise(SIGPROF);
        raise(SIGPROF);
        _exit(calls == 2 && current().sa_handler == count ? 0 : 1);
    }
    require(waitpid(pid, &status, 0) == pid && status == 0, "the child's handler");
    pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0) {
        signal(SIGPROF, SIG_DFL);
        _exit(0);
    }
    require(waitpid(pid, &status, 0) == pid && status == 0, "vfork");
    require(current().sa_handler == count, "the parent's handler stays");
    require(raise(SIGPROF) == 0 && calls == 1, "and is called");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        { "own-timer", own_timer },   { "own-posix-timer", own_posix_timer },
        { "flags", flags },           { "resets", resets },
        { "waits", waits },           { "killed", killed },
        { "children", children },     { "taken-by-one", taken_by_one },
        { "interrupts", interrupts },
    };
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; ++i) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            parts[i].run();
            return 0;
        }
    }
    return 98;
}
