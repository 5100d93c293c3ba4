/* SPDX-License-Identifier: MIT */
/*
 * escape.c: leaves the body of an escaping guard by siglongjmp. It happens only if all of this holds:
 *
 *   - the guard, or one around it, has expired, and no shield was raised since its entry;
 *   - owner thread, on its own stack, in the process that called aw_init; the frame to land in is there;
 *   - no function of this library is active inside the guard (busy.h), nor a callback from around it;
 *   - every frame up to the guard's may be left (frames.c).
 *
 * In the handler also that these questions can be asked there: an unwinder without locks, and a malloc that
 * is not part of the text that may be left.
 *
 * The jump is made with every signal blocked: what lies below the landing's frame is fair game for a handler.
 * The landing first puts guards and shields in order, then opens the mask, then runs the clean-ups.
 */
#include "escape.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/context.h"
#include "../engine/cover.h"
#include "../engine/guards.h"
#include "cleanup.h"
#include "expiry.h"
#include "frames.h"
#include "object.h"
#include "state.h"

uint8_t awi_escape_assume_dynamic;

/* For the landing: the mask of what was left, and whether that stood in a wrapper of libc. */
static uint64_t interrupted_mask[2];
static bool from_call;

/* The guard to escape to: the outermost escaping one from the outermost expired one inwards. `depth`: none. */
static uint32_t find_target(uint64_t expired)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint32_t index = (uint32_t)__builtin_ctzll(expired);
    while (index < depth && (awi.guards[index].how & AW_GUARD_ESCAPE) == 0)
        ++index;
    return index < depth ? index : depth;
}

static bool is_busy(const void *stack, const void *frame)
{
    uintptr_t busy = (uintptr_t)awi_busy_frame;
    return busy >= (uintptr_t)stack && busy < (uintptr_t)frame;
}

static bool is_reachable(const struct awi_guard_entry *entry, const void *stack)
{
    return awi_frame_is_on_stack(stack) && awi_frame_is_on_stack(entry->landing.frame) &&
           (uintptr_t)stack <= (uintptr_t)entry->landing.frame && awi_guard_was_entered(entry->guard) &&
           !is_busy(stack, entry->landing.frame) && getpid() == AWI_LOAD(awi.pid);
}

static _Noreturn void jump(uint32_t index)
{
    awi_cleanup_gather(index);
    siglongjmp(awi.guards[index].guard->awi_env, 1);
}

#if AWI_UNWINDS_IN_HANDLERS && defined(AWI_CONTEXT_PC)
void awi_escape_from_handler(void *context, const void *trampoline, uint64_t expired)
{
    const ucontext_t *interrupted = context;
    uint32_t target = find_target(expired);
    if (target == AWI_LOAD(awi.depth))
        return;
    const struct awi_guard_entry *entry = &awi.guards[target];
    if (!is_reachable(entry, awi_context_stack(context)))
        return;
    if (awi_frames_include_malloc(entry->landing.code) && !awi_escape_assume_dynamic)
        return;
    struct awi_frames frames = { .landing = &entry->landing,
                                 .trampoline = trampoline,
                                 .pc = (uintptr_t)AWI_CONTEXT_PC(interrupted),
                                 .is_at_call = awi_interrupt_is_at_call(context) };
    uintptr_t stopped_at;
    if (!awi_frames_can_be_left(&frames, &stopped_at))
        return;
    __builtin_memcpy(interrupted_mask, &interrupted->uc_sigmask, _NSIG / 8);
    from_call = frames.is_at_call;
    jump(target);
}
#else
void awi_escape_from_handler(void *context, const void *trampoline, uint64_t expired)
{
    (void)context, (void)trampoline, (void)expired;
}
#endif

/* Told or not: the guards that no shield is raised against. */
static uint64_t expired_guards(void)
{
    uint64_t told = __atomic_exchange_n(&awi.told, 0, __ATOMIC_RELAXED);
    uint64_t guards = awi_nagging_guards();
    __atomic_fetch_or(&awi.told, told, __ATOMIC_RELAXED);
    return guards;
}

static void block_signals(void)
{
    const uint64_t all[2] = { UINT64_MAX, UINT64_MAX };
    int saved_errno = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, interrupted_mask, _NSIG / 8);
    errno = saved_errno;
}

void awi_escape_at_safepoint(const void *here)
{
    uint64_t expired = expired_guards();
    if (expired == 0)
        return;
    uint32_t target = find_target(expired);
    if (target < AWI_LOAD(awi.depth)) {
        const struct awi_guard_entry *entry = &awi.guards[target];
        struct awi_frames frames = { .landing = &entry->landing, .here = here };
        uintptr_t stopped_at;
        if (is_reachable(entry, here) && awi_frames_can_be_left(&frames, &stopped_at)) {
            block_signals();
            from_call = false;
            jump(target);
        }
        /* In a callback of qsort, say: as soon as that is left the handler shall do it. */
        __atomic_fetch_and(&awi.told, ~expired, __ATOMIC_RELAXED);
    }
    awi_cover_slow(false);
}

static void restore_mask(const uint64_t *mask)
{
    int saved_errno = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, _NSIG / 8);
    errno = saved_errno;
}

AWI_OUTLINE void awi_escape_landed(struct aw_guard *guard)
{
    const struct awi_guard_entry *entry = &awi.guards[awi_guard_index(guard)];
    uint32_t shields = entry->shields;
    bool saves_mask = (entry->how & AW_GUARD_NOMASK) == 0;
    uint64_t mask[2] = { guard->awi_mask[0], guard->awi_mask[1] };
    if (!saves_mask)
        __builtin_memcpy(mask, interrupted_mask, sizeof mask);

    uint64_t told = AWI_LOAD(awi.told);
    AWI_STORE(awi.shields, shields + 1);
    awi_order();
    (void)aw_guard_leave(guard);
    if (from_call)
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    restore_mask(mask);
    awi_cleanup_run();
    AWI_STORE(awi.shields, shields);
    awi_order();
    /* A guard around this one may have expired meanwhile, and a clean-up may have been told of it. */
    __atomic_fetch_and(&awi.told, told, __ATOMIC_RELAXED);
    if (awi_expired_guards() != 0)
        awi_escape_at_safepoint(AWI_HERE);
}
