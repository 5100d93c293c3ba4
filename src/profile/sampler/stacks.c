/* SPDX-License-Identifier: MIT */
/*
 * stacks.c: a hash of stacks with open addressing, in memory that was set aside: no lock, no allocation, and
 * nothing to wait for.
 *
 * A record belongs to one thread, since the thread is a part of what is hashed; and a thread's handler is
 * never entered twice at once. So a record is written, counted and found again by one thread only; others
 * meet it as a hash that is not theirs. What remains between threads:
 *
 *   two want the same free record    one compare-and-swap of the hash wins, the other goes on probing
 *   two want frames                  fetch_add gives each its own
 *   a reader, or the end of the      `frames` is published last: a record without it is passed over, and
 *   process, in between              its first sample is what was lost
 */
#include "stacks.h"

#include <string.h>

#include "modules.h"

#define PROBES 64u

static uint64_t hash_of(const struct awi_taken *taken)
{
    uint64_t hash = ((uint64_t)taken->label << 32 | (uint64_t)taken->thread << 16 | taken->depth) + 1;
    for (unsigned i = 0; i < taken->depth; ++i) {
        hash = (hash ^ taken->pcs[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash != 0 ? hash : 1;
}

static bool is_same(const struct awi_half *half, const struct awi_stack_record *record,
                    const struct awi_taken *taken, uint32_t frames)
{
    return record->thread == taken->thread && record->label == taken->label &&
           record->depth == taken->depth &&
           memcmp(&half->frames[frames - 1], taken->pcs, taken->depth * sizeof taken->pcs[0]) == 0;
}

/* The record's hash is ours. */
static bool fill(struct awi_recording *recording, const struct awi_half *half,
                 struct awi_stack_record *record, const struct awi_taken *taken)
{
    uint64_t frames_max = recording->head->frames_max;
    /* Looked at first, so that a full half's counter does not run away. */
    if (atomic_load_explicit(&half->head->frames_used, memory_order_relaxed) + taken->depth > frames_max)
        return false;
    uint64_t first = atomic_fetch_add_explicit(&half->head->frames_used, taken->depth, memory_order_relaxed);
    if (first + taken->depth > frames_max)
        return false;
    memcpy(&half->frames[first], taken->pcs, taken->depth * sizeof taken->pcs[0]);
    record->label = taken->label;
    record->thread = taken->thread;
    record->depth = (uint16_t)taken->depth;
    record->is_truncated = taken->is_truncated;
    bool is_known = true;
    for (unsigned i = taken->depth; i > 0; --i)
        is_known = awi_modules_note(recording, (uintptr_t)taken->pcs[i - 1]);
    record->is_unknown = !is_known;
    atomic_store_explicit(&record->count, 1, memory_order_relaxed);
    atomic_store_explicit(&record->weight_ns, taken->weight_ns, memory_order_relaxed);
    atomic_store_explicit(&record->frames, (uint32_t)first + 1, memory_order_release);
    return true;
}

struct awi_stack_record *awi_stacks_count(struct awi_recording *recording, unsigned half_index,
                                          const struct awi_taken *taken)
{
    const struct awi_half *half = &recording->halves[half_index];
    uint32_t mask = recording->head->stacks_max - 1;
    uint64_t hash = hash_of(taken);
    for (unsigned probe = 0; probe < PROBES; ++probe) {
        struct awi_stack_record *record = &half->stacks[(hash + probe) & mask];
        uint64_t found = atomic_load_explicit(&record->hash, memory_order_relaxed);
        if (found == 0 && atomic_compare_exchange_strong_explicit(&record->hash, &found, hash,
                                                                  memory_order_relaxed, memory_order_relaxed))
            return fill(recording, half, record, taken) ? record : NULL;
        if (found != hash)
            continue;
        uint32_t frames = atomic_load_explicit(&record->frames, memory_order_acquire);
        if (frames == 0)
            return NULL; /* there was no room for it the first time */
        if (!is_same(half, record, taken, frames))
            continue;
        uint64_t count = atomic_load_explicit(&record->count, memory_order_relaxed);
        uint64_t weight = atomic_load_explicit(&record->weight_ns, memory_order_relaxed);
        atomic_store_explicit(&record->count, count + 1, memory_order_relaxed);
        atomic_store_explicit(&record->weight_ns, weight + taken->weight_ns, memory_order_relaxed);
        return record;
    }
    return NULL;
}
