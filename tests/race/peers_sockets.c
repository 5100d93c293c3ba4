/* SPDX-License-Identifier: MIT */
/*
 * peers_sockets.c: the peers of calls on sockets: AF_UNIX, where a connection is made or not made at once and
 * a backlog can be full. See peers.h.
 */
#include "peers.h"

#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_FILLERS 8

static struct sockaddr_un address;
static socklen_t address_size;
static int fillers[MOST_FILLERS];
static int filled;
static unsigned open_before;

static void count_open(void)
{
    open_before = peers_open();
}

static int new_socket(int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    race_check(fd >= 0, "socket: errno %d", errno);
    return fd;
}

/* A name that the kernel chooses. */
static void listen_with(int backlog)
{
    struct sockaddr_un any = { .sun_family = AF_UNIX };

    filled = 0;
    peer_fds[1] = -1;
    peer_fds[0] = new_socket(0);
    address_size = sizeof address;
    race_check(bind(peer_fds[0], (struct sockaddr *)&any, sizeof any.sun_family) == 0 &&
                   getsockname(peer_fds[0], (struct sockaddr *)&address, &address_size) == 0 &&
                   listen(peer_fds[0], backlog) == 0,
               "a listening socket: errno %d", errno);
}

/* One more connection; false where the backlog is full. */
static bool connect_one(void)
{
    int fd = new_socket(SOCK_NONBLOCK);

    if (connect(fd, (struct sockaddr *)&address, address_size) != 0) {
        race_check(errno == EAGAIN, "connect: errno %d", errno);
        close(fd);
        return false;
    }
    fillers[filled++] = fd;
    return true;
}

static void close_sockets(void)
{
    while (filled > 0)
        close(fillers[--filled]);
    close(peer_fds[0]);
    if (peer_fds[1] >= 0)
        close(peer_fds[1]);
}

/* The connections that wait to be accepted. */
static unsigned accept_all(void)
{
    unsigned accepted = 0;
    int fd;

    race_check(fcntl(peer_fds[0], F_SETFL, O_NONBLOCK) == 0, "F_SETFL: errno %d", errno);
    while ((fd = accept4(peer_fds[0], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        accepted++;
        close(fd);
    }
    race_check(errno == EAGAIN, "accept4: errno %d", errno);
    return accepted;
}

/* aw_accept4 where nobody calls. */

static void listener_prepare(void)
{
    listen_with(4);
}

static void listener_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(connect_one(), "nobody can connect");
}

static long accept_call(uint64_t timeout_ns)
{
    return aw_accept4(peer_fds[0], NULL, NULL, SOCK_CLOEXEC, timeout_ns);
}

static void listener_account(long result, bool was_ready)
{
    unsigned granted = peers_open() - open_before;
    unsigned waiting = accept_all();

    race_check(granted == (result >= 0), "%u descriptors granted, returned %ld", granted, result);
    race_check(granted + waiting == was_ready, "%u accepted, %u wait, ready %d", granted, waiting, was_ready);
}

const struct race_peer peer_listener = { .prepare = listener_prepare,
                                         .ready = listener_ready,
                                         .tidy = close_sockets,
                                         .settle = count_open,
                                         .call = accept_call,
                                         .account = listener_account };

/* aw_connect to a full backlog. peer_fds: the listener; the socket that is to be connected. */

static void backlog_prepare(void)
{
    listen_with(0);
    while (filled < MOST_FILLERS && connect_one())
        continue;
    race_check(filled < MOST_FILLERS, "the backlog never gets full");
    peer_fds[1] = new_socket(0);
}

static void backlog_ready(bool child_sleeps)
{
    int fd = accept4(peer_fds[0], NULL, NULL, SOCK_CLOEXEC);

    (void)child_sleeps;
    race_check(fd >= 0, "accept4: errno %d", errno);
    close(fd);
}

static long connect_call(uint64_t timeout_ns)
{
    return aw_connect(peer_fds[1], (const struct sockaddr *)&address, address_size, timeout_ns);
}

static void backlog_account(long result, bool was_ready)
{
    unsigned waiting = accept_all();
    unsigned connected = waiting - ((unsigned)filled - was_ready);
    struct sockaddr_un other;
    socklen_t size = sizeof other;
    bool has_peer = getpeername(peer_fds[1], (struct sockaddr *)&other, &size) == 0;

    race_check(connected == (result == 0), "%u connected, returned %ld", connected, result);
    race_check(has_peer == (result == 0), "the socket has a peer: %d, returned %ld", has_peer, result);
}

const struct race_peer peer_backlog = { .prepare = backlog_prepare,
                                        .ready = backlog_ready,
                                        .tidy = close_sockets,
                                        .call = connect_call,
                                        .account = backlog_account };

/* aw_recvmsg of a message that brings a descriptor. peer_fds: the receiver, the sender. */

static char byte;
static union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
} control;
static struct iovec part = { &byte, 1 };

static struct msghdr message(void)
{
    memset(&control, 0, sizeof control);
    return (struct msghdr){
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space
    };
}

static void message_prepare(void)
{
    filled = 0;
    race_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, peer_fds) == 0, "socketpair: errno %d",
               errno);
}

static void message_ready(bool child_sleeps)
{
    struct msghdr out = message();

    (void)child_sleeps;
    byte = 'm';
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &peer_fds[1], sizeof(int));
    race_check(sendmsg(peer_fds[1], &out, 0) == 1, "sendmsg: errno %d", errno);
}

static long message_call(uint64_t timeout_ns)
{
    struct msghdr in = message();

    return aw_recvmsg(peer_fds[0], &in, MSG_CMSG_CLOEXEC, timeout_ns);
}

static void message_account(long result, bool was_ready)
{
    unsigned granted = peers_open() - open_before;
    struct msghdr in = message();
    bool left = recvmsg(peer_fds[0], &in, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1;

    race_check(granted == (result > 0), "%u descriptors granted, returned %ld", granted, result);
    race_check((result > 0) + left == was_ready, "received %ld, %d left, ready %d", result, left, was_ready);
    race_check(!was_ready || byte == 'm', "not the message that was sent");
}

const struct race_peer peer_message = { .prepare = message_prepare,
                                        .ready = message_ready,
                                        .tidy = close_sockets,
                                        .settle = count_open,
                                        .call = message_call,
                                        .account = message_account };
