/* SPDX-License-Identifier: MIT */
/*
 * guard.c: scoped timeouts, as the program enters and leaves them. A user of the engine: it pushes onto the
 * array of guards in pending.h, and hooks expiry.c into the handler when the first guard is entered.
 *
 * Entering, and the handler in between:
 *
 *   write the entry
 *   depth + 1            from here on the handler may mark it
 *   cover its deadline   program the alarm if it is the earliest: cover.c
 *
 * Leaving:
 *
 *   depth = index        a handler before this may still mark the guard: it has then expired
 *   read the verdict     nothing marks it any more
 *   clear its marks      the next guard at this index starts clean
 */
#include <alarmwheel/guard.h>

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/burn.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/dispatch.h"
#include "../engine/engine.h"
#include "../engine/guards.h"
#include "../engine/report.h"
#include "escape.h"
#include "expiry.h"
#include "frames.h"
#include "state.h"

/* The index of a guard on the array, or `depth`. */
static uint32_t find(const struct aw_guard *guard, uint32_t depth)
{
    uint32_t index = depth;
    while (index != 0 && awi.guards[index - 1].guard != guard)
        --index;
    return index != 0 ? index - 1 : depth;
}

/* The guard at `index` and those around it; within a callback, not those outside the callback. */
static uint64_t enclosing(uint32_t index)
{
    uint64_t up_to = ~(UINT64_MAX << index << 1);
    return index >= AWI_LOAD(awi.base) ? up_to & awi_visible_guards() : up_to;
}

static inline void push(struct aw_guard *guard, uint32_t depth, uint64_t deadline_ns, unsigned how)
{
    struct awi_guard_entry *entry = &awi.guards[depth];
    uint64_t around = depth != 0 ? awi.guards[depth - 1].effective_ns : AW_FOREVER;

    guard->awi_state = AWI_ENTERED + depth;
    entry->deadline_ns = deadline_ns;
    entry->effective_ns = deadline_ns < around ? deadline_ns : around;
    entry->guard = guard;
    entry->shields = AWI_LOAD(awi.shields);
    entry->how = how;
    entry->slots = 0;
    entry->told = AWI_LOAD(awi.told);
    awi_report_pushed(depth);
    awi_order();
    AWI_STORE(awi.depth, depth + 1);
    awi_order();
}

/* Not on the owner's thread, or the first guard since aw_init. */
AWI_OUTLINE int awi_guard_ready(void)
{
    int denied = awi_check();
    if (denied < 0 || awi_owner >= AWI_OWNER_GUARDS)
        return denied;
    awi.expire = awi_guard_expire;
    awi.deliver = awi_guard_deliver;
    awi.escape = awi_escape_at_safepoint;
    awi_order();
    awi_owner = AWI_OWNER_GUARDS;
    return 0;
}

/*
 * There are guards around this one. One at the very same address was in a frame that was left by longjmp,
 * and that is now there again: it goes, with those inside it.
 */
AWI_OUTLINE static int make_room(const struct aw_guard *guard)
{
    awi_guards_prune(AWI_HERE);
    uint32_t depth = AWI_LOAD(awi.depth);
    uint32_t index = find(guard, depth);
    if (index < depth) {
        awi_report_again(index, guard);
        awi_guards_drop(index);
    }
    return index < AWI_GUARD_DEPTH ? (int)index : -EAGAIN;
}

/* The guard that was pushed last is the earliest need. */
AWI_OUTLINE static int cover_top(void)
{
    int result = awi_cover_slow(false);
    if (result < 0)
        awi_guards_drop(AWI_LOAD(awi.depth) - 1);
    return result;
}

/* The clock comes first, and what is rare stands apart: little has to be kept across calls. */
static inline int enter(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags)
{
    if (AWI_UNLIKELY(awi_owner < AWI_OWNER_GUARDS)) {
        int denied = awi_guard_ready();
        if (denied < 0)
            return denied;
    }
    if (AWI_UNLIKELY((flags & ~AW_GUARD_COARSE) != 0))
        return awi_guard_enter(guard, timeout_ns, flags, NULL);
    uint64_t now = flags == AW_GUARD_COARSE ? awi_clock_coarse() : awi_clock_now();
    uint64_t deadline = awi_sum(now, timeout_ns);
    awi_recover_if_lost(now);
    if (AWI_LIKELY(AWI_LOAD(awi.depth) == 0)) {
        push(guard, 0, deadline, flags);
    } else {
        int index = make_room(guard);
        if (AWI_UNLIKELY(index < 0))
            return index;
        push(guard, (uint32_t)index, deadline, flags);
    }
    if (AWI_UNLIKELY(deadline < AWI_LOAD(awi.armed_at)))
        return cover_top();
    ++awi.avoided;
    return 0;
}

static int not_entered(struct aw_guard *guard, int error)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    awi_report_not_entered(guard, error);
    if (!awi_owner || find(guard, depth) == depth) {
        guard->awi_state = AWI_FAILED;
        guard->awi_error = error;
    }
    return error;
}

