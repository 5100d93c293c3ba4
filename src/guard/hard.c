/* SPDX-License-Identifier: MIT */
/*
 * hard.c: hard limits. The program sets them; the handler strikes (calls the user's function, or writes a
 * message and ends the process); and a timer of the kernel's sends SIGKILL another grace period later, to a
 * process that takes no signals. Striking allocates nothing, takes no lock, and does not block.
 *
 * The one timer is set for the earliest of the limits that stand. The handler sets it, too, when it finds
 * that a guard was left by longjmp. Setting and dropping, and the handler in between:
 *
 *   write the limit          its bit is clear: the handler does not look at it
 *   set its bit in limited   from here on the handler may strike, or find that the guard is gone
 *   runs = awi.runs
 *   find the earliest
 *   set the timer            for a guard that the handler has just found gone it would kill for nothing:
 *   awi.runs == runs ?       done : once more
 *
 *   awi.depth = index        of guards from here on the handler strikes for none
 *   clear their bits         (guards.c)
 *   set the timer anew, or delete it
 */
#include "hard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/burn.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/engine.h"
#include "state.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

/* As indexed in awi.guards; valid where the bit in awi.limited is set. */
struct limit {
    uint64_t deadline_ns; /* the guard's */
    uint64_t hard_at_ns;
    uint64_t kill_at_ns;
    aw_hard_limit_fn *fn;
    void *arg;
    const char *file; /* NULL: not known */
    size_t file_length;
    int line;
    uint32_t state; /* what the guard says of itself while it is there, */
    uint32_t how;   /* and its entry on the array: escape.c changes that of one whose frame it finds dead */
};

static struct limit limits[AWI_GUARD_DEPTH];

/* Bit i: limit i has struck; its guard was found to be left by longjmp, and it counts no more. Both store. */
static uint64_t struck, gone;

/* The timer is there in the engine, and in the process, that made it: an epoch names both. */
static timer_t kill_timer;
static uint64_t kill_timer_epoch;

static uint64_t standing(void)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint64_t entered = depth < AWI_GUARD_DEPTH ? ~(UINT64_MAX << depth) : UINT64_MAX;
    return AWI_LOAD(awi.limited) & entered;
}

uint64_t awi_hard_earliest(void)
{
    uint64_t earliest = AW_FOREVER;
    for (uint64_t rest = standing() & ~(AWI_LOAD(struck) | AWI_LOAD(gone)); rest != 0; rest &= rest - 1) {
        uint64_t at = limits[__builtin_ctzll(rest)].hard_at_ns;
        earliest = at < earliest ? at : earliest;
    }
    return earliest;
}

/* ---- the timer that kills ---- */

static int make_kill_timer(void)
{
    struct sigevent event;
    if (kill_timer_epoch == awi_engine.epoch)
        return 0;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    if (timer_create(CLOCK_MONOTONIC, &event, &kill_timer) != 0)
        return -errno;
    kill_timer_epoch = awi_engine.epoch;
    return 0;
}

static void delete_kill_timer(void)
{
    if (kill_timer_epoch == awi_engine.epoch)
        timer_delete(kill_timer);
    kill_timer_epoch = 0;
}

