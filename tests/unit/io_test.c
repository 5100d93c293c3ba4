/* SPDX-License-Identifier: MIT */
/*
 * Guarded calls where nothing blocks: arguments, owner, errno, the time that is over before the call, guards
 * and callbacks. By the stub and by the portable way.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "io_fixture.h"

static void put(const char *bytes)
{
    ck_assert_int_eq(write(pipe_ends[1], bytes, strlen(bytes)), (ssize_t)strlen(bytes));
}

/* ---- every call ---- */

static long call_open(int fd, uint64_t timeout_ns)
{
    (void)fd;
    return aw_open("/nowhere/at/all", O_RDONLY, 0, timeout_ns);
}

static long call_openat(int fd, uint64_t timeout_ns)
{
    return aw_openat(fd, "file", O_RDONLY, 0, timeout_ns);
}

static long call_read(int fd, uint64_t timeout_ns)
{
    char byte;
    return aw_read(fd, &byte, 1, timeout_ns);
}

static long call_write(int fd, uint64_t timeout_ns)
{
    return aw_write(fd, "x", 1, timeout_ns);
}

static long call_readv(int fd, uint64_t timeout_ns)
{
    char byte;
    struct iovec part = { &byte, 1 };
    return aw_readv(fd, &part, 1, timeout_ns);
}

static long call_writev(int fd, uint64_t timeout_ns)
{
    char byte = 'x';
    struct iovec part = { &byte, 1 };
    return aw_writev(fd, &part, 1, timeout_ns);
}

static long call_read_full(int fd, uint64_t timeout_ns)
{
    char bytes[2];
    size_t done = 99;
    long result = aw_read_full(fd, bytes, sizeof bytes, &done, timeout_ns);
    ck_assert_uint_eq(done, 0);
    return result;
}

static long call_write_full(int fd, uint64_t timeout_ns)
{
    size_t done = 99;
    long result = aw_write_full(fd, "xx", 2, &done, timeout_ns);
    ck_assert_uint_eq(done, 0);
    return result;
}

static long call_connect(int fd, uint64_t timeout_ns)
{
    struct sockaddr address = { .sa_family = AF_UNIX };
    return aw_connect(fd, &address, sizeof address, timeout_ns);
}

static long call_accept4(int fd, uint64_t timeout_ns)
{
    return aw_accept4(fd, NULL, NULL, SOCK_CLOEXEC, timeout_ns);
}

static long call_recvmsg(int fd, uint64_t timeout_ns)
{
    struct msghdr message = { .msg_iovlen = 0 };
    return aw_recvmsg(fd, &message, 0, timeout_ns);
}

static long call_sendmsg(int fd, uint64_t timeout_ns)
{
    struct msghdr message = { .msg_iovlen = 0 };
    return aw_sendmsg(fd, &message, 0, timeout_ns);
}

static long call_recv(int fd, uint64_t timeout_ns)
{
    char byte;
    return aw_recv(fd, &byte, 1, 0, timeout_ns);
}

static long call_send(int fd, uint64_t timeout_ns)
{
    return aw_send(fd, "x", 1, MSG_NOSIGNAL, timeout_ns);
}

static long call_flock(int fd, uint64_t timeout_ns)
{
    return aw_flock(fd, LOCK_UN, timeout_ns);
}

static long call_fcntl_lock(int fd, uint64_t timeout_ns)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    return aw_fcntl_lock(fd, F_SETLKW, &lock, timeout_ns);
}

static long call_ofd_lock(int fd, uint64_t timeout_ns)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    return aw_fcntl_lock(fd, F_OFD_SETLKW, &lock, timeout_ns);
}

static long call_waitid(int fd, uint64_t timeout_ns)
{
    siginfo_t info;
    (void)fd;
    return aw_waitid(P_PID, (id_t)getpid(), &info, WEXITED, timeout_ns);
}

static long call_tcdrain(int fd, uint64_t timeout_ns)
{
    return aw_tcdrain(fd, timeout_ns);
}

static long call_ioctl(int fd, uint64_t timeout_ns)
{
    int n;
    return aw_ioctl(fd, FIONREAD, &n, timeout_ns);
}

static long call_syscall(int fd, uint64_t timeout_ns)
{
    const long arguments[6] = { fd };
    return aw_syscall(timeout_ns, SYS_fsync, arguments);
}

