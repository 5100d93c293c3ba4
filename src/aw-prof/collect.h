/* SPDX-License-Identifier: MIT */
/*
 * collect.h: reads the recordings that processes write, or have left. They may be growing, cut short, or
 * written over by the program: nothing in them is trusted, and nothing of them is mapped.
 */
#ifndef AWI_PROF_COLLECT_H
#define AWI_PROF_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../profile/model.h"

/* What one process has recorded while it ran one program. */
struct awi_take {
    long pid;
    unsigned ordinal; /* of the programs that the process was: 1, 2, ... */
    struct aw_profile *profile;
    char program[512];
};

struct awi_collection {
    const char *directory;
    uint64_t now_ns; /* when what is taken has ended */
    long kept_pid;   /* recordings without samples are passed over, but for this process's */
    struct awi_take *takes;
    size_t count;
    size_t capacity;
    bool is_incomplete; /* there was no memory for one */
};

/*
 * Takes the recordings of processes that have ended, or have become another program; or all that there are.
 */
void awi_collect(struct awi_collection *collection, bool is_all);
void awi_collection_free(struct awi_collection *collection);

/* By process and program. */
void awi_collection_sort(struct awi_collection *collection);

/* The process's last program; NULL: there is no recording of it. */
const struct awi_take *awi_collection_find(const struct awi_collection *collection, long pid);

/* Samples so far, in all that is there to be read. */
uint64_t awi_collect_count(const char *directory);

/* Since when the first process has been sampled; 0: none is yet. */
uint64_t awi_collect_started_ns(const char *directory);

/* Has all samplers stop at their next tick. */
void awi_collect_stop(const char *directory);

/* Why a process has no recording; false: it has not said. Was it env(1), about to become another program? */
bool awi_collect_reason(const char *directory, long pid, char *reason, size_t bytes);
bool awi_collect_is_marked(const char *directory, long pid);

#endif
