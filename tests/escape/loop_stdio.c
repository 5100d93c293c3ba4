/* SPDX-License-Identifier: MIT */
/*
 * loop_stdio.c: loops that live in stdio: snprintf, sscanf, fopen and numbered records onto a stream, that of
 * a file or one of fopencookie, which calls the program back to write. What has arrived is then read, and
 * each record must be there whole: none torn, none twice, none missing that fprintf had returned for.
 *
 * An expired guard interrupts plain system calls, those of stdio too, and a stream whose write(2) was
 * interrupted has lost its buffer: that is stdio's way, which a shield prevents, and no escape's doing. Such
 * streams say so by ferror, and are begun anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loops.h"

#define RECORD_BYTES 18u /* "%08x:%08x\n" */
#define RECORDS 65536u   /* between two looks */
#define LOOK_AT (RECORDS / 2)

static FILE *stream;
static int file_fd = -1;

/* What the stream's records are known to be: begun up to `begun`, and those that fprintf returned for. */
static volatile uint32_t first, begun;
static volatile unsigned char returned[RECORDS];

/* What arrived, by write(2) or through the cookie. */
static char arrived[RECORDS * RECORD_BYTES];
static volatile size_t arrived_bytes;
static unsigned landings;

static const char *volatile torn;

static void put_record(void)
{
    uint32_t number = begun + 1;
    if (number - first >= RECORDS)
        return; /* the next landing looks */
    begun = number;
    LOOP_ORDER();
    int length = fprintf(stream, "%08x:%08x\n", (unsigned)number, (unsigned)~number);
    LOOP_ORDER();
    if (length != (int)RECORD_BYTES && !ferror(stream))
        torn = "fprintf failed";
    returned[number - first] = 1;
}

static bool is_record(const char *text, uint32_t *number)
{
    char expected[RECORD_BYTES + 1];
    *number = (uint32_t)strtoul(text, NULL, 16);
    snprintf(expected, sizeof expected, "%08x:%08x\n", (unsigned)*number, (unsigned)~*number);
    return memcmp(text, expected, RECORD_BYTES) == 0;
}

static const char *look_at_records(const char *text, size_t bytes)
{
    uint32_t last = first;
    if (bytes % RECORD_BYTES != 0)
        return "the stream has half a record";
    for (size_t at = 0; at < bytes; at += RECORD_BYTES) {
        uint32_t number;
        if (!is_record(text + at, &number))
            return "the stream has a torn record";
        if (number <= last || number > begun)
            return "the stream has a record twice";
        for (uint32_t i = last + 1; i < number; ++i) {
            if (returned[i - first] != 0)
                return "the stream lost a record";
        }
        last = number;
    }
    for (uint32_t i = last + 1; i <= begun; ++i) {
        if (returned[i - first] != 0)
            return "the stream lost its last record";
    }
    return NULL;
}

static void start_again(void)
{
    for (uint32_t i = 0; i < RECORDS; ++i)
        returned[i] = 0;
    first = begun;
    arrived_bytes = 0;
}

static bool is_time_to_look(bool last)
{
    return last || begun - first >= LOOK_AT || ++landings % 64 == 0;
}

/* ---- a file ---- */

/* The number that fopen's file has: all others stay open. */
static int opened_fd;
static volatile bool is_opening;

static void stdio_begin(void)
{
    file_fd = memfd_create("records", MFD_CLOEXEC);
    stream = file_fd >= 0 ? fdopen(file_fd, "w") : NULL;
    opened_fd = dup(file_fd);
    if (stream == NULL || opened_fd < 0 || close(opened_fd) != 0)
        abort();
}

static void open_and_close(void)
{
    is_opening = true;
    LOOP_ORDER();
    FILE *file = fopen("/dev/null", "w");
    if (file == NULL && errno != EINTR)
        torn = "fopen failed";
    if (file != NULL && fputs("some words", file) < 0)
        torn = "fputs failed";
    if (file != NULL && fclose(file) != 0 && errno != EINTR)
        torn = "fclose failed";
    LOOP_ORDER();
    is_opening = false;
}

static void stdio_turn(void)
{
    char text[96];
    int back = 0, digits = 0;
    uint32_t draw = loop_random();
    int value = (int)(draw % 1000000);
    int length = snprintf(text, sizeof text, "%d %s %.3f %x", value, "some words", value / 7., draw);
    if (length <= 0 || sscanf(text, "%d some %n", &back, &digits) != 1 || back != value || digits == 0)
        torn = "sscanf did not read what snprintf wrote";
    put_record();
    if (draw / 8 % 64 == 0 && fflush(stream) != 0 && errno != EINTR)
        torn = "fflush failed";
    if (draw / 8 % 32 == 1)
        open_and_close();
}

static const char *look_at_file(void)
{
    if (ferror(stream))
        return NULL;
    if (fflush(stream) != 0)
        return "fflush failed";
    ssize_t got = pread(file_fd, arrived, sizeof arrived, 0);
    return got < 0 ? "reading the records failed" : look_at_records(arrived, (size_t)got);
}

static const char *stdio_landed(bool last)
{
    if (is_opening)
        close(opened_fd); /* open or not; its FILE is lost */
    is_opening = false;
    if (torn != NULL || !is_time_to_look(last))
        return torn;
    const char *found = look_at_file();
    rewind(stream);
    if (ftruncate(file_fd, 0) != 0)
        return "emptying the file failed";
    start_again();
    return found;
}

const struct escape_loop loop_stdio = { .name = "stdio",
                                        .about = "snprintf, sscanf, fprintf, fflush, fopen and fclose",
                                        .begin = stdio_begin,
                                        .turn = stdio_turn,
                                        .landed = stdio_landed };

/* ---- a cookie ---- */

static ssize_t cookie_write(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    ++loop_inside;
    loop_compute_for(100);
    if (n > sizeof arrived - arrived_bytes)
        torn = "the stream wrote too much";
    else
        memcpy(arrived + arrived_bytes, bytes, n);
    loop_compute_for(100);
    if (torn == NULL)
        arrived_bytes = arrived_bytes + n;
    --loop_inside;
    return (ssize_t)n;
}

static void cookie_begin(void)
{
    static char buffer[256];
    const cookie_io_functions_t functions = { .write = cookie_write };
    stream = fopencookie(NULL, "w", functions);
    if (stream == NULL || setvbuf(stream, buffer, _IOFBF, sizeof buffer) != 0)
        abort();
}

static void cookie_turn(void)
{
    put_record();
    loop_compute_for(50);
}

static const char *cookie_landed(bool last)
{
    if (torn != NULL || !is_time_to_look(last))
        return torn;
    if (fflush(stream) != 0)
        return "fflush failed";
    const char *found = look_at_records(arrived, arrived_bytes);
    start_again();
    return found;
}

const struct escape_loop loop_cookie = { .name = "cookie",
                                         .about = "fprintf onto a stream of fopencookie",
                                         .begin = cookie_begin,
                                         .turn = cookie_turn,
                                         .landed = cookie_landed,
                                         .calls_back = true };
