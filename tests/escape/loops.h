/* SPDX-License-Identifier: MIT */
/*
 * loops.h: the code that escapes strike, each kind a loop that never ends by itself, and knows how to tell
 * afterwards whether something was torn. For escape_stress.c.
 */
#ifndef AWI_ESCAPE_LOOPS_H
#define AWI_ESCAPE_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

struct escape_loop {
    const char *name;
    const char *about;
    void (*begin)(void); /* once, outside guards */
    void (*turn)(void);  /* over and over, until an escape ends it */
    /*
     * After each escape: puts right what the program's own code was in the middle of, which is its own to
     * do, and looks whether anything else was torn. Returns what, or NULL. `last`: look at everything.
     */
    const char *(*landed)(bool last);
    bool calls_back; /* libc, or the kernel, calls the program's code in it */
};

extern const struct escape_loop loop_malloc, loop_nodefer, loop_qsort, loop_stdio, loop_cookie,
    loop_dliterate, loop_compute, loop_library;

/* Callbacks and signal handlers of the loop that have begun and not ended: none after a clean escape. */
extern volatile int loop_inside;

/* Nothing moves across it, as an escape sees it. */
#define LOOP_ORDER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A xorshift generator. */
uint32_t loop_random(void);

/* Plain computation, in the program's own text. */
void loop_compute_for(unsigned rounds);

#endif
