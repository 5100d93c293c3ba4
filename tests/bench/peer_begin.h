/* SPDX-License-Identifier: MIT */
/*
 * peer_begin.h: the first half of an implementation's file: the state that its loops share with its own
 * calls. The file goes on with the types and functions that peer_loops.h lists, and ends by including that.
 * One implementation a file: everything here is static.
 */
#ifndef BENCH_PEER_BEGIN_H
#define BENCH_PEER_BEGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "peer.h"

/* The clock of the loops. It starts at an odd place, so that no implementation profits from round numbers. */
#define PEER_CLOCK_START UINT64_C(1234567890123456)
static uint64_t peer_now_ns;
static struct bench_setup peer_setup;
static inline void peer_expired(uint32_t index);

#endif
