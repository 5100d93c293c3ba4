/* SPDX-License-Identifier: MIT */
/*
 * io_full.c: reads and writes that go on until all is done: loops over guarded calls, with one deadline for
 * all of them. *done is told after each, so that it is right however the loop ends; no escape comes between a
 * call and its count.
 */
#include <alarmwheel/io.h>

#include <errno.h>
#include <limits.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/pending.h"
#include "call.h"

static bool is_valid(const void *buffer, size_t n, const size_t *done)
{
    if (done != NULL && (buffer != NULL || n == 0) && n <= SSIZE_MAX)
        return true;
    awi_call_refused(EINVAL);
    return false;
}

/* True if there is more to do. */
static bool add(ssize_t moved, size_t n, size_t *done)
{
    if (moved <= 0)
        return false;
    *done += (size_t)moved;
    return *done < n;
}

/* The escape that awi_call has to make, where an escaping guard is out of time, was put off by our mark. */
static ssize_t total(ssize_t moved, const size_t *done, const void *here)
{
    if (moved >= 0)
        return (ssize_t)*done;
    if (aw_timed_out() && awi_expired_guards() != 0)
        awi.escape(here);
    return -1;
}

/* With no bytes one call is made, too: it says what is wrong with the descriptor or the thread. */
static ssize_t move_all(const struct awi_syscall *call, int fd, const void *buffer, size_t n, size_t *done,
                        uint64_t timeout_ns, const void *here)
{
    if (!is_valid(buffer, n, done))
        return -1;
    const void *outer = awi_busy_begin();
    uint64_t deadline = awi_sum(awi_clock_now(), timeout_ns);
    ssize_t moved;
    *done = 0;
    do {
        const long argument[6] = { fd, (long)buffer + (long)*done, (long)(n - *done) };
        moved = awi_call_until(argument, deadline, call);
    } while (add(moved, n, done));
    awi_busy_end(outer);
    return total(moved, done, here);
}

AWI_OUTLINE ssize_t aw_read_full(int fd, void *buffer, size_t n, size_t *done, uint64_t timeout_ns)
{
    return move_all(&awi_read, fd, buffer, n, done, timeout_ns, AWI_HERE);
}

AWI_OUTLINE ssize_t aw_write_full(int fd, const void *buffer, size_t n, size_t *done, uint64_t timeout_ns)
{
    return move_all(&awi_write, fd, buffer, n, done, timeout_ns, AWI_HERE);
}
