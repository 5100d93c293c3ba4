/* SPDX-License-Identifier: MIT */
/*
 * wheel_internal.h: the data of the wheel and what all of its files share: ticks, handles, the state of a
 * record. Only the files of src/wheel and their tests include it. No clock, no signal, no global.
 */
#ifndef AWI_WHEEL_INTERNAL_H
#define AWI_WHEEL_INTERNAL_H

#include <alarmwheel/wheel.h>

#include <assert.h>
#include <stdbool.h>

#define AWI_LIKELY(x) __builtin_expect(!!(x), 1)
#define AWI_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum {
    AWI_LEVEL_BITS = 6,
    AWI_LEVELS = 6,
    AWI_LEVEL_SLOTS = 1 << AWI_LEVEL_BITS,
    AWI_SLOTS = AWI_LEVELS * AWI_LEVEL_SLOTS,

    /* The lists that are not slots. Their heads follow those of the slots. */
    AWI_FAR = AWI_SLOTS, /* too far away for the levels */
    AWI_OVERDUE,         /* periodic timers behind their schedule, for the next dispatch */
    AWI_LATE,            /* the same, for the dispatch that runs or was interrupted */
    AWI_TODO,            /* what the dispatch took out of a slot and has not looked at yet */
    AWI_FIRST,           /* index of the first timer's record */

    /* What a record that is in no list has for a slot. */
    AWI_NONE = 510, /* exists, not linked */
    AWI_FREE = 511, /* in the free list, or retired */

    AWI_TICK_SHIFT_MIN = 10,
    AWI_TICK_SHIFT_MAX = 24,
    AWI_TICK_SHIFT_DEFAULT = 17,
    AWI_CAPACITY_DEFAULT = 64,
    AWI_COLLECT = 64, /* records that one incremental collection looks at */
    AWI_ALIGNMENT = 64
};

/* meta: generation in the upper 19 bits, four flags, the slot in the lower 9. */
#define AWI_SLOT_MASK UINT32_C(0x1ff)
#define AWI_ARMED (UINT32_C(1) << 9)
#define AWI_PERIODIC (UINT32_C(1) << 10)
#define AWI_UNREF (UINT32_C(1) << 11)
#define AWI_DELETED \
    (UINT32_C(1) << 12) /* the next generation's: no handle names it. Free records have it too */
#define AWI_GENERATION_SHIFT 13
#define AWI_GENERATION_MAX ((UINT32_C(1) << 19) - 1)
#define AWI_GENERATION_MASK (AWI_GENERATION_MAX << AWI_GENERATION_SHIFT)

/* Six levels reach 2^36 ticks; `when` has 32 bits of them. */
#define AWI_REACH_BITS (AWI_LEVELS * AWI_LEVEL_BITS)
#define AWI_NEVER UINT64_MAX /* a tick that does not come */
#define AWI_PERIOD_LIMIT (UINT64_C(1) << 61)
#define AWI_MISSED_SHIFT 62
#define AWI_CAPACITY_LIMIT (UINT32_MAX - 4096)

/*
 * The hot record. In the head of a list prev and next are the last and the first record; in the head of a
 * slot `when` is a lower bound of the ticks linked there that lies within the slot, and `meta` is the slot's
 * first tick, both modulo 2^32. An empty list's head points to itself.
 *
 * `when` is the tick at which the timer is due, modulo 2^32. It is at or past the first tick of the slot that
 * the record is linked in, and may lie past the last one: a timer that was moved later, and is linked again
 * when its slot is visited. In the free list `next` leads to the next free record (0: the last).
 */
struct awi_record {
    uint32_t prev;
    uint32_t next;
    uint32_t when;
    uint32_t meta;
};

static_assert(sizeof(struct awi_record) == 16, "four hot records share a cache line");

struct awi_call {
    aw_timer_fn *fn;
    void *arg;
};

/*
 * The arrays have one element a timer; `record` has the heads of the lists in front of them.
 *
 * Counters: linked = armed + dead; used = live + deleted + free + retired. The time: floor is the first tick
 * for which a timer may be armed: `now`, or within a dispatch target + 1.
 */
struct aw_wheel {
    struct awi_record *record;
    uint64_t now;   /* the tick up to which the slots have been visited */
    uint64_t floor; /* no deadline is earlier */
    uint32_t used;  /* records that have been handed out at least once */
    uint32_t shift; /* log2 of the tick */
    uint32_t linked;
    uint32_t dead;        /* linked, but not armed */
    uint32_t armed_unref; /* armed, but not to be counted */
    uint32_t summary;     /* a bit for each level that has a bit set */
    uint64_t bitmap[AWI_LEVELS];

    uint64_t far_min;    /* lower bound of the ticks in AWI_FAR */
    uint64_t late_at;    /* when AWI_LATE is due; AWI_NEVER if it is empty */
    uint64_t overdue_at; /* when AWI_OVERDUE is due; AWI_NEVER if it is empty */
    uint64_t target;     /* the dispatch goes up to this tick */
    uint64_t now_ns;     /* the latest time that a dispatch was given */
    uint64_t missed;     /* the current timer's overrun */
    uint32_t current;    /* index of the timer whose callback runs; 0: none */
    uint32_t delayed;    /* the same where it is to be armed again after the callback; 0: it is not */
    bool running;        /* within a dispatch */

