/* SPDX-License-Identifier: MIT */
/* measure.c: the benchmark's own clocks and random numbers, and how it finds the modules beside itself. */
#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* A peer's library must see the module's clock before libc's (peer_clock.h). glibc can; elsewhere peers are
 * left out. */
#ifdef RTLD_DEEPBIND
#define MODULE_FLAGS (RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)
#else
#define MODULE_FLAGS (RTLD_NOW | RTLD_LOCAL)
#endif

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t bench_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t bench_wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* splitmix64 (S. Vigna, public domain). */
uint64_t bench_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* The symbol of a module that lies in this program's own folder, or NULL. Modules are never unloaded. */
void *bench_module(const char *name, const char *symbol)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    const size_t room = sizeof path - (size_t)(slash + 1 - path);
    if ((size_t)snprintf(slash + 1, room, "aw-bench-%s.so", name) >= room)
        return NULL;
    if (access(path, F_OK) != 0) {
        fprintf(stderr, "aw-bench: %s: not built here, left out\n", name);
        return NULL;
    }
    void *module = dlopen(path, MODULE_FLAGS);
    void *found = module != NULL ? dlsym(module, symbol) : NULL;
    if (found == NULL)
        fprintf(stderr, "aw-bench: %s: left out: %s\n", name, dlerror());
    return found;
}
