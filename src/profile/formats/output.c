/* SPDX-License-Identifier: MIT */
/*
 * output.c: see output.h. What is written gathers in a buffer, which goes to the descriptor, through zlib if
 * it is compressed. A write that a signal interrupts, as the profiler's own may, goes on; every other error
 * ends the output, EAGAIN too: whoever passes a descriptor that does not block knows what to do.
 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_BYTES ((size_t)64 * 1024)
#define GZIP_WINDOW_BITS (15 + 16) /* the largest window, and a gzip header around it */
#define GZIP_LEVEL 6
#define GZIP_MEMORY 8

struct awi_output {
    int fd;
    int error; /* the first */
    bool is_compressed;
    z_stream stream;
    size_t used; /* of plain */
    unsigned char plain[BUFFER_BYTES];
    unsigned char packed[BUFFER_BYTES];
};

struct awi_output *awi_output_open(int fd, bool is_compressed)
{
    struct awi_output *output = calloc(1, sizeof *output);
    if (output == NULL)
        return NULL;
    output->fd = fd;
    output->is_compressed = is_compressed;
    if (is_compressed && deflateInit2(&output->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY,
                                      Z_DEFAULT_STRATEGY) != Z_OK) {
        free(output);
        return NULL;
    }
    return output;
}

static void write_all(struct awi_output *output, const unsigned char *bytes, size_t count)
{
    while (count != 0 && output->error == 0) {
        ssize_t written = write(output->fd, bytes, count);
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        } else if (written == 0) {
            output->error = -EIO;
        } else if (errno != EINTR) {
            output->error = -errno;
        }
    }
}

static void pack(struct awi_output *output, int flush)
{
    output->stream.next_in = output->plain;
    output->stream.avail_in = (uInt)output->used;
    do {
        output->stream.next_out = output->packed;
        output->stream.avail_out = (uInt)sizeof output->packed;
        if (deflate(&output->stream, flush) == Z_STREAM_ERROR) {
            output->error = -EIO;
            return;
        }
        write_all(output, output->packed, sizeof output->packed - output->stream.avail_out);
    } while (output->stream.avail_out == 0 && output->error == 0);
}

static void empty_buffer(struct awi_output *output)
{
    if (output->is_compressed)
        pack(output, Z_NO_FLUSH);
    else
        write_all(output, output->plain, output->used);
    output->used = 0;
}

void awi_output_bytes(struct awi_output *output, const void *bytes, size_t count)
{
    const unsigned char *from = bytes;
    while (count != 0 && output->error == 0) {
        size_t room = sizeof output->plain - output->used;
        size_t part = count < room ? count : room;
        memcpy(output->plain + output->used, from, part);
        output->used += part;
        from += part;
        count -= part;
        if (output->used == sizeof output->plain)
            empty_buffer(output);
    }
}

void awi_output_text(struct awi_output *output, const char *string)
{
    awi_output_bytes(output, string, strlen(string));
}

/* What does not fit on the stack is printed once more. */
static void print_longer(struct awi_output *output, size_t bytes, const char *format, va_list values)
{
    char *text = malloc(bytes);
    if (text != NULL) {
        (void)vsnprintf(text, bytes, format, values);
        awi_output_bytes(output, text, bytes - 1);
    } else if (output->error == 0) {
        output->error = -ENOMEM;
    }
    free(text);
}

void awi_output_print(struct awi_output *output, const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    /* clang-tidy 14 overlooks va_start in the second of several files.
       NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (length < 0) {
        if (output->error == 0)
            output->error = -EOVERFLOW;
    } else if ((size_t)length < sizeof text) {
        awi_output_bytes(output, text, (size_t)length);
    } else {
        va_start(values, format);
        print_longer(output, (size_t)length + 1, format, values);
        va_end(values);
    }
}

int awi_output_close(struct awi_output *output)
{
    if (output->error == 0) {
        if (output->is_compressed)
            pack(output, Z_FINISH);
        else
            write_all(output, output->plain, output->used);
    }
    int error = output->error;
    if (output->is_compressed)
        (void)deflateEnd(&output->stream);
    free(output);
    return error;
}
