/* SPDX-License-Identifier: MIT */
/*
 * compare.c: see compare.h. The handler runs the library's walk first, so that nothing has been warmed for
 * it by the other two.
 */
#include "compare.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "oracle.h"
#include "profile/sampler/walk.h"

struct compare_counts compare_counts;

static oracle_walk_fn *oracle;
static timer_t timer;
static uint64_t mean;
static uint64_t seed;

static void arm(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint64_t next_ns = 1 + (seed >> 33) * 2 * mean / UINT32_C(0x7fffffff);
    const struct itimerspec spec = { .it_value.tv_sec = (time_t)(next_ns / 1000000000),
                                     .it_value.tv_nsec = (long)(next_ns % 1000000000) };
    timer_settime(timer, 0, &spec, NULL);
}

/* The loader's text, and the one function of libc that takes its lock. */
static uint64_t loader_start, loader_end, iterate_start;
#define ITERATE_BYTES 512

static bool find_loader(void)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)(uintptr_t)getauxval(AT_BASE), &object) != 0)
        return false;
    loader_start = (uint64_t)(uintptr_t)object.dlfo_map_start;
    loader_end = (uint64_t)(uintptr_t)object.dlfo_map_end;
    iterate_start = (uint64_t)(uintptr_t)&dl_iterate_phdr;
    return true;
}

static bool is_in_loader(const struct compare_stack *stack)
{
    for (unsigned i = 0; i < stack->depth; i++)
        if ((stack->pcs[i] >= loader_start && stack->pcs[i] < loader_end) ||
            stack->pcs[i] - iterate_start < ITERATE_BYTES)
            return true;
    return false;
}

static bool begins_with(const struct compare_stack *whole, const struct compare_stack *part)
{
    return part->depth <= whole->depth &&
           memcmp(whole->pcs, part->pcs, part->depth * sizeof part->pcs[0]) == 0;
}

static bool is_equal(const struct compare_stack *a, const struct compare_stack *b)
{
    return a->depth == b->depth && begins_with(a, b);
}

static enum compare_result judge(const struct compare_stack *ours, const struct compare_stack *libgcc,
                                 const struct compare_stack *libunwind)
{
    if (is_equal(ours, libunwind))
        return COMPARE_EQUAL;
    if (begins_with(libunwind, ours))
        return COMPARE_SHORTER;
    if (!is_equal(ours, libgcc))
        return begins_with(libgcc, ours) ? COMPARE_SHORTER : COMPARE_WRONG;
    return begins_with(ours, libunwind) ? COMPARE_LONGER : COMPARE_ALONE;
}

static void compare(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    static struct compare_kept now;
    const int saved = errno;
    bool is_truncated;
    now.ours.depth = awi_unwind(context, now.ours.pcs, COMPARE_DEPTH, &is_truncated);
    bool is_whole;
    awi_unwind_by_rules(context, now.libgcc.pcs, COMPARE_DEPTH, &is_truncated, &is_whole);
    if (is_whole)
        compare_counts.by_rules++;
    now.libgcc.depth = awi_unwind_by_libgcc(context, now.libgcc.pcs, COMPARE_DEPTH, &is_truncated);
    enum compare_result result;
    if (is_in_loader(&now.libgcc)) {
        now.libunwind.depth = 0;
        result = is_equal(&now.ours, &now.libgcc) ? COMPARE_LOADER : COMPARE_WRONG;
    } else {
        now.libunwind.depth = oracle(context, now.libunwind.pcs, COMPARE_DEPTH);
        result = judge(&now.ours, &now.libgcc, &now.libunwind);
    }
    const uint64_t earlier = compare_counts.results[result]++;
    compare_counts.compared++;
    if (earlier < COMPARE_KEPT)
        compare_counts.kept[result][earlier] = now;
    arm();
    errno = saved;
}

bool compare_begin(const char *path, uint64_t mean_ns)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    oracle = module != NULL ? (oracle_walk_fn *)(uintptr_t)dlsym(module, ORACLE_SYMBOL) : NULL;
    if (oracle == NULL || !find_loader()) {
        fprintf(stderr, "%s\n", oracle == NULL ? dlerror() : "no loader");
        return false;
    }
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGPROF;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = compare;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    mean = mean_ns;
    seed = (uint64_t)getpid() << 20 ^ (uint64_t)time(NULL);
    awi_unwind_warm();
    if (sigaction(SIGPROF, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
        return false;
    raise(SIGPROF); /* the oracle's first walk loads and allocates: here, and from it on the timer runs */
    return true;
}

void compare_end(void)
{
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPROF, &ignore, NULL);
    timer_delete(timer);
}

static void print_stack(FILE *out, const char *by, const struct compare_stack *stack)
{
    fprintf(out, "    %-9s", by);
    for (unsigned i = 0; i < stack->depth; i++) {
        Dl_info info;
        if (dladdr((void *)(uintptr_t)stack->pcs[i], &info) == 0)
            fprintf(out, " %#llx", (unsigned long long)stack->pcs[i]);
        else if (info.dli_sname != NULL)
            fprintf(out, " %s+%#llx", info.dli_sname,
                    (unsigned long long)(stack->pcs[i] - (uint64_t)(uintptr_t)info.dli_saddr));
        else
            fprintf(out, " %s@%#llx", info.dli_fname,
                    (unsigned long long)(stack->pcs[i] - (uint64_t)(uintptr_t)info.dli_fbase));
    }
    fputc('\n', out);
}

void compare_print(FILE *out)
{
    static const char *const names[COMPARE_RESULTS] = { "equal", "shorter", "longer",
                                                        "alone", "wrong",   "loader" };
    fprintf(out, "compared %llu by_rules %llu", (unsigned long long)compare_counts.compared,
            (unsigned long long)compare_counts.by_rules);
    for (unsigned i = 0; i < COMPARE_RESULTS; i++)
        fprintf(out, " %s %llu", names[i], (unsigned long long)compare_counts.results[i]);
    fputc('\n', out);
    for (unsigned i = 0; i < COMPARE_RESULTS * COMPARE_KEPT; i++) {
        const struct compare_kept *kept = &compare_counts.kept[i / COMPARE_KEPT][i % COMPARE_KEPT];
        if (i / COMPARE_KEPT == COMPARE_EQUAL || i / COMPARE_KEPT == COMPARE_LOADER || kept->ours.depth == 0)
            continue;
        fprintf(out, "  %s\n", names[i / COMPARE_KEPT]);
        print_stack(out, "ours", &kept->ours);
        print_stack(out, "libgcc", &kept->libgcc);
        print_stack(out, "libunwind", &kept->libunwind);
    }
}
