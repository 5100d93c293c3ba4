/* SPDX-License-Identifier: MIT */
/*
 * io_files.c: the guarded calls on files, pipes, terminals and locks, each as its number and its arguments
 * for the stub, and as the function of libc for machines without one. What they have in common, the time,
 * the guards and the signals, is in call.c.
 */
#include <alarmwheel/io.h>

#include <errno.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "call.h"

/* libc may say that the path is not NULL, and sanitizers hold it to that; the kernel says EFAULT. */
static long plain_openat(const long argument[6])
{
    const char *path = (const char *)argument[1];
    if (path == NULL) {
        errno = EFAULT;
        return -1;
    }
    return openat((int)argument[0], path, (int)argument[2], (mode_t)argument[3]);
}

static long plain_read(const long argument[6])
{
    return read((int)argument[0], (void *)argument[1], (size_t)argument[2]);
}

static long plain_write(const long argument[6])
{
    return write((int)argument[0], (const void *)argument[1], (size_t)argument[2]);
}

const struct awi_syscall awi_read = { SYS_read, plain_read };
const struct awi_syscall awi_write = { SYS_write, plain_write };

static long plain_readv(const long argument[6])
{
    return readv((int)argument[0], (const struct iovec *)argument[1], (int)argument[2]);
}

static long plain_writev(const long argument[6])
{
    return writev((int)argument[0], (const struct iovec *)argument[1], (int)argument[2]);
}

static long plain_flock(const long argument[6])
{
    return flock((int)argument[0], (int)argument[1]);
}

static long plain_fcntl(const long argument[6])
{
    return fcntl((int)argument[0], (int)argument[1], (struct flock *)argument[2]);
}

static long plain_tcdrain(const long argument[6])
{
    return tcdrain((int)argument[0]);
}

static long plain_ioctl(const long argument[6])
{
#if defined(__GLIBC__)
    return ioctl((int)argument[0], (unsigned long)argument[1], (void *)argument[2]);
#else
    return ioctl((int)argument[0], (int)argument[1], (void *)argument[2]);
#endif
}

static long plain_close(const long argument[6])
{
    return close((int)argument[0]);
}

int aw_open(const char *path, int flags, mode_t mode, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_openat, plain_openat };
    return (int)awi_call(AT_FDCWD, (long)path, flags, (long)mode, timeout_ns, &call);
}

int aw_openat(int folder, const char *path, int flags, mode_t mode, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_openat, plain_openat };
    return (int)awi_call(folder, (long)path, flags, (long)mode, timeout_ns, &call);
}

ssize_t aw_read(int fd, void *buffer, size_t n, uint64_t timeout_ns)
{
    return awi_call(fd, (long)buffer, (long)n, 0, timeout_ns, &awi_read);
}

ssize_t aw_write(int fd, const void *buffer, size_t n, uint64_t timeout_ns)
{
    return awi_call(fd, (long)buffer, (long)n, 0, timeout_ns, &awi_write);
}

ssize_t aw_readv(int fd, const struct iovec *parts, int count, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_readv, plain_readv };
    return awi_call(fd, (long)parts, count, 0, timeout_ns, &call);
}

ssize_t aw_writev(int fd, const struct iovec *parts, int count, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_writev, plain_writev };
    return awi_call(fd, (long)parts, count, 0, timeout_ns, &call);
}

int aw_flock(int fd, int operation, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_flock, plain_flock };
    return (int)awi_call(fd, operation, 0, 0, timeout_ns, &call);
}

/* Only the commands that wait: others may take another argument, or none. */
int aw_fcntl_lock(int fd, int command, struct flock *lock, uint64_t timeout_ns)
{
    if (command != F_SETLKW && command != F_OFD_SETLKW)
        return (int)awi_call_refused(EINVAL);
    static const struct awi_syscall call = { SYS_fcntl, plain_fcntl };
    return (int)awi_call(fd, command, (long)lock, 0, timeout_ns, &call);
}

/* tcdrain(3) is this request of the kernel's; the 1 keeps it from sending a break. */
int aw_tcdrain(int fd, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_ioctl, plain_tcdrain };
    return (int)awi_call(fd, TCSBRK, 1, 0, timeout_ns, &call);
}

int aw_ioctl(int fd, unsigned long request, void *argument, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_ioctl, plain_ioctl };
    return (int)awi_call(fd, (long)request, (long)argument, 0, timeout_ns, &call);
}

/* Once: the descriptor is free after the first try, and may be another thread's at the second. */
int aw_close(int fd, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_close, plain_close };
    return (int)awi_call_once(fd, timeout_ns, &call);
}
