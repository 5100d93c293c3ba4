/* SPDX-License-Identifier: MIT */
/*
 * report.h: the debug mode: guards that are misused, and escapes that do not come, are reported on stderr, a
 * line each. The library is compiled with AW_DEBUG for it; else everything here is empty, and costs nothing.
 *
 * Reports, each once a place in the source, but the escapes once a guard that is entered:
 *   - a guard left while others inside it stood, and a guard that was found in a frame that is gone;
 *   - a guard entered on a thread that is not the owner's;
 *   - an escape that was put off for a second, why, and where the program was.
 */
#ifndef AWI_REPORT_H
#define AWI_REPORT_H

#include <stdint.h>

#include "pending.h"

/* What keeps the program from being left by an escape. */
enum awi_obstacle {
    AWI_OBSTACLE_NONE,
    AWI_OBSTACLE_DEAD, /* the guard was left by longjmp */
    AWI_OBSTACLE_SHIELD,
    AWI_OBSTACLE_CALLBACK, /* the guard is around the dispatch */
    AWI_OBSTACLE_STACK,    /* the guard's frame is not on the stack that runs, or is gone */
    AWI_OBSTACLE_LIBRARY,  /* a function of this library is active */
    AWI_OBSTACLE_HANDLER,  /* in this program no escape comes from the handler */
    AWI_OBSTACLE_FRAME     /* one on the way to the guard may not be left */
};

#ifdef AW_DEBUG

/*
 * Program context, any thread. Which guard is about to be entered, and where: AW_GUARD knows the line; else
 * it is who has called, unless AW_GUARD has.
 */
void awi_report_entering_scope(const struct awi_guard_scope *scope);
void awi_report_entering(const struct aw_guard *guard, const void *caller);
void awi_report_not_entered(const struct aw_guard *guard, int error);

/* Program context, owner thread. Before `depth` covers the guard at `index`. */
void awi_report_pushed(uint32_t index);

/* The guard at `index` is found to be entered, and about to be entered again. */
void awi_report_again(uint32_t index, const struct aw_guard *guard);

/* The guards from `index` on, the innermost ones, are about to be dropped: their frames are gone. */
void awi_report_gone(uint32_t index);

/* The guard at `index` is about to be left. */
void awi_report_left(uint32_t index);

/* ... and that by an escape: those inside it are none of the program's business. */
void awi_report_escaped(uint32_t index);

/*
 * The handler, whose context it is. The guard at `index` is to be escaped to, and cannot be. `stopped_at`:
 * the code of the frame that forbids it.
 */
void awi_report_obstacle(uint32_t index, enum awi_obstacle obstacle, const void *context,
                         uintptr_t stopped_at);

/*
 * What nobody is nagged for, so that an escape is not even tried: guards under shields, or around callbacks.
 * `nagged` is awi_nagging_guards. The handler reports them, and either of the two asks for when.
 */
void awi_report_hidden(uint64_t nagged, const void *context);
uint64_t awi_report_next(uint64_t nagged);

#else

static inline void awi_report_entering_scope(const struct awi_guard_scope *scope)
{
    (void)scope;
}

static inline void awi_report_entering(const struct aw_guard *guard, const void *caller)
{
    (void)guard, (void)caller;
}

static inline void awi_report_not_entered(const struct aw_guard *guard, int error)
{
    (void)guard, (void)error;
}

static inline void awi_report_pushed(uint32_t index)
{
    (void)index;
}

static inline void awi_report_again(uint32_t index, const struct aw_guard *guard)
{
    (void)index, (void)guard;
}

static inline void awi_report_gone(uint32_t index)
{
    (void)index;
}

static inline void awi_report_left(uint32_t index)
{
    (void)index;
}

static inline void awi_report_escaped(uint32_t index)
{
    (void)index;
}

static inline void awi_report_obstacle(uint32_t index, enum awi_obstacle obstacle, const void *context,
                                       uintptr_t stopped_at)
{
    (void)index, (void)obstacle, (void)context, (void)stopped_at;
}

static inline void awi_report_hidden(uint64_t nagged, const void *context)
{
    (void)nagged, (void)context;
}

static inline uint64_t awi_report_next(uint64_t nagged)
{
    (void)nagged;
    return AW_FOREVER;
}

#endif

#endif
