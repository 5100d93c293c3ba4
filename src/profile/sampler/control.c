/* SPDX-License-Identifier: MIT */
/*
 * control.c: the lock of the sampler's control functions, its memory, and what a fork does to it. The handler
 * takes no lock (state.h).
 */
#include "control.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "registry.h"
#include "state.h"

struct awi_control awi_control;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Of who holds the lock. */
static int saved_errno;
static sigset_t saved_mask;

void *awi_control_allocate(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

size_t awi_control_slots_bytes(void)
{
    return awi_sampler.recording.head->threads_max * sizeof(struct awi_slot);
}

int awi_control_state(void)
{
    return atomic_load(&awi_sampler.state);
}

bool awi_sampler_is_on(void)
{
    return awi_control_state() != AWI_SAMPLER_OFF;
}

void awi_control_wait_until_left(unsigned half)
{
    for (unsigned tries = 0; atomic_load(&awi_sampler.inside[half]) != 0; ++tries) {
        struct timespec pause = { .tv_nsec = tries < 10 ? 1000 : 100000 };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

static void before_fork(void)
{
    awi_control_enter();
}

static void after_fork(void)
{
    awi_control_leave(0);
}

bool awi_control_is_handler_ours(void)
{
    struct sigaction now;
    return sigaction(SIGPROF, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
           now.sa_sigaction == awi_sampler_handle;
}

void awi_control_release_memory(void)
{
    if (awi_control.second_half != NULL)
        munmap(awi_control.second_half, awi_recording_half_bytes(&awi_sampler.recording));
    if (awi_control.own_block != NULL)
        munmap(awi_control.own_block, awi_sampler.recording.head->bytes);
    awi_control.second_half = awi_control.own_block = NULL;
    awi_sampler.recording = (struct awi_recording){ 0 };
}

/* The child has inherited a handler, and neither timers nor threads. */
static void in_forked_child(void)
{
    pthread_mutex_unlock(&lock);
    awi_registry_forked((int32_t)gettid());
    bool was_on = awi_control_state() != AWI_SAMPLER_OFF;
    atomic_store(&awi_sampler.state, AWI_SAMPLER_OFF);
    atomic_store(&awi_sampler.uses_itimer, false);
    atomic_store(&awi_sampler.owes_tick, false);
    for (unsigned half = 0; half < AWI_HALVES; ++half)
        atomic_store(&awi_sampler.inside[half], 0);
    if (was_on && awi_control_is_handler_ours())
        sigaction(SIGPROF, awi_sampler_found(), NULL);
    if (was_on)
        munmap(awi_sampler.slots, awi_control_slots_bytes());
    awi_sampler.slots = NULL;
    if (awi_sampler.recording.head != NULL)
        awi_control_release_memory();
    awi_control.is_counting = false;
    pthread_sigmask(SIG_SETMASK, &saved_mask, NULL);
}

static void initialize(void)
{
    pthread_atfork(before_fork, after_fork, in_forked_child);
    awi_control.has_key = pthread_key_create(&awi_control.at_thread_end, awi_sampled_thread_ends) == 0;
}

/*
 * With all signals blocked: a handler of the program's may fork, which takes the lock, or end its thread,
 * while this thread has it.
 */
void awi_control_enter(void)
{
    sigset_t all;
    sigset_t mask;
    int saved = errno;
    pthread_once(&once, initialize);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pthread_mutex_lock(&lock);
    saved_mask = mask;
    saved_errno = saved;
}

int awi_control_leave(int result)
{
    sigset_t mask = saved_mask;
    int saved = saved_errno;
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = saved;
    return result;
}

void awi_sampler_lock(void)
{
    awi_control_enter();
}

void awi_sampler_unlock(void)
{
    awi_control_leave(0);
}
