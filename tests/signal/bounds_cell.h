/* SPDX-License-Identifier: MIT */
/*
 * bounds_cell.h: one cell of the table "What bounds what": a body under a means, run in a process of its own,
 * and held against what the page says of it.
 */
#ifndef AWI_BOUNDS_CELL_H
#define AWI_BOUNDS_CELL_H

#include "bounds.h"

#define TIMEOUT_NS AW_MS(20)
#define RELEASE_NS (6 * TIMEOUT_NS)
#define NEVER_NS (11 * TIMEOUT_NS)
#define HANG_NS AW_SEC(60)

enum bound {
    NO_SUCH,
    IN_TIME,
    WHEN_RELEASED, /* in the page's words: when what holds it up is over */
    NEVER,
    AFTER_GRACE,
    AFTER_TWICE_GRACE
};

/* In the order of the page's columns. */
#define N_MEANS 5u
struct means {
    const char *name;
    /* In the process under test: true if it was the means that ended the body. */
    bool (*end)(const struct body *body, struct scene *scene, bool is_released);
    bool prepares; /* the scene by itself, in another process */
    bool is_here;  /* this machine and libc have it */
};
extern const struct means all_means[N_MEANS];

struct cell {
    const struct body *body;
    const struct means *means;
    int variant;
    enum bound bound;  /* what the page says, */
    const char *words; /* and how */
    struct record *record;
    pid_t pid;
};

/* Of hard limits; and how long after its start a body is released that the page says ends then. */
extern uint64_t grace_ns;
extern uint64_t release_after_ns;

void start_cell(struct cell *cell);
void end_cell(struct cell *cell, bool has_ended);

/* NULL if the cell is as the page says, else what it is instead, as far as can be told in that span. */
const char *judge(const struct cell *cell, uint64_t span_ns, bool *has_ended);

/* The same in the time that it takes. */
const char *judge_with_grace(struct cell *cell, bool *has_ended);

#endif
