/* SPDX-License-Identifier: MIT */
/*
 * loader.c: threads that spend their lives inside the loader, with its locks held, sampled at 4,000 Hz of
 * wall time. A walk that took one of these locks would wait for ever for the thread that it has
 * interrupted. On a slow machine it goes on until each of them has had a turn.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "accuracy.h"
#include "tally.h"
#include "work.h"

enum {
    ITERATES,
    LOADS,
    ALLOCATES,
    MAKES_THREADS,
    KINDS
};

static const char *const names[KINDS] = { "dl_iterate_phdr", "dlopen and dlclose", "malloc",
                                          "threads that come and go" };
static atomic_bool is_over;
static _Atomic uint64_t turns[KINDS];

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    for (unsigned i = 0; i < 2000; i++)
        *(volatile unsigned *)arg += i;
    return 0;
}

static void iterate(void)
{
    unsigned sum = 0;
    dl_iterate_phdr(look, &sum);
}

static void load(void)
{
    static const char *const modules[2] = { ACCURACY_MODULE, ACCURACY_MODULE_OTHER };
    for (unsigned i = 0; i < 2; i++) {
        void *module = dlopen(modules[i], RTLD_LAZY | RTLD_LOCAL);
        if (module == NULL)
            continue;
        uint64_t (*enter)(uint64_t) = (uint64_t(*)(uint64_t))(uintptr_t)dlsym(module, "module_enter");
        for (unsigned j = 0; enter != NULL && j < 50; j++)
            enter(j);
        dlclose(module);
    }
}

static void allocate(void)
{
    static uint64_t seed;
    void *volatile block = malloc(100000 + work_random(&seed) % 100000);
    free(block);
    block = malloc(work_random(&seed) % 1000);
    free(block);
}

static void *live_shortly(void *unused)
{
    if (aw_profile_thread_register(NULL) >= 0)
        work_burn(200000);
    return unused;
}

static void make_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, live_shortly, NULL) == 0)
        pthread_join(thread, NULL);
}

static void *live(void *arg)
{
    static void (*const bodies[KINDS])(void) = { iterate, load, allocate, make_thread };
    const unsigned kind = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&is_over)) {
        bodies[kind]();
        atomic_fetch_add(&turns[kind], 1);
    }
    return NULL;
}

static bool has_each_turned(void)
{
    for (unsigned i = 0; i < KINDS; i++)
        if (atomic_load(&turns[i]) == 0)
            return false;
    return true;
}

static int run_loader(void *arg)
{
    const uint64_t least_ns = *(unsigned *)arg * UINT64_C(1000000000);
    const uint64_t most_ns = least_ns + UINT64_C(48000000000);
    pthread_t threads[KINDS];
    for (uintptr_t i = 0; i < KINDS; i++)
        if (pthread_create(&threads[i], NULL, live, (void *)i) != 0)
            return 1;
    if (!tally_start(AW_PROFILE_WALL, 4000))
        return 1;
    /* Snapshots give room to new threads, and change halves under the samples. */
    struct aw_profile *profile = NULL;
    uint64_t samples = 0;
    const uint64_t start_ns = work_wall_ns();
    uint64_t passed_ns = 0;
    while (passed_ns < least_ns || (passed_ns < most_ns && (samples == 0 || !has_each_turned()))) {
        work_sleep(100000000);
        if (aw_profile_snapshot(&profile) != 0)
            return accuracy_say(false, "snapshot failed") ? 0 : 1;
        samples += tally_count(profile, 0);
        aw_profile_free(profile);
        passed_ns = work_wall_ns() - start_ns;
    }
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < KINDS; i++)
        pthread_join(threads[i], NULL);
    profile = tally_stop();
    if (profile == NULL)
        return 1;
    aw_profile_free(profile);
    bool is_met = accuracy_say(samples > 0, "%.1f s at 4000 Hz: %llu samples", (double)passed_ns / 1e9,
                               (unsigned long long)samples);
    for (unsigned i = 0; i < KINDS; i++)
        is_met =
            accuracy_say(turns[i] > 0, "%s: %llu turns", names[i], (unsigned long long)turns[i]) && is_met;
    return is_met ? 0 : 1;
}

int loader_run(bool is_long)
{
    unsigned seconds = is_long ? 10 : 2;
    return accuracy_in_child("loader", seconds + 60, run_loader, &seconds);
}
