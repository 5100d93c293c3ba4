/* SPDX-License-Identifier: MIT */
/*
 * pprof_file.c: the bytes of a profile.proto file: read from a descriptor, unpacked if they are gzip's (of
 * which several members may follow each other). Limits are kept while it grows. The decoding is
 * pprof_read.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#include "pprof_decoder.h"
#include "pprof_read.h"

#define FIRST_BYTES ((size_t)64 * 1024)
#define GZIP_WINDOW_BITS (15 + 16)

struct bytes {
    unsigned char *bytes;
    size_t count;
    size_t capacity;
};

/* Room for one byte at least. */
static int grow(struct bytes *bytes)
{
    if (bytes->count < bytes->capacity)
        return 0;
    if (bytes->capacity >= AWI_PPROF_BYTES)
        return -EFBIG;
    size_t capacity = bytes->capacity != 0 ? 2 * bytes->capacity : FIRST_BYTES;
    unsigned char *longer = realloc(bytes->bytes, capacity);
    if (longer == NULL)
        return -ENOMEM;
    bytes->bytes = longer;
    bytes->capacity = capacity;
    return 0;
}

static int read_file(int fd, struct bytes *file)
{
    for (;;) {
        int result = grow(file);
        if (result != 0)
            return result;
        ssize_t count = read(fd, file->bytes + file->count, file->capacity - file->count);
        if (count == 0)
            return 0;
        if (count > 0)
            file->count += (size_t)count;
        else if (errno != EINTR)
            return -errno;
    }
}

/* What inflate has room and bytes for. -EBADMSG, -ENOMEM; 1: a member ended. */
static int inflate_some(z_stream *stream, struct bytes *plain)
{
    int result = grow(plain);
    if (result != 0)
        return result;
    size_t room = plain->capacity - plain->count;
    stream->next_out = plain->bytes + plain->count;
    stream->avail_out = (uInt)room;
    int status = inflate(stream, Z_NO_FLUSH);
    plain->count += room - stream->avail_out;
    switch (status) {
    case Z_OK:
        return 0;
    case Z_STREAM_END:
        return 1;
    case Z_MEM_ERROR:
        return -ENOMEM;
    default: /* Z_BUF_ERROR: it ends too early */
        return -EBADMSG;
    }
}

static int inflate_all(const unsigned char *bytes, size_t count, struct bytes *plain)
{
    z_stream stream = { .next_in = bytes, .avail_in = (uInt)count };
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    int result;
    do {
        result = inflate_some(&stream, plain);
        if (result == 1 && stream.avail_in != 0)
            result = inflateReset(&stream) == Z_OK ? 0 : -EBADMSG;
    } while (result == 0);
    (void)inflateEnd(&stream);
    return result < 0 ? result : 0;
}

int awi_pprof_decode(const void *bytes, size_t count, struct aw_profile **profile,
                     struct awi_symbols **symbols)
{
    const unsigned char *file = bytes;
    struct bytes plain = { 0 };
    if (count > AWI_PPROF_BYTES)
        return -EFBIG;
    if (count < 2 || file[0] != 0x1f || file[1] != 0x8b)
        return awi_pprof_decode_plain(file, count, profile, symbols);
    int result = inflate_all(file, count, &plain);
    if (result == 0)
        result = awi_pprof_decode_plain(plain.bytes, plain.count, profile, symbols);
    free(plain.bytes);
    return result;
}

int awi_pprof_read(int fd, struct aw_profile **profile, struct awi_symbols **symbols)
{
    struct bytes file = { 0 };
    int before = errno;
    int result = read_file(fd, &file);
    if (result == 0)
        result = awi_pprof_decode(file.bytes, file.count, profile, symbols);
    free(file.bytes);
    errno = before;
    return result;
}
