/* SPDX-License-Identifier: MIT */
/*
 * peer_libev.c: the module of libev: a four-ary heap of ev_timer. Re-arming is ev_timer_again with another
 * `repeat`, which its manual calls "more efficient" than stopping and starting, and which is what a heap can
 * do best: move in place.
 */
#include <ev.h>

#include "peer_clock.h"

typedef double native;
typedef ev_timer *name;

static struct ev_loop *loop;
static ev_timer *watchers;

static native impl_native(uint64_t delay_ns)
{
    return (double)delay_ns * 1e-9;
}

/* One that was re-armed by its `repeat` is one-shot to the user all the same. */
static void on_timer(struct ev_loop *l, ev_timer *watcher, int events)
{
    (void)events;
    if (ev_is_active(watcher))
        ev_timer_stop(l, watcher);
    peer_expired((uint32_t)(watcher - watchers));
}

static inline name impl_name(uint32_t index)
{
    return &watchers[index];
}

static const char *impl_open(uint32_t timers)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    watchers = malloc(timers * sizeof *watchers);
    if (loop == NULL || watchers == NULL)
        return "out of memory";
    for (uint32_t i = 0; i < timers; i++)
        ev_timer_init(&watchers[i], on_timer, 0., 0.);
    ev_now_update(loop);
    return NULL;
}

static void impl_close(uint32_t timers)
{
    for (uint32_t i = 0; i < timers; i++)
        ev_timer_stop(loop, &watchers[i]);
    ev_loop_destroy(loop);
    free(watchers);
}

static inline void impl_rearm(name timer, native delay)
{
    timer->repeat = delay;
    ev_timer_again(loop, timer);
}

static inline void impl_start(name timer, native delay)
{
    ev_timer_set(timer, delay, peer_setup.refresh ? delay : 0.);
    ev_timer_start(loop, timer);
}

static inline void impl_refresh(name timer, native delay)
{
    (void)delay;
    ev_timer_again(loop, timer);
}

static inline void impl_cancel(name timer)
{
    ev_timer_stop(loop, timer);
}

static inline void impl_dispatch(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static const char *version(void)
{
    static char text[16];
    const unsigned v = ((unsigned)ev_version_major() << 8) | (unsigned)ev_version_minor();
    text[0] = (char)('0' + (v >> 8) % 10);
    text[1] = '.';
    text[2] = (char)('0' + (v & 255) / 10);
    text[3] = (char)('0' + (v & 255) % 10);
    return text;
}

#include "peer_loops.h"

PEER_API const struct peer bench_peer = {
    "libev",      version,           0,
    peer_open,    peer_close,        peer_rearm,
    peer_refresh, peer_cancel_burst, peer_insert_expire,
};
