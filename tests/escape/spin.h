/* SPDX-License-Identifier: MIT */
/*
 * spin.h: computation that asks nobody, in the text of the program, for tests of escapes: such that an
 * escape is to end, and such that none may. For test programs on the signal fixture.
 */
#ifndef AWI_ESCAPE_SPIN_H
#define AWI_ESCAPE_SPIN_H

#include "signal_fixture.h"

#define SPIN_LIMIT AW_SEC(60) /* after that a test has failed */

/* Reads the clock seldom: nearly always the interrupted instruction is the program's. */
static inline void spin_a_while(void)
{
    for (unsigned i = 0; i < 5000; ++i)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* An escape ends it. */
static inline void spin_to_the_escape(void)
{
    uint64_t limit = clock_ns() + SPIN_LIMIT;
    while (clock_ns() < limit)
        spin_a_while();
    ck_abort_msg("no escape came");
}

static inline void spin_ms(uint64_t ms)
{
    uint64_t end = clock_ns() + AW_MS(ms);
    while (clock_ns() < end)
        spin_a_while();
}

#endif
