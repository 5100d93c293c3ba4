/* SPDX-License-Identifier: MIT */
/*
 * engine.h: what only the owner's program context knows: the wheel, the options, its own counters. Never in
 * the handler.
 */
#ifndef AWI_ENGINE_H
#define AWI_ENGINE_H

#include <alarmwheel/engine.h>

#include "../wheel/wheel_run.h"
#include "frame.h"

struct awi_engine {
    struct aw_wheel *wheel;
    enum aw_interrupt interrupt;
    unsigned budget;
    int callers;    /* of aw_init */
    uint64_t epoch; /* changes at every start and in every forked child */

    struct awi_frame_record runner; /* the aw_run that runs: a mark in its frame */

    uint64_t expirations, overruns, posts, worst_lateness_ns;
};

extern struct awi_engine awi_engine __attribute__((visibility("hidden")));

#endif
