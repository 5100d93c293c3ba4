/* SPDX-License-Identifier: MIT */
/*
 * recording.h: the memory that samples are counted in. One block with a header, and offsets in place of
 * pointers, so that another process can read it from a file after the writer has died at any instruction:
 * whatever is published is whole.
 *
 * Written by the sampler (its handler and control functions); read by freeze.c.
 */
#ifndef AWI_PROFILE_RECORDING_H
#define AWI_PROFILE_RECORDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model.h"

#define AWI_RECORDING_MAGIC UINT64_C(0x31304f4650574142) /* "BAWPFO01" */
#define AWI_DEPTH_MAX 256u
#define AWI_HALVES 2u
#define AWI_BUILD_ID_BYTES 20u

/* What one thread has counted in one half of a recording. Written by that thread's handler only. */
struct awi_counts {
    _Atomic uint64_t samples; /* stacks that were counted */
    _Atomic uint64_t lost;
    _Atomic uint64_t lost_ns; /* their weight */
    _Atomic uint64_t truncated;
    _Atomic uint64_t unknown;
    _Atomic uint64_t nominal_ns; /* the periods that the timer says have passed: those of missed ones too */
};

enum awi_thread_state {
    AWI_THREAD_FREE = 0,
    AWI_THREAD_TAKEN,
    AWI_THREAD_SAMPLED,
    AWI_THREAD_ENDED
};

struct awi_thread_record {
    _Atomic uint32_t state;
    int32_t tid;
    uint32_t is_shared; /* by threads that have ended */
    char name[AWI_NAME_BYTES];
    _Atomic uint64_t used_ns; /* of the clock while it was sampled, as of its end, a pause or the last look */
    uint64_t running_since_ns; /* the clock's reading at the start, or when it was resumed */
    uint64_t looked_ns;        /* what it had used when it was last looked at */
    uint64_t taken_ns;         /* of that, what earlier snapshots hold */
    struct awi_counts counts[AWI_HALVES];
};

struct awi_module_record {
    _Atomic uint32_t is_ready;
    uint32_t path; /* offset in the strings */
    uint64_t start;
    uint64_t end;
    uint64_t bias;
    uint32_t build_id_bytes;
    uint8_t build_id[AWI_BUILD_ID_BYTES];
};

/* A stack of one thread with one set of labels; `hash` zero: free. Counted by that thread's handler only. */
struct awi_stack_record {
    _Atomic uint64_t hash;
    _Atomic uint64_t count;
    _Atomic uint64_t weight_ns; /* the sum of what the timer said has passed before each */
    _Atomic uint32_t frames;    /* 1 + index of the first in the frames; 0: not whole yet */
    uint32_t label;
    uint16_t thread;
    uint16_t depth;
    uint16_t is_truncated;
    uint16_t is_unknown; /* interrupted in no module */
};

struct awi_half_head {
    _Atomic uint64_t frames_used;
};

/* The block's head. Everything that is not atomic is written before `magic`. */
struct awi_recording_head {
    _Atomic uint64_t magic;
    uint64_t bytes;
    uint32_t clock;
    uint32_t hz;
    uint32_t max_depth;
    int32_t pid;
    uint64_t pid_namespace; /* in which that is its number: the inode; 0: not known */
    uint64_t started_realtime_ns;
    uint64_t started_ns;
    _Atomic uint64_t elapsed_ns; /* as of the last pause, stop or look */
    _Atomic uint64_t foreign;
    struct awi_counts taken;   /* what snapshots have taken, of all threads */
    uint64_t taken_elapsed_ns; /* elapsed, and the real time, when the last snapshot was taken */
    uint64_t taken_realtime_ns;
    uint64_t ended_ns; /* what threads have used whose records were given to others */
    _Atomic uint32_t threads_sampled;
    _Atomic uint32_t threads_used;
    _Atomic uint32_t threads_missed;
    _Atomic uint32_t modules_used;
    _Atomic uint32_t strings_used;
    _Atomic uint32_t stop_wanted; /* by a reader of the file: the sampler is to disarm its timers */
    uint32_t threads_max;
    uint32_t modules_max;
    uint32_t strings_max;
    uint32_t stacks_max; /* a power of two, in each half */
    uint32_t frames_max;
    uint64_t threads; /* offsets */
    uint64_t modules;
    uint64_t strings;
    uint64_t stacks;
    uint64_t frames;
    struct awi_half_head half; /* of the half in this block */
    char program[512];
};

/* The parts of a block, by address. */
struct awi_half {
    struct awi_half_head *head;
    struct awi_stack_record *stacks;
    uint64_t *frames;
};

struct awi_recording {
    struct awi_recording_head *head;
    struct awi_thread_record *threads;
    struct awi_module_record *modules;
    char *strings;
    struct awi_half halves[AWI_HALVES]; /* the second is a block of its own; absent: all NULL */
};

/*
 * Lays a zeroed block out, and finds its parts. What the head says of the profile (clock and so on, program)
 * is written by the caller, who publishes it by awi_recording_publish. -ENOMEM: too small.
 */
int awi_recording_format(void *block, size_t bytes, struct awi_recording *recording);
void awi_recording_publish(struct awi_recording *recording);

/*
 * Finds the parts of a block that another process has written. Nothing in it is trusted: -EBADMSG if it is
 * not a whole recording of this version.
 */
int awi_recording_attach(void *block, size_t bytes, struct awi_recording *recording);

/* The bytes of a second half for this recording, and its parts in zeroed memory. */
size_t awi_recording_half_bytes(const struct awi_recording *recording);
void awi_recording_set_half(struct awi_recording *recording, void *block);

/*
 * Sets looked_ns of all threads for a recording of another process, whose clocks cannot be read: what was
 * used at a thread's end; what the process has seen itself, at its own end in good order; else the periods
 * that have passed.
 */
void awi_recording_look(struct awi_recording *recording);

/* The threads that were ever given a record: at most threads_max. AS-Safe. */
uint32_t awi_recording_threads(const struct awi_recording *recording);

#endif
