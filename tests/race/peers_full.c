/* SPDX-License-Identifier: MIT */
/*
 * peers_full.c: the peers of aw_read_full and aw_write_full: a pipe that has a part of it at once, and the
 * rest when the peer is ready. See peers.h.
 *
 * The account is that of *done, however the call ended, and also where an escape has ended it: what was moved
 * and is not in *done is lost, and what is in both *done and the pipe comes twice.
 */
#include "peers.h"

#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE 4096
#define TWO_PAGES (2 * PAGE)

#define PART 3
#define WHOLE (2 * PART)

/* It has not returned: an escape has come before. */
#define NOWHERE (-2)

static const char text[WHOLE + 1] = "abcdef";
static char buffer[TWO_PAGES], copy[TWO_PAGES];

/* The caller's, as an escape finds it. */
static size_t done;
static volatile long returned = NOWHERE;

static void pipe_prepare(void)
{
    race_check(pipe2(peer_fds, O_CLOEXEC) == 0, "pipe: errno %d", errno);
}

static void pipe_tidy(void)
{
    close(peer_fds[0]);
    close(peer_fds[1]);
}

static size_t waiting_bytes(void)
{
    int bytes = -1;

    race_check(ioctl(peer_fds[0], FIONREAD, &bytes) == 0, "FIONREAD: errno %d", errno);
    return (size_t)bytes;
}

static void is_told(size_t whole)
{
    race_check(returned == NOWHERE || returned == (done == whole ? (long)whole : -1),
               "returned %ld, done %zu", returned, done);
}

/* aw_read_full of two parts, of which the second comes later. */

static void parts_prepare(void)
{
    pipe_prepare();
    race_check(write(peer_fds[1], text, PART) == PART, "write: errno %d", errno);
}

static void parts_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(write(peer_fds[1], text + PART, PART) == PART, "write: errno %d", errno);
}

static long read_full_call(uint64_t timeout_ns)
{
    returned = aw_read_full(peer_fds[0], buffer, WHOLE, &done, timeout_ns);
    return returned;
}

static void read_full_account(long result, bool was_ready)
{
    size_t left = waiting_bytes();

    (void)result;
    is_told(WHOLE);
    race_check(done + left == (was_ready ? WHOLE : PART), "done %zu, %zu left, ready %d", done, left,
               was_ready);
    race_check(done % PART == 0, "done %zu", done);
    race_check(left == 0 || read(peer_fds[0], buffer + done, left) == (ssize_t)left, "read: errno %d", errno);
    race_check(memcmp(buffer, text, done + left) == 0, "not the bytes that were written");
}

const struct race_peer peer_parts = { .prepare = parts_prepare,
                                      .ready = parts_ready,
                                      .tidy = pipe_tidy,
                                      .call = read_full_call,
                                      .account = read_full_account,
                                      .in_parts = true };

/*
 * aw_write_full of two pages to a pipe that has room for one. A write that a signal cuts short returns what
 * has gone, so that an alarm makes two parts of it.
 */

static void room_prepare(void)
{
    pipe_prepare();
    race_check(fcntl(peer_fds[1], F_SETPIPE_SZ, PAGE) == PAGE, "F_SETPIPE_SZ: errno %d", errno);
    for (size_t i = 0; i < TWO_PAGES; i++)
        buffer[i] = (char)(i ^ i >> 8);
}

/* Takes what is there, which continues what was taken from `at`. */
static size_t take(size_t at)
{
    size_t bytes = waiting_bytes();

    race_check(bytes == 0 || read(peer_fds[0], copy, bytes) == (ssize_t)bytes, "read: errno %d", errno);
    race_check(at + bytes <= TWO_PAGES && memcmp(copy, buffer + at, bytes) == 0,
               "not the bytes that were to be written");
    return bytes;
}

static void room_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_page->peer_moved = (uint32_t)take(0);
}

static long write_full_call(uint64_t timeout_ns)
{
    returned = aw_write_full(peer_fds[1], buffer, TWO_PAGES, &done, timeout_ns);
    return returned;
}

static void write_full_account(long result, bool was_ready)
{
    size_t taken = race_page->peer_moved;
    size_t left = take(taken);

    (void)result;
    (void)was_ready;
    is_told(TWO_PAGES);
    race_check(done == taken + left, "done %zu; %zu taken, %zu in the pipe", done, taken, left);
}

const struct race_peer peer_room = { .prepare = room_prepare,
                                     .ready = room_ready,
                                     .tidy = pipe_tidy,
                                     .call = write_full_call,
                                     .account = write_full_account,
                                     .in_parts = true };
