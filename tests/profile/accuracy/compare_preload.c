/* SPDX-License-Identifier: MIT */
/*
 * compare_preload.c: loaded into an unmodified program by LD_PRELOAD, it compares walks of the main
 * thread's stack from the program's start to its end, and leaves what it counted in a file. The environment
 * names the module of the oracle and the file.
 */
#include <stdlib.h>

#include "compare.h"

#define MEAN_NS 300000

static bool is_begun;

__attribute__((constructor)) static void begin(void)
{
    const char *oracle = getenv("ACCURACY_ORACLE");
    unsetenv("LD_PRELOAD");
    is_begun = oracle != NULL && compare_begin(oracle, MEAN_NS);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("ACCURACY_COMPARED");
    if (!is_begun || path == NULL)
        return;
    compare_end();
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return;
    compare_print(out);
    fclose(out);
}
