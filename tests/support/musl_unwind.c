/* SPDX-License-Identifier: MIT */
/*
 * musl_unwind.c: what the libgcc_eh of a glibc system asks of its libc, for tests that a wrapper such as
 * Debian's musl-gcc links with it although it compiles for musl. A toolchain that was built for musl has a
 * libgcc_eh that asks for nothing.
 */
#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* As glibc 2.35's <dlfcn.h> has it. */
struct found_object {
    unsigned long long flags;
    void *map_start;
    void *map_end;
    void *link_map;
    void *eh_frame;
    unsigned long long reserved[7];
};

int _dl_find_object(void *address, struct found_object *found);

struct search {
    uintptr_t address;
    struct found_object *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    int is_here = 0;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t low = (uintptr_t)info->dlpi_addr + (uintptr_t)header->p_vaddr;
        if (header->p_type == PT_LOAD && search->address - low < header->p_memsz) {
            search->found->map_start = (void *)low;
            search->found->map_end = (void *)(low + header->p_memsz);
            is_here = 1;
        }
        if (header->p_type == PT_GNU_EH_FRAME)
            search->found->eh_frame = (void *)low;
    }
    return is_here;
}

int _dl_find_object(void *address, struct found_object *found)
{
    struct search search = { (uintptr_t)address, found };
    *found = (struct found_object){ 0 };
    return dl_iterate_phdr(look, &search) && found->eh_frame != NULL ? 0 : -1;
}
