/* SPDX-License-Identifier: MIT */
/*
 * engine.c: starts and stops the engine, counts its callers, reports its counters, and puts a forked child
 * at peace. The order of starting is: memory, then the alarm, then the disposition (blocked), then the
 * owner, and only then is the signal let through; each step can fail, and undoes those before it. Stopping
 * goes the other way.
 */
#include "engine.h"
#include "../busy.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "burn.h"
#include "clock.h"
#include "cover.h"
#include "dispatch.h"
#include "disposition.h"
#include "guards.h"
#include "handler.h"
#include "pending.h"
#include "post.h"
#include "wakeup.h"

#define DEFAULT_BUDGET 1024u
#define SLACK_MAX (UINT64_C(1) << 50)

struct awi_engine awi_engine;

static enum aw_alarm source;
static bool is_lent;             /* the wheel is in the caller's memory */
static uint32_t next_generation; /* handles of an engine before are stale in this one */

static const struct aw_options defaults = AW_OPTIONS_DEFAULT;

static int check_options(const struct aw_options *options)
{
    if (options->size != sizeof *options)
        return -EINVAL;
    if ((unsigned)options->alarm > AW_ALARM_POSIX || (unsigned)options->interrupt > AW_INTERRUPT_RESTART)
        return -EINVAL;
    if (options->signo != 0 &&
        (options->alarm != AW_ALARM_POSIX || options->signo < SIGRTMIN || options->signo > SIGRTMAX))
        return -EINVAL;
    if (options->tick_ns != 0 &&
        ((options->tick_ns & (options->tick_ns - 1)) != 0 || options->tick_ns < UINT64_C(1) << 10 ||
         options->tick_ns > UINT64_C(1) << 24))
        return -EINVAL;
    if (options->slack_ns > SLACK_MAX || (options->memory == NULL) != (options->memory_bytes == 0))
        return -EINVAL;
    return 0;
}

/* The engine runs already: one more caller. */
static int join(const struct aw_options *options)
{
    if (!awi_owner)
        return -EPERM;
    if (awi_in_callback(AWI_HERE) || options->alarm != source)
        return -EBUSY;
    if (awi_engine.callers == INT32_MAX)
        return -EAGAIN;
    ++awi_engine.callers;
    return 0;
}

static int make_wheel(const struct aw_options *options)
{
    struct aw_wheel_options wheel;
    memset(&wheel, 0, sizeof wheel);
    wheel.size = sizeof wheel;
    wheel.tick_ns = options->tick_ns;
    wheel.start_ns = awi_clock_now();
    wheel.capacity = options->capacity;
    wheel.generation = next_generation;
    wheel.memory = options->memory;
    wheel.memory_bytes = options->memory_bytes;
    return aw_wheel_create(&awi_engine.wheel, &wheel);
}

static void drop_wheel(void)
{
    if (awi_engine.wheel == NULL)
        return;
    next_generation = aw_wheel_generation(awi_engine.wheel);
    awi_wheel_abandon(awi_engine.wheel); /* the fork may have been in a callback */
    aw_wheel_destroy(awi_engine.wheel);
    awi_engine.wheel = NULL;
}

/*
 * All that handler and program share, as at the very start, but for `in_flight`, which other threads may be
 * changing.
 */
static void reset_shared(void)
{
    awi.dispatcher = (struct awi_frame_record){ NULL, 0 };
    awi.call = (struct awi_frame_record){ NULL, 0 };
    awi.depth = awi.base = awi.shields = awi.waiting = awi.foreign_ran = awi.call_is_plain = 0;
    awi.timer_need = awi.foreign_at = awi.armed_at = awi.call_need = AW_FOREVER;
    awi.call_due_ns = 0;
    awi.slack_ns = awi.foreign_interval_ns = 0;
    awi.watched = awi.held = 0;
    awi.burning = awi.limited = awi.expired = awi.told = awi.runs = 0;
    awi.signals = awi.spurious = awi.forwarded = awi.chained = awi.dropped = 0;
    awi.programmed = awi.avoided = awi.guards_expired = awi.recoveries = awi.thefts = 0;
    __atomic_store_n(&awi.sleeping, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&awi.running, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&awi_pending, 0, __ATOMIC_SEQ_CST);
}

static void forked(void)
{
    uint32_t state = AWI_LOAD(awi.state);
    AWI_STORE(awi.state, AWI_CLOSED);
    awi.in_flight = 0;        /* threads that are not here */
    if (state != AWI_RUNNING) /* not even where another thread, which is not here, was just starting it */
        return;
    bool was_owner = awi_owner != AWI_STRANGER;
    awi_owner = AWI_STRANGER;
    awi_order();
    int saved_errno = errno;
    if (awi_engine.signals != NULL)
        awi_engine.signals->forked(was_owner);
    if (awi_engine.itimers != NULL)
        awi_engine.itimers->forked(was_owner);
    awi_disposition_forked(was_owner);
    awi_burn_forked(was_owner);
    awi_wakeup_close();
    awi_alarm_forget();
    errno = saved_errno;
    awi_engine.signals = awi_engine.itimers = NULL;
    awi_engine.callers = 0;
    ++awi_engine.epoch;
    reset_shared();
    if (is_lent) {
        /* The child may have other plans for the caller's memory, and cannot end the loan. */
        next_generation = aw_wheel_generation(awi_engine.wheel);
        awi_engine.wheel = NULL;
    }
}

