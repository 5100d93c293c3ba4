/* SPDX-License-Identifier: MIT */
/*
 * engine.h: starts and stops the one engine of the process: its timer wheel, its alarm, its handler. The
 * thread that calls aw_init first owns it; timers, guards and waits belong to that thread. Also the
 * options, the counters, and what fork and exec do.
 */
#ifndef ALARMWHEEL_ENGINE_H
#define ALARMWHEEL_ENGINE_H

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the wake-ups come from. */
enum aw_alarm {
    AW_ALARM_ITIMER, /* ITIMER_REAL and SIGALRM: everywhere, and the cheapest to program */
    AW_ALARM_POSIX   /* timer_create with SIGEV_THREAD_ID and a real-time signal (Linux): leaves SIGALRM and
                        ITIMER_REAL wholly to the program, and is not inherited across exec */
};

/* How an expired guard interrupts a plain blocking system call. */
enum aw_interrupt {
    AW_INTERRUPT_STEP, /* the handler steps over the system-call instruction with -EINTR, where the context of
                          a signal is known (x86-64, aarch64, riscv64), else as AW_INTERRUPT_RESTART */
    AW_INTERRUPT_RESTART /* SA_RESTART is dropped while an expired guard stands; other threads that the signal
                            reaches in that time may see EINTR too */
};

/* Options of aw_init. Zero in any field but `size` means the default. */
struct aw_options {
    size_t size;         /* sizeof(struct aw_options) */
    enum aw_alarm alarm; /* default AW_ALARM_ITIMER */
    int signo;           /* AW_ALARM_POSIX: the real-time signal to use; default SIGRTMIN + 6 */
    /* Granularity of timers, not of guards: a power of two from 2^10 to 2^24; default 2^17, 131 us. */
    uint64_t tick_ns;
    /* Timers may be late by this much, so that wake-ups coalesce; guards never. Default 0; at most 2^50. */
    uint64_t slack_ns;
    uint32_t capacity;           /* timers to make room for at once; default 64; grown by doubling */
    unsigned budget;             /* timer records that one dispatch visits at most; default 1024 */
    enum aw_interrupt interrupt; /* default AW_INTERRUPT_STEP */
    /* The caller's own memory, aligned to 64, lent until aw_shutdown: nothing is ever allocated, and a full
     * slab is -ENOMEM. aw_wheel_bytes(timers) of wheel.h says how much it takes. */
    void *memory;
    size_t memory_bytes;
};

/* The defaults, to be changed field by field: struct aw_options options = AW_OPTIONS_DEFAULT; */
#define AW_OPTIONS_DEFAULT                                                                    \
    {                                                                                         \
        sizeof(struct aw_options), AW_ALARM_ITIMER, 0, 0, 0, 0, 0, AW_INTERRUPT_STEP, NULL, 0 \
    }

/*
 * Starts the engine; NULL for the defaults. The calling thread becomes its owner. Calls are counted, so
 * that two libraries can share the engine: the first call's options hold, those of later calls are only
 * checked.
 *
 * AW_ALARM_ITIMER takes ITIMER_REAL and the disposition of SIGALRM. An alarm that is running already goes
 * on and is delivered to the handler that stood there (SIG_DFL: it ends the process, as it would have); a
 * SIGALRM that was sent by hand still reaches that handler. A blocked SIGALRM is unblocked on this thread.
 *
 * Returns 0. Errors: -EINVAL (options); -ENOMEM; -EPERM (running already, owned by another thread); -EBUSY
 * (running already with another alarm source, or inside a callback); -EAGAIN (counted 2^31 - 1 times); and
 * what setitimer, sigaction, timer_create or pthread_atfork say. On an error everything is as before.
 *
 * AS-Unsafe; owner. After fork the child has no engine (every call but aw_guard_leave says -ENODEV) and may
 * call aw_init for one of its own; the handles of the parent's timers are stale there. Two-stage signals
 * and fork rules follow CPython; the recovery of lost alarms follows PostgreSQL's timeout.c.
 */
AW_API int aw_init(const struct aw_options *options);

/*
 * Takes back one aw_init; the last one stops the engine: the alarm is disarmed, a pending one discarded,
 * the old disposition and mask are restored (unless somebody else has replaced ours since), a foreign alarm
 * that is not due yet goes on with the time it has left. All timers are gone and their handles stale. Call
 * it before exec: an interval timer survives exec and would kill the new program (AW_ALARM_POSIX has no
 * such problem, guards on user time aside; neither have fork-then-exec and posix_spawn).
 *
 * Returns 0, or how many callers remain. Errors: -ENODEV; -EPERM; -EBUSY inside a callback; and, for the
 * last caller only, inside a guard or while aw_run runs. AS-Unsafe; owner; in a forked child -ENODEV.
 */
AW_API int aw_shutdown(void);

/* What the engine counts from aw_init on. */
struct aw_stats {
    size_t size;          /* in: sizeof(struct aw_stats); out: the bytes that were filled in */
    uint64_t signals;     /* runs of the handler on the owner thread */
    uint64_t spurious;    /* of these: nothing was due (forged, stolen, or for a timer that has moved) */
    uint64_t forwarded;   /* runs on another thread, passed on to the owner */
    uint64_t chained;     /* signals passed on to the handler that was there before */
    uint64_t dropped;     /* forged ones with no such handler */
    uint64_t programmed;  /* setitimer or timer_settime calls */
    uint64_t avoided;     /* timers armed and guards entered that needed no such call */
    uint64_t expirations; /* callbacks of timers run */
    uint64_t overruns;    /* periods missed by periodic timers */
    uint64_t guards;      /* guards that expired */
    uint64_t posts;       /* posted functions run */
    uint64_t recoveries;  /* alarms that were lost, and programmed again */
    uint64_t thefts;      /* signs of another user of the alarm: its signal, or its handler in our place */
    uint64_t worst_lateness_ns; /* the most that a timer's callback ran after its deadline */
};

/*
 * Fills in *stats, of which the caller set `size`; newer fields than that size knows are left out.
 * Errors: -EINVAL (NULL, size 0); -ENODEV; -EPERM. AS-Unsafe; owner; -ENODEV in a forked child.
 */
AW_API int aw_stats_read(struct aw_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
