/* SPDX-License-Identifier: MIT */
/*
 * write.c: a profile to a descriptor, in one of the formats. Called by aw_profile_write and by aw-prof.
 */
#include <errno.h>
#include <fcntl.h>

#include "output.h"

typedef int write_fn(struct awi_output *output, const struct aw_profile *profile,
                     const struct awi_symbols *symbols);

static write_fn *writer_of(enum aw_profile_format format)
{
    switch (format) {
    case AW_PROFILE_PPROF:
        return awi_write_pprof;
    case AW_PROFILE_FOLDED:
        return awi_write_folded;
    case AW_PROFILE_SPEEDSCOPE:
        return awi_write_speedscope;
    case AW_PROFILE_SVG:
        return awi_write_svg;
    case AW_PROFILE_TEXT:
        return awi_write_text;
    }
    return NULL;
}

/* As write would say, and before symbols are looked up for nothing; an empty output writes nothing at all. */
static int check_descriptor(int fd)
{
    if (fd < 0)
        return -EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    return (flags & O_ACCMODE) == O_RDONLY ? -EBADF : 0;
}

int awi_profile_write_named(const struct aw_profile *profile, const struct awi_symbols *symbols, int fd,
                            enum aw_profile_format format)
{
    struct awi_output *output = awi_output_open(fd, format == AW_PROFILE_PPROF);
    if (output == NULL)
        return -ENOMEM;
    int result = writer_of(format)(output, profile, symbols);
    int error = awi_output_close(output);
    return error != 0 ? error : result;
}

static int check_and_write(const struct aw_profile *profile, int fd, enum aw_profile_format format)
{
    struct awi_symbols *symbols = NULL;
    if (profile == NULL || writer_of(format) == NULL)
        return -EINVAL;
    int result = check_descriptor(fd);
    if (result == 0)
        result = awi_symbolize(profile, &symbols);
    if (result != 0)
        return result;
    result = awi_profile_write_named(profile, symbols, fd, format);
    awi_symbols_free(symbols);
    return result;
}

int awi_profile_write(const struct aw_profile *profile, int fd, enum aw_profile_format format)
{
    int before = errno;
    int result = check_and_write(profile, fd, format);
    errno = before;
    return result;
}
