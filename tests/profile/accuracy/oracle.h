/* SPDX-License-Identifier: MIT */
/*
 * oracle.h: libunwind's walk of an interrupted stack, in a module that is loaded RTLD_LOCAL: libunwind
 * brings an _Unwind_Backtrace of its own, which must not take the place of the one under test.
 */
#ifndef ACCURACY_ORACLE_H
#define ACCURACY_ORACLE_H

#include <stdint.h>

/* As awi_unwind: innermost first, the interrupted address, then those of the calls less one. */
typedef unsigned oracle_walk_fn(void *context, uint64_t *pcs, unsigned max);

#define ORACLE_SYMBOL "oracle_walk"

#endif
