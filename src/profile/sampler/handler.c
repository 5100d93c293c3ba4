/* SPDX-License-Identifier: MIT */
/*
 * handler.c: SIGPROF. Walks the interrupted stack and counts it. It takes no lock, allocates nothing, writes
 * to no descriptor, and calls nothing beyond an allow-list (tests/policy/allowed_profile.txt).
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "../../signal/taken.h"
#include "stacks.h"
#include "state.h"
#include "walk.h"

struct awi_sampler awi_sampler;
_Thread_local struct awi_self awi_self __attribute__((tls_model("initial-exec")));
_Thread_local _Atomic uint32_t awi_thread_label __attribute__((tls_model("initial-exec")));

static unsigned enter(void)
{
    for (;;) {
        unsigned half = atomic_load(&awi_sampler.active);
        atomic_fetch_add(&awi_sampler.inside[half], 1);
        if (atomic_load(&awi_sampler.active) == half)
            return half;
        atomic_fetch_sub(&awi_sampler.inside[half], 1);
    }
}

static void add(_Atomic uint64_t *counter, uint64_t count)
{
    /* Written by this thread only. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count,
                          memory_order_relaxed);
}

enum origin {
    OURS,
    STALE,
    FOREIGN
};

/* The interval timer's signal says nothing; it is the running thread's. */
static enum origin origin_of_itimer(void)
{
    if (atomic_load(&awi_sampler.uses_itimer))
        return OURS;
    bool is_last = atomic_load_explicit(&awi_sampler.owes_tick, memory_order_relaxed) &&
                   atomic_exchange(&awi_sampler.owes_tick, false);
    return is_last ? STALE : FOREIGN;
}

/*
 * Whose signal is it? A timer's says which copy of the sampler, which profile and which slot it was made for
 * (slot.c): one of an earlier profile may arrive late.
 */
static enum origin origin_of(const siginfo_t *info, int state, struct awi_slot **slot)
{
    uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
    *slot = NULL;
    if (info->si_code == SI_KERNEL)
        return origin_of_itimer();
    if (info->si_code != SI_TIMER || !awi_timer_value_is_ours(value))
        return FOREIGN;
    uint32_t index = value & 0xffff;
    if (state == AWI_SAMPLER_OFF || value != awi_timer_value(index) ||
        index >= awi_sampler.recording.head->threads_max)
        return STALE;
    *slot = &awi_sampler.slots[index];
    return OURS;
}

/*
 * The running thread's slot, which it keeps for the rest of the profile. NULL: it has none, or `timers`, for
 * which a timer has sent the signal, is another thread's by now.
 */
static struct awi_slot *own_slot(const struct awi_slot *timers)
{
    uint32_t generation = atomic_load_explicit(&awi_sampler.generation, memory_order_relaxed);
    /* One that there was no room for may have been given a slot, and a timer, later. */
    if (awi_self.generation != generation || (awi_self.slot == NULL && timers != NULL)) {
        int32_t tid = (int32_t)gettid();
        struct awi_slot *slot = awi_slot_find(tid);
        if (slot == NULL && timers == NULL)
            slot = awi_slot_claim(tid);
        awi_self.generation = generation;
        awi_self.has_ended = false;
        awi_self.slot = slot;
    }
    return !awi_self.has_ended && (timers == NULL || timers == awi_self.slot) ? awi_self.slot : NULL;
}

/* One sample, before which `weight_ns` of the timer's clock have passed. */
static void sample(struct awi_slot *slot, unsigned half, void *context, uint64_t weight_ns)
{
    struct awi_counts *counts = &slot->record->counts[half];
    struct awi_taken taken = {
        .thread = (uint16_t)(slot - awi_sampler.slots),
        .label = atomic_load_explicit(&awi_thread_label, memory_order_relaxed),
        .weight_ns = weight_ns,
        .pcs = slot->pcs,
    };
    taken.depth = awi_unwind(context, slot->pcs, awi_sampler.max_depth, &taken.is_truncated);
    const struct awi_stack_record *record = awi_stacks_count(&awi_sampler.recording, half, &taken);
    add(&counts->nominal_ns, weight_ns);
    if (record == NULL) {
        add(&counts->lost, 1);
        add(&counts->lost_ns, weight_ns);
        return;
    }
    add(&counts->samples, 1);
    if (record->is_truncated != 0)
        add(&counts->truncated, 1);
    if (record->is_unknown != 0)
        add(&counts->unknown, 1);
}

