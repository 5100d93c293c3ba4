/* SPDX-License-Identifier: MIT */
/* wakeup.h: giving the wakeup descriptors back. AS-Safe, for the child of a fork. */
#ifndef AWI_WAKEUP_H
#define AWI_WAKEUP_H

void awi_wakeup_close(void);

#endif
