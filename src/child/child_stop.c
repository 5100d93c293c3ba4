/* SPDX-License-Identifier: MIT */
/*
 * child_stop.c: ends a child, or the group that it leads: SIGTERM, a grace, SIGKILL, and it is reaped. What
 * is signalled is the number of a process, which must not be another's by then. It cannot be while the child
 * is unreaped, so:
 *
 *   it is looked whether there is such a child   before the first signal, and after each time that
 *                                                callbacks ran, which may have reaped it
 *   its end is waited for with WNOWAIT           so that a group keeps its leader, though a dead one, until
 *                                                the rest of it has gone or was killed
 *   a group is killed in any case                before the leader is reaped: who was born while the others
 *                                                were counted is still in it
 *
 * Guards that expire end the grace, but those that had expired before the stop began: it is mostly for them
 * that it is called.
 */
#include <alarmwheel/child.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/dispatch.h"
#include "../engine/engine.h"
#include "../guard/call.h"
#include "child.h"

/* How often one looks at what nothing announces. */
#define SHORTEST_STEP AW_US(50)
#define LONGEST_STEP AW_MS(20)

/* SIGKILL ends a process in far less, unless it sleeps in the kernel. */
#define KILL_TAKES AW_SEC(1)

struct stop {
    pid_t child;
    bool is_group;
    bool is_cut; /* the grace is over: for a guard, or for a callback's value */
    int value;   /* of that callback, or 0 */
    uint64_t epoch;
    uint64_t known; /* guards that have been heard */
    const void *here;
};

/* A guard has expired that was not heard yet, or callbacks are due. */
static bool is_called(const struct stop *stop, bool is_in_callback)
{
    return (awi_expired_guards() & ~stop->known) != 0 ||
           (!is_in_callback && (awi_flags() & AWI_CALLBACKS) != 0);
}

