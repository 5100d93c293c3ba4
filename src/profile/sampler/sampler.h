/* SPDX-License-Identifier: MIT */
/*
 * sampler.h: takes samples and counts them in a recording. Called by the library's functions (profile.c) and
 * by the library that aw-prof loads into programs. One a process.
 *
 * All functions: AS-Unsafe, MT-Safe, unless said otherwise; 0 or negative errno.
 */
#ifndef AWI_PROFILE_SAMPLER_H
#define AWI_PROFILE_SAMPLER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <alarmwheel/profile.h>

#include "recording.h"

struct awi_sampler_options {
    enum aw_profile_clock clock;
    unsigned hz;
    unsigned max_depth;
    void *block; /* zeroed memory of `bytes` to record in, kept by the caller; NULL: the sampler's own */
    size_t bytes;
    bool has_only_posix_timers; /* never ITIMER_PROF, which outlives exec */
    bool has_one_thread;        /* known to: nothing is asked, nor allocated, to find others at the start */
    /*
     * What is done in the handler with a SIGPROF that is not of our timers. NULL: the handler that stood
     * there before is called, if there was one.
     */
    void (*foreign)(int signo, siginfo_t *info, void *context);
};

/* -EINVAL, -EBUSY (it runs, or is paused), -ENOMEM, -EAGAIN, -ENOTSUP. */
int awi_sampler_start(const struct awi_sampler_options *options);
/* -ENODEV, -EALREADY. */
int awi_sampler_pause(void);
int awi_sampler_resume(void);
/* The recording stays until awi_sampler_discard or the next start. -ENODEV. */
int awi_sampler_stop(void);
void awi_sampler_discard(void);

/*
 * Has the calling thread sampled, now and by later recordings, until awi_sampler_thread_end or its end.
 * 0, 1 (it was already), -ENOSPC, -EAGAIN. `name` may be NULL.
 */
int awi_sampler_thread_add(const char *name);
/* -ENOENT. */
int awi_sampler_thread_end(void);

/* The disposition of SIGPROF that was found at the start: for who interposes sigaction. AS-Safe. */
const struct sigaction *awi_sampler_found(void);

/*
 * A SIGPROF that somebody has taken by sigwait and its like: was it one of ours? Then it counts as nothing,
 * and its timer goes on. AS-Safe.
 */
bool awi_sampler_drop(const siginfo_t *info);

/* Was it sent by the timer of a sampler of this kind, this one or another copy of it? AS-Safe. */
bool awi_sampler_is_tick(const siginfo_t *info);

/* Has it been started and not stopped? */
bool awi_sampler_is_on(void);

/* The lock under which all of this is done, for what has to be done under it elsewhere. Forks take it. */
void awi_sampler_lock(void);
void awi_sampler_unlock(void);

/*
 * Who wants to see a recording. `prepare` (NULL: nothing to do) gets the memory that `see` will need, and
 * says 0 or negative errno; `see` cannot fail. Both are called under the sampler's lock.
 */
struct awi_viewer {
    int (*prepare)(const struct awi_recording *recording, void *arg);
    void (*see)(struct awi_recording *recording, unsigned half, void *arg);
    void *arg;
};

/*
 * Shows a half in which nothing is counted any more, while samples go to the other one, and then empties it.
 * If the sampler has stopped, it shows the last half, and then discards the recording. In both, the threads'
 * looked_ns is what they have used. -ENODEV, -ENOMEM, or what `prepare` says: then nothing was taken.
 */
int awi_sampler_take(const struct awi_viewer *viewer);

/* The same without taking anything: what is seen may be growing. -ENODEV, or what `prepare` says. */
int awi_sampler_look(const struct awi_viewer *viewer);

/*
 * Nanoseconds since the start without pauses; bytes set aside; rate at which the kernel caps this clock, or
 * 0.
 */
uint64_t awi_sampler_elapsed(const struct awi_recording *recording);
size_t awi_sampler_bytes(void);
unsigned awi_sampler_capped_hz(enum aw_profile_clock clock, unsigned hz);

/* The calling thread's set of labels, read by its handler. */
extern _Thread_local _Atomic uint32_t awi_thread_label __attribute__((tls_model("initial-exec")));

#endif
