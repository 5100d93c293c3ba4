/* SPDX-License-Identifier: MIT */
/*
 * loops.h: what the tests ask of a loop of somebody else, and what an adapter for it gives them: adapter_*.c,
 * one linked into each program. An adapter does with aw_wakeup_fd what docs/loops.md says, and no more.
 */
#ifndef AWI_LOOPS_H
#define AWI_LOOPS_H

/* The adapter. It watches aw_wakeup_fd, and beside it a descriptor of the loop's own. */
void loop_open(int wakeup, int own);
void loop_run(void); /* until loop_stop, which is called in one of its callbacks */
void loop_stop(void);
void loop_close(void);

/* How often it sleeps for one thing that happens: once, and once more where a signal has interrupted it. */
extern const unsigned loop_sleeps_each;

/* What the adapter calls when one of the two is readable. */
void on_wakeup(void);
void on_own(void);

#endif
