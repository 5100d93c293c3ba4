/* SPDX-License-Identifier: MIT */
/*
 * turnover.c: the time of threads that come and go while a profile runs, many of them before they were
 * sampled once. Each reads its clock before and after it registers, and before and after it takes leave:
 * what the profile says lies between.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "accuracy.h"
#include "tally.h"
#include "work.h"

#define AT_ONCE 4

struct kind {
    const char *name;
    unsigned threads;
    uint64_t burn_ns;
    unsigned hz;
    bool is_silent;         /* they end without unregistering */
    unsigned snapshot_each; /* threads; 0: one snapshot at the end */
};

static const struct kind kinds[] = {
    { "threads of 30 ms", 24, 30000000, 1000, false, 0 },
    { "threads of 30 ms that end without a word", 24, 30000000, 1000, true, 0 },
    { "threads shorter than a period", 200, 1000000, 100, false, 0 },
    { "more threads than there is room for at once", 600, 500000, 1000, false, 100 },
};

static _Atomic uint64_t inner_ns;
static _Atomic uint64_t outer_ns;
static atomic_uint refused;

static void *live(void *arg)
{
    const struct kind *kind = arg;
    const uint64_t begin = work_cpu_ns();
    if (aw_profile_thread_register(NULL) < 0)
        atomic_fetch_add(&refused, 1);
    const uint64_t start = work_cpu_ns();
    work_burn(kind->burn_ns);
    const uint64_t stop = work_cpu_ns();
    if (!kind->is_silent)
        aw_profile_thread_unregister();
    atomic_fetch_add(&inner_ns, stop - start);
    atomic_fetch_add(&outer_ns, work_cpu_ns() - begin);
    return NULL;
}

/* The time of all threads but this one. */
static uint64_t others_ns(const struct aw_profile *profile)
{
    return tally_time_ns(profile, 0) - tally_time_ns(profile, (int32_t)gettid());
}

static uint64_t take(void)
{
    struct aw_profile *profile = NULL;
    if (aw_profile_snapshot(&profile) != 0)
        return 0;
    const uint64_t time_ns = others_ns(profile);
    aw_profile_free(profile);
    return time_ns;
}

static bool measure(const struct kind *kind)
{
    uint64_t told_ns = 0;
    inner_ns = outer_ns = 0;
    refused = 0;
    if (!tally_start(AW_PROFILE_CPU, kind->hz))
        return false;
    for (unsigned i = 0; i < kind->threads; i += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        unsigned made = 0;
        while (made < AT_ONCE && pthread_create(&threads[made], NULL, live, (void *)(uintptr_t)kind) == 0)
            made++;
        for (unsigned j = 0; j < made; j++)
            pthread_join(threads[j], NULL);
        if (kind->snapshot_each != 0 && (i + AT_ONCE) % kind->snapshot_each == 0)
            told_ns += take();
    }
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return false;
    told_ns += others_ns(profile);
    aw_profile_free(profile);
    /* The last of a silent thread's life is not seen by itself. */
    const double slack = kind->is_silent ? 1.01 : 1;
    return accuracy_say(refused == 0 && told_ns >= inner_ns && (double)told_ns <= (double)outer_ns * slack,
                        "%u %s, %u Hz: used %.5f to %.5f s, reported %.5f s; %u refused", kind->threads,
                        kind->name, kind->hz, (double)inner_ns / 1e9, (double)outer_ns / 1e9,
                        (double)told_ns / 1e9, refused);
}

int turnover_run(bool is_long)
{
    bool is_met = true;
    for (unsigned round = 0; round < (is_long ? 5u : 1u); round++)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            is_met = measure(&kinds[i]) && is_met;
    return is_met ? 0 : 1;
}
