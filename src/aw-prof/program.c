/* SPDX-License-Identifier: MIT */
/*
 * program.c: judges a program before it is started. The loader ignores LD_PRELOAD in programs that gain
 * privileges, and static programs have no loader; of scripts it is the interpreter that counts. Those are
 * refused, since the profile would be empty.
 */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "message.h"
#include "options.h"

#define SCRIPTS_MAX 5  /* interpreted by scripts: the kernel's limit */
#define LINE_BYTES 256 /* of a script's first line: likewise */

enum judgement {
    GOOD,
    REFUSED, /* static, or privileged */
    UNLIKE,  /* of another machine, or another libc's loader */
    PLAIN_SCRIPT,
    SCRIPT
};

/* --- Finding ------------------------------------------------------------------------------------------ */

/* What is longer has no file. */
static void copy_path(char path[PATH_MAX], const char *text)
{
    size_t length = strnlen(text, PATH_MAX - 1);
    memcpy(path, text, length);
    path[length] = '\0';
}

static int is_executable(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/*
 * As execvp: along PATH, unless there is a slash; one that may not be executed is remembered, and passed
 * over.
 */
static int find(const char *command, char path[PATH_MAX])
{
    if (command[0] == '\0' || strlen(command) >= PATH_MAX)
        return command[0] == '\0' ? ENOENT : ENAMETOOLONG;
    if (strchr(command, '/') != NULL) {
        copy_path(path, command);
        return is_executable(path);
    }
    const char *folder = getenv("PATH");
    int error = ENOENT;
    if (folder == NULL)
        folder = "/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(folder, ":");
        int bytes =
            snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, folder, length > 0 ? "/" : "./", command);
        int result = bytes > 0 && bytes < PATH_MAX ? is_executable(path) : ENOENT;
        if (result == 0)
            return 0;
        if (result == EACCES)
            error = EACCES;
        if (folder[length] == '\0')
            return error;
        folder += length + 1;
    }
}

/* --- ELF ---------------------------------------------------------------------------------------------- */

