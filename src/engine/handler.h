/* SPDX-License-Identifier: MIT */
/* handler.h: the signal handler, for who installs it. */
#ifndef AWI_HANDLER_H
#define AWI_HANDLER_H

#include <signal.h>

void awi_handle(int signo, siginfo_t *info, void *context);

#endif