/*
 * A signal of ours while the sampler runs. It may be late: the kernel looks at CPU timers at its ticks, and
 * not while the thread waits for a processor; so it may stand for several periods, and weighs so much.
 */
static void tick(struct awi_slot *slot, unsigned half, const siginfo_t *info, void *context)
{
    slot = own_slot(slot);
    if (slot == NULL)
        return;
    if (atomic_load_explicit(&awi_sampler.recording.head->stop_wanted, memory_order_relaxed) != 0) {
        awi_slot_timer_stop(slot);
    } else if (info->si_code != SI_TIMER) {
        sample(slot, half, context, awi_sampler.delivered_ns);
    } else if (awi_sampler.clock != AW_PROFILE_WALL) {
        sample(slot, half, context, awi_sampler.period_ns * (1 + (uint64_t)info->si_overrun));
    } else {
        uint64_t passed_ns = awi_slot_timer_pass(slot);
        if (passed_ns > 0)
            sample(slot, half, context, passed_ns);
        awi_slot_timer_again(slot);
    }
}

static void call_found(int signo, siginfo_t *info, void *context)
{
    const struct sigaction *found = &awi_sampler.found[atomic_load(&awi_sampler.found_at)];
    if (found->sa_handler == SIG_DFL || found->sa_handler == SIG_IGN)
        return;
    if ((found->sa_flags & SA_SIGINFO) != 0)
        found->sa_sigaction(signo, info, context);
    else
        found->sa_handler(signo);
}

/*
 * Hands a signal on, to the handler that stood there before unless the sampler's user says otherwise; also
 * when we are off, and are called by who found us or has put us back. That handler may itself call the one
 * that it found, which may be ours: the inner call does nothing. So it is after a handler that was left by a
 * jump, once.
 */
static void hand_on(int signo, siginfo_t *info, void *context)
{
    if (awi_sampler.foreign != NULL) {
        awi_sampler.foreign(signo, info, context);
        return;
    }
    bool is_inner = awi_self.is_handing_on;
    awi_self.is_handing_on = !is_inner;
    if (is_inner)
        return;
    call_found(signo, info, context);
    awi_self.is_handing_on = false;
}

void awi_sampler_handle(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    int cancel_type;
    /* No mask keeps libc's own signal out; a cancellation that comes now is acted upon below. */
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &cancel_type);
    unsigned half = enter();
    int state = atomic_load(&awi_sampler.state);
    struct awi_slot *slot = NULL;
    enum origin origin = origin_of(info, state, &slot);
    if (origin == FOREIGN && state != AWI_SAMPLER_OFF && !awi_self.is_handing_on)
        atomic_fetch_add_explicit(&awi_sampler.recording.head->foreign, 1, memory_order_relaxed);
    else if (origin == OURS && state == AWI_SAMPLER_RUNNING)
        tick(slot, half, info, context);
    atomic_fetch_sub(&awi_sampler.inside[half], 1);
    pthread_setcanceltype(cancel_type, NULL);
    if (origin == FOREIGN)
        hand_on(signo, info, context);
    else
        awi_take(info);
    errno = saved;
}

bool awi_sampler_drop(const siginfo_t *info)
{
    int cancel_type;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &cancel_type);
    unsigned half = enter();
    struct awi_slot *slot = NULL;
    int state = atomic_load(&awi_sampler.state);
    enum origin origin = origin_of(info, state, &slot);
    if (origin == OURS && state == AWI_SAMPLER_RUNNING && awi_sampler.clock == AW_PROFILE_WALL &&
        own_slot(slot) != NULL) {
        awi_slot_timer_pass(slot);
        awi_slot_timer_again(slot);
    }
    atomic_fetch_sub(&awi_sampler.inside[half], 1);
    pthread_setcanceltype(cancel_type, NULL);
    return origin != FOREIGN;
}
