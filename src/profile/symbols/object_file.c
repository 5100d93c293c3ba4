/* SPDX-License-Identifier: MIT */
/*
 * object_file.c: see object_file.h. It owns libdwfl's session, one a file, with the file reported at the
 * addresses it was linked at, so that nothing depends on what else lay in memory. Called by symbols.c.
 */
#include "object_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug_files.h"

#define VDSO "[vdso]"

/* ---- the kernel's own ---- */

/* The end of what its headers speak of; what is mapped is whole. */
static size_t image_bytes(const ElfW(Ehdr) * image)
{
    size_t bytes = (size_t)image->e_shoff + (size_t)image->e_shnum * image->e_shentsize;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)((const char *)image + image->e_phoff);
    for (size_t i = 0; i < image->e_phnum; ++i)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset + segments[i].p_filesz > bytes)
            bytes = (size_t)(segments[i].p_offset + segments[i].p_filesz);
    return bytes;
}

static char *find_vdso(void)
{
    char *image = (char *)getauxval(AT_SYSINFO_EHDR);
    return image != NULL && memcmp(image, ELFMAG, SELFMAG) == 0 ? image : NULL;
}

/* libdwfl asks here for the files that were not reported with a descriptor. */
static int find_file(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base, char **path,
                     Elf **elf)
{
    (void)module;
    (void)userdata;
    (void)base;
    (void)path;
    char *image = strcmp(name, VDSO) == 0 ? find_vdso() : NULL;
    *elf = NULL;
    if (image != NULL) {
        elf_version(EV_CURRENT);
        *elf = elf_memory(image, image_bytes((const ElfW(Ehdr) *)(const void *)image));
    }
    return -1;
}

static Dwfl_Module *report_vdso(Dwfl *session)
{
    const char *image = find_vdso();
    if (image == NULL)
        return NULL;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)(const void *)image;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(const void *)(image + header->e_phoff);
    for (size_t i = 0; i < header->e_phnum; ++i)
        if (segments[i].p_type == PT_LOAD)
            return dwfl_report_module(session, VDSO, segments[i].p_vaddr & -segments[i].p_align,
                                      segments[i].p_vaddr + segments[i].p_memsz);
    return NULL;
}

/* ---- files ---- */

/* libdwfl would read object files and decompress what is compressed, too. */
static bool is_loadable(int fd)
{
    struct stat status;
    unsigned char head[EI_NIDENT];
    uint16_t type;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        pread(fd, head, sizeof head, 0) != sizeof head || memcmp(head, ELFMAG, SELFMAG) != 0 ||
        pread(fd, &type, sizeof type, EI_NIDENT) != sizeof type)
        return false;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const unsigned char order = ELFDATA2MSB;
#else
    const unsigned char order = ELFDATA2LSB;
#endif
    return head[EI_DATA] == order && (type == ET_EXEC || type == ET_DYN);
}

static Dwfl_Module *report_path(Dwfl *session, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    Dwfl_Module *module = NULL;
    if (is_loadable(fd))
        module = dwfl_report_elf(session, path, path, fd, 0, true);
    if (module == NULL)
        close(fd);
    return module;
}

/* A program that is not relocatable was never loaded elsewhere. */
static bool is_placeable(Elf *elf, uint64_t bias)
{
    GElf_Ehdr memory;
    const GElf_Ehdr *header = gelf_getehdr(elf, &memory);
    return header != NULL && (header->e_type == ET_DYN || bias == 0);
}

static int read_code(struct awi_object_file *file, Elf *elf)
{
    size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0)
        return 0;
    for (size_t i = 0; i < count; ++i) {
        GElf_Phdr memory;
        const GElf_Phdr *segment = gelf_getphdr(elf, (int)i, &memory);
        if (segment == NULL || segment->p_type != PT_LOAD || (segment->p_flags & PF_X) == 0)
            continue;
        int error =
            awi_address_ranges_add(&file->code, segment->p_vaddr, segment->p_vaddr + segment->p_memsz, 0);
        if (error != 0)
            return error;
    }
    awi_address_ranges_sort(&file->code);
    return 0;
}

static void read_build_id(struct awi_object_file *file, Dwfl_Module *module)
{
    const unsigned char *bits;
    GElf_Addr address;
    int bytes = dwfl_module_build_id(module, &bits, &address);
    for (int i = 0; i < bytes && 2 * (size_t)i + 2 < sizeof file->build_id; ++i)
        snprintf(file->build_id + 2 * (size_t)i, 3, "%02x", bits[i]);
}

int awi_object_file_open(struct awi_object_file *file, const struct awi_module *module)
{
    static const Dwfl_Callbacks callbacks = { .find_elf = find_file, .find_debuginfo = awi_find_debug_file };

    memset(file, 0, sizeof *file);
    file->arena = awi_arena_create();
    file->session = file->arena != NULL ? dwfl_begin(&callbacks) : NULL;
    if (file->session == NULL)
        return -ENOMEM;
    file->code.arena = file->arena;
    dwfl_report_begin(file->session);
    Dwfl_Module *reported = strcmp(module->path, VDSO) == 0 ? report_vdso(file->session)
                                                            : report_path(file->session, module->path);
    if (dwfl_report_end(file->session, NULL, NULL) != 0 || reported == NULL)
        return 0;
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(reported, &bias);
    if (elf == NULL || bias != 0 || !is_placeable(elf, module->bias))
        return 0;
    read_build_id(file, reported);
    if (module->build_id != NULL && module->build_id[0] != '\0' &&
        strcmp(module->build_id, file->build_id) != 0)
        return 0; /* it was replaced since */

    int error = read_code(file, elf);
    if (error == 0)
        error = awi_elf_symbols_read(&file->symbols, reported, &file->code, file->arena);
    if (error == 0)
        error = awi_dwarf_read(&file->dwarf, reported, file->arena);
    if (error != 0)
        return error;
    file->is_read = true;
    return 0;
}

void awi_object_file_close(struct awi_object_file *file)
{
    if (file->session != NULL)
        dwfl_end(file->session);
    awi_arena_destroy(file->arena);
    memset(file, 0, sizeof *file);
}
