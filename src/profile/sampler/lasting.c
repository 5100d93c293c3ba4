/* SPDX-License-Identifier: MIT */
/*
 * lasting.c: the loader's list of objects begins with those that the program was started with, in front of
 * them the program, among the last of them the loader itself; what is opened later is appended. So all up to
 * the loader stay for good. The few that it may have put behind itself pass for ones that may be unloaded,
 * which costs a look-up, and is never wrong.
 */
#include "lasting.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "../../guard/object.h"

#define LASTING_MAX 128u

#if AWI_UNWINDS_IN_HANDLERS

static struct range {
    uintptr_t start;
    uintptr_t end;
} lasting[LASTING_MAX];
static unsigned lasting_count;

static bool find_range(const struct link_map *map, struct range *range)
{
    struct dl_find_object object;
    if (map->l_ld == NULL || _dl_find_object(map->l_ld, &object) != 0 || object.dlfo_link_map != map)
        return false;
    *range = (struct range){ (uintptr_t)object.dlfo_map_start, (uintptr_t)object.dlfo_map_end };
    return true;
}

void awi_lasting_find(void)
{
    const struct link_map *map = _r_debug.r_map;
    uintptr_t loader = (uintptr_t)getauxval(AT_BASE);
    unsigned count = 0;
    lasting_count = 0;
    for (bool is_last = false; map != NULL && !is_last && count < LASTING_MAX; map = map->l_next) {
        is_last = loader == 0 || map->l_addr == loader;
        count += find_range(map, &lasting[count]) ? 1 : 0;
    }
    lasting_count = count;
}

bool awi_lasting_has(uintptr_t pc)
{
    for (unsigned i = 0; i < lasting_count; ++i) {
        if (pc >= lasting[i].start && pc < lasting[i].end)
            return true;
    }
    return false;
}

/* Its record in the loader may be at the same address as one before it: so its name counts, too. */
uint64_t awi_object_identity(uintptr_t pc, uint64_t *start, uint64_t *end)
{
    struct dl_find_object object;
    *start = pc;
    *end = pc + 1;
    if (_dl_find_object((void *)pc, &object) != 0)
        return 0;
    *start = (uint64_t)(uintptr_t)object.dlfo_map_start;
    *end = (uint64_t)(uintptr_t)object.dlfo_map_end;
    uint64_t hash = (uint64_t)(uintptr_t)object.dlfo_link_map ^ *start << 1 ^ *end << 3;
    hash ^= (uint64_t)(uintptr_t)object.dlfo_link_map->l_ld << 5;
    for (const char *c = object.dlfo_link_map->l_name; *c != '\0'; ++c)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return hash | 1;
}

#else

void awi_lasting_find(void)
{
}

bool awi_lasting_has(uintptr_t pc)
{
    (void)pc;
    return false;
}

uint64_t awi_object_identity(uintptr_t pc, uint64_t *start, uint64_t *end)
{
    *start = pc;
    *end = pc + 1;
    return 0;
}

#endif
