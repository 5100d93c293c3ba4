/* SPDX-License-Identifier: MIT */
/*
 * frame.c: is a stack frame still there? See frame.h. The stack grows down on every machine that this runs
 * on.
 */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

static uintptr_t stack_low, stack_high;

/* The main thread's mapping grows on demand: it reaches down as far as the limit lets it, or this far. */
#define UNLIMITED_STACK ((uintptr_t)128 << 20)

/* One line of /proc/self/maps at a time, a character at a time: "low-high ..." in hexadecimal. */
struct maps_line {
    uintptr_t address[2];
    unsigned field; /* 0: low, 1: high, 2: the rest of the line */
};

static bool maps_character(struct maps_line *line, char c, uintptr_t inside)
{
    if (c == '\n') {
        bool found = line->address[0] <= inside && inside < line->address[1];
        if (!found)
            *line = (struct maps_line){ { 0, 0 }, 0 };
        return found;
    }
    if (line->field == 2)
        return false;
    if (c == '-' || c == ' ')
        ++line->field;
    else
        line->address[line->field] =
            line->address[line->field] << 4 | (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    return false;
}

static bool maps_find(int fd, uintptr_t inside, struct maps_line *line)
{
    char text[512];
    ssize_t n;
    *line = (struct maps_line){ { 0, 0 }, 0 };
    while ((n = read(fd, text, sizeof text)) > 0 || (n < 0 && errno == EINTR)) {
        for (ssize_t i = 0; i < n; ++i) {
            if (maps_character(line, text[i], inside))
                return true;
        }
    }
    return false;
}

/*
 * A mapping that lies right above a thread's stack may be one with it, such as a coroutine's. libc keeps the
 * thread's descriptor at the top of the stack that it has made for it; the main thread's lies elsewhere.
 */
static uintptr_t top_of_thread(uintptr_t inside, uintptr_t high)
{
    uintptr_t descriptor = (uintptr_t)pthread_self();
    return descriptor > inside && descriptor < high ? descriptor : high;
}

void awi_frame_learn(void)
{
    int saved_errno = errno;
    struct maps_line line;
    struct rlimit limit;
    uintptr_t inside = (uintptr_t)__builtin_frame_address(0);

    stack_low = stack_high = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (maps_find(fd, inside, &line)) {
            stack_low = line.address[0];
            stack_high = line.address[1];
            stack_high = top_of_thread(inside, stack_high);
            if (gettid() == getpid()) {
                uintptr_t room = UNLIMITED_STACK;
                if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < room)
                    room = (uintptr_t)limit.rlim_cur;
                if (stack_high - room < stack_low)
                    stack_low = stack_high - room;
            }
        }
        close(fd);
    }
    errno = saved_errno;
}

bool awi_frame_is_on_stack(const void *address)
{
    return (uintptr_t)address >= stack_low && (uintptr_t)address < stack_high;
}

bool awi_frame_is_gone(const void *address, const void *here)
{
    return awi_frame_is_on_stack(address) && awi_frame_is_on_stack(here) &&
           (uintptr_t)address < (uintptr_t)here;
}

/* A handler in between finds either mark, the last or the new one, or none: never one that looks dead. */
void awi_frame_open(struct awi_frame *frame, struct awi_frame_record *record)
{
    static uint64_t serial;
    frame->self = frame;
    frame->serial = ++serial;
    record->frame = NULL;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    record->serial = serial;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    record->frame = frame;
}

/*
 * A dead frame that lies above `here` may have been overwritten or not; the mark tells in most cases. It is
 * read through a volatile pointer because nothing that the compiler can see keeps it alive.
 */
bool awi_frame_is_open(const struct awi_frame_record *record, const void *here)
{
    const volatile struct awi_frame *frame = record->frame;
    if (frame == NULL || awi_frame_is_gone(record->frame, here))
        return false;
    return frame->self == record->frame && frame->serial == record->serial;
}

void awi_frame_close(struct awi_frame *frame, struct awi_frame_record *record)
{
    ((volatile struct awi_frame *)frame)->self = NULL;
    record->frame = NULL;
}
