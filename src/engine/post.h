/* SPDX-License-Identifier: MIT */
/* post.h: the queue of posted functions, as the dispatcher sees it. */
#ifndef AWI_POST_H
#define AWI_POST_H

#include <stdbool.h>

#include <alarmwheel/safepoint.h>

struct awi_posted {
    aw_post_fn *fn;
    void *arg;
};

/*
 * Takes the oldest; false if there is none, or if it is just being written (its writer raises AWI_POST
 * afterwards).
 */
bool awi_post_take(struct awi_posted *posted);

/* Empties the queue. No poster may be active: start of an engine. */
void awi_post_reset(void);

/*
 * Around what may ring the doorbell: aw_shutdown waits for those on other threads, so that no doorbell
 * comes once the old disposition is back. False: no engine.
 */
bool awi_post_begin(void);
void awi_post_end(void);

/* Wakes the owner if it sleeps in a wait. Any thread, any context. */
void awi_wake_owner(void);

#endif
