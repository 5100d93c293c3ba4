/* SPDX-License-Identifier: MIT */
/*
 * address_ranges.h: which of many ranges of addresses holds an address: modules, compilation units,
 * functions. Ranges are added, then sorted once, then asked for. Ones that nest or overlap are allowed.
 */
#ifndef AWI_PROFILE_ADDRESS_RANGES_H
#define AWI_PROFILE_ADDRESS_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "../model.h"

struct awi_address_range {
    uint64_t start;
    uint64_t end;
    uint64_t furthest_end; /* of this one and all that start no later */
    size_t what;           /* the caller's */
};

/* Zeroed but for the arena, which holds the items. */
struct awi_address_ranges {
    struct awi_arena *arena;
    struct awi_address_range *items;
    size_t count;
    size_t room;
};

/* Empty ranges are left out. 0 or -ENOMEM. */
int awi_address_ranges_add(struct awi_address_ranges *ranges, uint64_t start, uint64_t end, size_t what);
void awi_address_ranges_sort(struct awi_address_ranges *ranges);

/* Of the ranges that hold the address the one that starts last; NULL: none does. */
const struct awi_address_range *awi_address_ranges_find(const struct awi_address_ranges *ranges,
                                                        uint64_t address);

#endif
