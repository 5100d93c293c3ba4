/* SPDX-License-Identifier: MIT */
/*
 * cycles.c: starts and stops, many times, beside three threads that work. SIGPROF is left to its default,
 * which kills: a signal that came too late would end the child that all this happens in.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "accuracy.h"
#include "tally.h"
#include "work.h"

#define THREADS 3

static atomic_bool is_over;

static void *be_busy(void *arg)
{
    if (arg != NULL && aw_profile_thread_register("busy") < 0)
        accuracy_note("a thread was not registered");
    while (!atomic_load(&is_over))
        work_burn(100000);
    return NULL;
}

static bool is_default(void)
{
    struct sigaction now;
    return sigaction(SIGPROF, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
}

/* One in some cycles does what else can be done in between. */
static bool cycle(unsigned index)
{
    static const enum aw_profile_clock clocks[] = { AW_PROFILE_CPU, AW_PROFILE_WALL, AW_PROFILE_USER,
                                                    AW_PROFILE_WALL };
    if (!tally_start(clocks[index % 4], index % 8 < 4 ? 10000 : 1000))
        return false;
    if (index % 5 == 0)
        work_burn(300000);
    if (index % 7 == 0 && (aw_profile_pause() != 0 || aw_profile_resume() != 0))
        return accuracy_say(false, "pause or resume failed");
    if (index % 11 == 0) {
        struct aw_profile *profile = NULL;
        if (aw_profile_snapshot(&profile) != 0)
            return accuracy_say(false, "snapshot failed");
        aw_profile_free(profile);
    }
    const int error = aw_profile_stop();
    if (error != 0)
        return accuracy_say(false, "stop: %d", error);
    return is_default() || accuracy_say(false, "the disposition was not given back");
}

static int run_cycles(void *arg)
{
    const unsigned wanted = *(unsigned *)arg;
    pthread_t threads[THREADS];
    static char registers;
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, be_busy, i == 0 ? &registers : NULL) != 0)
            return 1;
    const uint64_t start = work_wall_ns();
    unsigned done = 0;
    while (done < wanted && cycle(done))
        done++;
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const bool is_met = accuracy_say(done == wanted, "%u of %u cycles beside %d busy threads, %.0f us each",
                                     done, wanted, THREADS, (double)(work_wall_ns() - start) / 1e3 / wanted);
    return is_met ? 0 : 1;
}

int cycles_run(bool is_long)
{
    unsigned cycles = is_long ? 10000 : 1000;
    return accuracy_in_child("cycles", is_long ? 600 : 100, run_cycles, &cycles);
}