    bool fixed; /* in the caller's memory: never grows */
    struct awi_call *call;
    uint64_t *interval; /* periodic: period and policy; else the last delay + 1, 0: none yet */
    uint32_t *rest;     /* what `when` lacks: see awi_schedule_set and awi_far_tick */
    uint32_t capacity;
    uint32_t live;    /* timers that exist */
    uint32_t deleted; /* deleted, but still linked */
    uint32_t free;    /* records in the free list */
    uint32_t free_head;
    uint32_t free_tail;
    uint32_t retired;
    uint32_t collector; /* where the next incremental collection goes on */
    uint32_t first_generation;
    uint32_t max_generation; /* the greatest that was handed out */
};

/* Ticks. A deadline rounds up, the present down; the time of a tick past the end of time is the end. */

static inline uint64_t awi_tick_up(const struct aw_wheel *w, uint64_t ns)
{
    return ns == 0 ? 0 : ((ns - 1) >> w->shift) + 1;
}

static inline uint64_t awi_tick_down(const struct aw_wheel *w, uint64_t ns)
{
    /* At the end of time the tick that rounding up would reach only after it has come too. */
    return ns == UINT64_MAX ? UINT64_C(1) << (64 - w->shift) : ns >> w->shift;
}

static inline uint64_t awi_tick_ns(const struct aw_wheel *w, uint64_t tick)
{
    return tick >> (64 - w->shift) != 0 ? UINT64_MAX : tick << w->shift;
}

static inline uint64_t awi_sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The tick of a record or of a slot's head that is at most 2^32 - 1 ahead of now. */
static inline uint64_t awi_near_tick(const struct aw_wheel *w, uint32_t when)
{
    return w->now + (uint32_t)(when - (uint32_t)w->now);
}

/*
 * The exact time of a periodic timer. The tick of `ns` is ((ns - 1) >> shift) + 1, of which `when` has 32
 * bits; the other bits of ns - 1 are 32 again: the lower `shift`, and above them those past when's.
 */
static inline void awi_schedule_set(struct aw_wheel *w, uint32_t index, uint64_t ns)
{
    uint64_t before = ns - 1; /* wraps for 0, and back again below */
    uint32_t low = (uint32_t)before & ((UINT32_C(1) << w->shift) - 1);

    w->record[index].when = (uint32_t)(before >> w->shift) + 1;
    w->rest[index - AWI_FIRST] = (uint32_t)(before >> w->shift >> 32 << w->shift) | low;
}

static inline uint64_t awi_schedule_ns(const struct aw_wheel *w, uint32_t index)
{
    uint32_t rest = w->rest[index - AWI_FIRST];
    uint64_t high = (uint64_t)(rest >> w->shift) << 32 | (uint32_t)(w->record[index].when - 1);

    return (high << w->shift | (rest & ((UINT32_C(1) << w->shift) - 1))) + 1;
}

/* The whole tick of a timer in the far list. */
static inline uint64_t awi_far_tick(const struct aw_wheel *w, uint32_t index)
{
    if (w->record[index].meta & AWI_PERIODIC) {
        return awi_tick_up(w, awi_schedule_ns(w, index));
    }
    return (uint64_t)w->rest[index - AWI_FIRST] << 32 | w->record[index].when;
}

/* Handles. One comparison covers the generation and the deleted flag. */

static inline uint64_t awi_id(const struct aw_wheel *w, uint32_t index)
{
    return (uint64_t)(w->record[index].meta >> AWI_GENERATION_SHIFT) << 32 | index;
}

static inline bool awi_known(const struct aw_wheel *w, struct aw_timer timer)
{
    uint32_t index = (uint32_t)timer.id;

    return AWI_LIKELY(index - AWI_FIRST < w->used) &&
           AWI_LIKELY((uint64_t)w->record[index].meta >> 12 == timer.id >> 32 << 1);
}

static inline uint32_t awi_slot(const struct awi_record *r)
{
    return r->meta & AWI_SLOT_MASK;
}

static inline bool awi_linked(const struct awi_record *r)
{
    return awi_slot(r) < AWI_NONE;
}

static inline void awi_slot_set(struct awi_record *r, uint32_t slot)
{
    r->meta = (r->meta & ~AWI_SLOT_MASK) | slot;
}

/* slab.c: takes a record out of its list that is not armed; a deleted one becomes free. */
void awi_bury(struct aw_wheel *w, uint32_t index);

/* slab.c: the same for one that its list has forgotten already. */
void awi_lay_off(struct aw_wheel *w, uint32_t index);

/* slab.c: looks at the next 64 records for dead ones if the dead outnumber the living. */
void awi_collect(struct aw_wheel *w);

/* levels.c: arms a periodic timer, unlinked, for its schedule at ns. */
void awi_arm_schedule(struct aw_wheel *w, uint32_t index, uint64_t ns);

#endif
