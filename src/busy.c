/* SPDX-License-Identifier: MIT */
/* busy.c: the storage of the mark. See busy.h. */
#include "busy.h"

_Thread_local const void *awi_busy_frame;
