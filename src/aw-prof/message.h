/* SPDX-License-Identifier: MIT */
/* message.h: what aw-prof says on standard error, a line at a time, beside what the program writes there. */
#ifndef AWI_PROF_MESSAGE_H
#define AWI_PROF_MESSAGE_H

#include <stdbool.h>

/* "aw-prof: ..." and a newline, in one write. */
void awi_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that the next one replaces, on a terminal. */
void awi_say_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool awi_can_show_progress(void);

#endif
