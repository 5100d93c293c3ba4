/* SPDX-License-Identifier: MIT */
/*
 * sampler.c: starts, pauses and stops the taking of samples, and gives everything back: timers, SIGPROF,
 * memory.
 */
#include "sampler.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../guard/object.h"
#include "control.h"
#include "registry.h"
#include "walk.h"

#define NS_PER_SEC UINT64_C(1000000000)

const struct sigaction *awi_sampler_found(void)
{
    return &awi_sampler.found[atomic_load(&awi_sampler.found_at)];
}

/* The kernel's tick, at which its CPU timers run. */
static uint64_t tick_ns(void)
{
    struct timespec resolution = { 0 };
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0)
        return 0;
    return (uint64_t)resolution.tv_sec * NS_PER_SEC + (uint64_t)resolution.tv_nsec;
}

unsigned awi_sampler_capped_hz(enum aw_profile_clock clock, unsigned hz)
{
    uint64_t tick = clock != AW_PROFILE_WALL ? tick_ns() : 0;
    return tick > NS_PER_SEC / hz ? (unsigned)(NS_PER_SEC / tick) : 0;
}

static int check(const struct awi_sampler_options *options)
{
    if (options->clock > AW_PROFILE_WALL || options->hz == 0 || options->hz > 10000 ||
        options->max_depth == 0 || options->max_depth > AWI_DEPTH_MAX)
        return -EINVAL;
#if AWI_UNWINDS_IN_HANDLERS
    return awi_control_state() != AWI_SAMPLER_OFF ? -EBUSY : 0;
#else
    return -ENOTSUP;
#endif
}

static void write_head(const struct awi_sampler_options *options)
{
    struct awi_recording_head *head = awi_sampler.recording.head;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    head->clock = options->clock;
    head->hz = options->hz;
    head->max_depth = options->max_depth;
    head->pid = (int32_t)getpid();
    head->pid_namespace = awi_registry_pid_namespace();
    head->started_realtime_ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
    head->started_ns = awi_control.resumed_ns = awi_slot_now();
    ssize_t bytes = readlink("/proc/self/exe", head->program, sizeof head->program - 1);
    head->program[bytes > 0 ? bytes : 0] = '\0';
    awi_recording_publish(&awi_sampler.recording);
}

static int make_recording(const struct awi_sampler_options *options)
{
    if (awi_sampler.recording.head != NULL)
        awi_control_release_memory();
    void *block = options->block != NULL ? options->block : awi_control_allocate(options->bytes);
    if (block == NULL)
        return -ENOMEM;
    int error = awi_recording_format(block, options->bytes, &awi_sampler.recording);
    if (error == 0 && (awi_sampler.slots = awi_control_allocate(awi_control_slots_bytes())) == NULL)
        error = -ENOMEM;
    if (options->block == NULL)
        awi_control.own_block = block;
    if (error != 0) {
        if (awi_control.own_block != NULL)
            munmap(awi_control.own_block, options->bytes);
        awi_control.own_block = NULL;
        awi_sampler.recording = (struct awi_recording){ 0 };
        return error;
    }
    write_head(options);
    return 0;
}

static void find(const struct sigaction *action)
{
    unsigned next = 1 - atomic_load(&awi_sampler.found_at);
    awi_sampler.found[next] = *action;
    atomic_store(&awi_sampler.found_at, next);
}

/*
 * What is found is known before ours is there. Ours may be there already: who had replaced it at a stop has
 * put it back since. Then what was found before is what is beneath it.
 */
static bool take_signal(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
    struct sigaction old;
    action.sa_sigaction = awi_sampler_handle;
    sigfillset(&action.sa_mask);
    if (awi_control_is_handler_ours())
        return true;
    if (sigaction(SIGPROF, NULL, &old) != 0)
        return false;
    find(&old);
    return sigaction(SIGPROF, &action, NULL) == 0;
}

/*
 * SIG_IGN discards what is pending, in all threads, before the disposition that was found comes back: that
 * may be SIG_DFL, which kills. Handlers that have been entered see the state, and leave.
 */
static void give_signal_back(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    for (unsigned half = 0; half < AWI_HALVES; ++half)
        awi_control_wait_until_left(half);
    if (!awi_control_is_handler_ours())
        return;
    sigaction(SIGPROF, &ignore, NULL);
    sigaction(SIGPROF, awi_sampler_found(), NULL);
    atomic_store(&awi_sampler.owes_tick, false);
}

static void release_slots(void)
{
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i)
        awi_slot_timer_delete(&awi_sampler.slots[i]);
}

static void unmap_slots(void)
{
    munmap(awi_sampler.slots, awi_control_slots_bytes());
    awi_sampler.slots = NULL;
}

