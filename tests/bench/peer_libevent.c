/* SPDX-License-Identifier: MIT */
/*
 * peer_libevent.c: the module of libevent: a binary heap of struct event. event_add on a pending event
 * re-arms it. For the constant timeout it gets its own device for that, the queues of
 * event_base_init_common_timeout.
 */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "peer_clock.h"

typedef struct timeval native;
typedef struct event *name;

static struct event_base *base;
static struct event *events;
static const struct timeval *common;

static native impl_native(uint64_t delay_ns)
{
    const uint64_t us = (delay_ns + 999) / 1000;
    return (struct timeval){ .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    peer_expired((uint32_t)(uintptr_t)arg);
}

static inline name impl_name(uint32_t index)
{
    return &events[index];
}

static const char *impl_open(uint32_t timers)
{
    base = event_base_new();
    events = malloc(timers * sizeof *events);
    if (base == NULL || events == NULL)
        return "out of memory";
    for (uint32_t i = 0; i < timers; i++)
        event_assign(&events[i], base, -1, 0, on_timer, (void *)(uintptr_t)i);
    const struct timeval constant = impl_native(peer_setup.refresh_ns);
    common = peer_setup.refresh ? event_base_init_common_timeout(base, &constant) : NULL;
    return NULL;
}

static void impl_close(uint32_t timers)
{
    for (uint32_t i = 0; i < timers; i++)
        event_del(&events[i]);
    event_base_free(base);
    free(events);
}

static inline void impl_rearm(name timer, native delay)
{
    event_add(timer, &delay);
}

static inline void impl_refresh(name timer, native delay)
{
    (void)delay;
    event_add(timer, common);
}

static inline void impl_start(name timer, native delay)
{
    event_add(timer, common != NULL ? common : &delay);
}

static inline void impl_cancel(name timer)
{
    event_del(timer);
}

static inline void impl_dispatch(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

#include "peer_loops.h"

PEER_API const struct peer bench_peer = {
    "libevent",        event_get_version,  0, peer_open, peer_close, peer_rearm, peer_refresh,
    peer_cancel_burst, peer_insert_expire,
};
