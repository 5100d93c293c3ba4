/* SPDX-License-Identifier: MIT */
/*
 * environment.c: prints the environment in the three ways that a program can look at it; and whether it
 * lies in one piece behind the arguments, as programs that overwrite it to show a title want it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv, char **environment)
{
    for (char **at = environment; *at != NULL; ++at)
        puts(*at);
    for (char **at = environ; *at != NULL; ++at)
        puts(*at);
    const char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
    int pieces = 1;
    for (char **at = environ; *at != NULL; ++at) {
        pieces += *at < end;
        end = *at + strlen(*at) + 1;
    }
    printf("%d, %s, %s\n", pieces, getenv("AW_PROF") != NULL ? "AW_PROF" : "none",
           getenv("LD_PRELOAD") != NULL ? getenv("LD_PRELOAD") : "none");
    return 0;
}
