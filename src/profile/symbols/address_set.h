/* SPDX-License-Identifier: MIT */
/* address_set.h: the different addresses among many: added, then sorted, then asked for by number. */
#ifndef AWI_PROFILE_ADDRESS_SET_H
#define AWI_PROFILE_ADDRESS_SET_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed at first. */
struct awi_address_set {
    uint64_t *addresses;
    size_t count; /* less than UINT32_MAX */
    size_t room;
    uint32_t *slots; /* 1 + an index, by hash; 0: free */
    size_t slots_count;
};

/* 0 or -ENOMEM. */
int awi_address_set_add(struct awi_address_set *set, uint64_t address);
void awi_address_set_sort(struct awi_address_set *set);

/* The index of one that was added. */
uint32_t awi_address_set_index(const struct awi_address_set *set, uint64_t address);
void awi_address_set_free(struct awi_address_set *set);

#endif
