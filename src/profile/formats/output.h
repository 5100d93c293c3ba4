/* SPDX-License-Identifier: MIT */
/*
 * output.h: buffered writing to a descriptor, compressed by zlib if asked. The first error is kept, and
 * what follows it does nothing: callers look once, at the end.
 */
#ifndef AWI_PROFILE_OUTPUT_H
#define AWI_PROFILE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "../model.h"

struct awi_output;

/* NULL: no memory. */
struct awi_output *awi_output_open(int fd, bool is_compressed);
void awi_output_bytes(struct awi_output *output, const void *bytes, size_t count);
void awi_output_text(struct awi_output *output, const char *string);
void awi_output_print(struct awi_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes what is left and frees it: 0, or the first error. */
int awi_output_close(struct awi_output *output);

/* One function a format; -ENOMEM, or 0: what the output met is told by awi_output_close. */
int awi_write_pprof(struct awi_output *output, const struct aw_profile *profile,
                    const struct awi_symbols *symbols);
int awi_write_folded(struct awi_output *output, const struct aw_profile *profile,
                     const struct awi_symbols *symbols);
int awi_write_speedscope(struct awi_output *output, const struct aw_profile *profile,
                         const struct awi_symbols *symbols);
int awi_write_svg(struct awi_output *output, const struct aw_profile *profile,
                  const struct awi_symbols *symbols);
int awi_write_text(struct awi_output *output, const struct aw_profile *profile,
                   const struct awi_symbols *symbols);

/*
 * Names what is in a profile and writes it. 0; -EINVAL (NULL, fd negative, unknown format); -ENOMEM; what
 * write(2) says, the first error that was met. errno is untouched.
 */
int awi_profile_write(const struct aw_profile *profile, int fd, enum aw_profile_format format);

/* The same for a valid format, with names that are there. */
int awi_profile_write_named(const struct aw_profile *profile, const struct awi_symbols *symbols, int fd,
                            enum aw_profile_format format);

#endif
