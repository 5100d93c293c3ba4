/* SPDX-License-Identifier: MIT */
/* wait.h: sleeping until something is pending, for aw_wait, aw_poll and aw_run. */
#ifndef AWI_WAIT_H
#define AWI_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Dispatches and sleeps. `until_callback`: returns once one has run; else goes on until a descriptor is
 * ready. -EINTR is a foreign handler's if *foreign, which is always set; else a callback returned it.
 */
int awi_wait(struct pollfd *fds, nfds_t n, uint64_t timeout_ns, bool until_callback, bool *foreign,
             const void *here);

#endif
