/* SPDX-License-Identifier: MIT */
/* address_ranges.c: see address_ranges.h. Used by symbols.c and by those who read a module's files for it. */
#include "address_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int awi_address_ranges_add(struct awi_address_ranges *ranges, uint64_t start, uint64_t end, size_t what)
{
    if (start >= end)
        return 0;
    if (ranges->count == ranges->room) {
        size_t room = ranges->room != 0 ? 2 * ranges->room : 16;
        struct awi_address_range *items = awi_arena_alloc(ranges->arena, room, sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        if (ranges->count != 0)
            memcpy(items, ranges->items, ranges->count * sizeof *items);
        ranges->items = items;
        ranges->room = room;
    }
    ranges->items[ranges->count++] = (struct awi_address_range){ .start = start, .end = end, .what = what };
    return 0;
}

/* What starts at the same address is sorted with the widest first, so that the narrowest is found first. */
static int compare(const void *left, const void *right)
{
    const struct awi_address_range *a = left;
    const struct awi_address_range *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return (a->what > b->what) - (a->what < b->what);
}

void awi_address_ranges_sort(struct awi_address_ranges *ranges)
{
    if (ranges->count == 0)
        return;
    qsort(ranges->items, ranges->count, sizeof *ranges->items, compare);
    uint64_t furthest_end = 0;
    for (size_t i = 0; i < ranges->count; ++i) {
        struct awi_address_range *item = &ranges->items[i];
        furthest_end = item->end > furthest_end ? item->end : furthest_end;
        item->furthest_end = furthest_end;
    }
}

const struct awi_address_range *awi_address_ranges_find(const struct awi_address_ranges *ranges,
                                                        uint64_t address)
{
    size_t low = 0; /* all before it start no later than the address, all from `high` on start later */
    size_t high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low != 0 && ranges->items[low - 1].furthest_end > address; --low)
        if (ranges->items[low - 1].end > address)
            return &ranges->items[low - 1];
    return NULL;
}
