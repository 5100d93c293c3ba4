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
#include "../engine/report.h"
#include "cleanup.h"
#include "expiry.h"
#include "frames.h"
#include "object.h"
#include "state.h"

uint8_t awi_escape_assume_dynamic;

/* For the landing: the mask of what was left, and whether that stood in a wrapper of libc. */
static uint64_t interrupted_mask[2];
static bool from_call;

static bool is_busy(const void *stack, const void *frame)
{
    uintptr_t busy = (uintptr_t)awi_busy_frame;
    /* Equal where a function of the library is inlined into the guard's. */
    return busy >= (uintptr_t)stack && busy <= (uintptr_t)frame;
}

/* The frame to land in was left by longjmp: it lies below the stack, or was written over. */
static bool is_gone(const struct awi_guard_entry *entry, const void *stack)
{
    return awi_frame_is_gone(entry->landing.frame, stack) || !awi_guard_was_entered(entry->guard);
}

static bool is_reachable(const struct awi_guard_entry *entry, const void *stack)
{
    return awi_frame_is_on_stack(stack) && awi_frame_is_on_stack(entry->landing.frame) &&
           !is_busy(stack, entry->landing.frame) && getpid() == AWI_LOAD(awi.pid);
}

/* What keeps an escape from the handler; AWI_OBSTACLE_NONE: nothing. */
static enum awi_obstacle obstacle(const struct awi_guard_entry *entry, struct awi_frames *frames,
                                  const void *stack, uintptr_t *stopped_at)
{
    if (!is_reachable(entry, stack))
        return is_busy(stack, entry->landing.frame) ? AWI_OBSTACLE_LIBRARY : AWI_OBSTACLE_STACK;
    bool can_be_asked = AWI_UNWINDS_IN_HANDLERS && frames->pc != 0 &&
                        (!awi_frames_include_malloc(entry->landing.code) || awi_escape_assume_dynamic);
    if (frames->trampoline != NULL && !can_be_asked)
        return AWI_OBSTACLE_HANDLER;
    enum awi_leave leave = awi_frames_leave(frames, stopped_at);
    return leave == AWI_LEAVE       ? AWI_OBSTACLE_NONE
           : leave == AWI_LEAVE_NOT ? AWI_OBSTACLE_FRAME
                                    : AWI_OBSTACLE_DEAD;
}

/*
 * The guard to escape to, if nothing keeps from that; else `depth`. A dead guard that is found on the way is
 * none any more: neither an escaping one nor one to nag for.
 */
static uint32_t choose(struct awi_frames *frames, uint64_t expired, const void *stack, const void *context)
{
    uint32_t target;
    while ((target = awi_guards_target(expired)) < AWI_LOAD(awi.depth)) {
        struct awi_guard_entry *entry = &awi.guards[target];
        uintptr_t stopped_at = 0;
        frames->landing = &entry->landing;
        frames->target = target;
        enum awi_obstacle found =
            is_gone(entry, stack) ? AWI_OBSTACLE_DEAD : obstacle(entry, frames, stack, &stopped_at);
        if (found == AWI_OBSTACLE_NONE)
            return target;
        if (found != AWI_OBSTACLE_DEAD) {
            if (context != NULL)
                awi_report_obstacle(target, found, context, stopped_at);
            break;
        }
        AWI_STORE(entry->how, entry->how & ~AW_GUARD_ESCAPE);
        __atomic_fetch_or(&awi.told, UINT64_C(1) << target, __ATOMIC_RELAXED);
        expired &= ~(UINT64_C(1) << target);
    }
    return AWI_LOAD(awi.depth);
}

static _Noreturn void jump(uint32_t index, uint64_t holding, const void *stack)
{
    awi_cleanup_gather(index, holding, stack);
    siglongjmp(awi.guards[index].guard->awi_env, 1);
}

void awi_escape_from_handler(void *context, const void *trampoline, uint64_t expired)
{
    const ucontext_t *interrupted = context;
    struct awi_frames frames = { .trampoline = trampoline,
                                 .pc = awi_context_pc(context),
                                 .is_at_call = awi_interrupt_is_at_call(context) };
    const void *stack = awi_context_stack(context);
    uint32_t target = choose(&frames, expired, stack, context);
    if (target == AWI_LOAD(awi.depth))
        return;
    __builtin_memcpy(interrupted_mask, &interrupted->uc_sigmask, _NSIG / 8);
    from_call = frames.is_at_call;
    awi_context_restore_float(context);
    jump(target, frames.holding, stack);
}

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
    struct awi_frames frames = { .here = here };
    uint32_t target = choose(&frames, expired, here, NULL);
    if (target < AWI_LOAD(awi.depth)) {
        block_signals();
        from_call = false;
        jump(target, frames.holding, here);
    }
    /* In a callback of qsort, say: as soon as that is left the handler shall do it. */
    awi_cover_slow(false);
}

static void restore_mask(const uint64_t *mask)
{
    int saved_errno = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, _NSIG / 8);
    errno = saved_errno;
}

AWI_OUTLINE int awi_escape_landed(struct aw_guard *guard)
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
    awi_report_escaped(awi_guard_index(guard));
    int result = aw_guard_leave(guard);
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
    return result;
}