static int watch_forks(void)
{
    static bool watching;
    if (watching)
        return 0;
    int failed = pthread_atfork(NULL, NULL, forked);
    watching = failed == 0;
    return -failed;
}

/*
 * Alarm and disposition. The alarm that runs already is stopped first: one that goes off before that still
 * finds its own handler, whichever thread it reaches, and after that none comes. (With our handler in its
 * place first, one that goes off in between would be nobody's.)
 */
static int take_signal(const struct aw_options *options)
{
    int signo = options->alarm == AW_ALARM_ITIMER ? SIGALRM
                : options->signo != 0             ? options->signo
                                                  : SIGRTMIN + 6;
    int result = awi_alarm_open(options->alarm, signo, &awi.foreign_at, &awi.foreign_interval_ns);
    if (result < 0)
        return result;
    result = awi_disposition_take(signo, awi_handle);
    if (result < 0)
        awi_alarm_close(awi.foreign_at, awi.foreign_interval_ns);
    return result;
}

static void stop(void)
{
    if (awi_engine.signals != NULL)
        awi_engine.signals->close();
    if (awi_engine.itimers != NULL)
        awi_engine.itimers->close();
    /* From here on the handler takes this thread for a stranger, and finds the engine closed. */
    __atomic_store_n(&awi.state, AWI_CLOSED, __ATOMIC_SEQ_CST);
    awi_owner = AWI_STRANGER;
    awi_order();
    uint64_t found_at = awi.foreign_at;
    awi_burn_close();
    awi_alarm_close(AW_FOREVER, 0);
    awi_disposition_give_back();
    if (source == AW_ALARM_ITIMER && found_at != AW_FOREVER)
        awi_alarm_close(found_at, awi.foreign_interval_ns);
    awi_wakeup_close();
    ++awi_engine.epoch;
    awi_engine.signals = awi_engine.itimers = NULL;
    awi_engine.callers = 0;
    __atomic_store_n(&awi_pending, 0, __ATOMIC_SEQ_CST);
    drop_wheel();
}

/* Everything but memory and the signal. */
static void reset(const struct aw_options *options)
{
    reset_shared();
    awi_post_reset();
    awi_frame_learn();
    awi_engine = (struct awi_engine){ .wheel = awi_engine.wheel,
                                      .interrupt = options->interrupt,
                                      .budget = options->budget != 0 ? options->budget : DEFAULT_BUDGET,
                                      .callers = 1,
                                      .epoch = awi_engine.epoch + 1 };
    awi.slack_ns = options->slack_ns;
    awi.owner_tid = gettid();
    awi.pid = getpid();
    source = options->alarm;
    is_lent = options->memory != NULL;
}

static int start(const struct aw_options *options)
{
    int result = watch_forks();
    if (result < 0)
        return result;
    drop_wheel(); /* a forked child's, inherited */
    result = make_wheel(options);
    if (result < 0)
        return result;
    reset(options);
    result = take_signal(options);
    if (result < 0) {
        drop_wheel();
        return result;
    }
    awi_owner = AWI_OWNER;
    __atomic_store_n(&awi.state, AWI_RUNNING, __ATOMIC_SEQ_CST);
    result = awi.foreign_at == AW_FOREVER ? 0 : awi_cover(awi.foreign_at);
    if (result < 0)
        stop();
    else
        awi_disposition_open();
    return result;
}

AWI_OUTLINE int aw_init(const struct aw_options *options)
{
    AWI_BUSY;
    if (options == NULL)
        options = &defaults;
    int result = check_options(options);
    if (result < 0)
        return result;
    uint32_t state = AWI_CLOSED;
    if (!__atomic_compare_exchange_n(&awi.state, &state, AWI_STARTING, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return join(options);
    result = start(options);
    if (result < 0)
        __atomic_store_n(&awi.state, AWI_CLOSED, __ATOMIC_SEQ_CST);
    return result;
}

AWI_OUTLINE int aw_shutdown(void)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    awi_guards_prune(AWI_HERE);
    if (awi_in_callback(AWI_HERE))
        return -EBUSY;
    if (awi_engine.callers > 1)
        return --awi_engine.callers;
    if (AWI_LOAD(awi.depth) != 0 || awi_frame_is_open(&awi_engine.runner, AWI_HERE))
        return -EBUSY;
    stop();
    return 0;
}

int aw_stats_read(struct aw_stats *stats)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (stats == NULL || stats->size < sizeof stats->size)
        return -EINVAL;
    struct aw_stats all = { .size = stats->size < sizeof all ? stats->size : sizeof all,
                            .signals = awi.signals,
                            .spurious = awi.spurious,
                            .forwarded = __atomic_load_n(&awi.forwarded, __ATOMIC_RELAXED),
                            .chained = __atomic_load_n(&awi.chained, __ATOMIC_RELAXED),
                            .dropped = __atomic_load_n(&awi.dropped, __ATOMIC_RELAXED),
                            .programmed = awi.programmed,
                            .avoided = awi.avoided,
                            .expirations = awi_engine.expirations,
                            .overruns = awi_engine.overruns,
                            .guards = awi.guards_expired,
                            .posts = awi_engine.posts,
                            .recoveries = awi.recoveries,
                            .thefts = awi.thefts,
                            .worst_lateness_ns = awi_engine.worst_lateness_ns };
    memcpy(stats, &all, all.size);
    return 0;
}
