/* SPDX-License-Identifier: MIT */
/*
 * child.h: child processes with deadlines. Every call here names its child, and takes the status of that one
 * and of no other: SIGCHLD is not touched, waitpid(-1) is not used, so it lives beside whoever waits for
 * children of his own. It waits inside the kernel, in a guarded call: no signal has to arrive for it.
 *
 * For all functions here: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV without an engine and in
 * a forked child. They are safe points while they block. Statuses are those of waitpid(2).
 *
 * Needs the types of POSIX.1-2008: define _POSIX_C_SOURCE 200809L or _GNU_SOURCE in C11 mode.
 */
#ifndef ALARMWHEEL_CHILD_H
#define ALARMWHEEL_CHILD_H

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Waits until the child has ended, at most timeout_ns (AW_FOREVER: no limit; 0: only looks, and runs
 * nothing), and reaps it. *status (NULL: not wanted) is written only with a 0.
 *
 * Returns 0. Errors: -ETIMEDOUT (the time is over and the child has not ended, or a guard around the call has
 * expired: the child is still to be waited for); the negative value of a callback (likewise); -ECHILD (no
 * child of this process, reaped by somebody else, or SIGCHLD is ignored: then nobody gets a status); -EINVAL
 * (pid below 1).
 */
AW_API int aw_child_wait(pid_t pid, int *status, uint64_t timeout_ns);

/*
 * Ends a child: SIGTERM and SIGCONT, up to grace_ns to obey, then SIGKILL; and reaps it. One that has ended
 * already is only reaped. grace_ns 0: SIGKILL at once.
 *
 * pid below -1: the process group -pid, led by a child of ours: all of it is signalled, also if its leader
 * has ended; what is left when the grace is over is killed; the children of ours in it are reaped; *status is
 * the leader's. To learn early that a group has gone takes /proc; without it the grace is always waited out,
 * and of the children in it only the leader is reaped.
 *
 * A guard that expires meanwhile, or a callback's negative value, ends the grace, not the call: the child is
 * killed and reaped all the same. A guard that had expired before does not: it is mostly for those that
 * children are stopped. Nobody else may wait for this child, or its number could be another's by the time of
 * the signal.
 *
 * Returns 0, or the negative value of a callback: reaped in both cases, and *status (NULL: not wanted)
 * written. Errors: -ECHILD (no such child, or it leads no group); -EINVAL (pid 0, 1, -1, or the caller's own
 * group; grace AW_FOREVER); -EPERM (also: not ours to signal); -ETIMEDOUT: killed, and a second later still
 * not gone (it sleeps in the kernel): it is to be waited for.
 */
AW_API int aw_child_stop(pid_t pid, uint64_t grace_ns, int *status);

/* Options of aw_child_run. Zero in any field but `size` means the default. */
struct aw_child_options {
    size_t size;         /* sizeof(struct aw_child_options) */
    char *const *envp;   /* default: this process's */
    uint64_t timeout_ns; /* default: no limit */
    uint64_t grace_ns;   /* between SIGTERM and SIGKILL when it is stopped; default AW_SEC(1) */
    bool group;          /* the child leads a process group of its own, all of which is stopped */
    const posix_spawn_file_actions_t *actions; /* descriptors, as posix_spawn(3) takes them */
};

/*
 * Runs a program to its end: posix_spawnp(3), aw_child_wait, and aw_child_stop if the time is over; it leaves
 * no child behind but one that SIGKILL does not end within a second. The child starts with no signal blocked,
 * and with those that alarmwheel watches or ignores at SIG_DFL. `file` is looked up in PATH unless it has a
 * slash. options NULL: the defaults.
 *
 * Returns 0 when it has ended by itself in time; *status (NULL: not wanted) says how, and is written whenever
 * a child was there and was reaped. Errors: -ETIMEDOUT (timeout_ns, or a guard around it: the child was
 * stopped); the negative value of a callback (likewise); -ECHILD (somebody else has reaped it, or SIGCHLD is
 * ignored); -EINVAL (NULL file or argv, options; grace AW_FOREVER); and what posix_spawnp(3) says (-ENOENT,
 * -EACCES, -E2BIG, -EAGAIN, ...). It begins with a safe point: if that says no, nothing is started.
 */
AW_API int aw_child_run(const char *file, char *const argv[], const struct aw_child_options *options,
                        int *status);

#ifdef __cplusplus
}
#endif

#endif
