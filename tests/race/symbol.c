/* SPDX-License-Identifier: MIT */
/*
 * symbol.c: reads this program's own symbol table, once. The program is linked statically and not
 * position-independent, so that the table's values are the addresses. Only messages depend on it.
 */
#include "symbol.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *image;

static const char *open_image(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

void symbol_of(uintptr_t address, char *text, size_t size)
{
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;

    snprintf(text, size, "?");
    if (image == NULL && (image = open_image()) == NULL)
        return;
    header = (const Elf64_Ehdr *)(const void *)image;
    sections = (const Elf64_Shdr *)(const void *)(image + header->e_shoff);
    for (unsigned s = 0; s < header->e_shnum; s++) {
        const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(image + sections[s].sh_offset);
        const char *names;

        if (sections[s].sh_type != SHT_SYMTAB)
            continue;
        names = image + sections[sections[s].sh_link].sh_offset;
        for (size_t i = 0; i < sections[s].sh_size / sizeof *symbols; i++) {
            if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && address >= symbols[i].st_value &&
                address < symbols[i].st_value + symbols[i].st_size) {
                snprintf(text, size, "%s+%lu", names + symbols[i].st_name,
                         (unsigned long)(address - symbols[i].st_value));
                return;
            }
        }
    }
}
