/* SPDX-License-Identifier: MIT */
/*
 * lock_with_timeout.c: a file lock that another process holds. flock(2) can wait for ever or not at all;
 * aw_flock waits for so long. It is tried in vain, then the other process lets go, and the lock is had.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 200
#define RELEASE_MS 100

static double now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

/*
 * The other process: takes the lock, says so, and keeps it until it is asked, and a while longer. The lock
 * goes with it. It has no engine, and needs none.
 */
static int hold(const char *path, int said, int asked)
{
    struct timespec pause = { 0, RELEASE_MS * 1000000L };
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte = 'L';

    if (fd < 0 || flock(fd, LOCK_EX) != 0 || write(said, &byte, 1) != 1)
        return EXIT_FAILURE;
    if (read(asked, &byte, 1) != 1) /* nobody asks any more */
        return EXIT_FAILURE;
    return nanosleep(&pause, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int held(int fd)
{
    double begin_ms = now_ms();
    double took_ms;
    int locked;

    printf("Locking a file that another process has locked, limit %d ms:\n", LIMIT_MS);
    locked = aw_flock(fd, LOCK_EX, AW_MS(LIMIT_MS));
    took_ms = now_ms() - begin_ms;
    if (locked == 0 || errno != ETIMEDOUT || took_ms < LIMIT_MS) {
        fprintf(stderr, "  aw_flock: %s after %.1f ms\n", locked == 0 ? "locked" : strerror(errno), took_ms);
        return EXIT_FAILURE;
    }
    printf("  gave up after %.1f ms\n", took_ms);
    /*
     * Nothing was left behind in the kernel: the descriptor neither has the lock nor stands in line for it.
     */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return fail("flock");
    return EXIT_SUCCESS;
}

static int released(int fd, int ask)
{
    double begin_ms;

    printf("The same when it is released after %d ms:\n", RELEASE_MS);
    begin_ms = now_ms();
    if (write(ask, "?", 1) != 1)
        return fail("write");
    if (aw_flock(fd, LOCK_EX, AW_SEC(10)) != 0)
        return fail("aw_flock");
    printf("  locked after %.1f ms\n", now_ms() - begin_ms);
    return flock(fd, LOCK_UN) == 0 ? EXIT_SUCCESS : fail("flock");
}

static int reap(pid_t child)
{
    siginfo_t info = { 0 };

    if (aw_waitid(P_PID, (id_t)child, &info, WEXITED, AW_SEC(10)) != 0)
        return fail("aw_waitid");
    return info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int beside_a_holder(const char *path, int fd)
{
    int said[2];
    int asked[2];
    char byte;
    int result = EXIT_FAILURE;
    pid_t child;

    if (pipe(said) != 0 || pipe(asked) != 0)
        return fail("pipe");
    child = fork();
    if (child < 0)
        return fail("fork");
    if (child == 0) {
        (void)close(asked[1]); /* so that it sees the end of us */
        _exit(hold(path, said[1], asked[0]));
    }
    if (close(said[1]) != 0 || close(asked[0]) != 0)
        return fail("close");
    if (aw_read(said[0], &byte, 1, AW_SEC(10)) != 1)
        fprintf(stderr, "the other process did not lock %s\n", path);
    else if (held(fd) == EXIT_SUCCESS)
        result = released(fd, asked[1]);
    if (close(said[0]) != 0 || close(asked[1]) != 0)
        return fail("close");
    return reap(child) == EXIT_SUCCESS ? result : EXIT_FAILURE;
}

int main(void)
{
    char path[] = "/tmp/lock_with_timeout.XXXXXX";
    int error = aw_init(NULL);
    int result;
    int fd;

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return fail(path);
    result = beside_a_holder(path, fd);
    if (unlink(path) != 0 || close(fd) != 0)
        result = fail(path);
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
