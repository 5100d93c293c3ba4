/* SPDX-License-Identifier: MIT */
/* object.c: which object contains an address? See object.h. */
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>

#include "object.h"

#if AWI_UNWINDS_IN_HANDLERS

uintptr_t awi_object_of(uintptr_t address)
{
    struct dl_find_object found;
    return _dl_find_object((void *)address, &found) == 0 ? (uintptr_t)found.dlfo_map_start : 0;
}

#else

struct search {
    uintptr_t address;
    uintptr_t object;
};

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t low = (uintptr_t)info->dlpi_addr + (uintptr_t)header->p_vaddr;
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0 &&
            search->address - low < header->p_memsz)
            search->object = (uintptr_t)info->dlpi_phdr;
    }
    return search->object != 0;
}

uintptr_t awi_object_of(uintptr_t address)
{
    struct search search = { address, 0 };
    dl_iterate_phdr(look, &search);
    return search.object;
}

#endif
