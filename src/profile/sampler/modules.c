/* SPDX-License-Identifier: MIT */
/*
 * modules.c: asks the loader for the object of an address (_dl_find_object: no lock, meant for unwinding in
 * signal handlers) and records its place and its name.
 *
 * The loader's record of the object may be read, since code of it is on the interrupted stack: who unloads it
 * at that moment breaks the program itself.
 */
#include "modules.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "../../guard/object.h"

#if AWI_UNWINDS_IN_HANDLERS

/* The kernel's object has a name, and no file. */
static const char *name_of(const struct link_map *map)
{
    if (strncmp(map->l_name, "linux-vdso", 10) == 0 || strncmp(map->l_name, "linux-gate", 10) == 0)
        return "[vdso]";
    return map->l_name; /* "": the program */
}

static bool is_recorded(const struct awi_recording *recording, const struct dl_find_object *object,
                        const char *name)
{
    uint32_t used = atomic_load_explicit(&recording->head->modules_used, memory_order_acquire);
    for (uint32_t i = 0; i < used && i < recording->head->modules_max; ++i) {
        const struct awi_module_record *module = &recording->modules[i];
        if (atomic_load_explicit(&module->is_ready, memory_order_acquire) != 0 &&
            module->start == (uint64_t)(uintptr_t)object->dlfo_map_start &&
            module->end == (uint64_t)(uintptr_t)object->dlfo_map_end &&
            strcmp(recording->strings + module->path, name) == 0)
            return true;
    }
    return false;
}

/* The note that linkers leave in a file, in one of its segments of notes. */
static void find_build_id(struct awi_module_record *module, const char *notes, size_t bytes)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)notes;
        size_t name = ((size_t)note->n_namesz + 3) & ~(size_t)3;
        size_t value = ((size_t)note->n_descsz + 3) & ~(size_t)3;
        if (name > bytes || value > bytes || sizeof *note + name + value > bytes)
            return;
        const char *at = notes + sizeof *note;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(at, "GNU", 4) == 0 &&
            note->n_descsz <= AWI_BUILD_ID_BYTES) {
            memcpy(module->build_id, at + name, note->n_descsz);
            module->build_id_bytes = note->n_descsz;
            return;
        }
        notes += sizeof *note + name + value;
        bytes -= sizeof *note + name + value;
    }
}

/* The file's header is mapped where the object begins, unless it was linked by a strange script. */
static void read_build_id(struct awi_module_record *module)
{
    const char *start = (const char *)(uintptr_t)module->start;
    size_t bytes = (size_t)(module->end - module->start);
    const ElfW(Ehdr) *header = (const void *)start;
    if (bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phoff >= bytes ||
        header->e_phentsize != sizeof(ElfW(Phdr)) ||
        header->e_phnum > (bytes - header->e_phoff) / sizeof(ElfW(Phdr)))
        return;
    const ElfW(Phdr) *segments = (const void *)(start + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum && module->build_id_bytes == 0; ++i) {
        uint64_t notes = module->bias + segments[i].p_vaddr;
        if (segments[i].p_type == PT_NOTE && notes >= module->start && notes < module->end &&
            segments[i].p_memsz <= module->end - notes)
            find_build_id(module, (const char *)(uintptr_t)notes, segments[i].p_memsz);
    }
}

/* Two threads may record the same object: a reader does not mind. */
static void record(struct awi_recording *recording, const struct dl_find_object *object, const char *name)
{
    struct awi_recording_head *head = recording->head;
    uint32_t bytes = (uint32_t)strlen(name) + 1;
    uint32_t path = atomic_fetch_add_explicit(&head->strings_used, bytes, memory_order_relaxed);
    if (path > head->strings_max || bytes > head->strings_max - path)
        return;
    uint32_t index = atomic_fetch_add_explicit(&head->modules_used, 1, memory_order_relaxed);
    if (index >= head->modules_max)
        return;
    struct awi_module_record *module = &recording->modules[index];
    memcpy(recording->strings + path, name, bytes);
    module->path = path;
    module->start = (uint64_t)(uintptr_t)object->dlfo_map_start;
    module->end = (uint64_t)(uintptr_t)object->dlfo_map_end;
    module->bias = (uint64_t)object->dlfo_link_map->l_addr;
    read_build_id(module);
    atomic_store_explicit(&module->is_ready, 1, memory_order_release);
}

bool awi_modules_note(struct awi_recording *recording, uintptr_t pc)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)pc, &object) != 0)
        return false;
    const char *name = name_of(object.dlfo_link_map);
    bool is_full = atomic_load_explicit(&recording->head->modules_used, memory_order_relaxed) >=
                       recording->head->modules_max ||
                   atomic_load_explicit(&recording->head->strings_used, memory_order_relaxed) >=
                       recording->head->strings_max;
    if (!is_full && !is_recorded(recording, &object, name))
        record(recording, &object, name);
    return true;
}

#else

bool awi_modules_note(struct awi_recording *recording, uintptr_t pc)
{
    (void)recording;
    (void)pc;
    return false;
}

#endif
