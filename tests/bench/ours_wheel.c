/* SPDX-License-Identifier: MIT */
/*
 * ours_wheel.c: alarmwheel's wheel (wheel.h) under the benchmark's loops. Time is an argument, so there is no
 * clock to replace.
 */
#include "peer_begin.h"

#include <alarmwheel/wheel.h>

#include "bench.h"

typedef uint64_t native;
typedef struct aw_timer name;

static struct aw_wheel *wheel;
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
    struct aw_wheel_options options = { .size = sizeof options, .start_ns = peer_now_ns, .capacity = timers };
    handles = malloc(timers * sizeof *handles);
    if (handles == NULL || aw_wheel_create(&wheel, &options) != 0)
        return "out of memory";
    for (uint32_t i = 0; i < timers; i++)
        if (aw_wheel_timer_create(wheel, &handles[i], on_timer, (void *)(uintptr_t)i) != 0)
            return "out of memory";
    return NULL;
}

static void impl_close(uint32_t timers)
{
    (void)timers;
    aw_wheel_destroy(wheel);
    free(handles);
}

static inline void impl_rearm(name timer, native delay)
{
    aw_wheel_timer_arm_at(wheel, timer, peer_now_ns + delay);
}

static inline void impl_start(name timer, native delay)
{
    impl_rearm(timer, delay);
}

/* The program knows the constant: aw_wheel_timer_again would have to fetch it from the timer's own memory. */
static inline void impl_refresh(name timer, native delay)
{
    impl_rearm(timer, delay);
}

static inline void impl_cancel(name timer)
{
    aw_wheel_timer_disarm(wheel, timer);
}

static inline void impl_dispatch(void)
{
    aw_wheel_dispatch(wheel, peer_now_ns, 0);
}

static const char *version(void)
{
    return AW_VERSION_STRING;
}

#include "peer_loops.h"

const struct peer bench_ours_wheel = {
    "alarmwheel", version,      sizeof(struct aw_timer), peer_open,          peer_close,
    peer_rearm,   peer_refresh, peer_cancel_burst,       peer_insert_expire,
};
