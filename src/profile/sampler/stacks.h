/* SPDX-License-Identifier: MIT */
/* stacks.h: the hash of stacks that the handler counts in. AS-Safe, lock-free. */
#ifndef AWI_PROFILE_STACKS_H
#define AWI_PROFILE_STACKS_H

#include "recording.h"

/* A sample as the handler has taken it. */
struct awi_taken {
    uint16_t thread;
    uint32_t label;
    unsigned depth;
    bool is_truncated;
    uint64_t weight_ns; /* the time that it stands for, as the timer says */
    const uint64_t *pcs;
};

/* Counts it in a half. Returns its record, or NULL: there is no room. */
struct awi_stack_record *awi_stacks_count(struct awi_recording *recording, unsigned half,
                                          const struct awi_taken *taken);

#endif
