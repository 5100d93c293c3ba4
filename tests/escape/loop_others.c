/* SPDX-License-Identifier: MIT */
/*
 * loop_others.c: dl_iterate_phdr, which holds the loader's lock while it calls back; plain computation; and
 * this library itself, linked into the program: its timers. Also what all loops compute with.
 */
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <alarmwheel/alarmwheel.h>

#include "engine/engine.h"
#include "loops.h"

volatile int loop_inside;

uint32_t loop_random(void)
{
    static uint32_t state = 2463534242u;
    uint32_t next = state;
    next ^= next << 13;
    next ^= next >> 17;
    next ^= next << 5;
    state = next;
    return next;
}

static volatile unsigned sink;

void loop_compute_for(unsigned rounds)
{
    unsigned sum = sink;
    for (unsigned i = 0; i < rounds; ++i) {
        sum = sum * 1664525u + 1013904223u;
        LOOP_ORDER();
    }
    sink = sum;
}

/* ---- computation ---- */

static void compute_turn(void)
{
    loop_compute_for(1000);
}

static const char *compute_landed(bool last)
{
    (void)last;
    return NULL;
}

const struct escape_loop loop_compute = {
    .name = "compute", .about = "plain computation", .turn = compute_turn, .landed = compute_landed
};

/* ---- dl_iterate_phdr ---- */

#define LOCKED_FOR_S 2

static unsigned landings;

static int look_at_module(struct dl_phdr_info *info, size_t size, void *modules)
{
    (void)info;
    (void)size;
    ++loop_inside;
    loop_compute_for(200);
    ++*(unsigned *)modules;
    --loop_inside;
    return 0;
}

static void dliterate_turn(void)
{
    unsigned modules = 0;
    dl_iterate_phdr(look_at_module, &modules);
    loop_compute_for(400);
}

static int count_module(struct dl_phdr_info *info, size_t size, void *modules)
{
    (void)info;
    (void)size;
    ++*(unsigned *)modules;
    return 0;
}

static void *iterate_elsewhere(void *modules)
{
    dl_iterate_phdr(count_module, modules);
    return NULL;
}

/* The lock is recursive: only another thread can tell whether it was left held. */
static const char *dliterate_landed(bool last)
{
    static unsigned modules;
    struct timespec until;
    pthread_t thread;
    if (++landings % 64 != 0 && !last)
        return NULL;
    if (pthread_create(&thread, NULL, iterate_elsewhere, &modules) != 0)
        return "pthread_create failed";
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOCKED_FOR_S;
    return pthread_timedjoin_np(thread, NULL, &until) == 0 ? NULL : "the loader's lock was left held";
}

const struct escape_loop loop_dliterate = { .name = "dliterate",
                                            .about = "dl_iterate_phdr with a callback",
                                            .turn = dliterate_turn,
                                            .landed = dliterate_landed,
                                            .calls_back = true };

/* ---- this library ---- */

#define TIMERS 64u

static struct aw_timer timers[TIMERS];
static const char *volatile library_torn;

static int ignore(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return 0;
}

/* A handle is stored by the library: no escape comes between the timer and the handle. */
static void library_turn(void)
{
    uint32_t draw = loop_random();
    struct aw_timer *timer = &timers[draw % TIMERS];
    uint64_t delay = AW_SEC(10) + AW_US(draw / 64);
    int result;
    switch (draw / 64 % 8) {
    case 0:
        result = aw_timer_delete(*timer);
        break;
    case 1:
        result = aw_timer_arm_every(*timer, delay, AW_SEC(5), AW_MISSED_SKIP);
        break;
    case 2:
        result = aw_timer_disarm(*timer);
        break;
    case 3:
        result = aw_timer_again(*timer);
        break;
    default:
        result = aw_timer_arm(*timer, delay);
    }
    if (result == -ENOENT)
        result = aw_timer_create(timer, ignore, NULL);
    if (result < 0 && result != -EINVAL)
        library_torn = "a call of the library failed";
}

static const char *library_landed(bool last)
{
    uint32_t alive = 0;
    (void)last;
    if (aw_dispatch(0) < 0)
        return "aw_dispatch failed";
    const char *wrong = aw_wheel_check(awi_engine.wheel);
    for (unsigned i = 0; i < TIMERS; ++i)
        alive += aw_timer_overrun(timers[i], &(uint64_t){ 0 }) != -ENOENT;
    if (aw_wheel_timers(awi_engine.wheel) != alive)
        library_torn = "the library lost a timer";
    return wrong != NULL ? wrong : library_torn;
}

const struct escape_loop loop_library = {
    .name = "library", .about = "this library's own timers", .turn = library_turn, .landed = library_landed
};
