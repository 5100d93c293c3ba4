/* SPDX-License-Identifier: MIT */
/*
 * serial_open.c: the four ways in which a serial port keeps a program waiting, and a guarded call for each:
 * the open that waits for carrier, the read that waits for an answer, the write that waits for the line,
 * and an answer that does come. A pseudo-terminal is the port; its other end is the device.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 200
#define ANSWER_MS 100

static const char answer[] = "scale 3000, 12.5 kg\n";

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

static unsigned open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A call that should have timed out: did it, and not before its time? */
static int expect_timeout(long result, double begin_ms)
{
    int error = result < 0 ? errno : 0;
    double took_ms = now_ms() - begin_ms;

    if (result >= 0 || error != ETIMEDOUT || !aw_timed_out() || took_ms < LIMIT_MS) {
        fprintf(stderr, "  returned %ld after %.1f ms: %s\n", result, took_ms, strerror(error));
        return EXIT_FAILURE;
    }
    printf("  gave up after %.1f ms\n", took_ms);
    return EXIT_SUCCESS;
}

/*
 * A port without CLOCAL lets open wait until a modem at the other end raises carrier. No pseudo-terminal
 * does that, but a FIFO does the same: its open waits for somebody at the other end.
 */
static int no_carrier(void)
{
    char folder[] = "/tmp/serial_open.XXXXXX";
    char path[sizeof(folder) + sizeof("/port")];
    int result = EXIT_FAILURE;
    double begin_ms;
    int fd;

    printf("Opening a port without carrier (a FIFO without a writer), limit %d ms:\n", LIMIT_MS);
    if (mkdtemp(folder) == NULL)
        return fail(folder);
    (void)snprintf(path, sizeof(path), "%s/port", folder);
    if (mkfifo(path, 0600) != 0) {
        perror(path);
    } else {
        begin_ms = now_ms();
        fd = aw_open(path, O_RDONLY | O_CLOEXEC, 0, AW_MS(LIMIT_MS));
        result = expect_timeout(fd, begin_ms);
        if (fd >= 0)
            (void)close(fd);
        if (unlink(path) != 0)
            result = fail(path);
    }
    return rmdir(folder) == 0 ? result : fail(folder);
}

/*
 * Every byte as it is, no echo, no signals from the line. CRTSCTS would be set here for a line with RTS and
 * CTS.
 */
static int make_raw(int port)
{
    struct termios settings;

    if (tcgetattr(port, &settings) != 0)
        return -1;
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD; /* from now on no carrier is needed */
    return tcsetattr(port, TCSANOW, &settings);
}

static int no_answer(int port)
{
    double begin_ms;
    char byte;

    printf("Asking a device that is silent:\n");
    if (aw_write(port, "weight?\n", 8, AW_SEC(10)) != 8)
        return fail("aw_write");
    begin_ms = now_ms();
    return expect_timeout(aw_read(port, &byte, 1, AW_MS(LIMIT_MS)), begin_ms);
}

/* A timer plays the device: it runs while aw_read blocks, as every guarded call is a safe point. */
static int device_answers(struct aw_timer timer, void *device)
{
    ssize_t written = write(*(int *)device, answer, sizeof(answer) - 1);

    (void)timer;
    return written == (ssize_t)sizeof(answer) - 1 ? 0 : -EIO;
}

static int late_answer(int port, int device)
{
    char text[sizeof(answer)] = "";
    size_t got = 0;
    struct aw_timer timer;
    double begin_ms;

    printf("Asking again; the device answers after %d ms:\n", ANSWER_MS);
    if (aw_timer_create(&timer, device_answers, &device) != 0 || aw_timer_arm(timer, AW_MS(ANSWER_MS)) != 0) {
        fprintf(stderr, "no timer\n");
        return EXIT_FAILURE;
    }
    begin_ms = now_ms();
    /* A read returns what is there; the answer may come in pieces. */
    if (aw_read_full(port, text, sizeof(answer) - 1, &got, AW_SEC(10)) < 0) {
        fprintf(stderr, "  %zu bytes, then: %s\n", got, strerror(errno));
        return EXIT_FAILURE;
    }
    printf("  \"%.*s\" after %.1f ms\n", (int)sizeof(answer) - 2, text, now_ms() - begin_ms);
    return aw_timer_delete(timer) == 0 && strcmp(text, answer) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * The peer holds the line: by XOFF or, with CRTSCTS, by lowering CTS. tcflow has the same effect from this
 * side.
 */
static int line_is_held(int port)
{
    double begin_ms;
    int result;

    printf("Writing to a line that is held:\n");
    if (tcflow(port, TCOOFF) != 0)
        return fail("tcflow");
    begin_ms = now_ms();
    result = expect_timeout(aw_write(port, "tare\n", 5, AW_MS(LIMIT_MS)), begin_ms);
    return tcflow(port, TCOON) == 0 ? result : fail("tcflow");
}

static int talk(int device)
{
    int result = EXIT_FAILURE;
    const char *name;
    int port;

    if (grantpt(device) != 0 || unlockpt(device) != 0 || (name = ptsname(device)) == NULL)
        return fail("posix_openpt");
    /* O_NOCTTY: or the port could become our controlling terminal, and its hang-up would kill us. */
    port = aw_open(name, O_RDWR | O_NOCTTY | O_CLOEXEC, 0, AW_SEC(10));
    if (port < 0)
        return fail(name);
    if (make_raw(port) != 0)
        perror("tcsetattr");
    else if (no_answer(port) == EXIT_SUCCESS && late_answer(port, device) == EXIT_SUCCESS)
        result = line_is_held(port);
    /* The close of a port waits for its output to drain, by default for up to 30 s. */
    return aw_close(port, AW_SEC(10)) == 0 ? result : fail("aw_close");
}

int main(void)
{
    unsigned before = open_descriptors();
    int error = aw_init(NULL);
    int result;
    int device;

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    result = no_carrier();
    if (result == EXIT_SUCCESS) {
        device = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (device < 0)
            return fail("posix_openpt");
        result = talk(device);
        if (close(device) != 0)
            result = fail("close");
    }
    if (aw_shutdown() != 0)
        result = EXIT_FAILURE;
    printf("Descriptors open before and after: %u, %u\n", before, open_descriptors());
    if (open_descriptors() != before || fflush(stdout) != 0)
        result = EXIT_FAILURE;
    return result;
}
