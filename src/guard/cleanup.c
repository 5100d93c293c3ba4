/* SPDX-License-Identifier: MIT */
/*
 * cleanup.c: what an escape is to put in order: registered with a guard, gathered just before the jump, run
 * after the landing. The slots are kept here, and not in the guard: nothing is read from a frame that may
 * not be there.
 *
 * Registering and the handler in between:
 *
 *   the frame that the guard lies in, at the first slot
 *   write the slot
 *   set its bit          from here on an escape gathers it
 *
 * Between the jump and the end of a landing another escape can happen: in a clean-up, to a guard that the
 * clean-up has entered. So what is gathered is a stack, of which each landing takes its part.
 */
#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../engine/guards.h"
#include "frames.h"
#include "state.h"

#define SLOTS 8u

struct cleanup {
    void (*fn)(void *arg);
    void *arg;
};

/* As indexed in awi.guards; valid where the bit in the entry's `slots` is set. */
static struct slots {
    struct cleanup cleanup[SLOTS];
    uint32_t order[SLOTS];
} registered[AWI_GUARD_DEPTH];

static struct cleanup gathered[AWI_GUARD_DEPTH * SLOTS];
static unsigned count;                  /* of them */
static unsigned begin;                  /* of those of the last escape */
static struct awi_frame_record landing; /* the innermost one that runs clean-ups */

static bool is_taken(uint32_t index, unsigned slot)
{
    return (AWI_LOAD(awi.guards[index].slots) >> slot & 1) != 0;
}

/* The slot of guard `index` that was registered next after `order`; SLOTS: none. */
static unsigned next_slot(uint32_t index, uint32_t order)
{
    const struct slots *slots = &registered[index];
    unsigned next = SLOTS;
    for (unsigned i = 0; i < SLOTS; ++i) {
        if (is_taken(index, i) && slots->order[i] > order &&
            (next == SLOTS || slots->order[i] < slots->order[next]))
            next = i;
    }
    return next;
}

static void gather(uint32_t index)
{
    const struct slots *slots = &registered[index];
    for (unsigned slot = next_slot(index, 0); slot != SLOTS; slot = next_slot(index, slots->order[slot])) {
        if (count == sizeof gathered / sizeof gathered[0])
            return;
        gathered[count++] = slots->cleanup[slot];
    }
}

/*
 * The guard that is landed in is there, and one that is not on the stack was left by nobody. Where nothing
 * could be found out about a guard's frame, it counts while it lies on the stack.
 */
static bool is_held(uint32_t index, uint64_t holding, const void *stack)
{
    const struct awi_guard_entry *entry = &awi.guards[index];
    if ((holding >> index & 1) != 0 || !awi_frame_is_on_stack(entry->guard))
        return true;
    return entry->holder.end == NULL && !awi_frame_is_gone(entry->guard, stack);
}

void awi_cleanup_gather(uint32_t index, uint64_t holding, const void *stack)
{
    /* A landing that was left by longjmp has given up what it had not run. */
    if (!awi_frame_is_open(&landing, stack))
        count = 0;
    begin = count;
    for (uint32_t i = index; i < AWI_LOAD(awi.depth); ++i) {
        if (i == index || is_held(i, holding, stack))
            gather(i);
    }
}

void awi_cleanup_run(void)
{
    struct awi_frame frame;
    struct awi_frame_record outer = landing;
    unsigned from = begin;
    if (count == from)
        return;
    int saved_errno = errno;
    awi_frame_open(&frame, &landing);
    while (count > from) {
        struct cleanup cleanup = gathered[--count];
        cleanup.fn(cleanup.arg);
    }
    awi_frame_close(&frame, &landing);
    landing = outer;
    errno = saved_errno;
}

static uint32_t last_order(uint32_t index)
{
    uint32_t last = 0;
    for (unsigned i = 0; i < SLOTS; ++i) {
        if (is_taken(index, i) && registered[index].order[i] > last)
            last = registered[index].order[i];
    }
    return last;
}

int aw_guard_on_expiry(struct aw_guard *guard, void (*fn)(void *arg), void *arg)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (guard == NULL || fn == NULL)
        return -EINVAL;
    if (!awi_guard_is_entered(guard))
        return -ENOENT;
    uint32_t index = awi_guard_index(guard);
    struct awi_guard_entry *entry = &awi.guards[index];
    uint32_t is_free = ~entry->slots & ((1u << SLOTS) - 1);
    if (is_free == 0)
        return -ENOSPC;
    if (entry->slots == 0)
        entry->holder = awi_frames_holder(guard);
    unsigned slot = (unsigned)__builtin_ctz(is_free);
    registered[index].cleanup[slot] = (struct cleanup){ fn, arg };
    registered[index].order[slot] = last_order(index) + 1;
    awi_order();
    AWI_STORE(entry->slots, entry->slots | 1u << slot);
    awi_order();
    return (int)slot;
}

int aw_guard_forget(struct aw_guard *guard, int slot)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (guard == NULL)
        return -EINVAL;
    if (!awi_guard_is_entered(guard) || slot < 0 || (unsigned)slot >= SLOTS ||
        !is_taken(awi_guard_index(guard), (unsigned)slot))
        return -ENOENT;
    struct awi_guard_entry *entry = &awi.guards[awi_guard_index(guard)];
    AWI_STORE(entry->slots, entry->slots & ~(1u << slot));
    awi_order();
    return 0;
}

void aw_cleanup_close(void *fd)
{
    (void)close((int)(intptr_t)fd);
}

void aw_cleanup_fclose(void *file)
{
    (void)fclose(file);
}

void aw_cleanup_free(void *memory)
{
    free(memory);
}
