/* SPDX-License-Identifier: MIT */
/*
 * cleanup.c: what an escape is to put in order: registered in a guard's slots, gathered just before the jump,
 * run after the landing.
 *
 * Registering and the handler in between:
 *
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
#include "state.h"

#define SLOTS \
    ((unsigned)(sizeof((struct aw_guard *)0)->awi_cleanups / sizeof((struct aw_guard *)0)->awi_cleanups[0]))

struct cleanup {
    void (*fn)(void *arg);
    void *arg;
};

static struct cleanup gathered[AWI_GUARD_DEPTH * 8];
static unsigned count;                  /* of them */
static unsigned begin;                  /* of those of the last escape */
static struct awi_frame_record landing; /* the innermost one that runs clean-ups */

/* The slot of `guard` that was registered next after `order`; SLOTS: none. */
static unsigned next_slot(const struct aw_guard *guard, uint32_t order)
{
    unsigned next = SLOTS;
    for (unsigned i = 0; i < SLOTS; ++i) {
        if ((guard->awi_slots >> i & 1) != 0 && guard->awi_cleanup_order[i] > order &&
            (next == SLOTS || guard->awi_cleanup_order[i] < guard->awi_cleanup_order[next]))
            next = i;
    }
    return next;
}

AWI_OUTLINE void awi_cleanup_gather(uint32_t index, const void *stack)
{
    /* A landing that was left by longjmp has given up what it had not run. */
    if (!awi_frame_is_open(&landing, AWI_HERE))
        count = 0;
    begin = count;
    for (uint32_t i = index; i < AWI_LOAD(awi.depth); ++i) {
        const struct aw_guard *guard = awi.guards[i].guard;
        if (awi_frame_is_gone(guard, stack) || !awi_guard_was_entered(guard))
            continue;
        for (unsigned slot = next_slot(guard, 0); slot != SLOTS;
             slot = next_slot(guard, guard->awi_cleanup_order[slot])) {
            if (count == sizeof gathered / sizeof gathered[0])
                return;
            gathered[count].fn = guard->awi_cleanups[slot].fn;
            gathered[count].arg = guard->awi_cleanups[slot].arg;
            ++count;
        }
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

static uint32_t last_order(const struct aw_guard *guard)
{
    uint32_t last = 0;
    for (unsigned i = 0; i < SLOTS; ++i) {
        if ((guard->awi_slots >> i & 1) != 0 && guard->awi_cleanup_order[i] > last)
            last = guard->awi_cleanup_order[i];
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
    uint32_t is_free = ~guard->awi_slots & ((1u << SLOTS) - 1);
    if (is_free == 0)
        return -ENOSPC;
    unsigned slot = (unsigned)__builtin_ctz(is_free);
    guard->awi_cleanups[slot].fn = fn;
    guard->awi_cleanups[slot].arg = arg;
    guard->awi_cleanup_order[slot] = last_order(guard) + 1;
    awi_order();
    AWI_STORE(guard->awi_slots, guard->awi_slots | 1u << slot);
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
        (guard->awi_slots >> slot & 1) == 0)
        return -ENOENT;
    AWI_STORE(guard->awi_slots, guard->awi_slots & ~(1u << slot));
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
