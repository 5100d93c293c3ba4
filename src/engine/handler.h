/* SPDX-License-Identifier: MIT */
/* handler.h: the signal handler, for who installs it, and what others have in common with it. */
#ifndef AWI_HANDLER_H
#define AWI_HANDLER_H

#include <signal.h>

void awi_handle(int signo, siginfo_t *info, void *context);

/*
 * For another handler of this library's, on the owner thread, before anything else: it is not a foreign one
 * to a wait, and a guarded call that has not begun does not begin.
 */
void awi_handler_begins(int signo, void *context);

/* aw_set_wakeup_fd: any thread. */
void awi_handler_write_number(int signo);

#endif
