/* SPDX-License-Identifier: MIT */
/*
 * ours_timer.c: alarmwheel's public timers (timer.h) under the benchmark's loops: the engine runs, on the
 * real clock, with the real alarm. Its clock readings and system calls are part of what is measured.
 */
#include "peer_begin.h"

#include <alarmwheel/alarmwheel.h>

#include "bench.h"

typedef uint64_t native;
typedef struct aw_timer name;

static struct aw_timer *handles;

static native impl_native(uint64_t delay_ns)
{
    return delay_ns;
}

static int on_timer(struct aw_timer timer, void *arg)
{
    (void)timer;
    peer_expired((uint32_t)(uintptr_t)arg);
    return 0;
}

static inline name impl_name(uint32_t index)
{
    return handles[index];
}

static const char *impl_open(uint32_t timers)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.capacity = timers;
    handles = malloc(timers * sizeof *handles);
    if (handles == NULL || aw_init(&options) != 0)
        return "aw_init failed";
    for (uint32_t i = 0; i < timers; i++)
        if (aw_timer_create(&handles[i], on_timer, (void *)(uintptr_t)i) != 0)
            return "out of memory";
    return NULL;
}

static void impl_close(uint32_t timers)
{
    (void)timers;
    aw_shutdown();
    free(handles);
}

static inline void impl_rearm(name timer, native delay)
{
    aw_timer_arm(timer, delay);
}

static inline void impl_start(name timer, native delay)
{
    aw_timer_arm(timer, delay);
}

static inline void impl_refresh(name timer, native delay)
{
    (void)delay;
    aw_timer_again(timer);
}

static inline void impl_cancel(name timer)
{
    aw_timer_disarm(timer);
}

static inline void impl_dispatch(void)
{
    aw_safepoint();
}

static const char *version(void)
{
    return aw_version();
}

#include "peer_loops.h"

const struct peer bench_ours_timer = {
    "alarmwheel", version,      sizeof(struct aw_timer), peer_open,          peer_close,
    peer_rearm,   peer_refresh, peer_cancel_burst,       peer_insert_expire,
};
