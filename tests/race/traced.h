/* SPDX-License-Identifier: MIT */
/* traced.h: one traced child, from fork to verdict. stepper.c is its only caller. */
#ifndef RACE_TRACED_H
#define RACE_TRACED_H

#include "stepper.h"

#include <sys/types.h>

/* One traced run. */
struct run {
    const struct race_piece *piece;
    pid_t process;
    pid_t traced;    /* its main thread, or the second one (RACE_SECOND) */
    int forward;     /* a signal that the next resumption delivers */
    bool alarm_sent; /* and not delivered yet */
    bool exited;
    int status;
    uint64_t started_s;
    const struct race_event *asleep; /* happens when it has fallen asleep; NULL: nothing of that kind */
};

/* What the tracer sees at a stop. */
enum stop {
    STOP_TRAP, /* a step, a breakpoint or a mark */
    STOP_SIGNAL,
    STOP_EXIT,
    STOP_HANG
};

/* Forks a child and brings it to its first mark. `stepped`: it is going to take its time. */
enum race_end traced_start(struct run *run, const struct race_piece *piece, bool stepped);

/* Lets it go on, by a step or freely, with the signal that is to be delivered, and waits for the next stop.
 */
enum stop traced_resume(struct run *run, bool step);

/* It has passed its second mark, or is past all help: it checks itself untraced, and its verdict is read. */
enum race_end traced_finish(struct run *run, enum stop stop);

uintptr_t traced_pc(const struct run *run);

/* The alarm goes off: sent as SI_TKILL, and made the kernel's own when it is delivered. */
bool traced_send_alarm(struct run *run);

/* The peer becomes ready, if this piece has one that does and it has not yet. */
void traced_ready(const struct run *run, bool child_sleeps);

/* Wakes the other thread of a piece that has one. */
void traced_go(void);

/* The same, and waits until it has done its part, or has come as far as it can, while the traced one stands
 * still. */
void traced_other_thread(const struct run *run);

#endif
