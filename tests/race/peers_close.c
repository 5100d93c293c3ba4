/* SPDX-License-Identifier: MIT */
/*
 * peers_close.c: the peers of aw_close: a connection that lingers, since the other end does not read, and a
 * file whose close has to write. See peers.h.
 *
 * The real kernel frees the number first, blocks then, and says 0 where a signal has cut the lingering short.
 * A file system whose close says EINTR (NFS, FUSE) is nothing that a test can mount: world.c plays it.
 */
#include "peers.h"

#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the other end has room for, by far. */
#define LINGERING 65536
#define ROOM 16384

static char bytes[LINGERING];
static struct sockaddr_in address;
static int other_end;
static int closing;
static unsigned open_before;

static long close_call(uint64_t timeout_ns)
{
    return aw_close(closing, timeout_ns);
}

static void closed_once(long result, bool was_ready)
{
    unsigned open = peers_open();

    (void)was_ready;
    race_check(fcntl(closing, F_GETFD) == -1 && errno == EBADF, "returned %ld, and it is open", result);
    race_check(open == open_before - 1, "%u descriptors were open, and %u are", open_before, open);
}

/* A connection. peer_fds: the listener. The end that is closed is the child's alone. */

static void lingering_prepare(void)
{
    const int room = ROOM;
    socklen_t size = sizeof address;

    other_end = -1;
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    peer_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    race_check(peer_fds[0] >= 0 && setsockopt(peer_fds[0], SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0 &&
                   bind(peer_fds[0], (struct sockaddr *)&address, size) == 0 && listen(peer_fds[0], 1) == 0 &&
                   getsockname(peer_fds[0], (struct sockaddr *)&address, &size) == 0,
               "a listening socket: errno %d", errno);
}

static void lingering_settle(void)
{
    const struct linger linger = { 1, 1000 };
    const int room = 2 * LINGERING;

    closing = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    race_check(closing >= 0 && setsockopt(closing, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0 &&
                   setsockopt(closing, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0 &&
                   connect(closing, (struct sockaddr *)&address, sizeof address) == 0 &&
                   send(closing, bytes, sizeof bytes, MSG_DONTWAIT) == LINGERING,
               "a full connection: errno %d", errno);
    open_before = peers_open();
}

/* Reads all that was sent: whichever side of the close the child stands on. */
static void lingering_ready(bool child_sleeps)
{
    ssize_t moved = 1;

    (void)child_sleeps;
    other_end = accept4(peer_fds[0], NULL, NULL, SOCK_CLOEXEC);
    race_page->peer_moved = 0;
    while (race_page->peer_moved < LINGERING && (moved >= 0 || errno == EINTR) && moved != 0) {
        moved = recv(other_end, bytes, sizeof bytes, 0);
        race_page->peer_moved += moved > 0 ? (uint32_t)moved : 0;
    }
    race_check(race_page->peer_moved == LINGERING, "%u bytes came", (unsigned)race_page->peer_moved);
}

/* With a reset, so that the kernel keeps nothing of thousands of connections. */
static void lingering_tidy(void)
{
    const struct linger none = { 1, 0 };

    close(peer_fds[0]);
    if (other_end < 0)
        return;
    setsockopt(other_end, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(other_end);
}

const struct race_peer peer_lingering = { .prepare = lingering_prepare,
                                          .ready = lingering_ready,
                                          .tidy = lingering_tidy,
                                          .settle = lingering_settle,
                                          .call = close_call,
                                          .account = closed_once,
                                          .is_plain = true };

/* A file that is written out when it is closed, while peer_fds[0] is not readable. */

static void written_prepare(void)
{
    race_check(pipe2(peer_fds, O_CLOEXEC) == 0, "pipe: errno %d", errno);
}

/* The lowest number that is free: the next descriptor that anybody opens gets it, once it is closed. */
static void written_settle(void)
{
    closing = fcntl(peer_fds[1], F_DUPFD_CLOEXEC, 0);
    race_check(closing >= 0, "dup: errno %d", errno);
    race_close_waits(closing, peer_fds[0]);
    open_before = peers_open();
}

static void written_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(write(peer_fds[1], "x", 1) == 1, "write: errno %d", errno);
}

static void written_tidy(void)
{
    close(peer_fds[0]);
    close(peer_fds[1]);
}

const struct race_peer peer_written_out = { .prepare = written_prepare,
                                            .ready = written_ready,
                                            .tidy = written_tidy,
                                            .settle = written_settle,
                                            .call = close_call,
                                            .account = closed_once,
                                            .is_plain = true };
