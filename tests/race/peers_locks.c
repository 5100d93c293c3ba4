/* SPDX-License-Identifier: MIT */
/*
 * peers_locks.c: the peers of calls that wait for a lock or for a child process. See peers.h.
 *
 * A lock belongs to an open file description, so one file that is opened three times is three parties: the
 * holder, which tracer and child share, the one that waits, and one that asks at the end.
 */
#include "peers.h"

#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STATUS 7

/* One more description of the file. */
static int open_again(void)
{
    char path[32];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%d", peer_fds[0]);
    fd = open(path, O_RDWR | O_CLOEXEC);
    race_check(fd >= 0, "open: errno %d", errno);
    return fd;
}

static void lock_tidy(void)
{
    close(peer_fds[0]);
}

static void lock_settle(void)
{
    peer_fds[1] = open_again();
}

static void file_prepare(void)
{
    peer_fds[0] = memfd_create("race", MFD_CLOEXEC);
    race_check(peer_fds[0] >= 0, "memfd_create: errno %d", errno);
}

/* aw_flock. */

static void flock_prepare(void)
{
    file_prepare();
    race_check(flock(peer_fds[0], LOCK_EX) == 0, "flock: errno %d", errno);
}

static void flock_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(flock(peer_fds[0], LOCK_UN) == 0, "flock: errno %d", errno);
}

static long flock_call(uint64_t timeout_ns)
{
    return aw_flock(peer_fds[1], LOCK_EX, timeout_ns);
}

static void flock_account(long result, bool was_ready)
{
    int other = open_again();
    bool is_free;

    race_check(result < 0 || was_ready, "granted, and held by another");
    flock_ready(false);
    is_free = flock(other, LOCK_EX | LOCK_NB) == 0;
    race_check(is_free || errno == EWOULDBLOCK, "flock: errno %d", errno);
    race_check(is_free == (result < 0), "the lock is free: %d, returned %ld", is_free, result);
}

const struct race_peer peer_flock = { .prepare = flock_prepare,
                                      .ready = flock_ready,
                                      .tidy = lock_tidy,
                                      .settle = lock_settle,
                                      .call = flock_call,
                                      .account = flock_account };

/* aw_fcntl_lock. */

static int record_lock(int fd, int command, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

    return fcntl(fd, command, &lock);
}

static void record_prepare(void)
{
    file_prepare();
    race_check(record_lock(peer_fds[0], F_OFD_SETLK, F_WRLCK) == 0, "F_OFD_SETLK: errno %d", errno);
}

static void record_ready(bool child_sleeps)
{
    (void)child_sleeps;
    race_check(record_lock(peer_fds[0], F_OFD_SETLK, F_UNLCK) == 0, "F_OFD_SETLK: errno %d", errno);
}

static long record_call(uint64_t timeout_ns)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return aw_fcntl_lock(peer_fds[1], F_OFD_SETLKW, &lock, timeout_ns);
}

static void record_account(long result, bool was_ready)
{
    int other = open_again();
    bool is_free;

    race_check(result < 0 || was_ready, "granted, and held by another");
    record_ready(false);
    is_free = record_lock(other, F_OFD_SETLK, F_WRLCK) == 0;
    race_check(is_free || errno == EAGAIN || errno == EACCES, "F_OFD_SETLK: errno %d", errno);
    race_check(is_free == (result < 0), "the lock is free: %d, returned %ld", is_free, result);
}

const struct race_peer peer_record_lock = { .prepare = record_prepare,
                                            .ready = record_ready,
                                            .tidy = lock_tidy,
                                            .settle = lock_settle,
                                            .call = record_call,
                                            .account = record_account };

/*
 * aw_waitid and aw_child_wait for a child of the child, which ends when it is told to, or when nobody can
 * tell it any more.
 */

static siginfo_t ended;

static void child_prepare(void)
{
    race_check(pipe2(peer_fds, O_CLOEXEC) == 0, "pipe: errno %d", errno);
}

static void child_settle(void)
{
    sigset_t set;
    int forked[2];
    pid_t pid;
    char byte;

    /* Traced, it would be stopped by a signal that it ignores. */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    race_check(pipe2(forked, O_CLOEXEC) == 0, "pipe: errno %d", errno);
    pid = fork();
    if (pid == 0) {
        close(forked[1]);
        close(peer_fds[1]);
        _exit(read(peer_fds[0], &byte, 1) == 1 ? CHILD_STATUS : 1);
    }
    race_check(pid > 0, "fork: errno %d", errno);
    race_page->peer_pid = (uint32_t)pid;
    close(peer_fds[0]);
    /* It has the same fake kernel, and disarms its alarm as every forked child does: not from here on. */
    close(forked[1]);
    while (read(forked[0], &byte, 1) < 0 && errno == EINTR)
        continue;
    close(forked[0]);
}

/* It is a zombie when this returns. */
static void child_ready(bool child_sleeps)
{
    int process = (int)syscall(SYS_pidfd_open, (pid_t)race_page->peer_pid, 0);
    struct pollfd has_ended = { .fd = process, .events = POLLIN };

    (void)child_sleeps;
    race_check(write(peer_fds[1], "x", 1) == 1, "write: errno %d", errno);
    race_check(process >= 0, "pidfd_open: errno %d", errno);
    while (process >= 0 && poll(&has_ended, 1, -1) < 0 && errno == EINTR)
        continue;
    close(process);
}

static void child_tidy(void)
{
    close(peer_fds[0]);
    close(peer_fds[1]);
}

static long waitid_call(uint64_t timeout_ns)
{
    return aw_waitid(P_PID, (id_t)race_page->peer_pid, &ended, WEXITED, timeout_ns);
}

/* What was not delivered is there, and what was is not. */
static void child_is_kept(long result, bool was_ready)
{
    pid_t pid = (pid_t)race_page->peer_pid;
    int status = 0;

    if (!was_ready)
        race_check(write(peer_fds[1], "x", 1) == 1, "write: errno %d", errno);
    if (waitpid(pid, &status, 0) == pid)
        race_check(result < 0 && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_STATUS,
                   "returned %ld, and status %#x was left", result, (unsigned)status);
    else
        race_check(result == 0 && errno == ECHILD, "returned %ld, and waitpid says %d", result, errno);
}

static void child_account(long result, bool was_ready)
{
    pid_t pid = (pid_t)race_page->peer_pid;

    race_check(result < 0 || (was_ready && ended.si_pid == pid && ended.si_status == CHILD_STATUS),
               "status %d of process %d", ended.si_status, (int)ended.si_pid);
    child_is_kept(result, was_ready);
}

const struct race_peer peer_child = { .prepare = child_prepare,
                                      .ready = child_ready,
                                      .tidy = child_tidy,
                                      .settle = child_settle,
                                      .call = waitid_call,
                                      .account = child_account };

static int waited_status;

static long wait_call(uint64_t timeout_ns)
{
    return aw_child_wait((pid_t)race_page->peer_pid, &waited_status, timeout_ns);
}

static void wait_account(long result, bool was_ready)
{
    race_check(result < 0
                   ? waited_status == 0
                   : was_ready && WIFEXITED(waited_status) && WEXITSTATUS(waited_status) == CHILD_STATUS,
               "returned %ld, status %#x", result, (unsigned)waited_status);
    child_is_kept(result, was_ready);
}

const struct race_peer peer_waited = { .prepare = child_prepare,
                                       .ready = child_ready,
                                       .tidy = child_tidy,
                                       .settle = child_settle,
                                       .call = wait_call,
                                       .account = wait_account };
