/* SPDX-License-Identifier: MIT */
/*
 * blocking.h: guarded calls that block, each on a stage of its own, and what lets each go on. For the tests
 * of guarded calls with real signals.
 */
#ifndef AWI_BLOCKING_H
#define AWI_BLOCKING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a blocking call stands on. */
struct stage {
    char folder[64];
    char path[80];
    int fds[4];
    unsigned n_fds;
    int granted;  /* the descriptor that the call returned, or -1 */
    pid_t holder; /* another process, which holds something until `holder_ends` is written to */
    int holder_ends;
    uint32_t *word; /* shared with other processes */
};

struct blocking {
    const char *name;
    void (*prepare)(struct stage *stage);
    long (*call)(struct stage *stage, uint64_t timeout_ns);
    int (*release)(struct stage *stage); /* in another process: now the call can return */
};

extern const struct blocking blocking_calls[];
extern const unsigned n_blocking_calls;

void stage_build(struct stage *stage, const struct blocking *blocking);
void stage_clear(struct stage *stage);

/* Parts of stages. */
void stage_pipe(struct stage *stage);
void stage_file(struct stage *stage);
void fill(int fd);

/* Another process that makes the call ready after a while; to be waited for. */
pid_t release_later(struct stage *stage, const struct blocking *blocking, uint64_t delay_ms);

#endif
