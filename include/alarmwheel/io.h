/* SPDX-License-Identifier: MIT */
/*
 * io.h: guarded system calls. Each does what the call of its name does, and
 *   - takes at most timeout_ns (AW_FOREVER: no limit of its own; 0: the time is over before it starts);
 *   - obeys every guard around it, plain or escaping;
 *   - is a safe point while it blocks: timers and posts run, and it goes on with the time that is left;
 *   - goes on after signals that are not its own, as Python's PEP 475 does: it never fails with EINTR.
 *
 * Result or time-out, never both and never neither: whichever instruction the alarm lands on, a call that
 * was granted something (a descriptor, bytes, a lock, a child's status) returns it, however late it is, and
 * one that was granted nothing does not hang. The technique is that of musl's cancellation points: a stub of
 * a few instructions, whose program counter the signal handler can judge. Inside an escaping guard take the
 * result under a shield (aw_shield), or the escape may come between the return and your store.
 *
 * Results and errors are those of the call itself: -1 and `errno`. Beside its own errors:
 *   ETIMEDOUT  timeout_ns has passed, or a guard around it has expired (aw_timed_out tells this from a
 *              connection's own); at once, and without a call, if that was so before;
 *   ECANCELED  a callback that ran meanwhile returned a negative value;
 *   EPERM      not the owner thread;  ENODEV  no engine, or in a forked child.
 *
 * For all functions here: AS-Unsafe; owner thread. Inside a callback no other callback runs while they
 * block, and guards entered outside the callback do not bound them. Kernel sleeps that no signal ends (a
 * dead NFS server) they cannot end either; nor any call while the program blocks the alarm's signal.
 *
 * Needs the types of POSIX.1-2008: define _POSIX_C_SOURCE 200809L or _GNU_SOURCE in C11 mode.
 */
#ifndef ALARMWHEEL_IO_H
#define ALARMWHEEL_IO_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * True if the last guarded call failed because the time was over: its ETIMEDOUT is ours, not that of a
 * connection. It is as valid as errno: until the next guarded call. Any thread; false where none failed so.
 */
AW_API bool aw_timed_out(void);

/*
 * open(2), openat(2). A FIFO without a peer, a serial device without carrier: the descriptor or the time-out,
 * never a descriptor that nobody knows. `mode` counts with O_CREAT.
 */
AW_API int aw_open(const char *path, int flags, mode_t mode, uint64_t timeout_ns);
AW_API int aw_openat(int folder, const char *path, int flags, mode_t mode, uint64_t timeout_ns);

/*
 * read(2), write(2), readv(2), writev(2). Bytes that were read are returned, never dropped; a write that
 * the time-out cuts short returns the short count.
 */
AW_API ssize_t aw_read(int fd, void *buffer, size_t n, uint64_t timeout_ns);
AW_API ssize_t aw_write(int fd, const void *buffer, size_t n, uint64_t timeout_ns);
AW_API ssize_t aw_readv(int fd, const struct iovec *parts, int count, uint64_t timeout_ns);
AW_API ssize_t aw_writev(int fd, const struct iovec *parts, int count, uint64_t timeout_ns);

/*
 * Read or write until all n bytes are there, or the file ends; the time-out is for all of them together.
 * Returns the bytes, fewer than n only at the end of a file; -1 on an error. *done is how far it came, then
 * too: nothing that was read or written is lost. With n 0 one call is made, which says what is wrong with fd.
 * -1 with EINVAL, and *done is left alone: done NULL; buffer NULL, unless n is 0; n above SSIZE_MAX.
 */
AW_API ssize_t aw_read_full(int fd, void *buffer, size_t n, size_t *done, uint64_t timeout_ns);
AW_API ssize_t aw_write_full(int fd, const void *buffer, size_t n, size_t *done, uint64_t timeout_ns);

/*
 * connect(2). After a time-out the attempt goes on inside the kernel: close the socket.
 */
AW_API int aw_connect(int fd, const struct sockaddr *address, socklen_t size, uint64_t timeout_ns);

/* accept4(2), recvmsg(2), sendmsg(2), recv(2), send(2). */
AW_API int aw_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags, uint64_t timeout_ns);
AW_API ssize_t aw_recvmsg(int fd, struct msghdr *message, int flags, uint64_t timeout_ns);
AW_API ssize_t aw_sendmsg(int fd, const struct msghdr *message, int flags, uint64_t timeout_ns);
AW_API ssize_t aw_recv(int fd, void *buffer, size_t n, int flags, uint64_t timeout_ns);
AW_API ssize_t aw_send(int fd, const void *buffer, size_t n, int flags, uint64_t timeout_ns);

/*
 * flock(2); and fcntl(2) with command F_SETLKW or F_OFD_SETLKW (_GNU_SOURCE); others: EINVAL.
 */
AW_API int aw_flock(int fd, int operation, uint64_t timeout_ns);
AW_API int aw_fcntl_lock(int fd, int command, struct flock *lock, uint64_t timeout_ns);

/* waitid(2). The status is delivered, or the child is still to be waited for. */
AW_API int aw_waitid(idtype_t type, id_t id, siginfo_t *info, int options, uint64_t timeout_ns);

/* tcdrain(3); ioctl(2) with a pointer, or a number cast to one. */
AW_API int aw_tcdrain(int fd, uint64_t timeout_ns);
AW_API int aw_ioctl(int fd, unsigned long request, void *argument, uint64_t timeout_ns);

/*
 * close(2). The descriptor is closed in any case, also where -1 is returned, time-out or not (but EBADF,
 * EPERM and ENODEV, when nothing was done): what is bounded is the lingering of a socket and the draining
 * of a terminal. Not repeated, and no safe point.
 */
AW_API int aw_close(int fd, uint64_t timeout_ns);

/*
 * Sleeps until deadline_ns on CLOCK_MONOTONIC, whatever signals come; never less. Returns 0, or -1 with
 * ETIMEDOUT (a guard around it) or ECANCELED. AW_FOREVER: until one of these.
 */
AW_API int aw_sleep_until(uint64_t deadline_ns);

/*
 * Any other Linux system call by its number, with its six arguments: the result, or -1 and errno. A call
 * that is cut short by a signal is made again with the same arguments: a relative time-out among them
 * starts anew, an absolute one does not. `arguments` may be NULL for a call without any. Not for calls that
 * do not return, that change the stack (fork, vfork, clone), or that change the signal mask.
 */
AW_API long aw_syscall(uint64_t timeout_ns, long number, const long arguments[6]);

#ifdef __cplusplus
}
#endif

#endif
