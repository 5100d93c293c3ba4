/* SPDX-License-Identifier: MIT */
/* sleeps.h: how often the loop's thread sleeps: sleeps.c stands in for what loops sleep in. */
#ifndef AWI_SLEEPS_H
#define AWI_SLEEPS_H

void sleeps_forget(void); /* ... and the calling thread is the loop's */
unsigned sleeps_count(void);
unsigned sleeps_bounded(void); /* those with a time-out other than 0 */

#endif
