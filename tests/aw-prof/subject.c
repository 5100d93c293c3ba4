/* SPDX-License-Identifier: MIT */
/*
 * subject.c: a program to be profiled: it burns some time, and does what its first argument says: how it
 * ends, what it becomes, whom it starts.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "burn.h"

BURNER(burn_alpha)
BURNER(burn_child)
BURNER(burn_worker)
BURNER(burn_blocked)

static volatile int *volatile nowhere;

static void die(const char *how)
{
    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(4);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        *nowhere = 0;
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "term") == 0)
        kill(getpid(), SIGTERM);
}

/* By the bare system call: nothing that is interposed sees it. */
static void become(char **arguments)
{
    syscall(SYS_execve, arguments[0], arguments, environ);
    require(0, "execve");
}

static void fork_one(unsigned ms)
{
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        burn_child(ms);
        _exit(0);
    }
    burn_alpha(ms);
    int status = -1;
    require(waitpid(pid, &status, 0) == pid && status == 0, "the child ends well");
}

static void *work(void *arg)
{
    burn_worker(*(unsigned *)arg);
    return arg;
}

static void start_threads(unsigned count, unsigned ms)
{
    pthread_t threads[16];
    require(count <= 16, "at most 16 threads");
    for (unsigned i = 0; i < count; ++i)
        require(pthread_create(&threads[i], NULL, work, &ms) == 0, "pthread_create");
    for (unsigned i = 0; i < count; ++i) {
        void *result = NULL;
        require(pthread_join(threads[i], &result) == 0 && result == &ms, "the thread's result");
    }
}

static int work_c11(void *arg)
{
    burn_worker(*(unsigned *)arg);
    return 42;
}

static void start_c11_threads(unsigned count, unsigned ms)
{
    thrd_t threads[16];
    require(count <= 16, "at most 16 threads");
    for (unsigned i = 0; i < count; ++i)
        require(thrd_create(&threads[i], work_c11, &ms) == thrd_success, "thrd_create");
    for (unsigned i = 0; i < count; ++i) {
        int result = 0;
        require(thrd_join(threads[i], &result) == thrd_success && result == 42, "the thread's result");
    }
}

/* One after another: more of them than a recording has places for. */
static void start_many(unsigned ms)
{
    unsigned one = 1;
    for (unsigned i = 0; i < ms; ++i) {
        pthread_t thread;
        require(pthread_create(&thread, NULL, work, &one) == 0, "pthread_create");
        require(pthread_join(thread, NULL) == 0, "pthread_join");
    }
}

/* Says how much it has used: it may be far more, where a processor that stood still counts as used. */
static void burn_and_tell(unsigned ms)
{
    uint64_t start = thread_time_ns();
    burn_alpha(ms);
    printf("%llu\n", (unsigned long long)(thread_time_ns() - start) / 1000000);
}

/* Until there is such a file; not for good, in case that nobody is left to make one. */
static void burn_until(const char *path, unsigned ms)
{
    uint64_t end = thread_time_ns() + UINT64_C(240000000000);
    while (access(path, F_OK) != 0 && thread_time_ns() < end)
        burn_alpha(ms);
    require(access(path, F_OK) == 0, "it is told to end");
    exit(5);
}

static void block_all(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

/* Threads with names of their own. */
static void *work_as(void *name)
{
    require(pthread_setname_np(pthread_self(), name) == 0, "pthread_setname_np");
    burn_worker(200);
    return NULL;
}

static void start_named(void)
{
    char names[2][16] = { "first of two", "second of two" };
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; ++i)
        require(pthread_create(&threads[i], NULL, work_as, names[i]) == 0, "pthread_create");
    for (unsigned i = 0; i < 2; ++i)
        require(pthread_join(threads[i], NULL) == 0, "pthread_join");
}

static void load(const char *path, unsigned ms)
{
    void *module = dlopen(path, RTLD_NOW);
    require(module != NULL, "dlopen");
    void (*function)(unsigned);
    *(void **)&function = dlsym(module, "burn_in_module");
    require(function != NULL, "dlsym");
    function(ms);
    require(dlclose(module) == 0, "dlclose");
}

int main(int argc, char **argv)
{
    require(argc >= 3, "subject what ms [argument ...]");
    const char *what = argv[1];
    unsigned ms = (unsigned)strtoul(argv[2], NULL, 10);
    if (strcmp(what, "fork") == 0) {
        fork_one(ms);
    } else if (strcmp(what, "threads") == 0) {
        start_threads(2, ms);
    } else if (strcmp(what, "c11-threads") == 0) {
        start_c11_threads(2, ms);
    } else if (strcmp(what, "many-threads") == 0) {
        start_many(ms);
    } else if (strcmp(what, "masked-threads") == 0) {
        block_all();
        start_threads(2, ms);
    } else if (strcmp(what, "blocks") == 0) {
        block_all();
        burn_blocked(ms);
    } else if (strcmp(what, "named-threads") == 0) {
        start_named();
    } else if (strcmp(what, "blocked-exec") == 0 && argc > 3) {
        block_all();
        become(argv + 3);
    } else if (strcmp(what, "module") == 0 && argc > 3) {
        load(argv[3], ms);
    } else if (strcmp(what, "tells") == 0) {
        burn_and_tell(ms);
    } else if (strcmp(what, "until") == 0 && argc > 3) {
        burn_until(argv[3], ms);
    } else {
        burn_alpha(ms);
        if (strcmp(what, "exec") == 0 && argc > 3)
            become(argv + 3);
        die(what);
    }
    return 0;
}
