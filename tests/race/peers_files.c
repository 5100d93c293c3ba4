/* SPDX-License-Identifier: MIT */
/*
 * peers_files.c: the peers of calls on a FIFO, pipes and pseudo-terminals. See peers.h.
 *
 * The child inherits what the tracer has prepared, and both may ask a pipe how much is in it: so a byte that
 * was read and not returned, or written and not counted, is missed whoever has dropped it.
 */
#include "peers.h"

#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "guard/call.h"

#define PAGE 4096

int peer_fds[2];

static int other_end;
static char buffer[2 * PAGE];

unsigned peers_open(void)
{
    unsigned open = 0;

    for (int fd = 0; fd < 64; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

static int waiting_bytes(int fd)
{
    int bytes = -1;

    race_check(ioctl(fd, FIONREAD, &bytes) == 0, "FIONREAD: errno %d", errno);
    return bytes;
}

static void close_both(void)
{
    close(peer_fds[0]);
    close(peer_fds[1]);
}

/* aw_open of a FIFO that nobody writes to. It has a name only until it is prepared. */

static char fifo_path[32];
static unsigned open_before;

static void fifo_prepare(void)
{
    char folder[] = "/tmp/alarmwheel-race-XXXXXX";
    char path[sizeof folder + 8];

    other_end = -1;
    if (mkdtemp(folder) == NULL) {
        race_fail("mkdtemp: errno %d", errno);
        return;
    }
    snprintf(path, sizeof path, "%s/fifo", folder);
    race_check(mkfifo(path, 0600) == 0, "mkfifo: errno %d", errno);
    peer_fds[0] = open(path, O_PATH);
    snprintf(fifo_path, sizeof fifo_path, "/proc/self/fd/%d", peer_fds[0]);
    unlink(path);
    rmdir(folder);
}

static void fifo_ready(bool child_sleeps)
{
    (void)child_sleeps;
    other_end = open(fifo_path, O_RDWR | O_NONBLOCK);
    race_check(other_end >= 0, "the FIFO's other end: errno %d", errno);
}

static void fifo_tidy(void)
{
    close(peer_fds[0]);
    if (other_end >= 0)
        close(other_end);
}

static void count_open(void)
{
    open_before = peers_open();
}

static long fifo_call(uint64_t timeout_ns)
{
    return aw_open(fifo_path, O_RDONLY | O_CLOEXEC, 0, timeout_ns);
}

static void descriptor_account(long result, bool was_ready)
{
    unsigned granted = peers_open() - open_before;

    race_check(result < 0 || was_ready, "a descriptor, and nobody there");
    race_check(granted == (result >= 0), "%u descriptors granted, returned %ld", granted, result);
}

const struct race_peer peer_fifo = { .prepare = fifo_prepare,
                                     .ready = fifo_ready,
                                     .tidy = fifo_tidy,
                                     .settle = count_open,
                                     .call = fifo_call,
                                     .account = descriptor_account };

/* aw_read of a pipe that is empty. */

static void pipe_prepare(void)
{
    race_check(pipe(peer_fds) == 0, "pipe: errno %d", errno);
}

static void pipe_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(write(peer_fds[1], "x", 1) == 1, "write: errno %d", errno);
}

static long read_call(uint64_t timeout_ns)
{
    return aw_read(peer_fds[0], buffer, 16, timeout_ns);
}

static void read_account(long result, bool was_ready)
{
    int left = waiting_bytes(peer_fds[0]);

    race_check((result > 0 ? result : 0) + left == (was_ready ? 1 : 0), "read %ld, %d left, ready %d", result,
               left, was_ready);
    race_check(result <= 0 || buffer[0] == 'x', "not the byte that was written");
}

const struct race_peer peer_pipe = { .prepare = pipe_prepare,
                                     .ready = pipe_ready,
                                     .tidy = close_both,
                                     .call = read_call,
                                     .account = read_account };

/* The same by aw_syscall. */

static long number_call(uint64_t timeout_ns)
{
    const long arguments[6] = { peer_fds[0], (long)buffer, 16 };

    return aw_syscall(timeout_ns, SYS_read, arguments);
}

const struct race_peer peer_pipe_by_number = { .prepare = pipe_prepare,
                                               .ready = pipe_ready,
                                               .tidy = close_both,
                                               .call = number_call,
                                               .account = read_account };

/*
 * And as a call of which only libc knows how it is made: aw_recvmsg and aw_sendmsg with musl, and each call
 * where there is no stub.
 */

static long plain_read(const long argument[6])
{
    return read((int)argument[0], (void *)argument[1], (size_t)argument[2]);
}

static long libc_call(uint64_t timeout_ns)
{
    static const struct awi_syscall call = { -1, plain_read };

    return awi_call(peer_fds[0], (long)buffer, 16, 0, timeout_ns, &call);
}

const struct race_peer peer_pipe_by_libc = { .prepare = pipe_prepare,
                                             .ready = pipe_ready,
                                             .tidy = close_both,
                                             .call = libc_call,
                                             .account = read_account,
                                             .is_plain = true };

/*
 * aw_sleep_until, which only a guard ends here: the kernel's clock knows nothing of the fake one. At a
 * deadline of its own it is the kernel that comes back, and no alarm is involved.
 */

static void nobody(void)
{
}

static long sleep_call(uint64_t timeout_ns)
{
    return aw_sleep_until(timeout_ns);
}

static void nothing_account(long result, bool was_ready)
{
    (void)result;
    (void)was_ready;
}

const struct race_peer peer_nobody = {
    .prepare = nobody, .tidy = nobody, .call = sleep_call, .account = nothing_account
};

/* aw_write to a pipe that is full: a few bytes, all or none. */

/* All that is in it: the kernel gives room by the page. */
static void empty_pipe(bool child_sleeps)
{
    int bytes = waiting_bytes(peer_fds[0]);

    (void)child_sleeps;
    race_page->peer_moved = 0;
    if (bytes > 0)
        race_page->peer_moved = (uint32_t)read(peer_fds[0], buffer, (size_t)bytes);
}

static void small_pipe_prepare(void)
{
    pipe_prepare();
    race_check(fcntl(peer_fds[1], F_SETPIPE_SZ, PAGE) == PAGE, "F_SETPIPE_SZ: errno %d", errno);
}

static void full_pipe_prepare(void)
{
    small_pipe_prepare();
    race_check(write(peer_fds[1], buffer, PAGE) == PAGE, "write: errno %d", errno);
}

static long write_call(uint64_t timeout_ns)
{
    return aw_write(peer_fds[1], "ten bytes.", 10, timeout_ns);
}

static void full_pipe_account(long result, bool was_ready)
{
    int left = waiting_bytes(peer_fds[0]);

    race_check(result == -1 || result == 10, "wrote %ld of 10", result);
    race_check(left == (was_ready ? 0 : PAGE) + (result > 0 ? result : 0), "wrote %ld, %d in the pipe",
               result, left);
}

const struct race_peer peer_full_pipe = { .prepare = full_pipe_prepare,
                                          .ready = empty_pipe,
                                          .tidy = close_both,
                                          .call = write_call,
                                          .account = full_pipe_account };

/* aw_write of two pages to a pipe that has room for one: whatever has gone is counted. */

static long long_write_call(uint64_t timeout_ns)
{
    return aw_write(peer_fds[1], buffer, 2 * PAGE, timeout_ns);
}

static void small_pipe_account(long result, bool was_ready)
{
    int left = waiting_bytes(peer_fds[0]);

    (void)was_ready;
    race_check(left + (long)race_page->peer_moved == (result > 0 ? result : 0),
               "wrote %ld; %u taken, %d in the pipe", result, (unsigned)race_page->peer_moved, left);
}

const struct race_peer peer_small_pipe = { .prepare = small_pipe_prepare,
                                           .ready = empty_pipe,
                                           .tidy = close_both,
                                           .call = long_write_call,
                                           .account = small_pipe_account,
                                           .partial = PAGE };

/* aw_read of a pseudo-terminal that is silent. peer_fds: the terminal, its master. */

static void pty_prepare(void)
{
    struct termios raw;
    const char *name;

    peer_fds[0] = -1;
    peer_fds[1] = posix_openpt(O_RDWR | O_NOCTTY);
    if (peer_fds[1] >= 0 && grantpt(peer_fds[1]) == 0 && unlockpt(peer_fds[1]) == 0 &&
        (name = ptsname(peer_fds[1])) != NULL)
        peer_fds[0] = open(name, O_RDWR | O_NOCTTY);
    if (peer_fds[0] < 0 || tcgetattr(peer_fds[0], &raw) != 0) {
        race_fail("a pseudo-terminal: errno %d", errno);
        return;
    }
    cfmakeraw(&raw);
    race_check(tcsetattr(peer_fds[0], TCSANOW, &raw) == 0, "tcsetattr: errno %d", errno);
}

/* The kernel passes bytes on in the background. */
static bool comes_through(int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    int tries = 0;

    while (poll(&ready, 1, 1000) != 1 && tries < 100)
        tries++;
    return tries < 100;
}

static void pty_ready(bool child_sleeps)
{
    race_check(write(peer_fds[1], "x", 1) == 1, "write: errno %d", errno);
    race_check(child_sleeps || comes_through(peer_fds[0]), "nothing comes through the terminal");
}

static void pty_account(long result, bool was_ready)
{
    race_check(!was_ready || result > 0 || comes_through(peer_fds[0]), "the byte is lost");
    read_account(result, was_ready);
}

const struct race_peer peer_pty = {
    .prepare = pty_prepare, .ready = pty_ready, .tidy = close_both, .call = read_call, .account = pty_account
};

/* aw_write to one that was told to stop. */

static void stopped_pty_prepare(void)
{
    pty_prepare();
    race_check(tcflow(peer_fds[0], TCOOFF) == 0, "tcflow: errno %d", errno);
}

static void flow(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(tcflow(peer_fds[0], TCOON) == 0, "tcflow: errno %d", errno);
}

static long pty_write_call(uint64_t timeout_ns)
{
    return aw_write(peer_fds[0], "ten bytes.", 10, timeout_ns);
}

/* What comes out before a byte that is written after it. */
static void stopped_pty_account(long result, bool was_ready)
{
    char byte = 0;
    int bytes = 0;

    if (!was_ready)
        flow(false);
    race_check(write(peer_fds[0], "\n", 1) == 1, "write: errno %d", errno);
    while (comes_through(peer_fds[1]) && read(peer_fds[1], &byte, 1) == 1 && byte != '\n')
        bytes++;
    race_check(byte == '\n', "the terminal is silent");
    race_check(bytes == (result > 0 ? result : 0), "wrote %ld, %d came out", result, bytes);
}

const struct race_peer peer_stopped_pty = { .prepare = stopped_pty_prepare,
                                            .ready = flow,
                                            .tidy = close_both,
                                            .call = pty_write_call,
                                            .account = stopped_pty_account };
