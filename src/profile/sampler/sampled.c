/* SPDX-License-Identifier: MIT */
/*
 * sampled.c: which threads are sampled: those that there are, those that register; what each has used; and
 * the change from the one interval timer to a timer each.
 */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "registry.h"
#include "sampler.h"

void awi_sampled_begin(struct awi_slot *slot)
{
    uint64_t now = 0;
    if (awi_slot_clock(slot, &now))
        slot->record->running_since_ns = now;
    if (!atomic_load(&awi_sampler.uses_itimer))
        awi_slot_timer_start(slot);
}

uint64_t awi_sampled_used(const struct awi_slot *slot)
{
    const struct awi_thread_record *record = slot->record;
    uint64_t sum = atomic_load_explicit(&record->used_ns, memory_order_relaxed);
    uint64_t now = 0;
    if (!awi_control.is_counting || atomic_load(&record->state) != AWI_THREAD_SAMPLED)
        return sum;
    if (awi_slot_clock(slot, &now))
        return sum + (now > record->running_since_ns ? now - record->running_since_ns : 0);
    /* It ended without a word: what the timer has said of it. */
    uint64_t nominal = record->taken_ns;
    for (unsigned half = 0; half < AWI_HALVES; ++half)
        nominal += atomic_load_explicit(&record->counts[half].nominal_ns, memory_order_relaxed);
    return nominal > sum ? nominal : sum;
}

/* One that has been another thread's has a name for all of them. */
static void name_record(struct awi_thread_record *record, int32_t tid)
{
    if (atomic_load_explicit(&record->used_ns, memory_order_relaxed) > 0 && record->is_shared != 0)
        memcpy(record->name, "(several)", sizeof "(several)");
    else
        awi_registry_name(tid, record->name);
}

void awi_sampled_end(struct awi_slot *slot)
{
    awi_slot_timer_stop(slot);
    name_record(slot->record, slot->record->tid); /* it may have named itself since */
    atomic_store_explicit(&slot->record->used_ns, awi_sampled_used(slot), memory_order_relaxed);
    slot->record->running_since_ns = 0;
}

void awi_sampled_close(struct awi_slot *slot)
{
    uint64_t now = 0;
    awi_sampled_end(slot);
    awi_slot_timer_delete(slot);
    if (awi_slot_clock(slot, &now))
        slot->record->running_since_ns = now;
    atomic_store(&slot->record->state, AWI_THREAD_ENDED);
}

int awi_sampled_add(int32_t tid)
{
    struct awi_slot *slot = awi_slot_claim(tid);
    if (slot == NULL)
        return -ENOSPC;
    name_record(slot->record, tid);
    if (!atomic_load(&awi_sampler.uses_itimer) && awi_slot_timer_create(slot) != 0) {
        bool was_used = atomic_load(&slot->record->used_ns) > 0;
        atomic_store(&slot->record->state, was_used ? AWI_THREAD_ENDED : AWI_THREAD_FREE);
        atomic_fetch_sub(&awi_sampler.recording.head->threads_sampled, 1);
        atomic_fetch_add(&awi_sampler.recording.head->threads_missed, 1);
        return -EAGAIN;
    }
    if (awi_control.is_counting)
        awi_sampled_begin(slot);
    return 0;
}

/* A record of this thread that was closed when it ended: /proc shows a thread a little longer. */
static bool is_ending(int32_t tid)
{
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        const struct awi_thread_record *record = &awi_sampler.recording.threads[i];
        uint64_t now = 0;
        if (atomic_load(&record->state) == AWI_THREAD_ENDED && record->tid == tid &&
            awi_slot_clock(&awi_sampler.slots[i], &now) && now >= record->running_since_ns)
            return true;
    }
    return false;
}

static void add_if_new(int32_t tid, void *arg)
{
    (void)arg;
    if (awi_slot_find(tid) == NULL && !awi_registry_has_declined(tid) && !is_ending(tid))
        awi_sampled_add(tid);
}

