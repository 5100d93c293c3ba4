/* SPDX-License-Identifier: MIT */
/*
 * tries.h: the tries of one configuration, one after the other in the owner thread, and what came of them.
 */
#ifndef AWI_STRESS_TRIES_H
#define AWI_STRESS_TRIES_H

#include "bound.h"
#include "peer.h"

struct tally {
    unsigned tries;   /* around the instant at which the peer is ready, or beneath another handler */
    unsigned results; /* of these: a result; the others a time-out */
    unsigned close;   /* of these: within 50 us of where both are as likely; or beneath the other handler */
    unsigned entries; /* tries besides, around the instant at which the call is made */
    unsigned hangs;   /* the peer had to set it free */
    unsigned early;   /* time-outs before the deadline */
    unsigned errors;  /* anything else; `error` is the last one */
    int error;
    uint64_t latest_ns; /* a time-out after its deadline and its signal, at most */
    struct accounts accounts;
};

void tries_run(const struct plan *plan, struct exchange *exchange, struct meeting *meeting,
               struct tally *tally);

#endif
