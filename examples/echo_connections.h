/* SPDX-License-Identifier: MIT */
/*
 * echo_connections.h: the connections of echo_server.c: each has a slot in the array that aw_poll looks at,
 * a buffer, and a timer that closes it when it falls silent.
 */
#ifndef ECHO_CONNECTIONS_H
#define ECHO_CONNECTIONS_H

#include <poll.h>
#include <stdint.h>

/* What has become of them. */
struct echo_totals {
    uint64_t accepted, read, written; /* connections; bytes */
    uint64_t ended;                   /* by their peer, all that it sent echoed */
    uint64_t idle;                    /* by their timer */
    uint64_t failed;                  /* by an error: reset by their peer, mostly */
    uint64_t reset;                   /* by us */
};
extern struct echo_totals echo_totals;

/* Room for so many. Slot 0 of what is polled is the caller's. 0, or a negative errno. */
int connections_open(unsigned most, uint64_t idle_ns);
struct pollfd *connections_polled(unsigned long *n);

/* A new one. The descriptor is taken over; on an error it is closed. */
int connections_add(int fd);
unsigned connections_count(void);

/* After aw_poll: reads and writes where it is possible. */
void connections_serve(void);

/* From now on they may be idle for so long. */
int connections_set_idle(uint64_t idle_ns);

/* What has arrived is still echoed, and then an end of file. They close when the peer does, too. */
int connections_drain(void);

/* Closes those that are left: what is still under way is lost, and the peer hears ECONNRESET. */
void connections_reset(void);

#endif
