/* SPDX-License-Identifier: MIT */
/* result.h: the files that profiles are written to. */
#ifndef AWI_PROF_RESULT_H
#define AWI_PROF_RESULT_H

#include <limits.h>
#include <stdbool.h>

#include "collect.h"
#include "options.h"

/*
 * Opened before the program runs: a profile that could not be written is not worth an hour. What stands in
 * the file stays until then.
 */
struct awi_result {
    const char *name; /* "-": standard output */
    int fd;
    bool is_new; /* it was not there */
};

/* False, with the reason printed. */
bool awi_result_open(const char *name, struct awi_result *result);
bool awi_result_write(struct awi_result *result, const struct aw_profile *profile,
                      enum aw_profile_format format);
/* Closed without a profile: a new file goes. */
void awi_result_drop(struct awi_result *result);

/* "out.pb.gz", or with --follow "out.1234.pb.gz", "out.1234.2.pb.gz". False, with the reason printed. */
bool awi_result_name(const struct awi_options *options, const struct awi_take *take, char name[PATH_MAX]);

/* Whether files of such names can be made at all. False, with the reason printed. */
bool awi_result_check_folder(const char *name);

#endif
