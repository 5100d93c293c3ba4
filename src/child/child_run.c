/* SPDX-License-Identifier: MIT */
/*
 * child_run.c: runs a program to its end: spawns it, waits for it, and stops it if it takes too long. Nothing
 * escapes from here while there is a child that only this function knows.
 */
#include <alarmwheel/child.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/dispatch.h"
#include "../engine/disposition.h"
#include "../engine/engine.h"
#include "child.h"

#define DEFAULT_GRACE AW_SEC(1)

static const struct aw_child_options defaults = { .size = sizeof defaults };

/* What is caught becomes the default by itself; what is ignored does not. */
static sigset_t changed_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, awi_disposition_signo());
    for (int signo = 1; signo <= 64; ++signo)
        if ((AWI_LOAD(awi.held) >> (signo - 1) & 1) != 0)
            sigaddset(&set, signo);
    return set;
}

static int spawn(pid_t *pid, const char *file, char *const argv[], const struct aw_child_options *options)
{
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error != 0)
        return -error;
    sigset_t none, changed = changed_signals();
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  (options->group ? POSIX_SPAWN_SETPGROUP : 0)));
    error = posix_spawnp(pid, file, options->actions, &attributes, argv,
                         options->envp != NULL ? options->envp : environ);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

static uint64_t left(uint64_t deadline_ns)
{
    uint64_t now = awi_clock_now();
    return deadline_ns == AW_FOREVER ? AW_FOREVER : deadline_ns > now ? deadline_ns - now : 0;
}

/* The child did not end by itself, for the reason `why`. What is to be returned. */
static int stop(pid_t pid, const struct aw_child_options *options, int why, struct awi_stopped *stopped,
                bool *is_reaped, const void *here)
{
    uint64_t grace = options->grace_ns != 0 ? options->grace_ns : DEFAULT_GRACE;
    int result = awi_child_stop(pid, options->group, grace, stopped, here);
    *is_reaped = result == 0;
    if (result == 0 && why == -ETIMEDOUT && stopped->value < 0)
        return stopped->value;
    return result == -ENODEV ? result : why;
}

static int run(const char *file, char *const argv[], const struct aw_child_options *options,
               struct awi_stopped *ended, bool *is_reaped, const void *here)
{
    uint64_t deadline = options->timeout_ns != 0 ? awi_sum(awi_clock_now(), options->timeout_ns) : AW_FOREVER;
    int result = awi_dispatch(0, here);
    if (result < 0)
        return result;
    uint64_t epoch = awi_engine.epoch;
    pid_t pid = -1;
    result = spawn(&pid, file, argv, options);
    if (result < 0)
        return result;
    result = awi_child_wait(pid, &ended->status, left(deadline));
    *is_reaped = result == 0;
    /* Where somebody else has reaped it the number may be another's. */
    if (result == 0 || result == -ECHILD || awi_engine.epoch != epoch)
        return result;
    return stop(pid, options, result, ended, is_reaped, here);
}

static bool is_valid(const char *file, char *const argv[], const struct aw_child_options *options)
{
    return file != NULL && argv != NULL && options->size == sizeof *options &&
           options->grace_ns != AW_FOREVER;
}

AWI_OUTLINE int aw_child_run(const char *file, char *const argv[], const struct aw_child_options *options,
                             int *status)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (options == NULL)
        options = &defaults;
    if (!is_valid(file, argv, options))
        return -EINVAL;
    const void *outer = awi_busy_begin();
    int saved_errno = errno;
    struct awi_stopped ended;
    bool is_reaped = false;
    int result = run(file, argv, options, &ended, &is_reaped, AWI_HERE);
    if (is_reaped && status != NULL)
        *status = ended.status;
    errno = saved_errno;
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}
