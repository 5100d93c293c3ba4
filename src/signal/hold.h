/* SPDX-License-Identifier: MIT */
/*
 * hold.h: the dispositions that watching, ignoring and defaulting signals displaces, and the handler of the
 * watched ones. Owner thread, not in the handler.
 */
#ifndef AWI_HOLD_H
#define AWI_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/signal.h>

/* Before anything else in an engine: nothing is held. */
int awi_hold_ready(void);

/* True for the engine's own signal: it is watched behind the engine's handler, which keeps its place. */
bool awi_hold_is_engines(int signo);

/* The signals that are watched. */
uint64_t awi_hold_watched(void);

/* From here on what comes of it is recorded. */
int awi_hold_watch(int signo);

/*
 * The disposition beneath comes back, and finds what was recorded and not taken: one that awi_hold_dispose
 * has set, or (`all`, or there is none) the old one.
 */
void awi_hold_unwatch(int signo, bool all);

/* SIG_IGN or SIG_DFL, until awi_hold_let_go brings the old disposition back. */
int awi_hold_dispose(int signo, void (*handler)(int));
void awi_hold_let_go(int signo);
bool awi_hold_has(int signo);

/* With or without SA_RESTART, for one that is watched. */
int awi_hold_interrupt(int signo, bool interrupts);

/* Who has the signal now. */
int awi_hold_query(int signo, enum aw_signal_kind *kind);

/* In the child of a fork. */
void awi_hold_forked(void);

#endif
