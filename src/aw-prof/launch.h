/* SPDX-License-Identifier: MIT */
/*
 * launch.h: starts the program, and waits for it. As time(1) does, aw-prof leaves the terminal's signals to
 * the program; other signals that would end aw-prof are passed on.
 */
#ifndef AWI_PROF_LAUNCH_H
#define AWI_PROF_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "program.h"

struct awi_launch {
    pid_t pid;
    bool has_ended;
    int status; /* as waitpid has it */
    struct rusage used;
    uint64_t started_ns;
    uint64_t ended_ns;
    /* What the program is to inherit, and aw-prof to get back. */
    sigset_t mask;
    struct sigaction interrupt;
    struct sigaction quit;
    struct sigaction child;
    struct sigaction pipe;
};

/* From here on aw-prof outlives the signals that would end it, until awi_launch_give_back. */
void awi_launch_take_signals(struct awi_launch *launch);
void awi_launch_give_back(const struct awi_launch *launch);

/* 0; or, with the reason printed, the status to exit with. */
int awi_launch_start(struct awi_launch *launch, const struct awi_program *program, char **arguments,
                     char **environment);

/* Until it ends, or `until_ns` of awi_now_ns. */
void awi_launch_wait(struct awi_launch *launch, uint64_t until_ns);

/* The processor time of the program, and of the children it has waited for; 0 while it runs. */
uint64_t awi_launch_used_ns(const struct awi_launch *launch);

/* The status for aw-prof to exit with. */
int awi_launch_status(const struct awi_launch *launch);

uint64_t awi_now_ns(void);

#endif