static const struct named {
    const char *name;
    long (*call)(int fd, uint64_t timeout_ns);
    int error; /* that it fails with for descriptor -1 */
} calls[] = {
    { "open", call_open, ENOENT },          { "openat", call_openat, EBADF },
    { "read", call_read, EBADF },           { "write", call_write, EBADF },
    { "readv", call_readv, EBADF },         { "writev", call_writev, EBADF },
    { "read_full", call_read_full, EBADF }, { "write_full", call_write_full, EBADF },
    { "connect", call_connect, EBADF },     { "accept4", call_accept4, EBADF },
    { "recvmsg", call_recvmsg, EBADF },     { "sendmsg", call_sendmsg, EBADF },
    { "recv", call_recv, EBADF },           { "send", call_send, EBADF },
    { "flock", call_flock, EBADF },         { "fcntl_lock", call_fcntl_lock, EBADF },
    { "ofd_lock", call_ofd_lock, EBADF },   { "waitid", call_waitid, ECHILD },
    { "tcdrain", call_tcdrain, EBADF },     { "ioctl", call_ioctl, EBADF },
    { "syscall", call_syscall, EBADF },
};

#define N_CALLS (sizeof calls / sizeof calls[0])

static void all_fail(uint64_t timeout_ns, int error, bool timed_out)
{
    for (const struct named *n = calls; n < calls + N_CALLS; ++n) {
        int expected = error != 0 ? error : n->error;
        errno = 4711;
        long result = n->call(-1, timeout_ns);
        int got = errno;
        ck_assert_msg(result == -1 && got == expected, "%s: %ld, %s", n->name, result, strerror(got));
        ck_assert_msg(aw_timed_out() == timed_out, "%s: whose time-out?", n->name);
    }
}

/* Without enough of an engine nothing is done: the descriptor stays open. */
static void is_denied(int error)
{
    all_fail(AW_FOREVER, error, false);
    FAILS(aw_sleep_until(0), error);
    FAILS(aw_close(pipe_ends[0], AW_FOREVER), error);
    FAILS(aw_close(-1, AW_FOREVER), error);
    ck_assert_int_ne(fcntl(pipe_ends[0], F_GETFD), -1);
}

START_TEST(bad_descriptors)
{
    start(_i);
    all_fail(AW_FOREVER, 0, false);
    all_fail(1, 0, false);
    FAILS(aw_close(-1, AW_FOREVER), EBADF);
    FAILS(aw_close(-1, 0), EBADF);
}
END_TEST

START_TEST(no_engine)
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert(!aw_timed_out());
    is_denied(ENODEV);
    EXPECT(fake_start(), 0);
    EXPECT(aw_shutdown(), 0);
    is_denied(ENODEV);
}
END_TEST

static void denied_there(void)
{
    is_denied(EPERM);
}

START_TEST(another_thread)
{
    start(_i);
    TIMES_OUT(call_read(pipe_ends[0], 0));
    fake_elsewhere(denied_there);
    ck_assert(aw_timed_out()); /* it is this thread's, as errno */
}
END_TEST

static void denied_in_child(void)
{
    is_denied(ENODEV);
    start(0);
    all_fail(0, ETIMEDOUT, true);
}

START_TEST(forked_child)
{
    start(_i);
    ck_assert_int_eq(fake_forked(denied_in_child), EXIT_SUCCESS);
    all_fail(AW_FOREVER, 0, false);
}
END_TEST

/* The addresses are the kernel's to judge; valgrind has its own opinion. */
START_TEST(null_pointers)
{
    int sockets[2];
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        return;
    start(_i);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    FAILS(aw_open(NULL, O_RDONLY, 0, AW_FOREVER), EFAULT);
    FAILS(aw_openat(AT_FDCWD, NULL, O_RDONLY, 0, AW_FOREVER), EFAULT);
    put("x");
    FAILS(aw_read(pipe_ends[0], NULL, 1, AW_FOREVER), EFAULT);
    FAILS(aw_write(pipe_ends[1], NULL, 1, AW_FOREVER), EFAULT);
    FAILS(aw_readv(pipe_ends[0], NULL, 1, AW_FOREVER), EFAULT);
    FAILS(aw_writev(pipe_ends[1], NULL, 1, AW_FOREVER), EFAULT);
    FAILS(aw_connect(sockets[0], NULL, sizeof(struct sockaddr), AW_FOREVER), EFAULT);
    FAILS(aw_fcntl_lock(pipe_ends[0], F_SETLKW, NULL, AW_FOREVER), EFAULT);
    FAILS(aw_ioctl(pipe_ends[0], FIONREAD, NULL, AW_FOREVER), EFAULT);
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
}
END_TEST

