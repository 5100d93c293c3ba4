/* SPDX-License-Identifier: MIT */
/* fake_fault.c: see fake_fault.h. */
#include "fake_fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
int __real_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
int __real_eventfd(unsigned count, int flags);
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

static struct {
    unsigned calls;
    unsigned first; /* the call that fails; 0: none */
    bool always;    /* and those after it */
    int error;
} plans[FAULTS];

void fault_plan(enum fault fault, unsigned n, int error)
{
    plans[fault].calls = 0;
    plans[fault].first = n;
    plans[fault].always = false;
    plans[fault].error = error;
}

void fault_plan_always(enum fault fault, int error)
{
    fault_plan(fault, 1, error);
    plans[fault].always = true;
}

void fault_clear(void)
{
    memset(plans, 0, sizeof plans);
}

unsigned fault_calls(enum fault fault)
{
    return plans[fault].calls;
}

bool fault_strikes(enum fault fault)
{
    unsigned call = __atomic_add_fetch(&plans[fault].calls, 1, __ATOMIC_RELAXED); /* other threads allocate,
                                                                                     too */
    if (plans[fault].first == 0 || call < plans[fault].first ||
        (call > plans[fault].first && !plans[fault].always))
        return false;
    errno = plans[fault].error;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return fault_strikes(FAULT_ALLOCATION) ? errno : __real_posix_memalign(block, alignment, size);
}

int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    return fault_strikes(FAULT_SIGACTION) ? -1 : __real_sigaction(signo, action, old);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fault_strikes(FAULT_EVENTFD) ? -1 : __real_eventfd(count, flags);
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    int saved_errno = errno; /* it returns the error, and does not set errno */
    if (!fault_strikes(FAULT_ATFORK))
        return __real_pthread_atfork(prepare, parent, child);
    int error = errno;
    errno = saved_errno;
    return error;
}