static bool is_possible(unsigned flags, bool has_landing)
{
    const unsigned known = AW_GUARD_COARSE | AW_GUARD_ESCAPE | AW_GUARD_NOMASK | AWI_BURNS;
    const unsigned clocks = flags & (AW_GUARD_COARSE | AWI_BURNS);
    if ((clocks & (clocks - 1)) != 0)
        return false; /* more than one */
    bool escapes = (flags & AW_GUARD_ESCAPE) != 0;
    return (flags & ~known) == 0 && escapes == has_landing && (escapes || (flags & AW_GUARD_NOMASK) == 0);
}

/* The mask that a landing restores: the kernel's own, whole. */
static void save_mask(struct aw_guard *guard)
{
    int saved_errno = errno;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, guard->awi_mask, _NSIG / 8);
    errno = saved_errno;
}

/* On processor time. */
static int push_burning(struct aw_guard *guard, uint32_t index, uint64_t timeout_ns, unsigned flags)
{
    unsigned how = flags & AWI_BURNS;
    int result = awi_burn_open(how);
    if (result < 0)
        return result;
    uint64_t now = awi_burn_now(how);
    uint64_t deadline = awi_sum(now, timeout_ns);
    awi.guards[index].burn_ns = deadline;
    AWI_STORE(awi.burning, AWI_LOAD(awi.burning) | UINT64_C(1) << index);
    push(guard, index, AW_FOREVER, flags);
    result = awi_burn_cover(how, deadline, now);
    if (result < 0)
        awi_guards_drop(index);
    return result;
}

/*
 * `frame` belongs to the function that has called us: a mark of this library's that lies below it was left
 * by longjmp.
 */
static int enter_at(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags,
                    const struct awi_landing *landing)
{
    uint64_t now = (flags & AW_GUARD_COARSE) != 0 ? awi_clock_coarse() : awi_clock_now();
    uint64_t deadline = awi_sum(now, timeout_ns); /* not for one on processor time */
    awi_recover_if_lost(now);
    if ((flags & (AW_GUARD_ESCAPE | AW_GUARD_NOMASK)) == AW_GUARD_ESCAPE)
        save_mask(guard);
    int index = make_room(guard);
    if (index < 0)
        return index;
    if (landing != NULL)
        awi.guards[index].landing = *landing;
    if ((flags & AWI_BURNS) != 0)
        return push_burning(guard, (uint32_t)index, timeout_ns, flags);
    push(guard, (uint32_t)index, deadline, flags);
    ++awi.avoided;
    if (deadline >= AWI_LOAD(awi.armed_at))
        return 0;
    --awi.avoided;
    return cover_top();
}

static int enter_any(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags,
                     const struct awi_landing *landing)
{
    int denied = awi_guard_ready();
    if (denied < 0)
        return denied;
    if (!is_possible(flags, landing != NULL))
        return -EINVAL;
    static bool is_warm;
    if (!is_warm && landing != NULL)
        awi_frames_warm();
    is_warm = is_warm || landing != NULL;
    const void *outer = awi_busy_begin();
    int result = enter_at(guard, timeout_ns, flags, landing);
    bool was_left = landing != NULL && (uintptr_t)outer <= (uintptr_t)landing->frame;
    awi_busy_end(was_left ? NULL : outer);
    return result;
}

AWI_OUTLINE int awi_guard_enter(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags,
                                const struct awi_landing *landing)
{
    int result = enter_any(guard, timeout_ns, flags, landing);
    return result == 0 ? 0 : not_entered(guard, result);
}

/*
 * Whoever is told that this guard's own time is over goes on inside those around it, and has not been told of
 * them, although they were over, too, when a safe point in here said so.
 */
static void untell(uint64_t around)
{
    if ((AWI_LOAD(awi.told) & around) == 0)
        return;
    __atomic_fetch_and(&awi.told, ~around, __ATOMIC_RELAXED);
    awi_cover_slow(false);
}

/* After `depth` no longer covers it: who expired, and how late that was noticed; then clears its marks. */
AWI_OUTLINE static int verdict(struct aw_guard *guard, uint32_t index, uint64_t expired)
{
    uint64_t visible = expired & enclosing(index);
    uint64_t told = awi.guards[index].told;
    int result = 0;
    if (visible != 0) {
        const struct awi_guard_entry *entry = &awi.guards[index];
        bool is_own = (visible >> index & 1) != 0;
        guard->awi_state = AWI_EXPIRED;
        guard->awi_fired = awi.guards[__builtin_ctzll(visible)].guard;
        guard->awi_lateness_ns = is_own ? entry->lateness_ns : 0;
        result = is_own ? -ETIMEDOUT : -ECANCELED;
    }
    awi_guards_drop(index);
    if (result == -ETIMEDOUT)
        untell(visible & ~(UINT64_C(1) << index) & ~told);
    return result;
}

/* There are guards with timers of their own, which dropping them gives back. */
static inline bool have_timers(void)
{
    return (AWI_LOAD(awi.burning) | AWI_LOAD(awi.limited)) != 0;
}