/* Handler and program. */
static int set_kill_timer(void)
{
    for (;;) {
        uint64_t runs = AWI_LOAD(awi.runs);
        awi_order();
        uint64_t at = AW_FOREVER;
        for (uint64_t rest = standing() & ~AWI_LOAD(gone); rest != 0; rest &= rest - 1) {
            uint64_t kill_at = limits[__builtin_ctzll(rest)].kill_at_ns;
            at = kill_at < at ? kill_at : at;
        }
        struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
        if (at != AW_FOREVER) {
            spec.it_value.tv_sec = (time_t)(at / NS_PER_SEC);
            spec.it_value.tv_nsec = (long)(at % NS_PER_SEC);
        }
        int result = timer_settime(kill_timer, TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : -errno;
        awi_order();
        if (AWI_LIKELY(AWI_LOAD(awi.runs) == runs))
            return result;
    }
}

/* Behind awi.unlimit: guards with a limit were dropped. */
static void unlimit(void)
{
    int saved_errno = errno;
    if (AWI_LOAD(awi.limited) == 0)
        delete_kill_timer();
    else
        (void)set_kill_timer();
    errno = saved_errno;
}

/* ---- the handler's part ---- */

struct message {
    size_t length;
    char text[512]; /* less than PIPE_BUF: a pipe that has room takes it whole */
};

static void add_text(struct message *message, const char *text, size_t length)
{
    size_t room = sizeof message->text - message->length;
    length = length < room ? length : room;
    memcpy(message->text + message->length, text, length);
    message->length += length;
}

#define ADD(message, text) add_text((message), (text), sizeof(text) - 1)

static void add_number(struct message *message, uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    add_text(message, digits + n, sizeof digits - n);
}

/* The end of a path says more than its beginning. */
static void add_file(struct message *message, const struct limit *limit)
{
    const size_t longest = 256;
    size_t skipped = limit->file_length > longest ? limit->file_length - longest : 0;
    add_text(message, limit->file + skipped, limit->file_length - skipped);
}

static struct message message_of(const struct limit *limit, uint64_t now_ns)
{
    struct message message;
    message.length = 0;
    ADD(&message, "alarmwheel: ");
    if (limit->file != NULL) {
        add_file(&message, limit);
        ADD(&message, ":");
        add_number(&message, (uint64_t)limit->line);
        ADD(&message, ": ");
    }
    ADD(&message, "hard limit: still in this guard ");
    add_number(&message, (now_ns - limit->deadline_ns) / NS_PER_MS);
    ADD(&message, " ms after its deadline\n");
    return message;
}

/*
 * Not at all, rather than block. By bare system calls: those of libc are cancellation points. A socket is
 * asked not to wait; where poll says that others can be written to, they take a page. Should somebody else
 * be quicker to fill it, there is still the timer.
 */
static void write_to_stderr(const struct message *message)
{
    struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
    const struct timespec at_once = { 0, 0 };
#ifdef SYS_sendto
    if (syscall(SYS_sendto, STDERR_FILENO, message->text, message->length, MSG_DONTWAIT | MSG_NOSIGNAL, NULL,
                0) >= 0 ||
        errno != ENOTSOCK)
        return;
#endif
    if (syscall(SYS_ppoll, &err, 1, &at_once, NULL, (size_t)0) == 1 && (err.revents & POLLOUT) != 0)
        (void)syscall(SYS_write, STDERR_FILENO, message->text, message->length);
}

static void strike(unsigned index, uint64_t now_ns)
{
    const struct limit *limit = &limits[index];
    __atomic_fetch_or(&struck, UINT64_C(1) << index, __ATOMIC_RELAXED);
    if (limit->fn != NULL) {
        limit->fn(awi.guards[index].guard, limit->arg);
        return;
    }
    struct message message = message_of(limit, now_ns);
    write_to_stderr(&message);
    _exit(AW_HARD_LIMIT_STATUS);
}

/*
 * Left by longjmp: it lies beyond the stack's end, an escape found its frame dead, or something else lies
 * there now. Memory elsewhere may be gone, and is not read.
 */
static bool is_gone(unsigned index, const void *stack)
{
    const struct aw_guard *guard = awi.guards[index].guard;
    if (awi_frame_is_gone(guard, stack))
        return true;
    if (AWI_LOAD(awi.guards[index].how) != limits[index].how)
        return true;
    return awi_frame_is_on_stack(guard) && AWI_LOAD(guard->awi_state) != limits[index].state;
}

void awi_hard_strike_due(const void *stack)
{
    int saved_errno = errno;
    uint64_t now = awi_clock_now();
    for (uint64_t rest = standing() & ~(AWI_LOAD(struck) | AWI_LOAD(gone)); rest != 0; rest &= rest - 1) {
        unsigned index = (unsigned)__builtin_ctzll(rest);
        if (limits[index].hard_at_ns > now)
            continue;
        if (is_gone(index, stack)) {
            __atomic_fetch_or(&gone, UINT64_C(1) << index, __ATOMIC_RELAXED);
            (void)set_kill_timer();
        } else {
            strike(index, now);
        }
    }
    errno = saved_errno;
}

/* ---- the program's part ---- */

static void write_limit(struct aw_guard *guard, unsigned index, uint64_t grace_ns)
{
    struct limit *limit = &limits[index];
    uint64_t now = awi_clock_now();
    limit->deadline_ns = awi.guards[index].deadline_ns;
    limit->hard_at_ns = awi_sum(limit->deadline_ns, grace_ns);
    /* A limit that is set long after the deadline leaves the handler its time, too. */
    limit->kill_at_ns = awi_sum(limit->hard_at_ns > now ? limit->hard_at_ns : now, grace_ns);
    limit->file = awi_guard_is_placed(guard) ? guard->awi_file : NULL;
    limit->file_length = limit->file != NULL ? strlen(limit->file) : 0;
    limit->line = limit->file != NULL ? guard->awi_line : 0;
    limit->state = guard->awi_state;
    limit->how = awi.guards[index].how;
}

static int set(struct aw_guard *guard, uint64_t grace_ns, aw_hard_limit_fn *fn, void *arg)
{
    unsigned index = awi_guard_index(guard);
    uint64_t bit = UINT64_C(1) << index;
    int result = make_kill_timer();
    if (result < 0)
        return result;
    awi.unlimit = unlimit;
    __atomic_fetch_and(&awi.limited, ~bit, __ATOMIC_RELAXED);
    awi_order();
    __atomic_fetch_and(&struck, ~bit, __ATOMIC_RELAXED);
    __atomic_fetch_and(&gone, ~bit, __ATOMIC_RELAXED);
    write_limit(guard, index, grace_ns);
    limits[index].fn = fn;
    limits[index].arg = arg;
    awi_order();
    __atomic_fetch_or(&awi.limited, bit, __ATOMIC_RELAXED);
    awi_order();
    result = set_kill_timer();
    if (result == 0)
        result = awi_cover(limits[index].hard_at_ns);
    if (result < 0) {
        __atomic_fetch_and(&awi.limited, ~bit, __ATOMIC_RELAXED);
        unlimit();
    }
    return result;
}

AWI_OUTLINE int aw_guard_hard_limit(struct aw_guard *guard, uint64_t grace_ns, aw_hard_limit_fn *fn,
                                    void *arg)
{
    if (guard == NULL || grace_ns == 0 || grace_ns == AW_FOREVER)
        return -EINVAL;
    int result = awi_check();
    if (result < 0)
        return result;
    if (!awi_guard_is_entered(guard))
        return -ENOENT;
    const struct awi_guard_entry *entry = &awi.guards[awi_guard_index(guard)];
    if ((entry->how & AWI_BURNS) != 0 || entry->deadline_ns == AW_FOREVER)
        return -EINVAL;
    int saved_errno = errno;
    const void *outer = awi_busy_begin();
    result = set(guard, grace_ns, fn, arg);
    awi_busy_end(outer);
    errno = saved_errno;
    return result;
}
