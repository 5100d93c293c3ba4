/* SPDX-License-Identifier: MIT */
/*
 * io_full.c: reads and writes that go on until all is done: loops over the guarded calls of io_files.c,
 * with one deadline for all of them. *done is told after each, so that it is right however the loop ends; no
 * escape comes between a call and its count.
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

static uint64_t left(uint64_t deadline_ns)
{
    uint64_t now = awi_clock_now();
    return deadline_ns == AW_FOREVER ? AW_FOREVER : deadline_ns > now ? deadline_ns - now : 0;
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
AWI_OUTLINE ssize_t aw_read_full(int fd, void *buffer, size_t n, size_t *done, uint64_t timeout_ns)
{
    if (!is_valid(buffer, n, done))
        return -1;
    const void *outer = awi_busy_begin();
    uint64_t deadline = awi_sum(awi_clock_now(), timeout_ns);
    ssize_t moved;
    *done = 0;
    do
        moved = aw_read(fd, (char *)buffer + *done, n - *done, left(deadline));
    while (add(moved, n, done));
    awi_busy_end(outer);
    return total(moved, done, AWI_HERE);
}

AWI_OUTLINE ssize_t aw_write_full(int fd, const void *buffer, size_t n, size_t *done, uint64_t timeout_ns)
{
    if (!is_valid(buffer, n, done))
        return -1;
    const void *outer = awi_busy_begin();
    uint64_t deadline = awi_sum(awi_clock_now(), timeout_ns);
    ssize_t moved;
    *done = 0;
    do
        moved = aw_write(fd, (const char *)buffer + *done, n - *done, left(deadline));
    while (add(moved, n, done));
    awi_busy_end(outer);
    return total(moved, done, AWI_HERE);
}