static int begin(const struct awi_sampler_options *options)
{
    int error = make_recording(options);
    if (error != 0)
        return error;
    uint64_t tick = options->clock != AW_PROFILE_WALL ? tick_ns() : 0;
    awi_sampler.tick_ns = tick;
    awi_sampler.clock = options->clock;
    awi_sampler.max_depth = options->max_depth;
    awi_sampler.foreign = options->foreign;
    awi_sampler.period_ns = NS_PER_SEC / options->hz;
    awi_sampler.delivered_ns = tick > awi_sampler.period_ns ? tick : awi_sampler.period_ns;
    atomic_fetch_add(&awi_sampler.generation, 1);
    atomic_store(&awi_sampler.active, 0);

    bool uses_itimer = options->clock == AW_PROFILE_CPU && !options->has_only_posix_timers &&
                       awi_itimer_is_free() && awi_registry_count() == 1;
    atomic_store(&awi_sampler.uses_itimer, uses_itimer);
    awi_unwind_warm();
    awi_control.is_counting = false;
    error = awi_sampled_add((int32_t)gettid());
    if (error == 0)
        awi_sampled_know_self();
    if (error == 0 && !take_signal())
        error = -EAGAIN;
    if (error != 0) {
        atomic_store(&awi_sampler.uses_itimer, false);
        release_slots();
        unmap_slots();
        awi_control_release_memory();
        return error;
    }
    atomic_store(&awi_sampler.state, AWI_SAMPLER_PAUSED);
    return 0;
}

static void go_on(bool is_to_find)
{
    awi_control.resumed_ns = awi_slot_now();
    atomic_store(&awi_sampler.state, AWI_SAMPLER_RUNNING);
    if (is_to_find)
        awi_sampled_find();
    awi_control.is_counting = true;
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        if (atomic_load(&awi_sampler.recording.threads[i].state) == AWI_THREAD_SAMPLED)
            awi_sampled_begin(&awi_sampler.slots[i]);
    }
    if (atomic_load(&awi_sampler.uses_itimer))
        awi_itimer_start(awi_sampler.period_ns);
}

static void halt(int next)
{
    struct awi_recording_head *head = awi_sampler.recording.head;
    if (atomic_load(&awi_sampler.uses_itimer))
        awi_itimer_stop(awi_sampler.period_ns);
    /* Handlers that still saw it running may have set a timer again. */
    atomic_store(&awi_sampler.state, next);
    for (unsigned half = 0; half < AWI_HALVES; ++half)
        awi_control_wait_until_left(half);
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        if (atomic_load(&awi_sampler.recording.threads[i].state) == AWI_THREAD_SAMPLED)
            awi_sampled_end(&awi_sampler.slots[i]);
    }
    awi_control.is_counting = false;
    atomic_fetch_add(&head->elapsed_ns, awi_slot_now() - awi_control.resumed_ns);
}

int awi_sampler_start(const struct awi_sampler_options *options)
{
    awi_control_enter();
    int error = check(options);
    if (error == 0)
        error = begin(options);
    if (error == 0)
        go_on(!options->has_one_thread);
    return awi_control_leave(error);
}

int awi_sampler_pause(void)
{
    awi_control_enter();
    if (awi_control_state() == AWI_SAMPLER_OFF)
        return awi_control_leave(-ENODEV);
    if (awi_control_state() == AWI_SAMPLER_PAUSED)
        return awi_control_leave(-EALREADY);
    halt(AWI_SAMPLER_PAUSED);
    return awi_control_leave(0);
}

int awi_sampler_resume(void)
{
    awi_control_enter();
    if (awi_control_state() == AWI_SAMPLER_OFF)
        return awi_control_leave(-ENODEV);
    if (awi_control_state() == AWI_SAMPLER_RUNNING)
        return awi_control_leave(-EALREADY);
    /* The kernel adds a tick to whatever ITIMER_PROF is set to: after short pauses it would never expire. */
    if (atomic_load(&awi_sampler.uses_itimer))
        awi_sampled_leave_itimer();
    go_on(true);
    return awi_control_leave(0);
}

int awi_sampler_stop(void)
{
    awi_control_enter();
    if (awi_control_state() == AWI_SAMPLER_OFF)
        return awi_control_leave(-ENODEV);
    if (awi_control_state() == AWI_SAMPLER_RUNNING)
        halt(AWI_SAMPLER_OFF);
    atomic_store(&awi_sampler.state, AWI_SAMPLER_OFF);
    awi_sampled_give_itimer_up();
    release_slots();
    give_signal_back();
    unmap_slots();
    return awi_control_leave(0);
}

void awi_sampler_discard(void)
{
    awi_control_enter();
    if (awi_control_state() == AWI_SAMPLER_OFF && awi_sampler.recording.head != NULL)
        awi_control_release_memory();
    awi_control_leave(0);
}
