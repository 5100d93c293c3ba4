/* SPDX-License-Identifier: MIT */
/*
 * compare.h: a SIGPROF handler that walks the stack of what it interrupts in three ways (by the library's
 * own awi_unwind, by the compiler's unwinder, and by libunwind), at random instants, and counts how they
 * agree. For one thread. Used in the program `accuracy`, and, loaded into others, in compare_preload.c.
 */
#ifndef ACCURACY_COMPARE_H
#define ACCURACY_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define COMPARE_DEPTH 250
#define COMPARE_KEPT 3 /* of a kind */

enum compare_result {
    COMPARE_EQUAL,
    COMPARE_SHORTER, /* ours lacks outer frames; those that it has are right */
    COMPARE_LONGER,  /* libunwind's ends, and ours goes on: to the same end as the compiler's unwinder's */
    COMPARE_ALONE,   /* libunwind's differs; the compiler's unwinder says what we say */
    COMPARE_WRONG,   /* ours differs from both */
    COMPARE_LOADER,  /* not asked of libunwind: the loader runs, and may hold a lock that libunwind wants */
    COMPARE_RESULTS
};

struct compare_stack {
    unsigned depth;
    uint64_t pcs[COMPARE_DEPTH];
};

struct compare_kept {
    struct compare_stack ours, libgcc, libunwind;
};

struct compare_counts {
    uint64_t compared;
    uint64_t results[COMPARE_RESULTS];
    uint64_t by_rules;                                       /* walked without the compiler's unwinder */
    struct compare_kept kept[COMPARE_RESULTS][COMPARE_KEPT]; /* the first ones of each */
};

extern struct compare_counts compare_counts;

/* The oracle's module; mean_ns between two signals. False, with the reason printed: it does not work here. */
bool compare_begin(const char *oracle, uint64_t mean_ns);
void compare_end(void);

/* A line of counts, and the stacks that were unequal with the names of their functions. */
void compare_print(FILE *out);

#endif
