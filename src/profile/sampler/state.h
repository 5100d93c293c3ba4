/* SPDX-License-Identifier: MIT */
/*
 * state.h: what the sampler's control functions and its handler share. Control changes it under one lock; the
 * handler takes none.
 *
 * The handler announces itself in `inside` of the half that it is going to count in, and looks again whether
 * that is still the half:
 *
 *   control: active = new, then waits for inside[old] == 0     (both sequentially consistent)
 *   handler: ++inside[half], then active == half ?
 *
 *   handler first     control sees it inside, and waits
 *   control first     the handler sees the new half, takes its announcement back and starts over
 *
 * and so with the state: control stores OFF, then waits for both; a handler that comes later sees OFF, and
 * counts nothing.
 */
#ifndef AWI_PROFILE_STATE_H
#define AWI_PROFILE_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "recording.h"
#include "sampler.h"

enum awi_sampler_state {
    AWI_SAMPLER_OFF = 0,
    AWI_SAMPLER_RUNNING,
    AWI_SAMPLER_PAUSED
};

/* What this process keeps of a sampled thread, beside its record: by the same index. */
struct awi_slot {
    struct awi_thread_record *record;
    timer_t timer;
    bool has_timer;
    uint32_t random;
    uint64_t pcs[AWI_DEPTH_MAX]; /* the stack that is being counted: an alternate stack may be small */
    uint64_t due_ns;             /* WALL: when the timer was to expire, on CLOCK_MONOTONIC */
};

struct awi_sampler {
    _Atomic int state;
    _Atomic unsigned active; /* the half that is counted in */
    _Atomic unsigned inside[AWI_HALVES];
    _Atomic uint32_t generation; /* of the recording; what threads remember of an older one is void */
    _Atomic bool uses_itimer;
    enum aw_profile_clock clock;
    unsigned max_depth;
    uint64_t period_ns;
    uint64_t tick_ns;      /* of the kernel's CPU timers */
    uint64_t delivered_ns; /* the shortest period that the kernel delivers of this clock */
    struct awi_recording recording;
    struct awi_slot *slots;
    /*
     * What stood at SIGPROF before. Our handler may be called at any time, also when we are off: so it is
     * written where nobody reads, and then named.
     */
    struct sigaction found[2];
    _Atomic unsigned found_at;
    /* The interval timer was ours, and is not: one signal of it may be pending still. */
    _Atomic bool owes_tick;
    void (*foreign)(int signo, siginfo_t *info, void *context);
};

extern struct awi_sampler awi_sampler;

/* What a thread knows of itself; its handler reads it. */
struct awi_self {
    uint32_t generation;
    bool has_ended;
    bool is_handing_on; /* a signal that is not ours */
    struct awi_slot *slot;
};

extern _Thread_local struct awi_self awi_self __attribute__((tls_model("initial-exec")));

/* Handler of SIGPROF. */
void awi_sampler_handle(int signo, siginfo_t *info, void *context);

/* A living thread's slot; NULL: it has none. AS-Safe. */
struct awi_slot *awi_slot_find(int32_t tid);

/* Gives a thread a slot, without a timer; NULL: there is none left. AS-Safe. */
struct awi_slot *awi_slot_claim(int32_t tid);

/* CLOCK_MONOTONIC, in nanoseconds. AS-Safe. */
uint64_t awi_slot_now(void);

/* The slot's thread's own time of the sampler's clock; false: it has ended. */
bool awi_slot_clock(const struct awi_slot *slot, uint64_t *now_ns);

/*
 * What the signal of a slot's timer carries in this profile; and is it a value of this copy of the sampler,
 * of this profile or an earlier one? AS-Safe.
 */
uintptr_t awi_timer_value(uint32_t index);
bool awi_timer_value_is_ours(uintptr_t value);

/* A timer of the slot's thread. -EAGAIN. start, stop and again: AS-Safe. */
int awi_slot_timer_create(struct awi_slot *slot);
void awi_slot_timer_start(struct awi_slot *slot);
void awi_slot_timer_stop(struct awi_slot *slot);
void awi_slot_timer_delete(struct awi_slot *slot);

/*
 * WALL: how long the intervals were that have passed; a next one is begun, but the timer not yet set. 0:
 * early.
 */
uint64_t awi_slot_timer_pass(struct awi_slot *slot);
void awi_slot_timer_again(struct awi_slot *slot);

/* ITIMER_PROF, for a process with one thread. */
bool awi_itimer_is_free(void);
void awi_itimer_start(uint64_t period_ns);
/* Unless somebody else has set it to another period meanwhile. */
void awi_itimer_stop(uint64_t period_ns);

#endif
