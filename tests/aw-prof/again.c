/* SPDX-License-Identifier: MIT */
/*
 * again.c: executes itself, so many times, by the bare system call: `again 1000`. A timer's signal that
 * outlived exec would kill the next of them. The last one says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char left[24];
    unsigned long times = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (times == 0)
        return puts("the last") < 0;
    /* Some of them are caught by a signal before they get here, some at the call. */
    for (volatile unsigned long i = 0; i < times % 7 * 20000; ++i)
        continue;
    snprintf(left, sizeof left, "%lu", times - 1);
    char *arguments[] = { argv[0], left, NULL };
    syscall(SYS_execve, argv[0], arguments, environ);
    return 98;
}
