/* SPDX-License-Identifier: MIT */
/* result.c: see result.h. */
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../profile/formats/output.h"
#include "message.h"

static bool check_standard_output(void)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY)
        return true;
    awi_say("standard output: %s", strerror(EBADF));
    return false;
}

bool awi_result_open(const char *name, struct awi_result *result)
{
    *result = (struct awi_result){ .name = name, .fd = STDOUT_FILENO };
    if (strcmp(name, "-") == 0)
        return check_standard_output();
    result->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    result->is_new = result->fd >= 0;
    if (result->fd < 0 && errno == EEXIST)
        result->fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (result->fd < 0)
        awi_say("%s: %s", name, strerror(errno));
    return result->fd >= 0;
}

static int empty(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    return S_ISREG(status.st_mode) && ftruncate(fd, 0) != 0 ? -errno : 0;
}

bool awi_result_write(struct awi_result *result, const struct aw_profile *profile,
                      enum aw_profile_format format)
{
    bool is_file = strcmp(result->name, "-") != 0;
    int error = is_file ? empty(result->fd) : 0;
    if (error == 0)
        error = awi_profile_write(profile, result->fd, format);
    if (is_file && close(result->fd) != 0 && error == 0)
        error = -errno;
    if (error == 0)
        return true;
    awi_say("%s: %s", is_file ? result->name : "standard output", strerror(-error));
    if (result->is_new)
        unlink(result->name);
    return false;
}

void awi_result_drop(struct awi_result *result)
{
    if (strcmp(result->name, "-") == 0)
        return;
    close(result->fd);
    if (result->is_new)
        unlink(result->name);
}

bool awi_result_name(const struct awi_options *options, const struct awi_take *take, char name[PATH_MAX])
{
    const char *suffix = awi_format_find_suffix(options->output);
    int stem = (int)(suffix - options->output);
    char which[48] = "";
    if (options->is_follow && take->ordinal == 1)
        snprintf(which, sizeof which, ".%ld", take->pid);
    else if (options->is_follow)
        snprintf(which, sizeof which, ".%ld.%u", take->pid, take->ordinal);
    int bytes = snprintf(name, PATH_MAX, "%.*s%s%s", stem, options->output, which, suffix);
    if (bytes > 0 && bytes < PATH_MAX)
        return true;
    awi_say("%s: %s", options->output, strerror(ENAMETOOLONG));
    return false;
}

bool awi_result_check_folder(const char *name)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(name, '/');
    if (slash != NULL && (size_t)(slash - name) + 2 <= sizeof folder)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - name) + 1, name);
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
        return true;
    awi_say("%s: %s", folder, strerror(errno));
    return false;
}
