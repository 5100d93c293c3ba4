/* SPDX-License-Identifier: MIT */
/*
 * directory.h: the private directory that recordings are written to while the program runs, and the library
 * that is loaded into it.
 */
#ifndef AWI_PROF_DIRECTORY_H
#define AWI_PROF_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>

/* Makes it in $TMPDIR or /tmp, for this user alone. False, with the reason printed. */
bool awi_directory_make(char path[PATH_MAX]);
/* With all that is in it. */
void awi_directory_remove(const char *path);

/*
 * The library's path, for LD_PRELOAD: beside aw-prof as it was built, or where it is installed. False, with
 * the reason printed.
 */
bool awi_library_find(char path[PATH_MAX]);

#endif
