/* SPDX-License-Identifier: MIT */
/*
 * follow.c: what becomes of the profile when the process forks or executes another program. The child of a
 * fork is not sampled, or with --follow has a recording of its own. Exec ends a recording: the kernel deletes
 * POSIX timers, and what they have sent; so there is nothing to be done before it.
 *
 * env(1) is the exception: who profiles `env A=1 program`, or a script that begins with #!/usr/bin/env, means
 * the program. It gets our two variables back, whatever env has made of the environment.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_env;

static void in_forked_child(void)
{
    int saved_errno = errno;
    awi_dispositions_forked();
    if (awi_settings.is_follow && awi_preload_record(true))
        awi_dispositions_begin();
    is_env = false;
    errno = saved_errno;
}

/* env is known by its file, or, where one file is many commands, by what it is called. */
static bool is_env_program(void)
{
    char path[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    path[bytes > 0 ? bytes : 0] = '\0';
    const char *slash = strrchr(path, '/');
    return (slash != NULL && strcmp(slash, "/env") == 0) || strcmp(program_invocation_short_name, "env") == 0;
}

void awi_follow_begin(void)
{
    pthread_atfork(NULL, NULL, in_forked_child);
    is_env = is_env_program();
}

static void mark(char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, AWI_MARK_NAME, awi_settings.directory, (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
}

/* The mark tells aw-prof, should the program turn out not to be one that loads this library. */
static int become(const char *file, char *const arguments[])
{
    char path[PATH_MAX + 32];
    char **environment = environ;
    char **ours = awi_environment_with_ours(environment);
    if (ours == NULL)
        return awi_libc()->execvp(file, arguments);
    path[0] = '\0';
    if (awi_preload_has_directory())
        mark(path);
    environ = ours;
    int result = awi_libc()->execvp(file, arguments);
    int saved_errno = errno;
    environ = environment;
    unlink(path);
    free(ours);
    errno = saved_errno;
    return result;
}

/* libc names the parameters otherwise. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

AWI_INTERPOSED int execvp(const char *file, char *const arguments[])
{
    return is_env ? become(file, arguments) : awi_libc()->execvp(file, arguments);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
