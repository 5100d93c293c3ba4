/* SPDX-License-Identifier: MIT */
/*
 * slab.c: the wheel's memory and the life of its records: made, handed out, deleted, collected, free again.
 * Called by the program through wheel.h. The only file here that allocates, in aw_wheel_create and in
 * aw_wheel_timer_create, and never with memory of the caller's.
 */
#include "../busy.h"
#include "levels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES_A_TIMER \
    (sizeof(struct awi_record) + sizeof(struct awi_call) + sizeof(uint64_t) + sizeof(uint32_t))

#define AWI_HUGE (UINT64_C(1) << 21)

static_assert(BYTES_A_TIMER <= 48, "the bar on memory");
static_assert((int)AWI_FIRST < (int)AWI_NONE, "a list is told from a state of a record by its number");
static_assert(AWI_FIRST * sizeof(struct awi_record) % AWI_ALIGNMENT == 0, "records begin on a cache line");

static uint64_t align_up(uint64_t bytes)
{
    return (bytes + (AWI_ALIGNMENT - 1)) & ~(uint64_t)(AWI_ALIGNMENT - 1);
}

static uint64_t array_bytes(uint32_t capacity)
{
    return AWI_FIRST * sizeof(struct awi_record) + (uint64_t)capacity * BYTES_A_TIMER;
}

/* All arrays in one block, each sort aligned by the ones of greater alignment before it. */
static void place_arrays(struct aw_wheel *w, void *block, uint32_t capacity)
{
    unsigned char *at = block;

    w->capacity = capacity;
    w->record = (void *)at;
    at += (AWI_FIRST + (size_t)capacity) * sizeof(struct awi_record);
    w->call = (void *)at;
    at += (size_t)capacity * sizeof(struct awi_call);
    w->interval = (void *)at;
    at += (size_t)capacity * sizeof(uint64_t);
    w->rest = (void *)at;
}

/*
 * A large slab is visited at random, and then much of the time goes into address translation: the kernel is
 * asked for huge pages. It may say no.
 */
