/* SPDX-License-Identifier: MIT */
/* program.h: which file a command names, and whether a library can be loaded into what it will run. */
#ifndef AWI_PROF_PROGRAM_H
#define AWI_PROF_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

struct awi_program {
    char path[PATH_MAX];
    bool is_plain_script; /* it names no interpreter: run by /bin/sh, as execvp(3) does */
};

/* 0; or, with the reason printed, the status to exit with. */
int awi_program_find(const char *command, struct awi_program *program);

#endif