/* Blocked around the look, a signal ends the sleep that it comes before. */
static void nap(const struct stop *stop, uint64_t until_ns)
{
    bool is_in_callback = awi_in_callback(stop->here);
    sigset_t all, mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    __atomic_store_n(&awi.sleeping, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t now;
    while (!is_called(stop, is_in_callback) && (now = awi_clock_now()) < until_ns) {
        const struct timespec span = { .tv_nsec = (long)(until_ns - now) };
        (void)ppoll(NULL, 0, &span, &mask);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* What a safe point said. */
static void hear(struct stop *stop, int result)
{
    uint64_t expired = awi_expired_guards();
    if (result == -ETIMEDOUT && expired != 0) {
        stop->is_cut = stop->is_cut || (expired & ~stop->known) != 0;
        stop->known |= expired;
    } else if (result < 0) {
        stop->is_cut = true;
        stop->value = result;
    }
}

/* A callback has forked, and this is the child: nothing here is its own. */
static bool is_in_another_process(const struct stop *stop)
{
    return awi_engine.epoch != stop->epoch;
}

static int safepoint(struct stop *stop)
{
    int result = awi_dispatch(0, stop->here);
    if (is_in_another_process(stop))
        return -ENODEV;
    hear(stop, result);
    return 0;
}

/*
 * 1: all of it, 0: not; or -ECHILD. Where nobody can tell, a group is given its grace, and is not waited for
 * once it was killed.
 */
static int has_ended(const struct stop *stop, bool is_killed)
{
    int ended = awi_child_look(stop->child);
    if (ended <= 0 || !stop->is_group)
        return ended;
    int lives = awi_group_lives(stop->child);
    return lives < 0 ? is_killed : !lives;
}

/* Looks in growing steps. What has_ended says at last. */
static int await(struct stop *stop, uint64_t until_ns, bool is_killed)
{
    uint64_t step = SHORTEST_STEP;
    for (;;) {
        int ended = has_ended(stop, is_killed);
        uint64_t now = awi_clock_now();
        if (ended != 0 || now >= until_ns || (stop->is_cut && !is_killed))
            return ended;
        nap(stop, until_ns - now < step ? until_ns : now + step);
        int result = safepoint(stop);
        if (result < 0)
            return result;
        step = step < LONGEST_STEP / 2 ? 2 * step : LONGEST_STEP;
    }
}

static long plain_waitid(const long argument[6])
{
    return waitid((idtype_t)argument[0], (id_t)argument[1], (siginfo_t *)argument[2], (int)argument[3]);
}

/*
 * The child itself is waited for in the kernel; not inside an expired guard, where that is over before it
 * begins, and nothing tells of the rest of a group.
 */
static int give_grace(struct stop *stop, uint64_t grace_ns)
{
    static const struct awi_syscall call = { SYS_waitid, plain_waitid };
    uint64_t until = awi_sum(awi_clock_now(), grace_ns);
    if (stop->known == 0) {
        siginfo_t info;
        const long argument[6] = { P_PID, stop->child, (long)&info, WEXITED | WNOWAIT };
        bool is_over;
        int result = (int)awi_call_value(argument, grace_ns, &call, &is_over);
        if (is_in_another_process(stop))
            return -ENODEV;
        if (!is_over || awi_expired_guards() != 0)
            hear(stop, result);
    }
    return await(stop, until, false);
}

static int send(const struct stop *stop, int signo)
{
    return kill(stop->is_group ? -stop->child : stop->child, signo) == 0 ? 0 : -errno;
}

/* 1: all of it has ended; 0: killed, and not yet; or negative errno. */
static int end(struct stop *stop, uint64_t grace_ns)
{
    int ended = awi_child_look(stop->child);
    if (ended < 0)
        return ended;
    if (stop->is_group && getpgid(stop->child) != stop->child)
        return -ECHILD;
    if (grace_ns != 0 && (!ended || stop->is_group)) {
        int result = send(stop, SIGTERM);
        if (result < 0)
            return result;
        (void)send(stop, SIGCONT);
        ended = give_grace(stop, grace_ns);
    }
    if (ended < 0 || (ended > 0 && !stop->is_group))
        return ended;
    int result = send(stop, SIGKILL);
    return result < 0 ? result : await(stop, awi_sum(awi_clock_now(), KILL_TAKES), true);
}

/* The program was not told of the guards that only we heard of: they go on interrupting it. */
static void untell(uint64_t told)
{
    if ((AWI_LOAD(awi.told) & ~told) == 0)
        return;
    __atomic_fetch_and(&awi.told, told, __ATOMIC_RELAXED);
    awi_cover_slow(false);
}

int awi_child_stop(pid_t pid, bool is_group, uint64_t grace_ns, struct awi_stopped *stopped, const void *here)
{
    struct stop stop = { .child = pid,
                         .is_group = is_group,
                         .epoch = awi_engine.epoch,
                         .known = awi_expired_guards(),
                         .here = here };
    uint64_t told = AWI_LOAD(awi.told);
    int result = end(&stop, grace_ns);
    if (is_in_another_process(&stop))
        return -ENODEV;
    untell(told);
    if (result < 0)
        return result;
    if (is_group)
        awi_group_reap(pid);
    stopped->value = stop.value;
    return awi_child_reap(pid, &stopped->status);
}

static bool is_valid(pid_t pid, uint64_t grace_ns)
{
    return (pid > 1 || (pid < -1 && pid >= -INT_MAX)) && grace_ns != AW_FOREVER && -pid != getpgrp();
}

AWI_OUTLINE int aw_child_stop(pid_t pid, uint64_t grace_ns, int *status)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (!is_valid(pid, grace_ns))
        return -EINVAL;
    const void *outer = awi_busy_begin();
    int saved_errno = errno;
    struct awi_stopped stopped;
    int result = awi_child_stop(pid < 0 ? -pid : pid, pid < 0, grace_ns, &stopped, AWI_HERE);
    if (result == 0) {
        result = stopped.value;
        if (status != NULL)
            *status = stopped.status;
    }
    errno = saved_errno;
    awi_busy_end(outer);
    (void)awi_escape_if_due(-ETIMEDOUT, AWI_HERE);
    return result;
}