/* The time is over: no call is made, so not even its own errors come. */
START_TEST(zero_is_over_at_once)
{
    start(_i);
    all_fail(0, ETIMEDOUT, true);
    put("x");
    TIMES_OUT(call_read(pipe_ends[0], 0));
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    ck_assert(!aw_timed_out());
}
END_TEST

/* Success leaves errno alone, and a time-out is forgotten with the next call. */
START_TEST(results)
{
    char bytes[8] = "", more[8] = "";
    struct iovec parts[2] = { { bytes, 2 }, { more, 4 } };
    int n = 0;
    start(_i);
    EXPECT(aw_write(pipe_ends[1], "abcdef", 6, AW_SEC(1)), 6);
    EXPECT(aw_ioctl(pipe_ends[0], FIONREAD, &n, AW_SEC(1)), 0);
    ck_assert_int_eq(n, 6);
    EXPECT(aw_read(pipe_ends[0], bytes, 3, AW_SEC(1)), 3);
    ck_assert_str_eq(bytes, "abc");
    TIMES_OUT(call_write(pipe_ends[1], 0));
    EXPECT(aw_writev(pipe_ends[1], (const struct iovec[]){ { "gh", 2 }, { "i", 1 } }, 2, AW_SEC(1)), 3);
    ck_assert(!aw_timed_out());
    EXPECT(aw_readv(pipe_ends[0], parts, 2, AW_SEC(1)), 6);
    ck_assert_mem_eq(bytes, "dec", 3);
    ck_assert_str_eq(more, "fghi");
    EXPECT(aw_read(pipe_ends[0], bytes, 0, AW_SEC(1)), 0);
    FAILS(aw_tcdrain(pipe_ends[0], AW_SEC(1)), ENOTTY);
    FAILS(aw_recv(pipe_ends[0], bytes, 1, 0, AW_SEC(1)), ENOTSOCK);
}
END_TEST

START_TEST(open_makes_a_file)
{
    char folder[] = "/tmp/aw-io-XXXXXX", path[64];
    struct stat status;
    start(_i);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    int at = aw_open(folder, O_RDONLY | O_DIRECTORY, 0, AW_SEC(1));
    ck_assert_int_ge(at, 0);
    snprintf(path, sizeof path, "%s/file", folder);
    umask(022);
    int fd = aw_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666, AW_SEC(1));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0644);
    int again = aw_openat(at, "file", O_RDONLY, 0, AW_SEC(1));
    ck_assert_int_ge(again, 0);
    EXPECT(aw_flock(fd, LOCK_EX, AW_SEC(1)), 0);
    FAILS(aw_flock(again, LOCK_EX | LOCK_NB, AW_SEC(1)), EWOULDBLOCK);
    for (const int *open_fd = (const int[]){ at, fd, again, -1 }; *open_fd >= 0; ++open_fd) {
        EXPECT(aw_close(*open_fd, AW_SEC(1)), 0);
        FAILS(aw_close(*open_fd, AW_SEC(1)), EBADF);
    }
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(sockets)
{
    int ends[2];
    char bytes[4] = "", peek[4] = "";
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    start(_i);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    EXPECT(aw_send(ends[0], "abc", 3, MSG_NOSIGNAL, AW_SEC(1)), 3);
    EXPECT(aw_recv(ends[1], peek, sizeof peek, MSG_PEEK, AW_SEC(1)), 3);
    ck_assert_str_eq(peek, "abc");
    EXPECT(aw_recvmsg(ends[1], &message, 0, AW_SEC(1)), 3);
    ck_assert_str_eq(bytes, "abc");
    EXPECT(aw_sendmsg(ends[1], &message, 0, AW_SEC(1)), 4);
    EXPECT(aw_recv(ends[0], peek, 2, MSG_TRUNC, AW_SEC(1)), 4);
    FAILS(aw_recv(ends[0], peek, 2, MSG_DONTWAIT, AW_SEC(1)), EAGAIN);
    FAILS(aw_accept4(ends[0], NULL, NULL, 0, AW_SEC(1)), EOPNOTSUPP);
}
END_TEST

