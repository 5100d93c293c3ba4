/* SPDX-License-Identifier: MIT */
/*
 * accuracy.h: the experiments that hold what the profiler says against the truth. Each prints what it
 * measured, and says whether all was within its bounds. The short forms are tests: their bounds are those
 * that a slow machine cannot break; the long forms have the project's own bars, and gperftools beside them.
 */
#ifndef ACCURACY_H
#define ACCURACY_H

#include <stdbool.h>
#include <stdint.h>

/* CTest's status of a test that was skipped. */
#define ACCURACY_SKIPPED 77

struct experiment {
    const char *name;
    const char *about;
    int (*run)(bool is_long); /* 0: within bounds; 1: not; ACCURACY_SKIPPED */
};

int total_run(bool is_long);
int turnover_run(bool is_long);
int shares_run(bool is_long);
int tick_run(bool is_long);
int stacks_run(bool is_long);
int program_run(bool is_long);
int cycles_run(bool is_long);
int loader_run(bool is_long);
int reload_run(bool is_long);
int interrupted_run(bool is_long);

/* Prints a line with "ok" or "MISSED" before it, and says is_met again; the other prints a line. */
__attribute__((format(printf, 2, 3))) bool accuracy_say(bool is_met, const char *format, ...);
__attribute__((format(printf, 1, 2))) void accuracy_note(const char *format, ...);

/* Runs `body` in a child process, with a limit of time: 0, 1, or what was wrong is printed. */
int accuracy_in_child(const char *what, unsigned limit_s, int (*body)(void *arg), void *arg);

#endif
