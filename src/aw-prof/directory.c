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

/* Under another name first: processes that are still there would go on making files in it. */
void awi_directory_remove(const char *path)
{
    char gone[PATH_MAX + 8];
    snprintf(gone, sizeof gone, "%s.gone", path);
    if (rename(path, gone) != 0)
        snprintf(gone, sizeof gone, "%s", path);
    DIR *directory = opendir(gone);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(gone);
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

bool awi_library_find(char path[PATH_MAX])
{
    if (!find_library(path)) {
        awi_say("%s is not where it belongs, beside aw-prof or in its library folder", LIBRARY);
        return false;
    }
    if (!is_plain(path))
        awi_say("%s: the loader takes no library from a path with a blank, a colon or a dollar sign", path);
    return is_plain(path);
}
