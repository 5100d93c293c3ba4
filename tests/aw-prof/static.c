/* SPDX-License-Identifier: MIT */
/* static.c: a program without a loader. */
#include <stdlib.h>

int main(int argc, char **argv)
{
    return argc > 1 && argv[1] != NULL ? 3 : EXIT_FAILURE;
}
