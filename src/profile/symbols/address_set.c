/* SPDX-License-Identifier: MIT */
/* address_set.c: see address_set.h. A hash table with linear probing, half full at most. For symbols.c. */
#include "address_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM ((size_t)1024) /* a power of two */

static size_t slot_of(const struct awi_address_set *set, uint64_t address)
{
    uint64_t hash = address * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 32) & (set->slots_count - 1);
    while (set->slots[slot] != 0 && set->addresses[set->slots[slot] - 1] != address)
        slot = (slot + 1) & (set->slots_count - 1);
    return slot;
}

static void fill_slots(struct awi_address_set *set)
{
    memset(set->slots, 0, set->slots_count * sizeof *set->slots);
    for (size_t i = 0; i < set->count; ++i)
        set->slots[slot_of(set, set->addresses[i])] = (uint32_t)i + 1;
}

static int grow(struct awi_address_set *set)
{
    size_t room = set->room != 0 ? 2 * set->room : FIRST_ROOM;
    if (room > UINT32_MAX / 2)
        return -ENOMEM;
    uint64_t *addresses = realloc(set->addresses, room * sizeof *addresses);
    if (addresses == NULL)
        return -ENOMEM;
    set->addresses = addresses;
    uint32_t *slots = malloc(2 * room * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    free(set->slots);
    set->slots = slots;
    set->slots_count = 2 * room;
    set->room = room;
    fill_slots(set);
    return 0;
}

int awi_address_set_add(struct awi_address_set *set, uint64_t address)
{
    int error = set->count == set->room ? grow(set) : 0;
    if (error != 0)
        return error;
    size_t slot = slot_of(set, address);
    if (set->slots[slot] == 0) {
        set->addresses[set->count++] = address;
        set->slots[slot] = (uint32_t)set->count;
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

void awi_address_set_sort(struct awi_address_set *set)
{
    if (set->count == 0)
        return;
    qsort(set->addresses, set->count, sizeof *set->addresses, compare);
    fill_slots(set);
}

uint32_t awi_address_set_index(const struct awi_address_set *set, uint64_t address)
{
    return set->slots[slot_of(set, address)] - 1;
}

void awi_address_set_free(struct awi_address_set *set)
{
    free(set->addresses);
    free(set->slots);
    memset(set, 0, sizeof *set);
}
