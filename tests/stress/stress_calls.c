/* SPDX-License-Identifier: MIT */
/*
 * stress_calls.c: guarded calls, many times over, with the deadline at the worst instants: when the peer
 * becomes ready, when the call is made, and inside another handler (hazards 1, 2, 3, 14). Each configuration
 * runs in a process of its own and prints one line; plan.h says what there is to choose. No Check, and
 * nothing that needs more than a static libc: other machines run it under emulators.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

#define MOST_BESIDE 4

struct run {
    const struct plan *plan;
    struct exchange *exchange;
    struct meeting meeting;
    struct tally tally;
    bool started;
    atomic_bool over;
};

/* Takes a processor, and signals that are sent to the process. */
static void *spin(void *arg)
{
    struct run *run = arg;
    while (!atomic_load_explicit(&run->over, memory_order_relaxed))
        continue;
    return NULL;
}

/* Valgrind has stacks grow where the program touches them, and never for a signal's frame. */
static __attribute__((noinline)) void touch_stack(void)
{
    volatile unsigned char room[65536];
    for (size_t i = 0; i < sizeof room; i += 1024)
        room[i] = 0;
}

static void *own(void *arg)
{
    struct run *run = arg;
    touch_stack();
    run->exchange->owner_pid = getpid();
    run->exchange->owner_tid = (pid_t)syscall(SYS_gettid);
    run->exchange->signo = bound_signo(run->plan);
    bound_hold();
    run->started = bound_start(run->plan);
    if (run->started) {
        meeting_begin(&run->meeting);
        tries_run(run->plan, run->exchange, &run->meeting, &run->tally);
        bound_stop(run->plan);
    }
    atomic_store(&run->over, true);
    return NULL;
}

/* The naive ways can have signals on one thread only. Returns how many threads there are. */
static unsigned start_spinners(struct run *run, pthread_t spinners[MOST_BESIDE], unsigned wanted)
{
    unsigned n = 0;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    if (run->plan->bounded != BY_US)
        sigfillset(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    while (n < wanted && pthread_create(&spinners[n], NULL, spin, run) == 0)
        ++n;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void run_threads(struct run *run)
{
    pthread_t owner, spinners[MOST_BESIDE];
    unsigned more = run->plan->beside;
    if (!run->plan->owner_first && more != 0)
        --more; /* this thread is one of them */
    unsigned n = start_spinners(run, spinners, more);
    if (n < more) {
        atomic_store(&run->over, true);
    } else if (run->plan->owner_first) {
        own(run);
    } else if (pthread_create(&owner, NULL, own, run) == 0) {
        if (run->plan->beside != 0)
            spin(run);
        pthread_join(owner, NULL);
    }
    while (n-- != 0)
        pthread_join(spinners[n], NULL);
}

static double share(unsigned part, unsigned of)
{
    return of == 0 ? 0.0 : 100.0 * part / of;
}

static unsigned found(const struct tally *tally)
{
    return tally->hangs + tally->accounts.leaks + tally->accounts.lost;
}

static void report(const struct run *run, double seconds)
{
    const struct tally *tally = &run->tally;
    char text[96];
    plan_describe(run->plan, text, sizeof text);
    printf("%s: tries %u results %.0f%% close %.0f%% entry %u | hangs %u leaks %u lost %u wrong %u early %u",
           text, tally->tries, share(tally->results, tally->tries), share(tally->close, tally->tries),
           tally->entries, tally->hangs, tally->accounts.leaks, tally->accounts.lost, tally->accounts.wrong,
           tally->early);
    if (tally->errors != 0)
        printf(" errors %u (%s)", tally->errors, strerror(tally->error));
    printf(" | latest %.1f ms, %.1f s\n", (double)tally->latest_ns / 1e6, seconds);
    fflush(stdout);
}

/* 0: as it should be; 1: not, or a naive one found nothing; 2: it could not be tried. */
static int run_plan(const struct plan *plan, const char *folder)
{
    struct run run = { .plan = plan, .exchange = exchange_make() };
    uint64_t start = clock_ns();
    if (run.exchange == NULL || !meeting_make(&run.meeting, plan->call, folder)) {
        perror("stress_calls");
        return 2;
    }
    run.exchange->spins = plan->beside == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 1;
    pid_t peer = peer_start(run.exchange, &run.meeting);
    if (peer < 0) {
        perror("stress_calls: fork");
        return 2;
    }
    run_threads(&run);
    kill(peer, SIGKILL);
    waitpid(peer, NULL, 0);
    if (!run.started) {
        fputs("stress_calls: the engine or its threads did not start\n", stderr);
        return 2;
    }
    report(&run, (double)(clock_ns() - start) / 1e9);
    if (plan->bounded != BY_US)
        return found(&run.tally) == 0;
    return found(&run.tally) + run.tally.accounts.wrong + run.tally.early + run.tally.errors != 0;
}

struct verdict {
    unsigned ran, bad, failed;
};

static void run_apart(const struct plan *plan, void *arg)
{
    struct verdict *verdict = arg;
    char folder[64], path[80];
    int status = -1;
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/aw-stress-XXXXXX", root != NULL && strlen(root) < 40 ? root : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        ++verdict->failed;
        return;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(run_plan(plan, folder));
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    snprintf(path, sizeof path, "%s/meeting", folder);
    unlink(path);
    rmdir(folder);
    ++verdict->ran;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        char text[96];
        plan_describe(plan, text, sizeof text);
        printf("%s: ended with status %#x\n", text, (unsigned)status);
        ++verdict->failed;
    } else if (WEXITSTATUS(status) == 1) {
        ++verdict->bad;
    }
}

int main(int argc, char **argv)
{
    struct choice choice;
    struct verdict verdict = { 0, 0, 0 };
    if (!choice_parse(&choice, argc, argv))
        return 2;
    choice_each(&choice, run_apart, &verdict);
    if (verdict.ran == 0 || verdict.failed != 0)
        return 2;
    if (choice.rest.bounded == BY_US)
        return verdict.bad != 0;
    return verdict.bad == verdict.ran;
}
