/* SPDX-License-Identifier: MIT */
/*
 * view.c: shows what was counted: as it is, or half by half, so that samples are counted in one while the
 * other is looked at.
 */
#include <errno.h>
#include <string.h>

#include "control.h"
#include "registry.h"
#include "sampler.h"

static void look_at_threads(void)
{
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        struct awi_thread_record *record = &awi_sampler.recording.threads[i];
        uint32_t is = atomic_load_explicit(&record->state, memory_order_acquire);
        if (is == AWI_THREAD_FREE || is == AWI_THREAD_TAKEN)
            continue;
        uint64_t now = 0;
        if (is == AWI_THREAD_SAMPLED && awi_sampler.slots != NULL && record->is_shared == 0)
            awi_registry_name(record->tid, record->name);
        /* It has ended without a word. */
        if (is == AWI_THREAD_SAMPLED && awi_sampler.slots != NULL &&
            !awi_slot_clock(&awi_sampler.slots[i], &now))
            awi_sampled_close(&awi_sampler.slots[i]);
        record->looked_ns = awi_sampler.slots != NULL ? awi_sampled_used(&awi_sampler.slots[i])
                                                      : atomic_load(&record->used_ns);
    }
}

static void add_to_taken(struct awi_counts *counts)
{
    struct awi_counts *taken = &awi_sampler.recording.head->taken;
    atomic_fetch_add(&taken->samples, atomic_load(&counts->samples));
    atomic_fetch_add(&taken->lost, atomic_load(&counts->lost));
    atomic_fetch_add(&taken->truncated, atomic_load(&counts->truncated));
    atomic_fetch_add(&taken->unknown, atomic_load(&counts->unknown));
}

static void empty_half(unsigned half)
{
    struct awi_recording *recording = &awi_sampler.recording;
    memset(recording->halves[half].stacks, 0, recording->head->stacks_max * sizeof(struct awi_stack_record));
    atomic_store(&recording->halves[half].head->frames_used, 0);
    for (uint32_t i = 0; i < awi_recording_threads(recording); ++i) {
        struct awi_thread_record *record = &recording->threads[i];
        struct awi_counts *counts = &record->counts[half];
        /* A thread without a sample keeps its time for the next snapshot, which may have one. */
        bool has_ended = atomic_load(&record->state) == AWI_THREAD_ENDED;
        if (atomic_load(&counts->samples) + atomic_load(&counts->lost) > 0 || has_ended)
            record->taken_ns = record->looked_ns;
        add_to_taken(counts);
        memset((void *)counts, 0, sizeof *counts);
        /* What it had counted in the other half before it was found ended is for the next snapshot. */
        struct awi_counts *others = &record->counts[1 - half];
        if (!has_ended || atomic_load(&others->samples) + atomic_load(&others->lost) > 0)
            continue;
        recording->head->ended_ns += record->looked_ns;
        atomic_store(&record->state, AWI_THREAD_FREE);
    }
}

static int add_second_half(void)
{
    if (awi_sampler.recording.halves[1].head != NULL)
        return 0;
    awi_control.second_half = awi_control_allocate(awi_recording_half_bytes(&awi_sampler.recording));
    if (awi_control.second_half == NULL)
        return -ENOMEM;
    awi_recording_set_half(&awi_sampler.recording, awi_control.second_half);
    return 0;
}

static int prepare(const struct awi_viewer *viewer)
{
    if (awi_sampler.recording.head == NULL)
        return -ENODEV;
    return viewer->prepare != NULL ? viewer->prepare(&awi_sampler.recording, viewer->arg) : 0;
}

int awi_sampler_take(const struct awi_viewer *viewer)
{
    awi_control_enter();
    struct awi_recording *recording = &awi_sampler.recording;
    bool is_on = awi_control_state() != AWI_SAMPLER_OFF;
    unsigned half = atomic_load(&awi_sampler.active);
    int error = prepare(viewer);
    if (error == 0 && is_on)
        error = add_second_half();
    if (error != 0)
        return awi_control_leave(error);
    if (is_on) {
        atomic_store(&awi_sampler.active, 1 - half);
        awi_control_wait_until_left(half);
    }
    look_at_threads();
    viewer->see(recording, half, viewer->arg);
    if (!is_on)
        awi_control_release_memory();
    else
        empty_half(half);
    if (awi_control_state() == AWI_SAMPLER_RUNNING)
        awi_sampled_find();
    return awi_control_leave(0);
}

int awi_sampler_look(const struct awi_viewer *viewer)
{
    awi_control_enter();
    int error = prepare(viewer);
    if (error != 0)
        return awi_control_leave(error);
    look_at_threads();
    viewer->see(&awi_sampler.recording, atomic_load(&awi_sampler.active), viewer->arg);
    return awi_control_leave(0);
}

uint64_t awi_sampler_elapsed(const struct awi_recording *recording)
{
    uint64_t elapsed = atomic_load(&recording->head->elapsed_ns);
    return awi_control.is_counting && recording->head == awi_sampler.recording.head
               ? elapsed + awi_slot_now() - awi_control.resumed_ns
               : elapsed;
}

size_t awi_sampler_bytes(void)
{
    const struct awi_recording *recording = &awi_sampler.recording;
    if (recording->head == NULL)
        return 0;
    size_t half = awi_control.second_half != NULL ? awi_recording_half_bytes(recording) : 0;
    return recording->head->bytes + half + (awi_sampler.slots != NULL ? awi_control_slots_bytes() : 0);
}