static bool read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, buffer, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* The name of the loader that a program asks for; "" if it asks for none. False: not of this machine. */
static bool read_loader(int fd, char loader[PATH_MAX])
{
    ElfW(Ehdr) head;
    ElfW(Ehdr) own;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool is_known = self >= 0 && read_at(self, &own, sizeof own, 0);
    if (self >= 0)
        close(self);
    loader[0] = '\0';
    if (!read_at(fd, &head, sizeof head, 0) || head.e_phentsize != sizeof(ElfW(Phdr)))
        return false;
    if (is_known && (memcmp(head.e_ident, own.e_ident, EI_VERSION) != 0 || head.e_machine != own.e_machine))
        return false;
    for (unsigned i = 0; i < head.e_phnum; ++i) {
        ElfW(Phdr) part;
        if (!read_at(fd, &part, sizeof part, head.e_phoff + i * sizeof part))
            return false;
        if (part.p_type != PT_INTERP)
            continue;
        size_t bytes = part.p_filesz < PATH_MAX ? (size_t)part.p_filesz : PATH_MAX - 1;
        if (!read_at(fd, loader, bytes, part.p_offset))
            return false;
        loader[bytes] = '\0';
        break;
    }
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The library needs the libc that aw-prof itself has. */
static bool is_own_loader(const char *loader)
{
    char own[PATH_MAX];
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool is_known = self >= 0 && read_loader(self, own) && own[0] != '\0';
    if (self >= 0)
        close(self);
    return !is_known || strcmp(base_name(loader), base_name(own)) == 0;
}

static enum judgement judge_elf(int fd)
{
    char loader[PATH_MAX];
    if (!read_loader(fd, loader))
        return UNLIKE;
    if (loader[0] == '\0')
        return REFUSED;
    return is_own_loader(loader) ? GOOD : UNLIKE;
}

static bool gains_privileges(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    if ((status.st_mode & S_ISUID) != 0 || (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        return true;
    return fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* --- Scripts ------------------------------------------------------------------------------------------ */

/* A program that may be executed and not read cannot be judged: it gets its chance. */
static enum judgement judge_file(const char *path, char line[LINE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return GOOD;
    ssize_t bytes = pread(fd, line, LINE_BYTES - 1, 0);
    line[bytes > 0 ? bytes : 0] = '\0';
    enum judgement judgement;
    if (bytes >= SELFMAG && memcmp(line, ELFMAG, SELFMAG) == 0)
        judgement = gains_privileges(fd) ? REFUSED : judge_elf(fd);
    else
        judgement = line[0] == '#' && line[1] == '!' ? SCRIPT : PLAIN_SCRIPT;
    close(fd);
    return judgement;
}

/* Cuts "#! interpreter argument" in two. */
static char *cut(char *line, char **argument)
{
    line[strcspn(line, "\n")] = '\0';
    char *name = line + 2 + strspn(line + 2, " \t");
    char *end = name + strcspn(name, " \t");
    *argument = *end != '\0' ? end + strspn(end, " \t") : end;
    *end = '\0';
    return name;
}

/* The program that env is told to run, if it is told so plainly. */
static const char *program_of_env(const char *interpreter, char *argument)
{
    if (strcmp(base_name(interpreter), "env") != 0)
        return NULL;
    if (strncmp(argument, "-S", 2) == 0)
        argument += 2 + strspn(argument + 2, " \t");
    argument[strcspn(argument, " \t")] = '\0';
    return argument[0] == '\0' || argument[0] == '-' || strchr(argument, '=') != NULL ? NULL : argument;
}

/* Follows a script to what runs it. *named is what the user is to be told of. */
static enum judgement judge(char path[PATH_MAX], char named[PATH_MAX], int *error)
{
    char line[LINE_BYTES];
    enum judgement judgement = judge_file(path, line);
    for (int scripts = 0; judgement == SCRIPT; ++scripts) {
        char *argument;
        const char *interpreter = cut(line, &argument);
        copy_path(named, interpreter);
        copy_path(path, interpreter);
        *error = scripts < SCRIPTS_MAX ? is_executable(path) : ELOOP;
        if (*error != 0)
            return judgement;
        char next[LINE_BYTES];
        judgement = judge_file(path, next);
        const char *program = judgement == GOOD ? program_of_env(interpreter, argument) : NULL;
        if (program != NULL && find(program, path) == 0) {
            copy_path(named, program);
            judgement = judge_file(path, next);
        }
        memcpy(line, next, sizeof line);
    }
    return judgement;
}

/* --- What is told ------------------------------------------------------------------------------------- */

static int tell_error(const char *command, int error)
{
    awi_say("%s: %s", command, error == ENOENT ? "not found" : strerror(error));
    return error == ENOENT || error == ENOTDIR ? AWI_STATUS_NOT_FOUND : AWI_STATUS_NOT_EXECUTABLE;
}

static int tell_refusal(const char *command, const char *named, enum judgement judgement)
{
    bool is_itself = named[0] == '\0';
    awi_say("%s%s%s: %s: not profiled", command, is_itself ? "" : ": run by ", named,
            judgement == REFUSED ? "static or setuid" : "made for another machine or C library");
    return AWI_STATUS_FAILED;
}

int awi_program_find(const char *command, struct awi_program *program)
{
    char path[PATH_MAX];
    char named[PATH_MAX] = "";
    int error = find(command, program->path);
    if (error != 0)
        return tell_error(command, error);
    copy_path(path, program->path);
    enum judgement judgement = judge(path, named, &error);
    if (error != 0) {
        awi_say("%s: its interpreter %s: %s", command, named,
                error == ENOENT ? "not found" : strerror(error));
        return error == ENOENT ? AWI_STATUS_NOT_FOUND : AWI_STATUS_NOT_EXECUTABLE;
    }
    if (judgement == PLAIN_SCRIPT) {
        program->is_plain_script = named[0] == '\0';
        copy_path(path, "/bin/sh");
        copy_path(named, path);
        char line[LINE_BYTES];
        judgement = judge_file(path, line);
    }
    return judgement == GOOD || judgement == SCRIPT ? 0 : tell_refusal(command, named, judgement);
}
