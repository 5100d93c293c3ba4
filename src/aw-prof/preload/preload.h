/* SPDX-License-Identifier: MIT */
/*
 * preload.h: the library that aw-prof loads into the program. It takes samples into a file, and stays out of
 * the program's way: what the program can see of its environment, descriptors, signals and threads is as it
 * would be without. It uses libc alone, and never writes to the program's standard error.
 */
#ifndef AWI_PRELOAD_H
#define AWI_PRELOAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

#include "../settings.h"

/* Names that the program finds before libc's. */
#define AWI_INTERPOSED __attribute__((visibility("default")))

typedef void awi_signal_handler(int signo);

/* What aw-prof has said; without a directory nothing is done here. Written by the constructor. */
extern struct awi_settings awi_settings;

/*
 * libc's own functions of the names that are interposed. Looked up by the constructor, or by the first call
 * if that comes before: dlsym is not to be called in a handler, nor after a fork.
 */
struct awi_libc {
    int (*sigaction)(int, const struct sigaction *, struct sigaction *);
    awi_signal_handler *(*signal)(int, awi_signal_handler *);
    awi_signal_handler *(*sysv_signal)(int, awi_signal_handler *);
    awi_signal_handler *(*sigset)(int, awi_signal_handler *);
    int (*sigignore)(int);
    int (*siginterrupt)(int, int);
    int (*sigwait)(const sigset_t *, int *);
    int (*sigwaitinfo)(const sigset_t *, siginfo_t *);
    int (*sigtimedwait)(const sigset_t *, siginfo_t *, const struct timespec *);
    int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*thrd_create)(thrd_t *, thrd_start_t, void *);
    int (*execvp)(const char *, char *const[]);
};

const struct awi_libc *awi_libc(void);

/*
 * Starts a recording of this process. False: it has none. In a forked child it allocates nothing: the
 * program's own allocator may be locked still.
 */
bool awi_preload_record(bool is_forked);

/* aw-prof's directory is there, and nobody else's: aw-prof may be gone, and the name be given anew. */
bool awi_preload_has_directory(void);

/* --- dispositions.c: SIGPROF is shared with a program that wants it too ------------------------------- */

/*
 * From the sampler's start on the program's wish is kept here, and reported back to it as if it were in
 * force.
 */
void awi_dispositions_begin(void);
/* In the child of a fork, which is not sampled: the wish comes into force. */
void awi_dispositions_forked(void);
/* Does what the program wants done with a SIGPROF that is not the sampler's. Called in the handler. */
void awi_dispositions_foreign(int signo, siginfo_t *info, void *context);
/* SIGPROF is the sampler's; and the program has no handler of its own for it. */
bool awi_dispositions_is_taken(void);
bool awi_dispositions_is_own_process(void);
bool awi_dispositions_is_unused(void);
/*
 * The interrupted thread has SIGPROF blocked, as far as the program knows, and was let through for the
 * sampler alone: from here on it is blocked. AS-Safe.
 */
bool awi_threads_block_again(void *context);

/* Lets SIGPROF through to the calling thread, though it was started with it blocked. */
void awi_threads_let_through(void);

/* --- environment.c: the two variables ----------------------------------------------------------------- */

/* Remembers them, and takes them out of the environment if they are not to be handed down. */
void awi_environment_enter(bool is_kept);
/* A copy of the environment that has them, to be freed; NULL: no memory. */
char **awi_environment_with_ours(char *const *environment);

/* --- follow.c: forks, and the program that env(1) executes -------------------------------------------- */

void awi_follow_begin(void);

#endif
