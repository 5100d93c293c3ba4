/* SPDX-License-Identifier: MIT */
/*
 * peer_sdevent.c: the module of systemd's sd-event: two heaps (earliest and latest time) of allocated event
 * sources. It runs one source each time round its loop, so a dispatch here goes round until nothing is left.
 */
#include <systemd/sd-event.h>

#include "peer_clock.h"

typedef uint64_t native;
typedef sd_event_source *name;

static sd_event *loop;
static sd_event_source **sources;

static native impl_native(uint64_t delay_ns)
{
    return (delay_ns + 999) / 1000;
}

static int on_timer(sd_event_source *source, uint64_t us, void *arg)
{
    (void)source;
    (void)us;
    peer_expired((uint32_t)(uintptr_t)arg);
    return 0;
}

static inline uint64_t now_us(void)
{
    if (!peer_setup.real_clock)
        return peer_now_ns / 1000;
    uint64_t us = 0;
    sd_event_now(loop, CLOCK_MONOTONIC, &us);
    return us;
}

static inline name impl_name(uint32_t index)
{
    return sources[index];
}

static const char *impl_open(uint32_t timers)
{
    sources = calloc(timers, sizeof *sources);
    if (sources == NULL || sd_event_new(&loop) < 0)
        return "no loop";
    for (uint32_t i = 0; i < timers; i++) {
        void *arg = (void *)(uintptr_t)i;
        if (sd_event_add_time(loop, &sources[i], CLOCK_MONOTONIC, UINT64_MAX / 4, 1000, on_timer, arg) < 0)
            return "no event source";
        sd_event_source_set_enabled(sources[i], SD_EVENT_OFF);
    }
    return NULL;
}

static void impl_close(uint32_t timers)
{
    for (uint32_t i = 0; i < timers; i++)
        sd_event_source_unref(sources[i]);
    sd_event_unref(loop);
    free(sources);
}

static inline void impl_rearm(name timer, native delay)
{
    sd_event_source_set_time(timer, now_us() + delay);
}

static inline void impl_refresh(name timer, native delay)
{
    impl_rearm(timer, delay);
}

static inline void impl_start(name timer, native delay)
{
    sd_event_source_set_time(timer, now_us() + delay);
    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static inline void impl_cancel(name timer)
{
    sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

static inline void impl_dispatch(void)
{
    while (sd_event_run(loop, 0) > 0)
        continue;
}

static const char *version(void)
{
    return "";
}

#include "peer_loops.h"

PEER_API const struct peer bench_peer = {
    "sd-event", version,      sizeof(sd_event_source *), peer_open,          peer_close,
    peer_rearm, peer_refresh, peer_cancel_burst,         peer_insert_expire,
};
