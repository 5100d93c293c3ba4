/* SPDX-License-Identifier: MIT */
/*
 * escape.h: leaving the body of a guard by siglongjmp, from the handler or at a safe point. Owner thread.
 */
#ifndef AWI_ESCAPE_H
#define AWI_ESCAPE_H

#include <stdint.h>

#include <alarmwheel/guard.h>

/*
 * From the handler, last of all: escapes if one of the guards in `expired` (awi_nagging_guards) leads to an
 * escaping one, and every condition of escape.c holds. Else returns.
 */
void awi_escape_from_handler(void *context, const void *trampoline, uint64_t expired);

/*
 * At a safe point, when nothing of the library is active below `here`: the same. Where it returns although an
 * escape is due, that is nagged for.
 */
void awi_escape_at_safepoint(const void *here);

/*
 * Where the jump lands, in the guard's own function: leaves the guard, restores what it has to, cleans up.
 * Returns what aw_guard_leave does.
 */
int awi_escape_landed(struct aw_guard *guard);

/* For tests in static programs, where malloc cannot be told from the program: escape from the handler. */
extern uint8_t awi_escape_assume_dynamic __attribute__((visibility("hidden")));

#endif
