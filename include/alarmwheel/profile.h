/* SPDX-License-Identifier: MIT */
/*
 * profile.h: a sampling profiler for the program itself. It is a library of its own, libalarmwheel-profile
 * (pkg-config alarmwheel-profile, CMake alarmwheel::profile), and needs no engine.
 *
 * SIGPROF interrupts the program at the wanted rate; the handler walks the stack and counts it in memory that
 * was set aside at the start: it takes no lock, allocates nothing and writes nothing. What was counted is
 * symbolised (elfutils) and written when it is asked for.
 *
 * Kernels deliver CPU timers at their tick, whatever rate is asked for (250 a second at CONFIG_HZ=250). What
 * a sample stands for is therefore not the period that was asked for: each thread's samples share the time
 * that this thread has really used, so that the totals are true at any rate, with any number of threads.
 *
 * For all functions here, unless said otherwise: MT-Safe, AS-Unsafe; 0 on success, errors are negative errno
 * values. Fork: the parent's profile goes on; the child has none (as before aw_profile_start), and may start
 * its own. Exec ends a profile; call aw_profile_stop before an exec without fork if the clock is CPU, since
 * ITIMER_PROF outlives exec.
 *
 * Linux with glibc 2.35 or later, where a stack can be unwound without a lock; elsewhere aw_profile_start is
 * -ENOTSUP.
 */
#ifndef ALARMWHEEL_PROFILE_H
#define ALARMWHEEL_PROFILE_H

#include <stdbool.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What makes a thread due for a sample. */
enum aw_profile_clock {
    AW_PROFILE_CPU = 0, /* its processor time: ITIMER_PROF in a program of one thread, else a timer each */
    AW_PROFILE_USER,    /* of that, what it uses outside the kernel (as ITIMER_VIRTUAL): a timer each */
    AW_PROFILE_WALL     /* the time that passes, asleep or not: a timer each, at random intervals */
};

/* Options of aw_profile_start. Zero in any field but `size` and `hz` means the default. */
struct aw_profile_options {
    size_t size;                 /* sizeof(struct aw_profile_options) */
    enum aw_profile_clock clock; /* default AW_PROFILE_CPU */
    unsigned hz;                 /* samples a second of each thread's clock, 1 to 10,000; zero is an error */
    unsigned max_depth;          /* frames of a stack, 1 to 256; default 128; deeper ones lose callers */
    size_t max_bytes;            /* memory to count in, 64 KiB to 1 GiB; default 1 MiB */
};

/*
 * Starts to sample all threads that there are; a thread that is made later is sampled once it has registered
 * (aw_profile_thread_register). options NULL: the defaults, at 100 Hz. A profile that was stopped before and
 * not taken is discarded, whatever this returns but -EINVAL, -EBUSY and -ENOTSUP.
 *
 * SIGPROF is taken, with the handler that stood there called for signals that are not this library's, and
 * given back by aw_profile_stop; a program that replaces it meanwhile gets no samples from then on,
 * and is ended by the next one if it has set the default. Watching it (aw_signal_watch) takes no samples
 * away, before the start or after it.
 *
 * Returns 0. Errors: -EINVAL (options: clock, rate, depth or memory out of range, size); -EBUSY (a profile
 * is running or paused); -ENOMEM; -EAGAIN (no timer to be had); -ENOTSUP (this libc).
 */
AW_API int aw_profile_start(const struct aw_profile_options *options);

/*
 * Stops sampling for a while, and goes on; time in between is counted nowhere.
 * Errors: -ENODEV (no profile is running); -EALREADY (it is paused, or it is not).
 */
AW_API int aw_profile_pause(void);
AW_API int aw_profile_resume(void);

/*
 * Ends it: timers and SIGPROF are given back. What was counted stays, to be written or taken, until the next
 * start. Errors: -ENODEV (no profile is running).
 */
AW_API int aw_profile_stop(void);

/* What was counted up to a moment, apart from what is being counted. */
struct aw_profile;

/*
 * Takes what was counted since the start or since the last snapshot, and goes on counting: no sample is lost,
 * none is in two snapshots. After aw_profile_stop it takes the rest, once. Free it with aw_profile_free.
 *
 * Errors: -EINVAL (NULL); -ENODEV (nothing is running, and nothing is left); -ENOMEM: nothing was taken.
 * The first snapshot sets aside a second piece of memory as large as the first.
 */
