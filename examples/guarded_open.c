/* SPDX-License-Identifier: MIT */
/*
 * guarded_open.c: opening a FIFO for reading blocks until somebody opens it for writing, which may be never.
 * A guard bounds that open(2), which is a plain one: first nobody comes, then a forked child comes in time.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 250
#define WRITER_MS 100

static const char greeting[] = "hello from the writer";

static double now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The descriptor, -ETIMEDOUT, or another negative errno. */
static int guarded_open(const char *path)
{
    struct aw_guard guard;
    double begin_ms = now_ms();
    int fd = -1;
    int error = 0;

    AW_GUARD(&guard, AW_MS(LIMIT_MS), AW_GUARD_DEFAULT) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        error = fd < 0 ? errno : 0;
    }
    if (aw_guard_error(&guard) != 0)
        return aw_guard_error(&guard);

    /* Expired means that the time was exceeded, not that open failed: what it has granted is looked at first.
     */
    if (fd >= 0) {
        printf("  opened after %.1f ms, %s\n", now_ms() - begin_ms,
               aw_guard_expired(&guard) ? "just as the time ran out" : "in time");
        return fd;
    }
    printf("  gave up after %.1f ms: open says \"%s\"\n", now_ms() - begin_ms, strerror(error));
    if (!aw_guard_expired(&guard))
        return -error;
    printf("  the guard expired; noticed %.0f us after the deadline\n",
           (double)aw_guard_lateness_ns(&guard) / 1e3);
    return -ETIMEDOUT;
}

/* The child: it has no engine, and needs none to write a line and go. */
static int write_greeting(const char *path)
{
    struct timespec pause = { 0, WRITER_MS * 1000000L };
    ssize_t written;
    int fd;

    if (nanosleep(&pause, NULL) != 0)
        return EXIT_FAILURE;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return EXIT_FAILURE;
    written = write(fd, greeting, sizeof(greeting) - 1);
    return close(fd) == 0 && written == (ssize_t)sizeof(greeting) - 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int nobody_comes(const char *path)
{
    int fd;

    printf("Opening a FIFO that nobody writes, under a guard of %d ms:\n", LIMIT_MS);
    fd = guarded_open(path);
    if (fd >= 0) {
        fprintf(stderr, "somebody else opened %s\n", path);
        (void)close(fd);
        return EXIT_FAILURE;
    }
    if (fd != -ETIMEDOUT) {
        fprintf(stderr, "guarded_open: %s\n", strerror(-fd));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int read_greeting(int fd)
{
    char text[sizeof(greeting)] = "";
    ssize_t got = read(fd, text, sizeof(text) - 1);

    if (got < 0) {
        perror("read");
        return EXIT_FAILURE;
    }
    printf("  read \"%s\"\n", text);
    return strcmp(text, greeting) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int writer_comes(const char *path)
{
    int result = EXIT_FAILURE;
    bool late = false;
    int status;
    pid_t writer;
    int fd;

    printf("The same with a writer that comes after %d ms:\n", WRITER_MS);
    if (fflush(stdout) != 0 || (writer = fork()) < 0) {
        perror("fork");
        return EXIT_FAILURE;
    }
    if (writer == 0)
        _exit(write_greeting(path));

    fd = guarded_open(path);
    if (fd >= 0) {
        result = read_greeting(fd);
        if (close(fd) != 0)
            result = EXIT_FAILURE;
    } else if (fd == -ETIMEDOUT) {
        /* A machine so busy that the writer was late: the guard did what it is for. */
        late = true;
        result = EXIT_SUCCESS;
    } else {
        fprintf(stderr, "guarded_open: %s\n", strerror(-fd));
    }
    if (fd < 0 && kill(writer, SIGKILL) != 0)
        result = EXIT_FAILURE;
    if (waitpid(writer, &status, 0) != writer || (!late && status != 0))
        result = EXIT_FAILURE;
    return result;
}

int main(void)
{
    char folder[] = "/tmp/guarded_open.XXXXXX";
    char path[sizeof(folder) + sizeof("/fifo")];
    int result = EXIT_FAILURE;
    int error = aw_init(NULL);

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return EXIT_FAILURE;
    }
    (void)snprintf(path, sizeof(path), "%s/fifo", folder);
    if (mkfifo(path, 0600) != 0) {
        perror(path);
    } else {
        result = nobody_comes(path);
        if (result == EXIT_SUCCESS)
            result = writer_comes(path);
        if (unlink(path) != 0)
            result = EXIT_FAILURE;
    }
    if (rmdir(folder) != 0)
        result = EXIT_FAILURE;
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
