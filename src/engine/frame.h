/* SPDX-License-Identifier: MIT */
/*
 * frame.h: is a stack frame still there? Code that longjmps past a guard or out of a callback leaves frames
 * behind that will never return; they are recognised by lying below the stack pointer, or by having been
 * overwritten. Says "gone" only where it is sure: on the owner's own stack, not across coroutine stacks.
 */
#ifndef AWI_FRAME_H
#define AWI_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An address in the running function's frame: everything in its caller's frame lies above it. The function
 * must not be inlined into that caller, not by link-time optimisation either.
 */
#define AWI_HERE __builtin_frame_address(0)
#define AWI_OUTLINE __attribute__((noinline))

/*
 * Learns the stack of the calling thread, the owner's, from /proc/self/maps. Allocates nothing. Unknown:
 * nothing is ever gone.
 */
void awi_frame_learn(void);

/* True if `address` lies on that stack. AS-Safe. */
bool awi_frame_is_on_stack(const void *address);

/*
 * True if `address` lay in a frame that has been left, seen from `here`, an address in the running frame.
 */
bool awi_frame_is_gone(const void *address, const void *here);

/* A mark in a frame that is going to call out: the frame is there while the mark is. */
struct awi_frame {
    const struct awi_frame *self;
    uint64_t serial;
};

/* What is known of such a mark by those who must not rely on it. */
struct awi_frame_record {
    const struct awi_frame *frame;
    uint64_t serial;
};

void awi_frame_open(struct awi_frame *frame, struct awi_frame_record *record);
bool awi_frame_is_open(const struct awi_frame_record *record, const void *here);
void awi_frame_close(struct awi_frame *frame, struct awi_frame_record *record);

#endif
