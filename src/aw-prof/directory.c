/* SPDX-License-Identifier: MIT */
/* directory.c: see directory.h. */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define LIBRARY "aw-prof-preload.so"

/* Characters that LD_PRELOAD gives a meaning. */
static bool is_plain(const char *path)
{
    return path[strcspn(path, ": \t\n$")] == '\0';
}

static bool make_in(const char *parent, char path[PATH_MAX])
{
    char real[PATH_MAX];
    if (realpath(parent, real) == NULL || !is_plain(real))
        return false;
    int bytes = snprintf(path, PATH_MAX, "%s/aw-prof.XXXXXX", strcmp(real, "/") == 0 ? "" : real);
    return bytes > 0 && bytes < PATH_MAX - 64 && mkdtemp(path) != NULL;
}

bool awi_directory_make(char path[PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    if (parent != NULL && parent[0] != '\0' && make_in(parent, path))
        return true;
    if (make_in("/tmp", path))
        return true;
    awi_say("no temporary directory: %s", strerror(errno));
    path[0] = '\0';
    return false;
}

void awi_directory_remove(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(path);
}

/* Folders are relative to aw-prof's own, so that what is installed can be moved. */
static bool find_library(char path[PATH_MAX])
{
    static const char *const folders[] = { ".", AW_PROF_LIBRARY_FOLDER };
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash == NULL)
        return false;
    slash[0] = '\0';
    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; ++i) {
        char candidate[2 * PATH_MAX];
        if (folders[i][0] == '/')
            snprintf(candidate, sizeof candidate, "%s/%s", folders[i], LIBRARY);
        else
            snprintf(candidate, sizeof candidate, "%s/%s/%s", own, folders[i], LIBRARY);
        if (realpath(candidate, path) != NULL && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

bool awi_library_find(const char *directory, char path[PATH_MAX])
{
    char found[PATH_MAX];
    if (!find_library(found)) {
        awi_say("%s is not where it belongs, beside aw-prof or in its library folder", LIBRARY);
        return false;
    }
    if (is_plain(found)) {
        memcpy(path, found, sizeof found);
        return true;
    }
    int bytes = snprintf(path, PATH_MAX, "%s/%s", directory, LIBRARY);
    if (bytes > 0 && bytes < PATH_MAX && symlink(found, path) == 0)
        return true;
    awi_say("%s: %s", path, strerror(errno));
    return false;
}
