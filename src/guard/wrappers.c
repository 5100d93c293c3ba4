/* SPDX-License-Identifier: MIT */
/*
 * wrappers.c: libc's plain wrappers of blocking system calls. Without them a loop that repeats a call on
 * EINTR could not be left: the signal finds it inside libc each time. None of them holds anything while the
 * kernel has the call; in a program with threads glibc makes the thread cancellable at any point meanwhile,
 * which the landing takes back.
 */
#include "wrappers.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WRAPPER(function) ((uintptr_t)(function))

bool awi_is_wrapper(uintptr_t function)
{
    const uintptr_t wrappers[] = {
        WRAPPER(open),      WRAPPER(openat),     WRAPPER(creat),
        WRAPPER(read),      WRAPPER(write),      WRAPPER(readv),
        WRAPPER(writev),    WRAPPER(pread),      WRAPPER(pwrite),
        WRAPPER(preadv),    WRAPPER(pwritev),    WRAPPER(accept),
        WRAPPER(accept4),   WRAPPER(connect),    WRAPPER(send),
        WRAPPER(sendto),    WRAPPER(sendmsg),    WRAPPER(recv),
        WRAPPER(recvfrom),  WRAPPER(recvmsg),    WRAPPER(flock),
        WRAPPER(fcntl),     WRAPPER(ioctl),      WRAPPER(tcdrain),
        WRAPPER(wait),      WRAPPER(waitpid),    WRAPPER(wait4),
        WRAPPER(waitid),    WRAPPER(poll),       WRAPPER(ppoll),
        WRAPPER(select),    WRAPPER(epoll_wait), WRAPPER(epoll_pwait),
        WRAPPER(nanosleep), WRAPPER(usleep),     WRAPPER(sleep),
        WRAPPER(pause),     WRAPPER(msgrcv),     WRAPPER(msgsnd),
        WRAPPER(semop),     WRAPPER(syscall),    WRAPPER(clock_nanosleep),
    };
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; ++i) {
        if (wrappers[i] == function)
            return true;
    }
    return false;
}
