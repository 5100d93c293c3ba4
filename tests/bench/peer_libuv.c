/* SPDX-License-Identifier: MIT */
/*
 * peer_libuv.c: the module of libuv: a binary heap of uv_timer_t, in milliseconds, ordered by time and start.
 * uv_timer_start re-arms an active timer; uv_timer_again refreshes one that has a repeat.
 */
#include <uv.h>

#include "peer_clock.h"

typedef uint64_t native;
typedef uv_timer_t *name;

static uv_loop_t loop;
static uv_timer_t *handles;

/* Rounded up: libuv must not be let off with earlier deadlines than the others. */
static native impl_native(uint64_t delay_ns)
{
    return (delay_ns + 999999) / 1000000;
}

static void on_timer(uv_timer_t *handle)
{
    uv_timer_stop(handle);
    peer_expired((uint32_t)(handle - handles));
}

static inline name impl_name(uint32_t index)
{
    return &handles[index];
}

static const char *impl_open(uint32_t timers)
{
    handles = malloc(timers * sizeof *handles);
    if (handles == NULL || uv_loop_init(&loop) != 0)
        return "no loop";
    for (uint32_t i = 0; i < timers; i++)
        uv_timer_init(&loop, &handles[i]);
    uv_update_time(&loop);
    return NULL;
}

static void impl_close(uint32_t timers)
{
    for (uint32_t i = 0; i < timers; i++)
        uv_close((uv_handle_t *)&handles[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    free(handles);
}

static inline void impl_start(name timer, native delay)
{
    uv_timer_start(timer, on_timer, delay, peer_setup.refresh ? delay : 0);
}

static inline void impl_rearm(name timer, native delay)
{
    uv_timer_start(timer, on_timer, delay, 0);
}

static inline void impl_refresh(name timer, native delay)
{
    (void)delay;
    uv_timer_again(timer);
}

static inline void impl_cancel(name timer)
{
    uv_timer_stop(timer);
}

static inline void impl_dispatch(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

#include "peer_loops.h"

PEER_API const struct peer bench_peer = {
    "libuv",           uv_version_string,  0, peer_open, peer_close, peer_rearm, peer_refresh,
    peer_cancel_burst, peer_insert_expire,
};
