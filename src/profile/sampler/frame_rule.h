/* SPDX-License-Identifier: MIT */
/*
 * frame_rule.h: how to get from an address in a function to the function's caller: what the call-frame
 * information of its object (.eh_frame) says, reduced to what nearly all code needs. AS-Safe: it reads mapped
 * memory, and nothing else. x86-64.
 */
#ifndef AWI_PROFILE_FRAME_RULE_H
#define AWI_PROFILE_FRAME_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum awi_frame_rule_kind {
    AWI_RULE_PLAIN = 0,
    AWI_RULE_SIGNAL, /* of a signal handler: the interrupted registers are where the stack pointer is */
    AWI_RULE_END,    /* no caller: the outermost frame, or text without call-frame information */
    AWI_RULE_COMPLEX /* not to be said in a rule: an unknown expression, an unusual register */
};

/*
 * The canonical frame address is `base` plus `cfa`; the return address lies right below it, and the frame
 * pointer register of the caller was saved at it plus `rbp`, or is as it was if that is 0.
 */
struct awi_frame_rule {
    unsigned kind : 4;
    unsigned is_based_on_rbp : 1; /* else on the stack pointer */
    unsigned is_lasting : 1;      /* for who keeps it: the code will not be unloaded */
    unsigned unused : 10;
    int16_t rbp;
    int32_t cfa;
};

/* The rule at an address within an instruction. */
struct awi_frame_rule awi_frame_rule_find(uintptr_t pc);

#endif
