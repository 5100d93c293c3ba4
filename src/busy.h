/* SPDX-License-Identifier: MIT */
/*
 * busy.h: the mark that a function of this library sets while it changes something: no guard escapes out of
 * it, whichever object its code is linked into or inlined into. L0, because a wheel of the program's own
 * can be torn as well as the engine.
 *
 * The mark is the function's frame address. One that lies below the stack pointer was left by longjmp, and
 * counts for nothing; one that lies above a guard's frame does not concern that guard. Per thread: signals
 * of one thread never judge another's.
 */
#ifndef AWI_BUSY_H
#define AWI_BUSY_H

#include <stddef.h>
#include <stdint.h>

extern _Thread_local const void *awi_busy_frame
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

#define AWI_BUSY_INLINE static inline __attribute__((always_inline))

/* Returns what awi_busy_end takes: the mark of the library function that this one was called from, if any. */
AWI_BUSY_INLINE const void *awi_busy_begin(void)
{
    const void *here = __builtin_frame_address(0);
    const void *outer = awi_busy_frame;
    awi_busy_frame = here;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return (uintptr_t)outer >= (uintptr_t)here ? outer : NULL; /* equal where one is inlined into the other */
}

AWI_BUSY_INLINE void awi_busy_end(const void *outer)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    awi_busy_frame = outer;
}

AWI_BUSY_INLINE void awi_busy_leave(const void *const *outer)
{
    awi_busy_end(*outer);
}

/* For a function that signal handlers call, which may have a stack of their own: anywhere. */
AWI_BUSY_INLINE const void *awi_busy_begin_in_handler(void)
{
    const void *outer = awi_busy_frame;
    awi_busy_frame = __builtin_frame_address(0);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return outer;
}

/* A declaration: busy from here to the end of the block, however that is left. */
#define AWI_BUSY \
    const void *awi_busy_outer __attribute__((cleanup(awi_busy_leave), unused)) = awi_busy_begin()
#define AWI_BUSY_IN_HANDLER \
    const void *awi_busy_outer __attribute__((cleanup(awi_busy_leave), unused)) = awi_busy_begin_in_handler()

#endif