static void *allocate(uint64_t bytes)
{
    uint64_t alignment = bytes < AWI_HUGE ? AWI_ALIGNMENT : AWI_HUGE;
    uint64_t aligned = (bytes + (alignment - 1)) & ~(alignment - 1);
    int saved_errno = errno;
    void *block = aligned > PTRDIFF_MAX ? NULL : aligned_alloc((size_t)alignment, (size_t)aligned);

#ifdef MADV_HUGEPAGE
    if (block != NULL && alignment == AWI_HUGE) {
        madvise(block, (size_t)aligned, MADV_HUGEPAGE);
    }
#endif

    /* Compilers may take it that an allocation leaves errno alone, and leave the next store out. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    errno = saved_errno;
    return block;
}

static void init_lists(struct aw_wheel *w)
{
    for (uint32_t list = 0; list < AWI_FIRST; list++) {
        w->record[list] = (struct awi_record){ .prev = list, .next = list };
    }
}

size_t aw_wheel_bytes(uint32_t capacity)
{
    uint64_t bytes = align_up(sizeof(struct aw_wheel)) + array_bytes(capacity);

    return capacity > AWI_CAPACITY_LIMIT || bytes > PTRDIFF_MAX ? 0 : (size_t)bytes;
}

/* How many timers fit into the caller's memory; 0 if it is no use. */
static uint32_t fitting_capacity(const struct aw_wheel_options *options)
{
    size_t fixed = aw_wheel_bytes(0);
    size_t fit;

    if ((uintptr_t)options->memory % AWI_ALIGNMENT != 0 || options->memory_bytes < fixed) {
        return 0;
    }
    fit = (options->memory_bytes - fixed) / BYTES_A_TIMER;
    if (fit > AWI_CAPACITY_LIMIT) {
        fit = AWI_CAPACITY_LIMIT;
    }
    return fit < options->capacity ? 0 : (uint32_t)fit;
}

static bool options_valid(const struct aw_wheel_options *options)
{
    uint64_t tick = options->tick_ns;

    return options->size == sizeof(struct aw_wheel_options) && (tick & (tick - 1)) == 0 &&
           (tick == 0 ||
            (tick >= UINT64_C(1) << AWI_TICK_SHIFT_MIN && tick <= UINT64_C(1) << AWI_TICK_SHIFT_MAX)) &&
           options->generation <= AWI_GENERATION_MAX &&
           (options->memory != NULL || options->memory_bytes == 0);
}

static void init_wheel(struct aw_wheel *w, const struct aw_wheel_options *options)
{
    w->shift = options->tick_ns == 0 ? AWI_TICK_SHIFT_DEFAULT : (uint32_t)__builtin_ctzll(options->tick_ns);
    w->now_ns = options->start_ns;
    w->now = awi_tick_down(w, options->start_ns);
    w->floor = w->now;
    w->target = w->now;
    w->far_min = AWI_NEVER;
    w->late_at = AWI_NEVER;
    w->overdue_at = AWI_NEVER;
    w->first_generation = options->generation == 0 ? 1 : options->generation;
    w->max_generation = w->first_generation - 1;
    init_lists(w);
}

int aw_wheel_create(struct aw_wheel **wheel, const struct aw_wheel_options *options)
{
    AWI_BUSY;
    struct aw_wheel *w;
    uint32_t capacity;
    void *block;

    if (wheel == NULL || options == NULL || !options_valid(options)) {
        return -EINVAL;
    }
    if (options->memory != NULL) {
        capacity = fitting_capacity(options);
        if (capacity == 0) {
            return -EINVAL;
        }
        w = options->memory;
        block = (unsigned char *)options->memory + align_up(sizeof(struct aw_wheel));
    } else {
        capacity = options->capacity == 0 ? AWI_CAPACITY_DEFAULT : options->capacity;
        if (aw_wheel_bytes(capacity) == 0) {
            return -ENOMEM;
        }
        w = allocate(sizeof(struct aw_wheel));
        block = allocate(array_bytes(capacity));
        if (w == NULL || block == NULL) {
            free(w);
            free(block);
            return -ENOMEM;
        }
    }
    memset(w, 0, sizeof(*w));
    w->fixed = options->memory != NULL;
    place_arrays(w, block, capacity);
    init_wheel(w, options);
    *wheel = w;
    return 0;
}

int aw_wheel_destroy(struct aw_wheel *wheel)
{
    AWI_BUSY;
    if (wheel == NULL) {
        return 0;
    }
    if (wheel->running) {
        return -EBUSY;
    }
    if (!wheel->fixed) {
        free(wheel->record);
        free(wheel);
    }
    return 0;
}

uint32_t aw_wheel_generation(const struct aw_wheel *wheel)
{
    return wheel == NULL ? 0 : wheel->max_generation % AWI_GENERATION_MAX + 1;
}

uint32_t aw_wheel_timers(const struct aw_wheel *wheel)
{
    return wheel == NULL ? 0 : wheel->live;
}

uint32_t aw_wheel_capacity(const struct aw_wheel *wheel)
{
    return wheel == NULL ? 0 : wheel->capacity;
}

static bool grow(struct aw_wheel *w)
{
    struct aw_wheel old = *w;
    uint32_t capacity = w->capacity > AWI_CAPACITY_LIMIT / 2 ? AWI_CAPACITY_LIMIT : w->capacity * 2;
    void *block;

    if (w->fixed || capacity == w->capacity || aw_wheel_bytes(capacity) == 0) {
        return false;
    }
    block = allocate(array_bytes(capacity));
    if (block == NULL) {
        return false;
    }
    place_arrays(w, block, capacity);
    memcpy(w->record, old.record, (AWI_FIRST + (size_t)old.used) * sizeof(*w->record));
    memcpy(w->call, old.call, old.used * sizeof(*w->call));
    memcpy(w->interval, old.interval, old.used * sizeof(*w->interval));
    memcpy(w->rest, old.rest, old.used * sizeof(*w->rest));
    free(old.record);
    return true;
}

/* A deleted record that is in no list: to the end of the free ones, or to rest if it has no generation left.
 */
static void release(struct aw_wheel *w, uint32_t index)
{
    struct awi_record *r = &w->record[index];

    awi_slot_set(r, AWI_FREE);
    if (r->meta >> AWI_GENERATION_SHIFT == 0) {
        w->retired++;
        return;
    }
    r->next = 0;
    if (w->free == 0) {
        w->free_head = index;
    } else {
        w->record[w->free_tail].next = index;
    }
    w->free_tail = index;
    w->free++;
}

void awi_lay_off(struct aw_wheel *w, uint32_t index)
{
    struct awi_record *r = &w->record[index];

    w->linked--;
    w->dead--;
    if (r->meta & AWI_DELETED) {
        w->deleted--;
        release(w, index);
    } else {
        awi_slot_set(r, AWI_NONE);
    }
}

void awi_bury(struct aw_wheel *w, uint32_t index)
{
    awi_unlink(w, index);
    awi_lay_off(w, index);
}

static void collect(struct aw_wheel *w, uint32_t count)
{
    for (; count > 0; count--) {
        uint32_t index;

        if (w->collector >= w->used) {
            w->collector = 0;
        }
        index = AWI_FIRST + w->collector++;
        if ((w->record[index].meta & AWI_ARMED) == 0 && awi_linked(&w->record[index])) {
            awi_bury(w, index);
        }
    }
}

void awi_collect(struct aw_wheel *w)
{
    if (AWI_UNLIKELY(w->dead > w->linked - w->dead)) {
        collect(w, w->used < AWI_COLLECT ? w->used : AWI_COLLECT);
    }
}

/* Makes sure that a record can be taken. */
static bool have_record(struct aw_wheel *w)
{
    if (w->free > 0 || w->used < w->capacity) {
        return true;
    }
    if (w->deleted > 0) {
        collect(w, w->used);
        if (w->free > 0) {
            return true;
        }
    }
    return grow(w);
}

static uint32_t take(struct aw_wheel *w)
{
    uint32_t index;

    if (w->free > 0) {
        index = w->free_head;
        w->free_head = w->record[index].next;
        w->free--;
    } else {
        index = AWI_FIRST + w->used++;
        w->record[index].meta = w->first_generation << AWI_GENERATION_SHIFT;
    }
    return index;
}

int aw_wheel_timer_create(struct aw_wheel *wheel, struct aw_timer *timer, aw_timer_fn *fn, void *arg)
{
    AWI_BUSY;
    struct awi_record *r;
    uint32_t index;
    uint32_t generation;

    if (wheel == NULL || timer == NULL || fn == NULL) {
        return -EINVAL;
    }
    awi_collect(wheel);
    if (!have_record(wheel)) {
        return -ENOMEM;
    }
    index = take(wheel);
    r = &wheel->record[index];
    generation = r->meta >> AWI_GENERATION_SHIFT;
    if (generation > wheel->max_generation) {
        wheel->max_generation = generation;
    }
    r->meta = generation << AWI_GENERATION_SHIFT | AWI_NONE;
    wheel->call[index - AWI_FIRST] = (struct awi_call){ .fn = fn, .arg = arg };
    wheel->interval[index - AWI_FIRST] = 0;
    wheel->live++;
    timer->id = awi_id(wheel, index);
    return 0;
}

/*
 * Few records left: a deleted one is then unlinked at once. It keeps a create from searching the whole slab
 * for a handful: when it must, an eighth of the slab was handed out since the last time.
 */
static bool is_short_of_records(const struct aw_wheel *w)
{
    return w->capacity - w->used + w->free <= w->capacity / 8;
}

int aw_wheel_timer_delete(struct aw_wheel *wheel, struct aw_timer timer)
{
    AWI_BUSY;
    struct awi_record *r;
    uint32_t index = (uint32_t)timer.id;
    uint32_t generation;

    if (wheel == NULL) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    r = &wheel->record[index];
    if (r->meta & AWI_ARMED) {
        wheel->dead++;
        wheel->armed_unref -= (r->meta & AWI_UNREF) != 0;
    }
    if (wheel->current == index) {
        /* Its record may be somebody else's before the callback returns. */
        wheel->current = 0;
        wheel->delayed = 0;
    }
    generation = (r->meta >> AWI_GENERATION_SHIFT) + 1;
    if (generation > AWI_GENERATION_MAX) {
        generation = wheel->fixed ? 1 : 0; /* no handle has generation 0: the record is done with */
    }
    r->meta = generation << AWI_GENERATION_SHIFT | AWI_DELETED | awi_slot(r);
    wheel->live--;
    if (!awi_linked(r)) {
        release(wheel, index);
        return 0;
    }
    wheel->deleted++;
    if (is_short_of_records(wheel)) {
        awi_bury(wheel, index);
    }
    return 0;
}
