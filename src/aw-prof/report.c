/* SPDX-License-Identifier: MIT */
/* report.c: see report.h. What is read has its names with it: no program or library is looked at. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../profile/formats/output.h"
#include "../profile/formats/pprof_read.h"
#include "message.h"

static int read_profile(const char *name, struct aw_profile **profile, struct awi_symbols **symbols)
{
    bool is_file = strcmp(name, "-") != 0;
    int fd = is_file ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    if (fd < 0)
        return -errno;
    int result = awi_pprof_read(fd, profile, symbols);
    if (is_file)
        close(fd);
    return result;
}

static int write_profile(const char *name, const struct aw_profile *profile,
                         const struct awi_symbols *symbols, enum aw_profile_format format)
{
    bool is_file = strcmp(name, "-") != 0;
    int fd = is_file ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666) : STDOUT_FILENO;
    if (fd < 0)
        return -errno;
    int result = awi_profile_write_named(profile, symbols, fd, format);
    if (is_file && close(fd) != 0 && result == 0)
        result = -errno;
    return result;
}

static const char *reason(int error)
{
    switch (error) {
    case -EBADMSG:
        return "not a profile in the format pprof, or a damaged one";
    case -ENOTSUP:
        return "a profile of something else than time";
    default:
        return strerror(-error);
    }
}

int awi_report(const struct awi_options *options)
{
    struct aw_profile *profile = NULL;
    struct awi_symbols *symbols = NULL;
    const char *input = options->arguments[0];
    int result = read_profile(input, &profile, &symbols);
    if (result != 0) {
        awi_say("%s: %s", strcmp(input, "-") != 0 ? input : "standard input", reason(result));
        return EXIT_FAILURE;
    }
    result = write_profile(options->output, profile, symbols, options->format);
    if (result != 0)
        awi_say("%s: %s", strcmp(options->output, "-") != 0 ? options->output : "standard output",
                strerror(-result));
    awi_symbols_free(symbols);
    aw_profile_free(profile);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
