/* SPDX-License-Identifier: MIT */
/*
 * terminal.c: `terminal command ...` runs it with a terminal as standard error, and prints what it says
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

int main(int argc, char **argv)
{
    char text[512];
    ssize_t count;
    int status = 0;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    require(argc > 1 && terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0, "a terminal");
    int end = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    require(end >= 0, "its other end");
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        dup2(end, STDERR_FILENO);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    close(end);
    /* When the last who had it open is gone, reading fails with EIO. */
    while ((count = read(terminal, text, sizeof text)) > 0 || (count < 0 && errno == EINTR))
        require(count < 0 || write(STDOUT_FILENO, text, (size_t)count) == count, "write");
    require(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
