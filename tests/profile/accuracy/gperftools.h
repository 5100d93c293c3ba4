/* SPDX-License-Identifier: MIT */
/* gperftools.h: the same work under gperftools' profiler, in a child process, for the long forms. */
#ifndef ACCURACY_GPERFTOOLS_H
#define ACCURACY_GPERFTOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tally.h"

#define GPERFTOOLS_RANGES 3

struct gperftools_profile {
    uint64_t samples;
    uint64_t time_ns; /* samples by the period that it believes in */
    uint64_t within[GPERFTOOLS_RANGES];
};

/*
 * Profiles `body`; what it writes into `arg` stays in the child. False: there is no gperftools here, or it
 * does not work.
 */
bool gperftools_run(unsigned hz, void (*body)(void *arg), void *arg, const struct tally_range *ranges,
                    size_t ranges_count, struct gperftools_profile *profile);

#endif