AWI_OUTLINE static int leave_slow(struct aw_guard *guard)
{
    if (guard == NULL)
        return -EINVAL;
    if (!awi_owner) {
        /* Without an engine only a forked child has such a guard, from its parent. */
        int denied = awi_denied();
        return denied == -ENODEV && awi_guard_was_entered(guard) ? 0 : denied;
    }
    if (!awi_guard_was_entered(guard))
        return -ENOENT;
    uint32_t index = awi_guard_index(guard);
    bool is_dropped = !awi_guard_is_entered(guard);
    guard->awi_state = AWI_LEFT;
    if (is_dropped)
        return 0; /* by rewind, or it is of an engine before */
    awi_report_left(index);
    AWI_STORE(awi.depth, index);
    awi_order();
    if (index < AWI_LOAD(awi.base))
        AWI_STORE(awi.base, index); /* a guard from outside the callback; what it enters next is its own */
    uint64_t expired = AWI_LOAD(awi.expired);
    return expired == 0 && !have_timers() ? 0 : verdict(guard, index, expired);
}

/*
 * The usual case is a guard that has none around it. That it stands on the array says that it is entered:
 * its own memory is not asked.
 */
static inline int leave(struct aw_guard *guard)
{
    if (AWI_UNLIKELY(!awi_owner || awi.guards[0].guard != guard || AWI_LOAD(awi.depth) != 1 ||
                     AWI_LOAD(awi.base) != 0))
        return leave_slow(guard);
    guard->awi_state = AWI_LEFT;
    AWI_STORE(awi.depth, 0);
    awi_order();
    uint64_t expired = AWI_LOAD(awi.expired);
    return AWI_LIKELY(expired == 0 && !have_timers()) ? 0 : verdict(guard, 0, expired);
}

int aw_guard_enter(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags)
{
    if (AWI_UNLIKELY(guard == NULL))
        return -EINVAL;
    awi_report_entering(guard, AWI_CALLER);
    int result = enter(guard, timeout_ns, flags);
    return AWI_LIKELY(result == 0) ? 0 : not_entered(guard, result);
}

int aw_guard_leave(struct aw_guard *guard)
{
    return leave(guard);
}

/* The outermost expired guard among this one and those around it. */
static const struct aw_guard *fired(const struct aw_guard *guard)
{
    if (!awi_owner || !awi_guard_is_entered(guard))
        return guard->awi_state == AWI_EXPIRED ? guard->awi_fired : NULL;
    uint64_t visible = AWI_LOAD(awi.expired) & enclosing(awi_guard_index(guard));
    return visible != 0 ? awi.guards[__builtin_ctzll(visible)].guard : NULL;
}

bool aw_guard_expired(const struct aw_guard *guard)
{
    if (guard == NULL || fired(guard) == NULL)
        return false;
    if (awi_owner && awi_guard_is_entered(guard))
        awi_guards_told();
    return true;
}

const struct aw_guard *aw_guard_fired(const struct aw_guard *guard)
{
    return guard != NULL ? fired(guard) : NULL;
}

uint64_t aw_guard_lateness_ns(const struct aw_guard *guard)
{
    if (guard == NULL)
        return 0;
    if (!awi_owner || !awi_guard_is_entered(guard))
        return guard->awi_state == AWI_EXPIRED ? guard->awi_lateness_ns : 0;
    const struct awi_guard_entry *entry = &awi.guards[awi_guard_index(guard)];
    bool expired = (AWI_LOAD(awi.expired) >> awi_guard_index(guard) & 1) != 0;
    return expired ? AWI_LOAD(entry->lateness_ns) : 0;
}

int aw_guard_error(const struct aw_guard *guard)
{
    if (guard == NULL)
        return -EINVAL;
    return guard->awi_state == AWI_FAILED ? guard->awi_error : 0;
}

/* A mark: the guards entered in its low bits, the shields above. */
#define MARK_SHIELDS 8
#define SHIELDS_MAX 0x7fffffu

AWI_OUTLINE int aw_guard_mark(void)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    awi_guards_prune(AWI_HERE);
    return (int)((AWI_LOAD(awi.shields) & SHIELDS_MAX) << MARK_SHIELDS | AWI_LOAD(awi.depth));
}

static int rewind_to(int mark)
{
    /* Guards that were pruned meanwhile lay beyond the mark, too. */
    uint32_t depth = AWI_LOAD(awi.depth);
    uint32_t kept = (uint32_t)mark % (1u << MARK_SHIELDS);
    uint32_t shields = (uint32_t)mark >> MARK_SHIELDS;
    if (mark < 0 || kept > depth || kept < AWI_LOAD(awi.base) || shields > AWI_LOAD(awi.shields))
        return -EINVAL;
    awi_guards_drop(kept);
    awi_guards_lower_shields(shields);
    return (int)(depth - kept);
}

AWI_OUTLINE int aw_guard_rewind(int mark)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    (void)awi_in_callback(AWI_HERE); /* finds one that was left by longjmp */
    int result = rewind_to(mark);
    awi_busy_end(outer);
    if (awi_nagging_guards() != 0)
        awi.escape(AWI_HERE);
    return result;
}
