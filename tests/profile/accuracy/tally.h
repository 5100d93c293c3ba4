/* SPDX-License-Identifier: MIT */
/* tally.h: sums over a profile's samples. */
#ifndef ACCURACY_TALLY_H
#define ACCURACY_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/model.h"

/*
 * A function that is looked for in stacks: it has a section of its own, whose ends the linker knows. Name
 * it as TALLIED(name) static void name(...); then TALLY_DECLARE(name), and TALLY_RANGE(name).
 */
#define TALLIED(name) __attribute__((noinline, section("tally_" #name)))
#define TALLY_DECLARE(name) extern const char __start_tally_##name[], __stop_tally_##name[]
#define TALLY_RANGE(name)                         \
    {                                             \
        __start_tally_##name, __stop_tally_##name \
    }

struct tally_range {
    const char *start, *stop;
};

/* Is one of these addresses in the range? */
bool tally_is_within(const struct tally_range *range, const uint64_t *pcs, unsigned depth);

/* Of a thread by its id; 0: of all. */
uint64_t tally_time_ns(const struct aw_profile *profile, int32_t tid);
uint64_t tally_count(const struct aw_profile *profile, int32_t tid);
/* Of those, in whose stacks the function is. */
uint64_t tally_time_ns_within(const struct aw_profile *profile, int32_t tid, const struct tally_range *range);
uint64_t tally_count_within(const struct aw_profile *profile, int32_t tid, const struct tally_range *range);

/* Starts a profile; false, with the reason said, if that fails. */
bool tally_start(enum aw_profile_clock clock, unsigned hz);
/* Stops it and takes it; NULL if that fails, which is said. */
struct aw_profile *tally_stop(void);

#endif
