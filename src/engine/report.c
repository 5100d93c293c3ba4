/* SPDX-License-Identifier: MIT */
/*
 * report.c: the debug mode, see report.h. It keeps a table of its own of where each guard was entered,
 * because the memory of one whose frame is gone must not be read. A report is put together on the stack and
 * written to stderr at once, if that can be done without blocking; nothing is allocated, no lock is taken.
 * Everything is AS-Safe but what is said to be for the program; all of it is empty without AW_DEBUG.
 */
#include "report.h"

#ifdef AW_DEBUG

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../busy.h"
#include "clock.h"
#include "context.h"

/* An escape that is put off for longer is reported. */
#define LONG_NS AW_SEC(1)

/* Where in the source, or from where. */
struct place {
    const char *file; /* NULL: not known */
    size_t file_length;
    int line;
    const void *caller; /* the address that the call returns to; NULL: not known */
};

/* As indexed in awi.guards. */
static struct entry {
    struct place place;
    uint64_t entered_ns;
} entries[AWI_GUARD_DEPTH];

/* Bit i: the escape to guard i was reported. Both store. */
static uint64_t reported;

/* Bit i: guard i stood inside one that an escape has left. */
static uint64_t excused;

/* The guard that this thread is about to enter; NULL: none. */
static _Thread_local struct {
    const struct aw_guard *guard;
    struct place place;
} entering __attribute__((tls_model("initial-exec")));

/* ---- one line ---- */

#define LONGEST_NAME 240u /* of a file: its end says more than its beginning */

struct line {
    size_t length;
    char text[1024]; /* less than PIPE_BUF: a pipe that has room takes it whole */
};

static void add_text(struct line *line, const char *text, size_t length)
{
    size_t room = sizeof line->text - line->length;
    length = length < room ? length : room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

#define ADD(line, text) add_text((line), (text), sizeof(text) - 1)

static void add_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    add_text(line, digits + n, sizeof digits - n);
}

static void add_name(struct line *line, const char *name, size_t length)
{
    size_t skipped = length > LONGEST_NAME ? length - LONGEST_NAME : 0;
    add_text(line, name + skipped, length - skipped);
}

/* The loader gives the program itself no name. */
static void add_program(struct line *line)
{
    size_t room = sizeof line->text - line->length;
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", line->text + line->length,
                          room < LONGEST_NAME ? room : LONGEST_NAME);
    if (length > 0)
        line->length += (size_t)length;
    else
        ADD(line, "program");
}

/* OBJECT+0xOFFSET, as addr2line and objdump take it. glibc finds objects without a lock since 2.35. */
static void add_address(struct line *line, uintptr_t address)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) == 0) {
        const struct link_map *object = found.dlfo_link_map;
        size_t length = 0;
        while (length < 4096 && object->l_name[length] != '\0')
            ++length;
        if (length != 0)
            add_name(line, object->l_name, length);
        else
            add_program(line);
        ADD(line, "+");
        address -= (uintptr_t)object->l_addr;
    }
#endif
    ADD(line, "0x");
    add_number(line, address, 16);
}

/* One before the address that a call returns to lies in the call. */
static void add_place(struct line *line, const struct place *place)
{
    if (place->file != NULL) {
        add_name(line, place->file, place->file_length);
        ADD(line, ":");
        add_number(line, (uint64_t)place->line, 10);
    } else {
        add_address(line, (uintptr_t)place->caller - 1);
    }
}

static void begin_line(struct line *line, const struct place *place)
{
    line->length = 0;
    ADD(line, "alarmwheel: guard at ");
    add_place(line, place);
    ADD(line, ": ");
}

/*
 * Bare system calls: those of libc are cancellation points, and the library's own handler may step over a
 * write. Where nobody reads, or there is no room, there is no report.
 */
static void print(struct line *line)
{
    struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
    const struct timespec at_once = { 0, 0 };
    line->length -= line->length == sizeof line->text;
    ADD(line, "\n");
    if (syscall(SYS_ppoll, &err, 1, &at_once, NULL, (size_t)0) == 1 && err.revents == POLLOUT) {
        while (syscall(SYS_write, STDERR_FILENO, line->text, line->length) < 0 && errno == EINTR)
            continue;
    }
}

/* ---- the program's part: misuse ---- */

enum kind {
    OUT_OF_ORDER = 1,
    GONE,
    OFF_THREAD
};

