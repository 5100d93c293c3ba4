/* SPDX-License-Identifier: MIT */
/*
 * stepper.h: runs a piece in a traced child, once to record its boundaries and then once for each of them
 * with an event there. The main program (race_main.c) calls it.
 */
#ifndef RACE_STEPPER_H
#define RACE_STEPPER_H

#include "race.h"

#include <stddef.h>

/* A boundary: just before the hit-th execution of the instruction at address, counted from the first mark. */
struct race_boundary {
    uintptr_t address;
    unsigned hit;
};

struct race_record {
    const struct race_boundary *boundaries;
    size_t count;
    size_t found; /* before it was thinned to the limit */
};

/* What happens at the boundary. */
struct race_event {
    const char *name;
    int code;         /* si_code of the signal */
    bool jump;        /* the clock moves past the deadline first */
    bool late;        /* and far past it, so that the library takes its alarm for lost */
    bool both;        /* the piece's signal, and the alarm that is due by then */
    bool twice;       /* the alarm that the handler programs goes off at the same boundary again */
    bool asleep;      /* it happens when the child has fallen asleep, at no boundary: */
    bool alarm_first; /* the alarm goes off, and the peer becomes ready; or the other way round */
};

/* How a run ended. */
enum race_end {
    RACE_GOOD,
    RACE_BAD,      /* the page's failure says why */
    RACE_MISSED,   /* the boundary was not reached: the piece is not deterministic */
    RACE_NO_PTRACE /* not allowed here */
};

/* Maps the shared page and readies the tracer. 0, or -1 where that fails. */
int race_stepper_start(void);

/* Records the boundaries of a clean run; they stand until the next one is recorded. */
enum race_end race_record(const struct race_piece *piece, struct race_record *record, size_t limit);

/* One run with `event` at the boundary. */
enum race_end race_replay(const struct race_piece *piece, const struct race_event *event,
                          const struct race_boundary *boundary);

#endif
