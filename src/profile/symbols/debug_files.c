/* SPDX-License-Identifier: MIT */
/*
 * debug_files.c: finds separate debug information, as debuggers do: by build ID below /usr/lib/debug, then by
 * the name that the file gives (.gnu_debuglink). libdwfl's own search goes on to ask servers if the
 * environment names some (DEBUGINFOD_URLS), which a program that writes a profile has not asked for: so its
 * second half is written anew here, without that. Called by libdwfl, on behalf of object_file.c.
 */
#include "debug_files.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DEBUG_ROOT "/usr/lib/debug"

static bool has_build_id(int fd, const unsigned char *wanted, size_t wanted_bytes)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (elf == NULL)
        return false;
    const void *build_id;
    ssize_t bytes = dwelf_elf_gnu_build_id(elf, &build_id);
    bool is_equal = bytes > 0 && (size_t)bytes == wanted_bytes && memcmp(build_id, wanted, wanted_bytes) == 0;
    elf_end(elf);
    return is_equal;
}

static bool has_crc(int fd, GElf_Word wanted)
{
    unsigned char bytes[16384];
    uLong crc = crc32(0, NULL, 0);
    ssize_t count;
    off_t offset = 0;
    while ((count = pread(fd, bytes, sizeof bytes, offset)) > 0 || (count < 0 && errno == EINTR)) {
        if (count < 0)
            continue;
        crc = crc32(crc, bytes, (uInt)count);
        offset += count;
    }
    return count == 0 && crc == wanted;
}

/* What a module's file says of the one that holds the rest. */
struct wanted {
    const unsigned char *build_id;
    size_t build_id_bytes; /* 0: none; then the checksum is to be right */
    GElf_Word crc;
    struct stat main; /* the file itself is not the one */
};

static int open_if_right(const char *path, const struct wanted *wanted)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    struct stat status;
    bool is_right = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                    (status.st_ino != wanted->main.st_ino || status.st_dev != wanted->main.st_dev);
    if (is_right && wanted->build_id_bytes != 0)
        is_right = has_build_id(fd, wanted->build_id, wanted->build_id_bytes);
    else if (is_right)
        is_right = has_crc(fd, wanted->crc);
    if (is_right)
        return fd;
    close(fd);
    return -1;
}

/* Beside the file, in .debug beside it, and in the same place below the debug root. */
static int find_by_link(const char *file, const char *link, const struct wanted *wanted, char **path)
{
    static const struct {
        const char *root;
        const char *below;
    } places[] = { { "", "/" }, { "", "/.debug/" }, { DEBUG_ROOT, "/" } };
    const char *slash = strrchr(file, '/');
    if (file[0] != '/' || slash == NULL || link[0] == '\0' || strchr(link, '/') != NULL)
        return -1;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; ++i) {
        char *candidate;
        if (asprintf(&candidate, "%s%.*s%s%s", places[i].root, (int)(slash - file), file, places[i].below,
                     link) < 0)
            return -1;
        int fd = open_if_right(candidate, wanted);
        if (fd >= 0) {
            *path = candidate;
            return fd;
        }
        free(candidate);
    }
    return -1;
}

static int find_linked(Dwfl_Module *module, const char *file, const char *link, GElf_Word crc, char **path)
{
    struct wanted wanted = { .crc = crc };
    GElf_Addr address;
    int bytes = dwfl_module_build_id(module, &wanted.build_id, &address);
    wanted.build_id_bytes = bytes > 0 ? (size_t)bytes : 0;
    if (stat(file, &wanted.main) != 0)
        return -1;
    int fd = find_by_link(file, link, &wanted, path);
    if (fd >= 0)
        return fd;
    /* The file may be known by a symbolic link's name. */
    char *real = realpath(file, NULL);
    if (real != NULL && strcmp(real, file) != 0)
        fd = find_by_link(real, link, &wanted, path);
    free(real);
    return fd;
}

int awi_find_debug_file(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
                        const char *file, const char *link, GElf_Word crc, char **path)
{
    static char was_in_vain; /* libdwfl asks again, for the lines after the symbols */
    int fd = dwfl_build_id_find_debuginfo(module, userdata, name, base, file, link, crc, path);
    /* Found; or, without a checksum, a link to what several files share (dwz): libdw looks for that. */
    if (fd >= 0 || *path != NULL || file == NULL || link == NULL || crc == 0 || *userdata != NULL)
        return fd;
    fd = find_linked(module, file, link, crc, path);
    if (fd < 0)
        *userdata = &was_in_vain;
    return fd;
}