static uint64_t mixed(uint64_t key, uint64_t value)
{
    key = (key ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 29;
}

static uint64_t mixed_place(uint64_t key, const struct place *place)
{
    key = mixed(key, place->file != NULL ? (uintptr_t)place->file : (uintptr_t)place->caller);
    return mixed(key, place->file != NULL ? (uint64_t)place->line : 0);
}

/* True once for each key; always, when they are too many. */
static bool is_news(uint64_t key)
{
    static uint64_t known[256];
    const size_t room = sizeof known / sizeof known[0];
    key |= 1; /* 0 is a place that is free */
    for (size_t i = 0; i < room; ++i) {
        uint64_t *at = &known[(key / 2 + i) % room];
        uint64_t found = 0;
        if (__atomic_compare_exchange_n(at, &found, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
        if (found == key)
            return false;
    }
    return true;
}

void awi_report_entering_scope(const struct awi_guard_scope *scope)
{
    entering.guard = scope->guard;
    entering.place = (struct place){ scope->file, strlen(scope->file), scope->line, NULL };
}

void awi_report_entering(const struct aw_guard *guard, const void *caller)
{
    if (entering.guard == guard)
        return;
    entering.guard = guard;
    entering.place = (struct place){ NULL, 0, 0, caller };
}

void awi_report_not_entered(const struct aw_guard *guard, int error)
{
    AWI_BUSY;
    if (entering.guard != guard)
        return;
    entering.guard = NULL;
    if (error != -EPERM || awi_owner || !is_news(mixed_place(OFF_THREAD, &entering.place)))
        return;
    int saved_errno = errno;
    struct line line;
    begin_line(&line, &entering.place);
    ADD(&line, "entered off the owner thread");
    print(&line);
    errno = saved_errno;
}

void awi_report_pushed(uint32_t index)
{
    uint64_t bit = UINT64_C(1) << index;
    entries[index].place = entering.place;
    entries[index].entered_ns = awi_clock_now();
    entering.guard = NULL;
    __atomic_fetch_and(&reported, ~bit, __ATOMIC_RELAXED);
    excused &= ~bit;
}

void awi_report_gone(uint32_t index)
{
    AWI_BUSY;
    int saved_errno = errno;
    for (uint32_t i = AWI_LOAD(awi.depth); i-- > index;) {
        struct line line;
        if ((excused >> i & 1) != 0 || !is_news(mixed_place(GONE, &entries[i].place)))
            continue;
        begin_line(&line, &entries[i].place);
        ADD(&line, "its frame was left by longjmp or return, not by aw_guard_leave; dropped");
        print(&line);
    }
    errno = saved_errno;
}

/*
 * A function that was left by longjmp, and called again from the same place, has its guard where it was. A
 * program may also enter a guard again on purpose, by aw_guard_enter: that is no concern of ours.
 */
void awi_report_again(uint32_t index, const struct aw_guard *guard)
{
    const struct place *before = &entries[index].place;
    if (entering.guard == guard && before->file != NULL && before->file == entering.place.file &&
        before->line == entering.place.line)
        awi_report_gone(index);
}

AWI_OUTLINE void awi_report_left(uint32_t index)
{
    AWI_BUSY;
    uint32_t last = AWI_LOAD(awi.depth) - 1;
    uint32_t alive = last;
    while (alive > index && awi_frame_is_gone(awi.guards[alive].guard, AWI_HERE))
        --alive;
    if (alive < last)
        awi_report_gone(alive + 1);
    const struct place *outer = &entries[index].place, *inner = &entries[alive].place;
    if (alive == index || (excused >> alive & 1) != 0 ||
        !is_news(mixed_place(mixed_place(OUT_OF_ORDER, outer), inner)))
        return;
    int saved_errno = errno;
    struct line line;
    begin_line(&line, outer);
    ADD(&line, "left out of order: the guard at ");
    add_place(&line, inner);
    ADD(&line, " inside it was still entered");
    print(&line);
    errno = saved_errno;
}

void awi_report_escaped(uint32_t index)
{
    excused |= UINT64_MAX << index << 1;
    entering.guard = NULL;
}

/* ---- the handler's part: escapes that are put off ---- */

/* An escaping guard, and what leads to it: its own expiry, or that of one between it and the next such. */
struct target {
    uint32_t index;
    uint64_t expired;  /* those that have; 0: it is not to be escaped to */
    uint64_t since_ns; /* the first of them was noticed, and the guard is entered */
};

/* The first such guard from `from` on; false: there is none. */
static bool find_target(struct target *target, uint32_t from)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint64_t expired = AWI_LOAD(awi.expired);
    uint32_t i = from;
    *target = (struct target){ .since_ns = AW_FOREVER };
    for (; i < depth; ++i) {
        if ((expired >> i & 1) != 0) {
            uint64_t noticed = AWI_LOAD(awi.guards[i].noticed_ns);
            target->expired |= UINT64_C(1) << i;
            target->since_ns = noticed < target->since_ns ? noticed : target->since_ns;
        }
        if ((awi.guards[i].how & AW_GUARD_ESCAPE) != 0)
            break;
    }
    target->index = i;
    if (i < depth && target->since_ns < entries[i].entered_ns)
        target->since_ns = entries[i].entered_ns;
    return i < depth;
}

static bool is_reported(uint32_t index)
{
    return (AWI_LOAD(reported) >> index & 1) != 0;
}

/*
 * An escape to it is not even tried: it is around the callback that runs, or all that leads to it is under a
 * shield. Who has neither, and was told of the expiry, is left in peace.
 */
static bool is_hidden(const struct target *target)
{
    if (target->index < AWI_LOAD(awi.base))
        return target->expired != 0;
    uint64_t expired = target->expired & awi_visible_guards();
    return expired != 0 && awi.guards[63 - __builtin_clzll(expired)].shields != AWI_LOAD(awi.shields);
}

/* From `from` on; false: there is no more, since the guard that is nagged for is where an escape goes. */
static bool find_hidden(struct target *target, uint32_t from, uint64_t nagged)
{
    for (; find_target(target, from) && (target->expired & nagged) == 0; from = target->index + 1) {
        if (is_hidden(target) && !is_reported(target->index))
            return true;
    }
    return false;
}

uint64_t awi_report_next(uint64_t nagged)
{
    struct target target;
    uint64_t next = AW_FOREVER;
    for (uint32_t from = 0; find_hidden(&target, from, nagged); from = target.index + 1) {
        uint64_t at = awi_sum(target.since_ns, LONG_NS);
        next = at < next ? at : next;
    }
    return next;
}

static void add_obstacle(struct line *line, enum awi_obstacle obstacle, uintptr_t stopped_at)
{
    switch (obstacle) {
    case AWI_OBSTACLE_NONE:
    case AWI_OBSTACLE_DEAD: /* neither is reported */
    case AWI_OBSTACLE_SHIELD:
        ADD(line, "a shield is held");
        break;
    case AWI_OBSTACLE_CALLBACK:
        ADD(line, "a callback runs that the guard is around");
        break;
    case AWI_OBSTACLE_STACK:
        ADD(line, "the guard's frame is not on the stack that runs");
        break;
    case AWI_OBSTACLE_LIBRARY:
        ADD(line, "a function of alarmwheel is active");
        break;
    case AWI_OBSTACLE_HANDLER:
        ADD(line, "this program can be left at safe points only");
        break;
    default:
        ADD(line, "the frame at ");
        add_address(line, stopped_at);
        ADD(line, " may not be left");
    }
}

/* `context` is the handler's own. */
static void report_deferred(const struct target *target, enum awi_obstacle obstacle, const void *context,
                            uintptr_t stopped_at)
{
    uint64_t now = awi_clock_now();
    if (now < target->since_ns || now - target->since_ns < LONG_NS)
        return;
    __atomic_fetch_or(&reported, UINT64_C(1) << target->index, __ATOMIC_RELAXED);
    int saved_errno = errno;
    struct line line;
    begin_line(&line, &entries[target->index].place);
    ADD(&line, "its escape is put off for more than a second: ");
    add_obstacle(&line, obstacle, stopped_at);
    uintptr_t pc = awi_context_pc(context);
    if (pc != 0) {
        ADD(&line, "; the program is at ");
        add_address(&line, pc);
    }
    print(&line);
    errno = saved_errno;
}

void awi_report_hidden(uint64_t nagged, const void *context)
{
    struct target target;
    for (uint32_t from = 0; find_hidden(&target, from, nagged); from = target.index + 1) {
        bool is_around = target.index < AWI_LOAD(awi.base);
        report_deferred(&target, is_around ? AWI_OBSTACLE_CALLBACK : AWI_OBSTACLE_SHIELD, context, 0);
    }
}

void awi_report_obstacle(uint32_t index, enum awi_obstacle obstacle, const void *context,
                         uintptr_t stopped_at)
{
    struct target target;
    uint32_t from = 0;
    while (find_target(&target, from) && target.index < index)
        from = target.index + 1;
    if (target.index == index && target.expired != 0 && !is_reported(index))
        report_deferred(&target, obstacle, context, stopped_at);
}

#endif