START_TEST(locks_take_the_commands_that_wait)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    start(_i);
    const int others[] = {
        F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK, F_DUPFD, F_GETFD, F_SETFL, -1, 1 << 20
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; ++i)
        FAILS(aw_fcntl_lock(fileno(file), others[i], &lock, AW_SEC(1)), EINVAL);
    EXPECT(aw_fcntl_lock(fileno(file), F_SETLKW, &lock, AW_SEC(1)), 0);
    lock.l_type = F_UNLCK;
    EXPECT(aw_fcntl_lock(fileno(file), F_SETLKW, &lock, AW_SEC(1)), 0);
    lock.l_type = F_WRLCK;
    EXPECT(aw_fcntl_lock(fileno(file), F_OFD_SETLKW, &lock, AW_SEC(1)), 0);
    lock.l_type = 77;
    FAILS(aw_fcntl_lock(fileno(file), F_SETLKW, &lock, AW_SEC(1)), EINVAL);
    fclose(file);
}
END_TEST

/* Refused by the library itself, a call is the last one that failed all the same. */
START_TEST(refused_after_a_time_out)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char byte;
    size_t done = 0;
    start(_i);
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, 0));
    FAILS(aw_fcntl_lock(pipe_ends[0], F_GETLK, &lock, AW_SEC(1)), EINVAL);
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, 0));
    FAILS(aw_read_full(pipe_ends[0], NULL, 1, &done, AW_SEC(1)), EINVAL);
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, 0));
    FAILS(aw_write_full(pipe_ends[1], NULL, 1, &done, AW_SEC(1)), EINVAL);
}
END_TEST

START_TEST(other_calls_by_number)
{
    int n = 0;
    start(_i);
    EXPECT(aw_syscall(AW_FOREVER, SYS_getpid, NULL), getpid());
    FAILS(aw_syscall(AW_FOREVER, -1, NULL), ENOSYS);
    FAILS(aw_syscall(AW_FOREVER, 1 << 20, NULL), ENOSYS);
    put("xyz");
    EXPECT(aw_syscall(AW_SEC(1), SYS_ioctl, (const long[6]){ pipe_ends[0], FIONREAD, (long)&n }), 0);
    ck_assert_int_eq(n, 3);
}
END_TEST

/* All six arguments arrive. */
START_TEST(six_arguments)
{
    char bytes[5] = "";
    FILE *file = tmpfile();
    loff_t from = 1;
    start(_i);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("abcdef", file), 0);
    ck_assert_int_eq(fflush(file), 0);
    const long good[6] = { fileno(file), (long)&from, pipe_ends[1], 0, 4, 0 };
    EXPECT(aw_syscall(AW_SEC(1), SYS_splice, good), 4);
    EXPECT(aw_read(pipe_ends[0], bytes, sizeof bytes, AW_SEC(1)), 4);
    ck_assert_str_eq(bytes, "bcde");
    const long bad[6] = { fileno(file), (long)&from, pipe_ends[1], 0, 4, 1 << 20 /* no such flag */ };
    FAILS(aw_syscall(AW_SEC(1), SYS_splice, bad), EINVAL);
    fclose(file);
}
END_TEST

/* The status is delivered, or the child is there for the next call. */
START_TEST(child_status)
{
    siginfo_t info;
    start(_i);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(23);
    memset(&info, 0, sizeof info);
    EXPECT(aw_waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT, AW_FOREVER), 0);
    ck_assert_int_eq(info.si_pid, pid);
    TIMES_OUT(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, 0));
    memset(&info, 0, sizeof info);
    EXPECT(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, AW_FOREVER), 0);
    ck_assert_int_eq(info.si_code, CLD_EXITED);
    ck_assert_int_eq(info.si_status, 23);
    FAILS(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, AW_FOREVER), ECHILD);
    FAILS(aw_waitid(P_PID, (id_t)pid, &info, 0, AW_FOREVER), EINVAL);
}
END_TEST

/* ---- guards and callbacks ---- */

