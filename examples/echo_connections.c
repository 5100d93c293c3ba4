/* SPDX-License-Identifier: MIT */
/*
 * echo_connections.c: reads, writes, drains and closes the connections of echo_server.c. A connection is
 * read when all that it has sent is written back, so one buffer bounds what it can ask of the server.
 */
#define _GNU_SOURCE

#include "echo_connections.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define NO_END SIZE_MAX

struct connection {
    struct aw_timer idle;
    unsigned slot;
    size_t left;       /* how much is still to be echoed: NO_END while the server serves */
    size_t begin, end; /* what of the buffer is still to be written */
    bool is_shut;      /* everything is written, and the end of file, too */
    char buffer[4096];
};

struct echo_totals echo_totals;

static struct pollfd *polled;          /* a slot without a connection has the descriptor -1 */
static struct connection **connection; /* by slot */
static unsigned *unused, unused_count; /* a stack of slots */
static unsigned room, top = 1, count;  /* slots; those in use lie below top; connections */
static uint64_t idle_ns;

int connections_open(unsigned most, uint64_t idle)
{
    idle_ns = idle;
    room = most + 1;
    polled = calloc(room, sizeof(*polled));
    connection = calloc(room, sizeof(struct connection *));
    unused = calloc(room, sizeof(*unused));
    if (polled == NULL || connection == NULL || unused == NULL)
        return -ENOMEM;
    for (unsigned slot = most; slot >= 1; slot--) {
        polled[slot].fd = -1;
        unused[unused_count++] = slot;
    }
    return 0;
}

struct pollfd *connections_polled(unsigned long *n)
{
    *n = top;
    return polled;
}

unsigned connections_count(void)
{
    return count;
}

static void end(struct connection *gone, uint64_t *total)
{
    unsigned slot = gone->slot;

    (void)aw_timer_delete(gone->idle);
    (void)close(polled[slot].fd);
    polled[slot].fd = -1;
    polled[slot].revents = 0;
    connection[slot] = NULL;
    unused[unused_count++] = slot;
    while (top > 1 && connection[top - 1] == NULL)
        top--;
    count--;
    ++*total;
    free(gone);
}

/*
 * Runs inside aw_poll, which may be looking at this very slot: it does not mind that the descriptor becomes
 * -1. Where all slots were taken it ends aw_poll, because the listener has to be looked at again.
 */
static int on_idle(struct aw_timer timer, void *arg)
{
    bool was_full = unused_count == 0;

    (void)timer;
    end(arg, &echo_totals.idle);
    return was_full ? -ECANCELED : 0;
}

int connections_add(int fd)
{
    struct connection *added = unused_count != 0 ? malloc(sizeof(*added)) : NULL;
    int error = added != NULL ? aw_timer_create(&added->idle, on_idle, added) : -ENOMEM;

    if (error == 0 && (error = aw_timer_arm(added->idle, idle_ns)) != 0)
        (void)aw_timer_delete(added->idle);
    if (error != 0) {
        free(added);
        (void)close(fd);
        return error;
    }
    added->slot = unused[--unused_count];
    added->left = NO_END;
    added->begin = added->end = 0;
    added->is_shut = false;
    connection[added->slot] = added;
    polled[added->slot] = (struct pollfd){ .fd = fd, .events = POLLIN };
    top = added->slot >= top ? added->slot + 1 : top;
    count++;
    echo_totals.accepted++;
    return 0;
}

static bool is_written(const struct connection *one)
{
    return one->begin == one->end;
}

/* A store or two, whatever the number of timers. */
static void put_off_idle(struct connection *one)
{
    if (one->left == NO_END)
        (void)aw_timer_again(one->idle);
}

/* False: the connection has ended. */
static bool read_more(struct connection *one)
{
    bool discards = one->left == 0; /* we have said goodbye: what still comes is nobody's */
    size_t most = !discards && one->left < sizeof(one->buffer) ? one->left : sizeof(one->buffer);
    ssize_t got = recv(polled[one->slot].fd, one->buffer, most, 0);

    if (got > 0 && !discards) {
        one->begin = 0;
        one->end = (size_t)got;
        one->left -= one->left != NO_END ? (size_t)got : 0;
        echo_totals.read += (uint64_t)got;
        put_off_idle(one);
    } else if (got == 0) {
        end(one, &echo_totals.ended);
        return false;
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
        end(one, &echo_totals.failed);
        return false;
    }
    return true;
}

static bool write_more(struct connection *one)
{
    ssize_t put = send(polled[one->slot].fd, one->buffer + one->begin, one->end - one->begin, MSG_NOSIGNAL);

    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        end(one, &echo_totals.failed);
        return false;
    }
    if (put > 0) {
        one->begin += (size_t)put;
        echo_totals.written += (uint64_t)put;
        put_off_idle(one);
    }
    return true;
}

/* What it waits for from now on. When the last byte is written it says goodbye, once. */
static void settle(struct connection *one)
{
    if (is_written(one) && one->left == 0 && !one->is_shut) {
        one->is_shut = true;
        (void)shutdown(polled[one->slot].fd, SHUT_WR); /* an error will show when it is read */
    }
    polled[one->slot].events = is_written(one) ? POLLIN : POLLOUT;
}

static void serve(struct connection *one)
{
    if (is_written(one) && !read_more(one))
        return;
    if (!is_written(one) && !write_more(one))
        return;
    settle(one);
}

void connections_serve(void)
{
    for (unsigned slot = 1; slot < top; slot++)
        if (polled[slot].revents != 0)
            serve(connection[slot]);
}

int connections_set_idle(uint64_t idle)
{
    int error = 0;

    idle_ns = idle;
    for (unsigned slot = 1; slot < top && error == 0; slot++)
        if (connection[slot] != NULL)
            error = aw_timer_arm(connection[slot]->idle, idle_ns);
    return error;
}

/*
 * To close at once would not do: what the peer sends later would be answered by a reset, and a reset can
 * overtake what we have written. So we say end of file, and read on until the peer says it, too.
 */
int connections_drain(void)
{
    for (unsigned slot = 1; slot < top; slot++) {
        struct connection *one = connection[slot];
        int arrived;

        if (one == NULL)
            continue;
        if (ioctl(polled[slot].fd, FIONREAD, &arrived) != 0)
            return -errno;
        one->left = (size_t)arrived;
        int error = aw_timer_disarm(one->idle); /* the deadline of the drain counts now */
        if (error < 0)
            return error;
        settle(one);
    }
    return 0;
}

void connections_reset(void)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    for (unsigned slot = 1; slot < top; slot++)
        if (connection[slot] != NULL) {
            (void)setsockopt(polled[slot].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
            end(connection[slot], &echo_totals.reset);
        }
    free(polled);
    free(connection);
    free(unused);
}
