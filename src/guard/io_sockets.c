/* SPDX-License-Identifier: MIT */
/*
 * io_sockets.c: the guarded calls on sockets, as io_files.c has those on files. recv and send have no call
 * of their own in the kernel; recvfrom and sendto without an address are the same.
 */
#include <alarmwheel/io.h>

#include <sys/syscall.h>

#include "call.h"

/*
 * Where struct msghdr is not the kernel's, as in musl, whose functions fill in what lies between its fields.
 */
#ifdef __GLIBC__
#define MESSAGE_CALL(number) (number)
#else
#define MESSAGE_CALL(number) (-1)
#endif

static long plain_connect(const long argument[6])
{
    return connect((int)argument[0], (const struct sockaddr *)argument[1], (socklen_t)argument[2]);
}

static long plain_accept4(const long argument[6])
{
    return accept4((int)argument[0], (struct sockaddr *)argument[1], (socklen_t *)argument[2],
                   (int)argument[3]);
}

static long plain_recvmsg(const long argument[6])
{
    return recvmsg((int)argument[0], (struct msghdr *)argument[1], (int)argument[2]);
}

static long plain_sendmsg(const long argument[6])
{
    return sendmsg((int)argument[0], (const struct msghdr *)argument[1], (int)argument[2]);
}

static long plain_recv(const long argument[6])
{
    return recv((int)argument[0], (void *)argument[1], (size_t)argument[2], (int)argument[3]);
}

static long plain_send(const long argument[6])
{
    return send((int)argument[0], (const void *)argument[1], (size_t)argument[2], (int)argument[3]);
}

/* Made again after a signal, it goes on waiting for the attempt that is under way. */
int aw_connect(int fd, const struct sockaddr *address, socklen_t size, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_connect, plain_connect };
    return (int)awi_call(fd, (long)address, (long)size, 0, timeout_ns, &call);
}

int aw_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_accept4, plain_accept4 };
    return (int)awi_call(fd, (long)address, (long)size, flags, timeout_ns, &call);
}

ssize_t aw_recvmsg(int fd, struct msghdr *message, int flags, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { MESSAGE_CALL(SYS_recvmsg), plain_recvmsg };
    return awi_call(fd, (long)message, flags, 0, timeout_ns, &call);
}

ssize_t aw_sendmsg(int fd, const struct msghdr *message, int flags, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { MESSAGE_CALL(SYS_sendmsg), plain_sendmsg };
    return awi_call(fd, (long)message, flags, 0, timeout_ns, &call);
}

ssize_t aw_recv(int fd, void *buffer, size_t n, int flags, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_recvfrom, plain_recv };
    return awi_call(fd, (long)buffer, (long)n, flags, timeout_ns, &call);
}

ssize_t aw_send(int fd, const void *buffer, size_t n, int flags, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_sendto, plain_send };
    return awi_call(fd, (long)buffer, (long)n, flags, timeout_ns, &call);
}
