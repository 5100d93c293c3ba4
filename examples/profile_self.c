/* SPDX-License-Identifier: MIT */
/*
 * profile_self.c: a program that finds out where its time goes. It works for about a second of processor time
 * under the profiler, prints the table of functions, and writes a flame graph that opens in any browser: to
 * profile_self.svg, or to the file that it is given.
 */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/profile.h>

#define NUMBERS 20000u
#define POINTS 60

static unsigned numbers[NUMBERS];

static int compare(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a;
    unsigned right = *(const unsigned *)b;

    return (left > right) - (left < right);
}

static void sort_numbers(void)
{
    for (unsigned i = 0; i < NUMBERS; i++)
        numbers[i] = i * 2654435761u;
    qsort(numbers, NUMBERS, sizeof(numbers[0]), compare);
}

static bool is_prime(unsigned n)
{
    for (unsigned d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static unsigned count_primes(unsigned below)
{
    unsigned count = 0;

    for (unsigned n = 0; n < below; n++)
        count += is_prime(n);
    return count;
}

/* How long a point stays near: the colour of the Mandelbrot set. */
static unsigned escape_steps(double re, double im)
{
    double x = 0;
    double y = 0;
    unsigned steps = 0;

    for (; steps < 1000 && x * x + y * y < 4; steps++) {
        double next = x * x - y * y + re;

        y = 2 * x * y + im;
        x = next;
    }
    return steps;
}

static unsigned long render(void)
{
    unsigned long sum = 0;

    for (int row = 0; row < POINTS; row++)
        for (int column = 0; column < POINTS; column++)
            sum += escape_steps(3.0 * column / POINTS - 2, 2.0 * row / POINTS - 1);
    return sum;
}

static unsigned long work_for_a_second(void)
{
    unsigned long result = 0;
    clock_t begin = clock();

    while (clock() - begin < CLOCKS_PER_SEC) {
        sort_numbers();
        result += count_primes(60000);
        result += render();
    }
    return result;
}

static int write_svg(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error;

    if (fd < 0)
        return -errno;
    error = aw_profile_write(NULL, fd, AW_PROFILE_SVG);
    if (close(fd) != 0 && error == 0)
        error = -errno;
    return error;
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(-error));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const struct aw_profile_options options = { .size = sizeof(options), .clock = AW_PROFILE_CPU, .hz = 250 };
    const char *path = argc > 1 ? argv[1] : "profile_self.svg";
    char full_path[PATH_MAX];
    unsigned long result;
    int error = aw_profile_start(&options);

    if (error != 0)
        return fail("aw_profile_start", error);
    result = work_for_a_second();
    error = aw_profile_stop();
    if (error != 0)
        return fail("aw_profile_stop", error);

    printf("A second of work (it comes to %lu), under the profiler:\n", result);
    if (fflush(stdout) != 0) /* the table goes to the descriptor, past what stdio still holds */
        return fail("stdout", -errno);
    error = aw_profile_write(NULL, STDOUT_FILENO, AW_PROFILE_TEXT);
    if (error == 0)
        error = write_svg(path);
    if (error != 0)
        return fail("aw_profile_write", error);
    printf("Flame graph: %s\n", realpath(path, full_path) != NULL ? full_path : path);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
