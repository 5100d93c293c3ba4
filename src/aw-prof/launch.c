/* SPDX-License-Identifier: MIT */
/* launch.c: see launch.h. */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "options.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define FOREVER_NS (UINT64_C(3600) * NS_PER_SEC) /* at a time */

uint64_t awi_now_ns(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Those that are taken by sigtimedwait: a child's, and what others send to aw-prof to reach the program. */
static void waited_for(sigset_t *set)
{
    static const int signals[] = { SIGCHLD, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU };
    sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; ++i)
        sigaddset(set, signals[i]);
}

void awi_launch_take_signals(struct awi_launch *launch)
{
    sigset_t set;
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    const struct sigaction standard = { .sa_handler = SIG_DFL };
    waited_for(&set);
    sigprocmask(SIG_BLOCK, &set, &launch->mask);
    sigaction(SIGINT, &ignore, &launch->interrupt);
    sigaction(SIGQUIT, &ignore, &launch->quit);
    sigaction(SIGPIPE, &ignore, &launch->pipe);
    /* Ignored, as some parents leave it, it would reap the child. */
    sigaction(SIGCHLD, &standard, &launch->child);
}

void awi_launch_give_back(const struct awi_launch *launch)
{
    sigaction(SIGINT, &launch->interrupt, NULL);
    sigaction(SIGQUIT, &launch->quit, NULL);
    sigaction(SIGPIPE, &launch->pipe, NULL);
    sigaction(SIGCHLD, &launch->child, NULL);
    sigprocmask(SIG_SETMASK, &launch->mask, NULL);
}

/* In the child: what it returns with is told to the parent. */
static void execute(const struct awi_program *program, char **arguments, char **environment)
{
    if (!program->is_plain_script) {
        execve(program->path, arguments, environment);
        return;
    }
    size_t count = 0;
    while (arguments[count] != NULL)
        ++count;
    char **of_shell = calloc(count + 3, sizeof *of_shell);
    if (of_shell == NULL)
        return;
    of_shell[0] = "sh";
    of_shell[1] = (char *)program->path;
    for (size_t i = 1; i < count; ++i)
        of_shell[i + 1] = arguments[i];
    execve("/bin/sh", of_shell, environment);
}

int awi_launch_start(struct awi_launch *launch, const struct awi_program *program, char **arguments,
                     char **environment)
{
    int ends[2];
    int error = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        awi_say("pipe: %s", strerror(errno));
        return AWI_STATUS_FAILED;
    }
    launch->started_ns = awi_now_ns();
    launch->pid = fork();
    if (launch->pid == 0) {
        awi_launch_give_back(launch);
        execute(program, arguments, environment);
        error = errno;
        if (write(ends[1], &error, sizeof error) < 0)
            _exit(AWI_STATUS_FAILED);
        _exit(AWI_STATUS_NOT_EXECUTABLE);
    }
    error = launch->pid < 0 ? errno : 0;
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        awi_say("fork: %s", strerror(error));
        return AWI_STATUS_FAILED;
    }
    ssize_t bytes;
    while ((bytes = read(ends[0], &error, sizeof error)) < 0 && errno == EINTR)
        continue;
    close(ends[0]);
    if (bytes != (ssize_t)sizeof error)
        return 0;
    waitpid(launch->pid, &launch->status, 0);
    awi_say("%s: %s", program->path, strerror(error));
    return error == ENOENT ? AWI_STATUS_NOT_FOUND : AWI_STATUS_NOT_EXECUTABLE;
}

/* The terminal's own hang-up has reached the program already. */
static void pass_on(const struct awi_launch *launch, int signo, const siginfo_t *info)
{
    if (signo != SIGCHLD && !(signo == SIGHUP && info->si_code == SI_KERNEL))
        kill(launch->pid, signo);
}

void awi_launch_wait(struct awi_launch *launch, uint64_t until_ns)
{
    sigset_t set;
    waited_for(&set);
    while (!launch->has_ended) {
        pid_t pid = wait4(launch->pid, &launch->status, WNOHANG, &launch->used);
        uint64_t now = awi_now_ns();
        if (pid == launch->pid || (pid < 0 && errno != EINTR)) {
            launch->has_ended = true;
            launch->ended_ns = now;
            return;
        }
        if (now >= until_ns)
            return;
        uint64_t left = until_ns - now < FOREVER_NS ? until_ns - now : FOREVER_NS;
        struct timespec limit = { .tv_sec = (time_t)(left / NS_PER_SEC),
                                  .tv_nsec = (long)(left % NS_PER_SEC) };
        siginfo_t info;
        int signo = sigtimedwait(&set, &info, &limit);
        if (signo > 0)
            pass_on(launch, signo, &info);
    }
}

static uint64_t nanoseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * NS_PER_SEC + (uint64_t)time.tv_usec * 1000;
}

uint64_t awi_launch_used_ns(const struct awi_launch *launch)
{
    return launch->has_ended ? nanoseconds(launch->used.ru_utime) + nanoseconds(launch->used.ru_stime) : 0;
}

int awi_launch_status(const struct awi_launch *launch)
{
    if (WIFSIGNALED(launch->status))
        return AWI_STATUS_SIGNAL + WTERMSIG(launch->status);
    return WEXITSTATUS(launch->status);
}
