/* SPDX-License-Identifier: MIT */
/*
 * threads.c: a thread that the program creates is sampled from before its start routine on; the sampler
 * itself sees its end. The start routine is called as the last act, so that no frame of ours stays on its
 * stack.
 */
#include "preload.h"

#include <errno.h>
#include <stdatomic.h>
#include <ucontext.h>

#include "../../profile/sampler/sampler.h"

struct start {
    union {
        void *(*posix)(void *);
        thrd_start_t c11;
    } routine;
    void *argument;
    atomic_bool is_taken; /* of the pool */
};

/*
 * Of threads that are about to start: an allocator may not be entered here, since a handler of the program's
 * may come meanwhile and fork, for which glibc takes the allocator's locks.
 */
#define STARTS 256u
static struct start starts[STARTS];
static atomic_uint next_start;

/* Of the running thread: SIGPROF was let through although it is blocked for the program. */
static _Thread_local bool was_let_through __attribute__((tls_model("initial-exec")));

/*
 * A thread inherits its creator's mask: libraries block all signals around it, to leave them to the
 * program's main thread. The sampler's signal goes to this thread alone, so if the program makes no use of
 * SIGPROF, it is let through here.
 */
void awi_threads_let_through(void)
{
    if (!awi_dispositions_is_taken() || !awi_dispositions_is_unused())
        return;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    sigset_t before;
    if (pthread_sigmask(SIG_UNBLOCK, &set, &before) == 0)
        was_let_through = sigismember(&before, SIGPROF) == 1;
}

bool awi_threads_block_again(void *context)
{
    if (!was_let_through)
        return false;
    was_let_through = false;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGPROF);
    return true;
}

/* The new thread is not to be cancelled in here. */
static struct start enter_thread(void *argument)
{
    struct start *made = argument;
    struct start start = { .routine = made->routine, .argument = made->argument };
    int was_cancelable = PTHREAD_CANCEL_ENABLE;
    int saved_errno = errno;
    atomic_store(&made->is_taken, false);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was_cancelable);
    awi_sampler_thread_add(NULL);
    awi_threads_let_through();
    pthread_setcancelstate(was_cancelable, NULL);
    errno = saved_errno;
    return start;
}

static void *run_posix(void *argument)
{
    struct start start = enter_thread(argument);
    return start.routine.posix(start.argument);
}

static int run_c11(void *argument)
{
    struct start start = enter_thread(argument);
    return start.routine.c11(start.argument);
}

/* NULL: the thread is not sampled from its beginning. */
static struct start *make_start(void *argument)
{
    if (!awi_sampler_is_on() || !awi_dispositions_is_own_process())
        return NULL;
    for (unsigned tries = 0; tries < STARTS; ++tries) {
        struct start *start = &starts[atomic_fetch_add(&next_start, 1) % STARTS];
        if (atomic_exchange(&start->is_taken, true))
            continue;
        start->argument = argument;
        return start;
    }
    return NULL;
}

/* libc names the parameters otherwise. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

AWI_INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                  void *(*routine)(void *), void *argument)
{
    int saved_errno = errno;
    struct start *start = make_start(argument);
    errno = saved_errno;
    if (start == NULL)
        return awi_libc()->pthread_create(thread, attributes, routine, argument);
    start->routine.posix = routine;
    int error = awi_libc()->pthread_create(thread, attributes, run_posix, start);
    if (error != 0)
        atomic_store(&start->is_taken, false);
    return error;
}

AWI_INTERPOSED int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument)
{
    int saved_errno = errno;
    struct start *start = make_start(argument);
    errno = saved_errno;
    if (start == NULL)
        return awi_libc()->thrd_create(thread, routine, argument);
    start->routine.c11 = routine;
    int error = awi_libc()->thrd_create(thread, run_c11, start);
    if (error != thrd_success)
        atomic_store(&start->is_taken, false);
    return error;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