AW_API int aw_profile_snapshot(struct aw_profile **profile);

/* Frees a snapshot. NULL: nothing. */
AW_API void aw_profile_free(struct aw_profile *profile);

enum aw_profile_format {
    AW_PROFILE_PPROF = 0,  /* profile.proto, compressed, for go tool pprof and others */
    AW_PROFILE_FOLDED,     /* a line a stack, outermost first, semicolons between, then nanoseconds */
    AW_PROFILE_SPEEDSCOPE, /* JSON for speedscope, a profile a thread */
    AW_PROFILE_SVG,        /* a flame graph that opens in a browser, and needs nothing else */
    AW_PROFILE_TEXT        /* a table of functions: own time, and with callees */
};

/*
 * Writes a profile to a descriptor; NULL: what is being counted, or was until the stop, which is not taken
 * by it. Functions are named from the symbol tables and debug information of the program and its libraries,
 * inlined ones too, C++ names demangled if the program can load a demangler (libstdc++). It uses no network.
 *
 * Returns 0. Errors: -EINVAL (fd negative, unknown format); -ENODEV (NULL, and nothing was counted);
 * -ENOMEM; and what write(2) says (-EBADF, -ENOSPC, -EPIPE if SIGPIPE is ignored, -EAGAIN, ...): then a part
 * may have been written, and the profile is as it was. An interrupted write goes on. Not to be called by two
 * threads on the same profile object while one frees it.
 */
AW_API int aw_profile_write(const struct aw_profile *profile, int fd, enum aw_profile_format format);

/*
 * Labels tell samples of the same stack apart: a request's kind, a tenant, a phase. push adds one to those of
 * the calling thread, pop takes back the last one pushed. They work with no profile running, too: one that is
 * started later sees them. Strings are copied, and each different set of labels is kept for the life of the
 * process: at most 4,096 sets (label by kind of request, not by its number).
 *
 * Errors of push: -EINVAL (NULL; an empty key); -ENOMEM; -ENOSPC (4,096 sets). Of pop: -ENOENT (none pushed).
 */
AW_API int aw_profile_label_push(const char *key, const char *value);
AW_API int aw_profile_label_pop(void);

/*
 * Has the calling thread sampled, by this profile and by later ones, until it ends or unregisters. `name`
 * (NULL: the thread's own name) is shown with its samples; at most 15 bytes of it are kept.
 * Returns 0; 1: it was sampled already (it gets the name). Errors: -ENOSPC (256 threads a MiB); -EAGAIN (no
 * timer); -ENOMEM (its end could not be told). unregister: -ENOENT (it was not registered, nor sampled).
 */
AW_API int aw_profile_thread_register(const char *name);
AW_API int aw_profile_thread_unregister(void);

/* What the running profile, or the one that was stopped last, has counted since its start. */
struct aw_profile_stats {
    size_t size;             /* sizeof(struct aw_profile_stats), set by the caller */
    uint64_t samples;        /* counted */
    uint64_t lost;           /* signals that came when the memory was full; their time is shown as [lost] */
    uint64_t truncated;      /* of the samples: deeper than max_depth */
    uint64_t unknown;        /* of the samples: interrupted outside any file's code (generated code) */
    uint64_t foreign;        /* SIGPROF that was not ours: handed on, or dropped if nobody wants it */
    uint64_t time_ns;        /* what the sampled threads have used of the clock: what the totals add up to */
    uint64_t elapsed_ns;     /* since the start, pauses left out */
    uint64_t bytes;          /* memory set aside */
    unsigned threads;        /* that were sampled */
    unsigned threads_missed; /* for which there was no room, or no timer */
    unsigned requested_hz;
    unsigned capped_hz; /* what the kernel delivers at most for this clock; 0: no less than requested */
    double achieved_hz; /* samples and lost ones a second of time_ns */
};

/* Errors: -EINVAL (NULL, size); -ENODEV (nothing was ever started). */
AW_API int aw_profile_stats_read(struct aw_profile_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
