/* SPDX-License-Identifier: MIT */
/*
 * peer.h: the process that the owner's call waits for. The owner posts an order before each call: when to be
 * ready, when to send which signal; the peer carries it out by the clock, answers when the call is over, and
 * is the watchdog besides: a call that hangs it sets free by being ready after all, and says so.
 */
#ifndef AWI_STRESS_PEER_H
#define AWI_STRESS_PEER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "meeting.h"

/* Instants on CLOCK_MONOTONIC; AW_FOREVER: not at all. */
struct order {
    uint64_t ready_ns;
    uint64_t alarm_ns;   /* the engine's signal by tgkill */
    uint64_t stray_ns;   /* the same, before anything is due */
    uint64_t beneath_ns; /* SIGUSR1 by tgkill */
    uint64_t hung_ns;    /* from then on it is a hang */
    unsigned char byte;  /* to send when ready */
};

struct answer {
    uint64_t ready_ns; /* when it was ready; AW_FOREVER: it was not */
    uint64_t alarm_ns; /* when it sent the engine's signal, in place of the alarm; 0: it did not */
    bool hung;
};

/* In memory that both processes share. A gate is open for try n when it holds n. */
struct exchange {
    atomic_uint ordered; /* the owner posted the order */
    atomic_uint over;    /* the owner's call returned, one way or the other */
    atomic_uint settled; /* the peer answered, and does nothing more */
    struct order order;
    struct answer answer;
    pid_t owner_pid, owner_tid;
    int signo;
    bool spins; /* nobody else wants the processors: it may wait for instants by looking at the clock */
};

uint64_t clock_ns(void);

struct exchange *exchange_make(void);

/* Forks it. It ends with the process that called. */
pid_t peer_start(struct exchange *exchange, struct meeting *meeting);

/* The owner's side of a try, in this order. */
void peer_order(struct exchange *exchange, unsigned n, const struct order *order);
void peer_over(struct exchange *exchange, unsigned n);
struct answer peer_answer(struct exchange *exchange, unsigned n);

#endif