void awi_sampled_give_itimer_up(void)
{
    if (!atomic_load(&awi_sampler.uses_itimer))
        return;
    atomic_store(&awi_sampler.owes_tick, true);
    atomic_store(&awi_sampler.uses_itimer, false);
}

/* The one interval timer will not do for two threads. */
void awi_sampled_leave_itimer(void)
{
    awi_itimer_stop(awi_sampler.period_ns);
    awi_sampled_give_itimer_up();
    /* A handler that has still seen it gives its thread a slot now; after this it is done here only. */
    awi_control_wait_until_left(0);
    awi_control_wait_until_left(1);
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        struct awi_slot *slot = &awi_sampler.slots[i];
        if (atomic_load(&awi_sampler.recording.threads[i].state) != AWI_THREAD_SAMPLED)
            continue;
        if (awi_slot_timer_create(slot) != 0)
            atomic_fetch_add(&awi_sampler.recording.head->threads_missed, 1);
        else if (awi_control.is_counting)
            awi_slot_timer_start(slot);
    }
}

/* Threads that have not registered are found here. */
void awi_sampled_find(void)
{
    if (atomic_load(&awi_sampler.uses_itimer) && awi_registry_count() > 1)
        awi_sampled_leave_itimer();
    awi_registry_each(add_if_new, NULL);
}

/*
 * All signals are blocked (awi_control_enter), so this thread's handler sees all of it or nothing; at the
 * start it would not count anyway.
 */
void awi_sampled_know_self(void)
{
    awi_self.has_ended = false;
    awi_self.slot = awi_slot_find((int32_t)gettid());
    awi_self.generation = atomic_load(&awi_sampler.generation);
}

int awi_sampler_thread_add(const char *name)
{
    int32_t tid = (int32_t)gettid();
    awi_control_enter();
    /* Its end has to be told. */
    if (!awi_control.has_key || pthread_setspecific(awi_control.at_thread_end, &awi_control) != 0)
        return awi_control_leave(-ENOMEM);
    awi_registry_add(tid, name);
    if (awi_control_state() == AWI_SAMPLER_OFF)
        return awi_control_leave(0);
    struct awi_slot *slot = awi_slot_find(tid);
    if (slot != NULL) {
        awi_registry_name(tid, slot->record->name);
        return awi_control_leave(1);
    }
    if (atomic_load(&awi_sampler.uses_itimer))
        awi_sampled_leave_itimer();
    awi_self.generation = 0;
    int error = awi_sampled_add(tid);
    if (error == 0)
        awi_sampled_know_self();
    return awi_control_leave(error);
}

/* Under the lock. False: there was nothing to close. */
static bool close_own_slot(void)
{
    struct awi_slot *slot = awi_control_state() != AWI_SAMPLER_OFF ? awi_slot_find((int32_t)gettid()) : NULL;
    if (slot == NULL)
        return false;
    /* A signal of its timer that is on its way finds this, and counts nothing. */
    awi_self.generation = atomic_load(&awi_sampler.generation);
    awi_self.has_ended = true;
    awi_self.slot = slot;
    awi_sampled_close(slot);
    return true;
}

int awi_sampler_thread_end(void)
{
    int32_t tid = (int32_t)gettid();
    awi_control_enter();
    bool was_registered = awi_registry_has_self();
    bool was_sampled = close_own_slot();
    if (was_registered || was_sampled)
        awi_registry_decline(tid);
    if (was_sampled && awi_control.has_key)
        pthread_setspecific(awi_control.at_thread_end, &awi_control);
    return awi_control_leave(was_registered || was_sampled ? 0 : -ENOENT);
}

void awi_sampled_thread_ends(void *arg)
{
    (void)arg;
    awi_control_enter();
    close_own_slot();
    awi_registry_remove();
    awi_control_leave(0);
}
