/* SPDX-License-Identifier: MIT */
/*
 * levels.h: the lists of the wheel: which slot a tick belongs to, linking and unlinking. levels.c, run.c and
 * slab.c call it; it changes links, bitmaps and minima, never a counter or a flag.
 */
#ifndef AWI_LEVELS_H
#define AWI_LEVELS_H

#include "wheel_internal.h"

static inline bool awi_empty(const struct aw_wheel *w, uint32_t list)
{
    return w->record[list].next == list;
}

static inline void awi_slot_emptied(struct aw_wheel *w, uint32_t slot)
{
    uint32_t level = slot >> AWI_LEVEL_BITS;

    w->bitmap[level] &= ~(UINT64_C(1) << (slot & (AWI_LEVEL_SLOTS - 1)));
    if (w->bitmap[level] == 0) {
        w->summary &= ~(UINT32_C(1) << level);
    }
}

static inline void awi_list_emptied(struct aw_wheel *w, uint32_t list)
{
    if (AWI_LIKELY(list < AWI_SLOTS)) {
        awi_slot_emptied(w, list);
    } else if (list == AWI_FAR) {
        w->far_min = AWI_NEVER;
    } else if (list == AWI_OVERDUE) {
        w->overdue_at = AWI_NEVER;
    } else if (list == AWI_LATE) {
        w->late_at = AWI_NEVER;
    }
}

/* Appends; returns whether the list was empty. */
static inline bool awi_append(struct aw_wheel *w, uint32_t list, uint32_t index)
{
    struct awi_record *record = w->record;
    uint32_t last = record[list].prev;

    record[index].prev = last;
    record[index].next = list;
    record[last].next = index;
    record[list].prev = index;
    return last == list;
}

static inline void awi_unlink(struct aw_wheel *w, uint32_t index)
{
    struct awi_record *record = w->record;
    uint32_t prev = record[index].prev;
    uint32_t next = record[index].next;

    record[prev].next = next;
    record[next].prev = prev;
    if (prev == next) {
        /* Only the head has the same record on both sides. */
        awi_list_emptied(w, prev);
    }
}

/* Moves a whole list, not empty, to the end of another one. The records' slots still name where they were. */
static inline void awi_splice(struct aw_wheel *w, uint32_t to, uint32_t from)
{
    struct awi_record *record = w->record;
    uint32_t first = record[from].next;
    uint32_t last = record[from].prev;
    uint32_t before = record[to].prev;

    record[before].next = first;
    record[first].prev = before;
    record[last].next = to;
    record[to].prev = last;
    record[from].next = from;
    record[from].prev = from;
    awi_list_emptied(w, from);
}

static inline void awi_link_far(struct aw_wheel *w, uint32_t index, uint64_t tick)
{
    struct awi_record *r = &w->record[index];

    if (!(r->meta & AWI_PERIODIC)) {
        w->rest[index - AWI_FIRST] = (uint32_t)(tick >> 32);
    }
    if (tick < w->far_min) {
        w->far_min = tick;
    }
    awi_slot_set(r, AWI_FAR);
    awi_append(w, AWI_FAR, index);
}

static inline bool awi_is_far(const struct aw_wheel *w, uint64_t tick)
{
    return ((tick - w->now) >> 32 | (tick ^ w->now) >> AWI_REACH_BITS) != 0;
}

/* Links a record that is in no list, at `tick`, which is not before now. */
static inline void awi_link(struct aw_wheel *w, uint32_t index, uint64_t tick)
{
    struct awi_record *r = &w->record[index];
    struct awi_record *head;
    uint32_t level;
    uint32_t slot;

    r->when = (uint32_t)tick;
    if (AWI_UNLIKELY(awi_is_far(w, tick))) {
        awi_link_far(w, index, tick);
        return;
    }
    level = (63U - (uint32_t)__builtin_clzll((tick ^ w->now) | 1)) / AWI_LEVEL_BITS;
    slot = level << AWI_LEVEL_BITS | ((uint32_t)(tick >> level * AWI_LEVEL_BITS) & (AWI_LEVEL_SLOTS - 1));
    head = &w->record[slot];
    awi_slot_set(r, slot);
    if (awi_append(w, slot, index)) {
        w->bitmap[level] |= UINT64_C(1) << (slot & (AWI_LEVEL_SLOTS - 1));
        w->summary |= UINT32_C(1) << level;
        head->when = (uint32_t)tick;
        head->meta = (uint32_t)(tick >> level * AWI_LEVEL_BITS << level * AWI_LEVEL_BITS);
    } else if ((uint32_t)(tick - w->now) < head->when - (uint32_t)w->now) {
        head->when = (uint32_t)tick;
    }
}

/*
 * The earliest slot that is not empty; AWI_SLOTS if there is none. All the slots of a level lie before those
 * of the next one, because levels are chosen by the highest bit in which now and the deadline differ.
 */
static inline uint32_t awi_first_slot(const struct aw_wheel *w)
{
    uint32_t level;

    if (w->summary == 0) {
        return AWI_SLOTS;
    }
    level = (uint32_t)__builtin_ctz(w->summary);
    return level << AWI_LEVEL_BITS | (uint32_t)__builtin_ctzll(w->bitmap[level]);
}

#endif
