/* SPDX-License-Identifier: MIT */
/*
 * engine.h: what only the owner's program context knows: the wheel, the options, its own counters. Never in
 * the handler.
 */
#ifndef AWI_ENGINE_H
#define AWI_ENGINE_H

#include <alarmwheel/engine.h>

#include <stdbool.h>

#include "../wheel/wheel_run.h"
#include "frame.h"

struct awi_posted;

/*
 * One more origin of callbacks than timers and posts: signals, interval timers on processor time. Beside it
 * there are the hooks in pending.h. Program context.
 */
struct awi_source {
    uint32_t flag;                         /* what is raised for it, in awi_pending */
    bool (*take)(struct awi_posted *next); /* the next function to call; false: no more */
    void (*abandoned)(void);               /* NULL, or: a dispatch was left by longjmp */
    void (*close)(void);                   /* aw_shutdown, before the engine is closed */
    void (*forked)(bool was_owner);        /* in the child of a fork */
};

struct awi_engine {
    struct aw_wheel *wheel;
    enum aw_interrupt interrupt;
    unsigned budget;
    int callers;    /* of aw_init */
    uint64_t epoch; /* changes at every start and in every forked child */

    struct awi_frame_record runner; /* the aw_run that runs: a mark in its frame */

    /* NULL until first used. */
    const struct awi_source *signals, *itimers;
    unsigned keeping; /* watchers, and interval timers on processor time that are set: aw_run goes on */

    uint64_t expirations, overruns, posts, worst_lateness_ns;
};

extern struct awi_engine awi_engine __attribute__((visibility("hidden")));

#endif
