/* SPDX-License-Identifier: MIT */
/*
 * meeting.c: see meeting.h. The accounts are exact, because the kernel's own are: a FIFO can be opened for
 * writing without blocking only while a reader is inside open, which then succeeds whatever signals come; a
 * byte is in the pipe or was returned; a connection is in the queue or was accepted.
 */
#include "meeting.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <alarmwheel/io.h>

static struct sockaddr_un address_of(const struct meeting *meeting)
{
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, meeting->path, sizeof meeting->path);
    return address;
}

static bool make_pipe(struct meeting *meeting)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    meeting->here = ends[0];
    meeting->there = ends[1];
    return true;
}

static bool make_listener(struct meeting *meeting)
{
    struct sockaddr_un address = address_of(meeting);
    meeting->here = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return meeting->here >= 0 && bind(meeting->here, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(meeting->here, 8) == 0;
}

bool meeting_make(struct meeting *meeting, enum call call, const char *folder)
{
    meeting->call = call;
    meeting->here = meeting->there = meeting->lowest = -1;
    snprintf(meeting->path, sizeof meeting->path, "%s/meeting", folder);
    switch (call) {
    case CALL_OPEN:
        return mkfifo(meeting->path, 0600) == 0;
    case CALL_READ:
        return make_pipe(meeting);
    case CALL_ACCEPT:
        return make_listener(meeting);
    }
    return false;
}

void meeting_begin(struct meeting *meeting)
{
    meeting->lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    close(meeting->lowest);
}

int meeting_call(const struct meeting *meeting, unsigned char *byte)
{
    switch (meeting->call) {
    case CALL_OPEN:
        return open(meeting->path, O_RDONLY | O_CLOEXEC);
    case CALL_READ:
        return (int)read(meeting->here, byte, 1);
    case CALL_ACCEPT:
        return accept4(meeting->here, NULL, NULL, SOCK_CLOEXEC);
    }
    return -1;
}

int meeting_call_guarded(const struct meeting *meeting, unsigned char *byte, uint64_t timeout_ns)
{
    switch (meeting->call) {
    case CALL_OPEN:
        return aw_open(meeting->path, O_RDONLY | O_CLOEXEC, 0, timeout_ns);
    case CALL_READ:
        return (int)aw_read(meeting->here, byte, 1, timeout_ns);
    case CALL_ACCEPT:
        return aw_accept4(meeting->here, NULL, NULL, SOCK_CLOEXEC, timeout_ns);
    }
    return -1;
}

/* How many bytes or connections still wait, which it takes away. */
static unsigned take_what_waits(const struct meeting *meeting)
{
    unsigned waiting = 0;
    if (meeting->call == CALL_READ) {
        int bytes = 0;
        unsigned char byte;
        ioctl(meeting->here, FIONREAD, &bytes);
        for (; bytes > 0; --bytes)
            waiting += read(meeting->here, &byte, 1) == 1;
    } else if (meeting->call == CALL_ACCEPT) {
        struct pollfd listener = { .fd = meeting->here, .events = POLLIN };
        while (poll(&listener, 1, 0) == 1) {
            close(accept4(meeting->here, NULL, NULL, SOCK_CLOEXEC));
            ++waiting;
        }
    }
    return waiting;
}

void meeting_settle(const struct meeting *meeting, struct accounts *accounts, int result, unsigned char got,
                    bool attended, unsigned char sent)
{
    if (meeting->call != CALL_READ && result >= 0)
        close(result);
    bool leaked = meeting->call != CALL_READ && fcntl(meeting->lowest, F_GETFD) != -1;
    if (leaked) {
        close(meeting->lowest);
        ++accounts->leaks;
    }
    unsigned delivered = result >= 0 || leaked ? 1 : 0;
    delivered += take_what_waits(meeting);
    unsigned given = attended ? 1 : 0;
    if (delivered < given)
        ++accounts->lost;
    if (delivered > given || (meeting->call == CALL_READ && result >= 0 && (result != 1 || got != sent)))
        ++accounts->wrong;
}

bool meeting_attend(struct meeting *meeting, unsigned char byte)
{
    switch (meeting->call) {
    case CALL_OPEN:
        meeting->there = open(meeting->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return meeting->there >= 0;
    case CALL_READ:
        return write(meeting->there, &byte, 1) == 1;
    case CALL_ACCEPT: {
        struct sockaddr_un address = address_of(meeting);
        meeting->there = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return connect(meeting->there, (struct sockaddr *)&address, sizeof address) == 0;
    }
    }
    return false;
}

void meeting_part(struct meeting *meeting)
{
    if (meeting->call == CALL_READ || meeting->there < 0)
        return;
    close(meeting->there);
    meeting->there = -1;
}
