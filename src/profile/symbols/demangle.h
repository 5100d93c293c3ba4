/* SPDX-License-Identifier: MIT */
/* demangle.h: C++ names as people write them, if the program can load what knows how. */
#ifndef AWI_PROFILE_DEMANGLE_H
#define AWI_PROFILE_DEMANGLE_H

/*
 * *name: what a linkage name stands for, to be freed, without the version that a symbol table may add to it;
 * NULL: just that name. 0 or -ENOMEM.
 */
int awi_demangle(const char *linkage, char **name);

#endif
