/* SPDX-License-Identifier: MIT */
/* run.c: a main loop for programs that have none: waits until told to quit, or until nothing is armed. */
#include <errno.h>

#include "../busy.h"
#include "dispatch.h"
#include "engine.h"
#include "pending.h"
#include "post.h"
#include "wait.h"

static int run_result; /* aw_quit's, from any thread or handler */

static int run_until_quit(const void *here)
{
    for (;;) {
        if ((awi_flags() & AWI_QUIT) != 0)
            return __atomic_load_n(&run_result, __ATOMIC_SEQ_CST);
        bool is_idle = aw_wheel_armed(awi_engine.wheel) == 0 && awi_engine.keeping == 0;
        if (is_idle && (awi_flags() & (AWI_CALLBACKS & ~AWI_TIMER)) == 0)
            return 0;
        /* A flag may be raised for nothing: a dispatch that a callback has ended leaves all of them. */
        bool foreign;
        int result = awi_wait(NULL, 0, is_idle ? 0 : AW_FOREVER, true, &foreign, here);
        if (result < 0 && !foreign)
            return result;
    }
}

AWI_OUTLINE int aw_run(void)
{
    struct awi_frame frame;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    if (awi_in_callback(AWI_HERE) || awi_frame_is_open(&awi_engine.runner, AWI_HERE)) {
        awi_busy_end(outer);
        return -EDEADLK;
    }
    uint64_t epoch = awi_engine.epoch;
    awi_frame_open(&frame, &awi_engine.runner);
    awi_clear(AWI_QUIT);
    __atomic_store_n(&awi.running, 1, __ATOMIC_SEQ_CST);
    int result = run_until_quit(AWI_HERE);
    if (awi_engine.epoch != epoch) {
        awi_busy_end(outer);
        return -ENODEV;
    }
    __atomic_store_n(&awi.running, 0, __ATOMIC_SEQ_CST);
    awi_clear(AWI_QUIT);
    awi_frame_close(&frame, &awi_engine.runner);
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}

int aw_quit(int result)
{
    AWI_BUSY_IN_HANDLER;
    if (!awi_post_begin())
        return -ENODEV;
    bool runs = __atomic_load_n(&awi.running, __ATOMIC_SEQ_CST) != 0;
    if (runs) {
        __atomic_store_n(&run_result, result, __ATOMIC_SEQ_CST);
        awi_raise(AWI_QUIT);
        awi_wake_owner();
    }
    awi_post_end();
    return runs ? 0 : -EINVAL;
}
