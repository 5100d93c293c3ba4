/* SPDX-License-Identifier: MIT */
/*
 * toy.h: the race checker's own test object: one timeout on one alarm, in thirty lines, that has the two
 * classic races to get wrong. Only toy_pieces.c uses it.
 */
#ifndef RACE_TOY_H
#define RACE_TOY_H

#include <stdint.h>

void toy_start(void (*fn)(void));
void toy_arm(uint64_t delay_ns);
void toy_run(void);                      /* runs fn if it is due */
int toy_wait(uint64_t timeout_ns);       /* sleeps until something is due */
int toy_read(int fd, uint64_t delay_ns); /* a read of one byte that is given up then; the result, or -1 */

#endif
