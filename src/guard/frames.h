/* SPDX-License-Identifier: MIT */
/*
 * frames.h: may these stack frames be left in the middle? Every one of them, from the innermost up to the
 * frame that an escape jumps to, has to be text of the objects that allow it.
 */
#ifndef AWI_FRAMES_H
#define AWI_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "../engine/pending.h"

/* An address in a stack frame, and whether it may be left. */
struct awi_frames {
    const struct awi_landing *landing;
    /* From a signal handler: the return address of the handler, which is the trampoline's, and where the
     * interrupted code stands. */
    const void *trampoline;
    uintptr_t pc;
    bool is_at_call; /* at a system call that has not been granted anything: wrappers.h */
    /* From program context (`trampoline` NULL): an address in the frame of the function that was called. */
    const void *here;

    uint32_t target;  /* the guard to land in */
    uint64_t holding; /* out: bit i: guard i inside it lies in one of the frames, and has clean-ups */
};

enum awi_leave {
    AWI_LEAVE,
    AWI_LEAVE_NOT,
    AWI_LEAVE_DEAD /* the frame to land in is not there any more: another call's lies in its place */
};

/*
 * AS-Safe where AWI_UNWINDS_IN_HANDLERS, and awi_frames_warm was called. *stopped_at: the code of the frame
 * that forbids it.
 */
enum awi_leave awi_frames_leave(struct awi_frames *frames, uintptr_t *stopped_at);

/* The frame that `address` lies in, of those that are active. Program context. */
struct awi_holder awi_frames_holder(const void *address);

/* Unwinds once, so that whatever the unwinder sets up at first is done before a handler needs it. */
void awi_frames_warm(void);

/* True where malloc's own text is among what may be left: a handler cannot tell whether it interrupts it. */
bool awi_frames_include_malloc(const void *code);

#endif
