/* SPDX-License-Identifier: MIT */
/*
 * accuracy.c: the program `accuracy`: runs the experiments that are named, or all. Exit status 1 if what
 * the profiler said was out of bounds somewhere, 77 if there was nothing that could be run.
 *
 *   accuracy [--short] [NAME ...]
 */
#include "accuracy.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

static const struct experiment experiments[] = {
    { "total", "the time that threads use, at rates up to 1,000 Hz, with pauses and snapshots", total_run },
    { "turnover", "the time of threads that come and go", turnover_run },
    { "shares", "two threads with equal work; three functions that work 50:30:20", shares_run },
    { "tick", "work that sleeps over the kernel's tick, on the wall's clock", tick_run },
    { "stacks", "walks of varied code's stacks, against libunwind's", stacks_run },
    { "program", "walks of the stacks of python3 and perl, against libunwind's", program_run },
    { "cycles", "starts and stops beside busy threads", cycles_run },
    { "loader", "samples of threads inside the loader", loader_run },
    { "reload", "stacks of modules that are loaded in turns at the same addresses", reload_run },
    { "interrupted", "blocking calls beside a busy thread: none is interrupted", interrupted_run },
};
#define EXPERIMENTS (sizeof experiments / sizeof *experiments)

bool accuracy_say(bool is_met, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("%-8s", is_met ? "ok" : "MISSED");
    vprintf(format, list);
    va_end(list);
    puts("");
    fflush(stdout);
    return is_met;
}

void accuracy_note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("%-8s", "");
    vprintf(format, list);
    va_end(list);
    puts("");
    fflush(stdout);
}

/* The status of a child that ends within the limit; -1, and the child is killed, of one that does not. */
static int wait_for(pid_t pid, unsigned limit_s)
{
    int status = 0;
    for (unsigned tenths = 0; tenths < limit_s * 10; tenths++) {
        const pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return status;
        if (ended < 0 && errno != EINTR)
            return -1;
        work_sleep(100000000);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return -1;
}

int accuracy_in_child(const char *what, unsigned limit_s, int (*body)(void *arg), void *arg)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        const int result = body(arg);
        fflush(stdout);
        _exit(result);
    }
    const int status = pid > 0 ? wait_for(pid, limit_s) : -1;
    if (status >= 0 && WIFEXITED(status))
        return WEXITSTATUS(status);
    if (status >= 0)
        accuracy_say(false, "%s: killed by signal %d", what, WTERMSIG(status));
    else
        accuracy_say(false, "%s: hangs (%u s)", what, limit_s);
    return 1;
}

static int run(const struct experiment *experiment, bool is_long)
{
    printf("%s: %s\n", experiment->name, experiment->about);
    fflush(stdout);
    const int result = experiment->run(is_long);
    if (result == ACCURACY_SKIPPED)
        accuracy_note("skipped");
    return result;
}

static bool is_named(const char *name, int count, char **names)
{
    bool is_found = count == 0;
    for (int i = 0; i < count; i++)
        is_found = is_found || strcmp(names[i], name) == 0;
    return is_found;
}

int main(int argc, char **argv)
{
    const bool is_long = argc < 2 || strcmp(argv[1], "--short") != 0;
    char **names = argv + (is_long ? 1 : 2);
    const int count = argc - (int)(names - argv);
    int ran = 0;
    bool is_met = true;
    for (size_t i = 0; i < EXPERIMENTS; i++) {
        if (!is_named(experiments[i].name, count, names))
            continue;
        const int result = run(&experiments[i], is_long);
        ran += result != ACCURACY_SKIPPED;
        is_met = is_met && (result == 0 || result == ACCURACY_SKIPPED);
    }
    if (ran == 0)
        return ACCURACY_SKIPPED;
    return is_met ? 0 : 1;
}
