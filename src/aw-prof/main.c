/* SPDX-License-Identifier: MIT */
/* main.c: aw-prof, the command: profiles a program that knows nothing of it, or reports on a profile. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <alarmwheel/base.h>

#include "message.h"
#include "options.h"
#include "profiling.h"
#include "report.h"

/*
 * Without one of the standard three, the next file that is opened would take its place, and messages with
 * it. What takes it here fails with EBADF all the same: it is open for what nobody does. The program finds
 * it closed, as it was.
 */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct awi_options options;
    fill_standard_descriptors();
    if (!awi_options_read(argc, argv, &options))
        return AWI_STATUS_FAILED;
    switch (options.action) {
    case AWI_HELP:
        awi_options_help();
        break;
    case AWI_VERSION:
        printf("aw-prof %s\n", AW_VERSION_STRING);
        break;
    case AWI_REPORT:
        return awi_report(&options);
    case AWI_RUN:
        return awi_profiling_run(&options);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : AWI_STATUS_FAILED;
}
