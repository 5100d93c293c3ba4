/* SPDX-License-Identifier: MIT */
/* watch.h: the watchers of signals, for who calls them and for who waits for a signal. Owner thread. */
#ifndef AWI_WATCH_H
#define AWI_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/signal.h>

#include "../engine/frame.h"

/*
 * One function that watches a signal. They are told apart by `serial`, which grows in the order of calling.
 */
struct awi_watcher {
    aw_signal_fn *fn; /* NULL: free */
    void *arg;
    uint64_t serial;
    int signo;
};

/* The first watcher of signo behind that serial number; NULL: none. */
const struct awi_watcher *awi_watch_next(int signo, uint64_t after);

/* The serial number of the watcher that came last. */
uint64_t awi_watch_last(void);

/* Signals that an aw_signal_wait takes as long as its frame is there: they are not called back. */
struct awi_waiting {
    struct awi_frame_record frame;
    uint64_t signals;
};
extern struct awi_waiting awi_waiting __attribute__((visibility("hidden")));

struct awi_posted;

/* deliver.c: the next callback, for the dispatcher. */
bool awi_signal_take(struct awi_posted *next);

/* deliver.c: the wait that was around the dispatch has gone with it. */
void awi_signal_abandoned(void);

/* deliver.c: forgets the arrival that is being called back. */
void awi_signal_deliver_reset(void);

/*
 * deliver.c: how many arrivals have been called back; and whether a dispatch was ended for an
 * aw_signal_wait.
 */
extern uint64_t awi_signal_delivered __attribute__((visibility("hidden")));
extern bool awi_signal_wait_has __attribute__((visibility("hidden")));

#endif
