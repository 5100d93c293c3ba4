/* SPDX-License-Identifier: MIT */
/*
 * own.c: a program that profiles itself, with a copy of the sampler of its own: own CLOCK END [MODULE]. It
 * has one thread with `cpu`, else two. It burns until its own profile has samples, and long enough for that
 * of aw-prof to have some of each thread, however seldom ticks find one; prints how many milliseconds its
 * threads have used of the clock, and ends by `exit` or `_exit`. With END `late`, its profile is stopped
 * while signals of its timers are pending, and it goes on. MODULE has one more copy, which profiles, too. It
 * runs alike with and without aw-prof, or fails with 99.
 *
 * Under aw-prof alone, with END `later`: one such signal comes when the profile has been stopped, as kernels
 * before 6.13 may deliver those of timers that were deleted. Without aw-prof the kernel knows that SIGPROF
 * has been ignored meanwhile.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <alarmwheel/profile.h>

#include "burn.h"

BURNER(burn_own)
BURNER(burn_own_worker)

#define SAMPLES 10
#define SLICES 3000 /* then they do not come */
#define PROFILED_SLICES 50

static atomic_bool is_told, is_later, is_there;
static uint64_t worker_ms;

static void hold_back(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(how, &set, NULL);
}

/* The next one of this thread's timer, which the program's sampler has set. */
static siginfo_t take_tick(void)
{
    const struct timespec at_once = { 0, 0 };
    siginfo_t info = { 0 };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    unsigned slices = 0;
    for (; sigtimedwait(&set, &info, &at_once) != SIGPROF && slices < SLICES; ++slices)
        burn_own_worker(10);
    require(slices < SLICES && info.si_code == SI_TIMER, "a signal of the timer's");
    return info;
}

static void *work(void *arg)
{
    bool is_late = *(bool *)arg;
    siginfo_t tick;
    uint64_t began = now_ms(CLOCK_MONOTONIC);
    if (is_late)
        hold_back(SIG_BLOCK);
    atomic_store(&is_there, true);
    if (atomic_load(&is_later))
        tick = take_tick();
    while (!atomic_load(&is_told))
        burn_own_worker(10);
    hold_back(SIG_UNBLOCK);
    if (atomic_load(&is_later))
        require(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &tick) == 0, "it comes late");
    burn_own_worker(1);
    worker_ms = now_ms(CLOCK_MONOTONIC) - began;
    return NULL;
}

static uint64_t samples(void)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    require(aw_profile_stats_read(&stats) == 0, "aw_profile_stats_read");
    return stats.samples;
}

static uint64_t none(void)
{
    return SAMPLES;
}

int main(int argc, char **argv)
{
    require(argc >= 3, "own clock end [module]");
    bool is_wall = strcmp(argv[1], "wall") == 0, is_late = strncmp(argv[2], "late", 4) == 0;
    atomic_store(&is_later, strcmp(argv[2], "later") == 0);
    bool has_worker = strcmp(argv[1], "cpu") != 0;
    clockid_t clock = is_wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
    const struct aw_profile_options options = {
        .size = sizeof options,
        .clock = is_wall                        ? AW_PROFILE_WALL
                 : strcmp(argv[1], "user") == 0 ? AW_PROFILE_USER
                                                : AW_PROFILE_CPU,
        .hz = 250,
    };
    uint64_t (*others)(void) = none;
    if (argc > 3) {
        void *module = dlopen(argv[3], RTLD_NOW);
        require(module != NULL, "dlopen");
        *(void **)&others = dlsym(module, "samples_in_module");
        require(others != NULL, "dlsym");
    }
    uint64_t began = is_wall ? now_ms(clock) : 0;
    pthread_t worker;
    if (has_worker)
        require(pthread_create(&worker, NULL, work, &is_late) == 0, "pthread_create");
    while (has_worker && !atomic_load(&is_there))
        sched_yield();
    require(aw_profile_start(&options) == 0, "aw_profile_start");
    unsigned slices = 0, least = is_late ? 0 : PROFILED_SLICES;
    for (; (slices < least || samples() < SAMPLES || others() < SAMPLES) && slices < SLICES; ++slices)
        burn_own(10);
    require(slices < SLICES, "its own samples come");
    if (is_late) {
        hold_back(SIG_BLOCK);
        burn_own(20);
    }
    require(aw_profile_stop() == 0, "aw_profile_stop");
    struct sigaction action;
    require(sigaction(SIGPROF, NULL, &action) == 0, "sigaction");
    require(argc > 3 || action.sa_handler == SIG_DFL, "SIGPROF is given back");
    hold_back(SIG_UNBLOCK);
    atomic_store(&is_told, true);
    if (has_worker)
        require(pthread_join(worker, NULL) == 0, "pthread_join");
    printf("%llu\n", (unsigned long long)(now_ms(clock) - began + (is_wall ? worker_ms : 0)));
    fflush(stdout);
    if (strcmp(argv[2], "_exit") == 0)
        _exit(0);
    return 0;
}
