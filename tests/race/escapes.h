/* SPDX-License-Identifier: MIT */
/*
 * escapes.h: what the pieces over escaping guards keep account of, and check alike. On top of scene.h.
 */
#ifndef RACE_ESCAPES_H
#define RACE_ESCAPES_H

#include "scene.h"

/* How far the body of a guard has come: race_page->stage. */
enum {
    OUTSIDE,
    BEFORE, /* in the guard, not yet in what is looked at */
    WITHIN, /* there: program text, where an escape happens at once */
    BEHIND  /* past it */
};

#define MOST_LOGGED 16

/* What a run has done. */
struct escapes_account {
    unsigned outer_expired, inner_expired;   /* AW_EXPIRED ran */
    unsigned outer_finished, inner_finished; /* the body came to its end */
    unsigned registered;                     /* bit i: clean-up i was registered, and its guard stands */
    bool forgotten;                          /* clean-up 3 */
    unsigned runs[5];                        /* of clean-up i */
    unsigned log[MOST_LOGGED];
    unsigned logged;
    unsigned rounds; /* of compute */
    bool passed;     /* the program went on behind the guards */
    int returned;
};
extern volatile struct escapes_account did;

extern uint64_t escapes_begun_ns;

/* Starts the engine so that escapes are made from the handler. */
void escapes_start(enum aw_alarm alarm, enum aw_interrupt interrupt);
void escapes_step(void);
void escapes_restart(void);

/* Some instructions of the program's own. */
void compute(void);

/* The event was the passing of a deadline 1 ms from the begin, and came at this stage. */
bool escapes_expired_at(unsigned stage);

/* Everything is as before: guards, shields, mask, engine. And names the outcome. */
void escapes_check_rest(void);

#endif
