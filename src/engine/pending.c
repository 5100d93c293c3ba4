/* SPDX-License-Identifier: MIT */
/*
 * pending.c: the storage that handler and program share, and the two things both of them do with it: raise
 * flags, and flag what is due. Everything here is AS-Safe.
 */
#include "pending.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"

volatile uint32_t awi_pending;

struct awi_shared awi = { .timer_need = AW_FOREVER,
                          .foreign_at = AW_FOREVER,
                          .armed_at = AW_FOREVER,
                          .call_need = AW_FOREVER,
                          .wakeup_fd = -1,
                          .signal_fd = -1 };

_Thread_local unsigned char awi_owner;

int awi_denied(void)
{
    return AWI_LOAD(awi.state) == AWI_RUNNING ? -EPERM : -ENODEV;
}

/*
 * A bare system call, repeated: the library's own handler may step over it for a guard that has expired
 * (see interrupt.c), and write() would be a cancellation point. A full counter is readable already, so a
 * write that fails for that has nothing to add.
 */
void awi_wakeup_ring(int fd)
{
    int saved_errno = errno;
    uint64_t one = 1;
    while (syscall(SYS_write, fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
    errno = saved_errno;
}

void awi_raise(uint32_t flags)
{
    uint32_t before = __atomic_fetch_or(&awi_pending, flags, __ATOMIC_SEQ_CST);
    int fd = AWI_LOAD(awi.wakeup_fd);
    if (fd >= 0 && (flags & ~before) != 0)
        awi_wakeup_ring(fd);
}

/* Shields only add up inside a guard, so the guards that mind none of those that stand are the innermost. */
uint64_t awi_nagging_guards(void)
{
    uint64_t guards = awi_expired_guards() & ~AWI_LOAD(awi.told);
    while (guards != 0) {
        unsigned outermost = (unsigned)__builtin_ctzll(guards);
        if (awi.guards[outermost].shields == AWI_LOAD(awi.shields))
            break;
        guards &= guards - 1;
    }
    return guards;
}

bool awi_call_is_due(uint64_t now_ns)
{
    if (AWI_LOAD(awi.call.frame) == NULL)
        return false;
    uint32_t flags = awi_flags();
    bool dispatch_is_due = (flags & AWI_DISPATCHING) == 0 && (flags & AWI_CALLBACKS) != 0;
    return dispatch_is_due || AWI_LOAD(awi.call_need) <= now_ns || awi_expired_guards() != 0;
}

/* A guarded call is a need, and is nagged for while it does not come back. */
static uint64_t call_need(uint64_t now_ns)
{
    if (AWI_LOAD(awi.call.frame) == NULL)
        return AW_FOREVER;
    if (!awi_call_is_due(now_ns))
        return AWI_LOAD(awi.call_need);
    if (AWI_LOAD(awi.call_due_ns) == 0)
        AWI_STORE(awi.call_due_ns, now_ns);
    return awi_nag(now_ns, AWI_LOAD(awi.call_due_ns));
}

uint64_t awi_flag_due(uint64_t now_ns)
{
    uint64_t need = AWI_LOAD(awi.foreign_at);

    if ((awi_flags() & AWI_TIMER) == 0) {
        uint64_t timer = AWI_LOAD(awi.timer_need);
        if (timer <= now_ns)
            awi_raise(AWI_TIMER);
        else {
            timer = awi_sum(timer, AWI_LOAD(awi.slack_ns));
            need = timer < need ? timer : need;
        }
    }
    if (AWI_LOAD(awi.depth) != 0) {
        uint64_t guard = awi.expire(now_ns);
        need = guard < need ? guard : need;
    }
    uint64_t call = call_need(now_ns);
    return call < need ? call : need;
}
