/* SPDX-License-Identifier: MIT */
/*
 * itimer_table.h: the table of cases that is run against libc's alarm, setitimer and getitimer, and against
 * aw_alarm, aw_setitimer and aw_getitimer. See itimer_table.c.
 */
#ifndef ITIMER_TABLE_H
#define ITIMER_TABLE_H

/* Runs every case against libc, in a child of its own, and keeps what came out. Before aw_init. */
void itimer_table_begin(void);

/* Runs every case against the library, whose engine runs, and compares. Fails the test where they differ. */
void itimer_table_compare(void);

#endif
