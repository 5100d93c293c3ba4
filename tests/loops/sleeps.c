/* SPDX-License-Identifier: MIT */
/*
 * sleeps.c: epoll_wait and its kin once more: a shared library finds these in the place of libc's. They
 * count, and do what libc's do.
 */
#include "sleeps.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IN_PLACE __attribute__((visibility("default")))
#define MASK_BYTES (_NSIG / CHAR_BIT)

static _Thread_local bool is_loop;
static unsigned all, bounded;

void sleeps_forget(void)
{
    is_loop = true;
    all = bounded = 0;
}

unsigned sleeps_count(void)
{
    return all;
}

unsigned sleeps_bounded(void)
{
    return bounded;
}

static void count(int timeout_ms)
{
    if (!is_loop)
        return;
    ++all;
    bounded += timeout_ms > 0;
}

IN_PLACE int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms,
                         const sigset_t *mask)
{
    count(timeout_ms);
    return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, mask, (size_t)MASK_BYTES);
}

IN_PLACE int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    return epoll_pwait(epoll, events, most, timeout_ms, NULL);
}

IN_PLACE int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    /* The kernel writes the time that is left; libc's gives it a copy. */
    struct timespec left = timeout != NULL ? *timeout : (struct timespec){ 0 };
    return (int)syscall(SYS_ppoll, fds, n, timeout != NULL ? &left : NULL, mask, (size_t)MASK_BYTES);
}

IN_PLACE int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
    count(timeout_ms);
    return ppoll(fds, n, timeout_ms < 0 ? NULL : &timeout, NULL);
}