START_TEST(expired_guard_forbids_the_call)
{
    struct aw_guard outer, inner;
    start(_i);
    put("x");
    EXPECT(aw_guard_enter(&outer, AW_MS(10), AW_GUARD_DEFAULT), 0);
    EXPECT(aw_guard_enter(&inner, AW_MS(50), AW_GUARD_DEFAULT), 0);
    EXPECT(call_write(pipe_ends[1], AW_FOREVER), 1);
    fake_advance(AW_MS(11));
    all_fail(AW_FOREVER, ETIMEDOUT, true);
    all_fail(AW_SEC(1), ETIMEDOUT, true);
    TIMES_OUT(call_read(pipe_ends[0], AW_FOREVER));
    TIMES_OUT(aw_sleep_until(AW_FOREVER));
    EXPECT(aw_guard_leave(&inner), -ECANCELED);
    TIMES_OUT(aw_sleep_until(0));
    EXPECT(aw_guard_leave(&outer), -ETIMEDOUT);
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
}
END_TEST

/* A shield keeps escapes and plain calls; guarded ones still time out. */
START_TEST(shields_do_not_hide_guards)
{
    struct aw_guard guard;
    start(_i);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    aw_shield();
    fake_advance(AW_MS(11));
    TIMES_OUT(call_read(pipe_ends[0], AW_FOREVER));
    EXPECT(aw_unshield(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

/* A call is a safe point: what is due runs first, and its negative value forbids the call. */
START_TEST(what_is_due_runs_first)
{
    struct aw_timer timer;
    int result = 0;
    start(_i);
    put("xy");
    EXPECT(aw_timer_create(&timer, answer, &result), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    ck_assert_int_eq(runs, 1);
    result = -EIO;
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    FAILS(call_read(pipe_ends[0], AW_FOREVER), ECANCELED);
    ck_assert_int_eq(runs, 2);
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    FAILS(aw_sleep_until(AW_FOREVER), ECANCELED);
    ck_assert_int_eq(runs, 3);
    EXPECT(aw_timer_arm(timer, AW_MS(10)), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_close(pipe_ends[0], AW_SEC(1)), 0); /* no safe point */
    ck_assert_int_eq(runs, 3);
    EXPECT(aw_dispatch(0), -EIO);
}
END_TEST

/* A callback that stops the engine. */
static int stop(struct aw_timer timer, void *arg)
{
    (void)timer, (void)arg;
    ++runs;
    return aw_shutdown() == -EBUSY ? 0 : -1;
}

static int call_in_callback(struct aw_timer timer, void *arg)
{
    struct aw_guard guard;
    (void)timer;
    ++runs;
    put("x");
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1); /* the guard around the dispatch is not ours */
    TIMES_OUT(call_read(pipe_ends[0], 0));
    EXPECT(aw_timer_arm(*(struct aw_timer *)arg, AW_MS(1)), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    fake_advance(AW_MS(5));
    put("x");
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    fake_advance(AW_MS(6));
    TIMES_OUT(call_read(pipe_ends[0], AW_FOREVER));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    put("x");
    EXPECT(call_read(pipe_ends[0], AW_FOREVER), 1);
    ck_assert_int_eq(runs, 1); /* no callback inside a callback */
    return 0;
}

START_TEST(inside_a_callback)
{
    struct aw_guard guard;
    struct aw_timer timer, other;
    start(_i);
    EXPECT(aw_timer_create(&other, stop, NULL), 0);
    EXPECT(aw_timer_create(&timer, call_in_callback, &other), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(20)), 0);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    fake_advance(AW_MS(21));
    TIMES_OUT(call_read(pipe_ends[0], AW_FOREVER));
    ck_assert_int_eq(runs, 1);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    fake_advance(AW_MS(10));
    FAILS(call_read(-1, AW_FOREVER), EBADF);
    ck_assert_int_eq(runs, 2);
}
END_TEST

START_TEST(close_closes_in_any_case)
{
    struct aw_guard guard;
    start(_i);
    EXPECT(aw_close(pipe_ends[0], 0), 0);
    ck_assert(!aw_timed_out());
    ck_assert(!is_open(pipe_ends[0]));
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    fake_advance(AW_MS(11));
    EXPECT(aw_close(pipe_ends[1], AW_SEC(1)), 0);
    ck_assert(!aw_timed_out());
    ck_assert(!is_open(pipe_ends[1]));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

/* ---- full reads and writes ---- */

START_TEST(full_arguments)
{
    char bytes[4];
    size_t done = 99;
    start(_i);
    FAILS(aw_read_full(pipe_ends[0], NULL, 1, &done, AW_FOREVER), EINVAL);
    FAILS(aw_write_full(pipe_ends[1], NULL, 1, &done, AW_FOREVER), EINVAL);
    FAILS(aw_read_full(pipe_ends[0], bytes, (size_t)SSIZE_MAX + 1, &done, AW_FOREVER), EINVAL);
    FAILS(aw_write_full(pipe_ends[1], bytes, SIZE_MAX, &done, AW_FOREVER), EINVAL);
    ck_assert_uint_eq(done, 99);
    FAILS(aw_read_full(pipe_ends[0], bytes, 4, NULL, AW_FOREVER), EINVAL);
    FAILS(aw_write_full(pipe_ends[1], bytes, 4, NULL, AW_FOREVER), EINVAL);
    EXPECT(aw_read_full(pipe_ends[0], NULL, 0, &done, AW_FOREVER), 0);
    ck_assert_uint_eq(done, 0);
    done = 99;
    EXPECT(aw_write_full(pipe_ends[1], NULL, 0, &done, AW_FOREVER), 0);
    ck_assert_uint_eq(done, 0);
    FAILS(aw_read_full(-1, NULL, 0, &done, AW_FOREVER), EBADF);
    TIMES_OUT(aw_write_full(pipe_ends[1], NULL, 0, &done, 0));
}
END_TEST

START_TEST(full_and_the_end_of_a_file)
{
    char bytes[8] = "";
    size_t done = 99;
    start(_i);
    EXPECT(aw_write_full(pipe_ends[1], "abcdef", 6, &done, AW_SEC(1)), 6);
    ck_assert_uint_eq(done, 6);
    EXPECT(aw_read_full(pipe_ends[0], bytes, 4, &done, AW_SEC(1)), 4);
    ck_assert_uint_eq(done, 4);
    ck_assert_str_eq(bytes, "abcd");
    ck_assert_int_eq(close(pipe_ends[1]), 0);
    EXPECT(aw_read_full(pipe_ends[0], bytes, 4, &done, AW_SEC(1)), 2);
    ck_assert_uint_eq(done, 2);
    EXPECT(aw_read_full(pipe_ends[0], bytes, 4, &done, AW_SEC(1)), 0);
    ck_assert_uint_eq(done, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guarded calls");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, fake_begin, fake_end);
    tcase_add_loop_test(tcase, bad_descriptors, 0, WAYS);
    tcase_add_test(tcase, no_engine);
    tcase_add_loop_test(tcase, another_thread, 0, WAYS);
    tcase_add_loop_test(tcase, forked_child, 0, WAYS);
    tcase_add_loop_test(tcase, null_pointers, 0, WAYS);
    tcase_add_loop_test(tcase, zero_is_over_at_once, 0, WAYS);
    tcase_add_loop_test(tcase, results, 0, WAYS);
    tcase_add_loop_test(tcase, open_makes_a_file, 0, WAYS);
    tcase_add_loop_test(tcase, sockets, 0, WAYS);
    tcase_add_loop_test(tcase, locks_take_the_commands_that_wait, 0, WAYS);
    tcase_add_loop_test(tcase, refused_after_a_time_out, 0, WAYS);
    tcase_add_loop_test(tcase, other_calls_by_number, 0, WAYS);
    tcase_add_loop_test(tcase, six_arguments, 0, WAYS);
    tcase_add_loop_test(tcase, child_status, 0, WAYS);
    tcase_add_loop_test(tcase, expired_guard_forbids_the_call, 0, WAYS);
    tcase_add_loop_test(tcase, shields_do_not_hide_guards, 0, WAYS);
    tcase_add_loop_test(tcase, what_is_due_runs_first, 0, WAYS);
    tcase_add_loop_test(tcase, inside_a_callback, 0, WAYS);
    tcase_add_loop_test(tcase, close_closes_in_any_case, 0, WAYS);
    tcase_add_loop_test(tcase, full_arguments, 0, WAYS);
    tcase_add_loop_test(tcase, full_and_the_end_of_a_file, 0, WAYS);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
