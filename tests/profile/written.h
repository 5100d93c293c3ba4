/* SPDX-License-Identifier: MIT */
/*
 * written.h: what a format's function writes, in memory, and what other programs say of it.
 */
#ifndef AWI_TEST_WRITTEN_H
#define AWI_TEST_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "made_profile.h"
#include "profile/formats/output.h"

struct written {
    char *text; /* with a NUL behind it */
    size_t count;
};

typedef int written_by_fn(struct awi_output *output, const struct aw_profile *profile,
                          const struct awi_symbols *symbols);

/* 0, or what the function or closing the output said: then it is empty. */
int written_by(written_by_fn *function, const struct aw_profile *profile, const struct awi_symbols *symbols,
               bool is_compressed, struct written *written);

/* All of a file, from its beginning. */
struct written written_read(int fd);
void written_free(struct written *written);

/* As gzip -d does it. */
struct written written_unpack(const struct written *packed);

/* Runs a program with the text as its input. Returns its status; 127: it is not there. *said: its output. */
int written_pass(const struct written *input, const char *const argv[], struct written *said);

/*
 * A profile with all there is: two threads, a library below the program, an inlined call, recursion, nested
 * labels of one key, samples that were truncated and lost, and names that no format likes. 10 samples, 40
 * ms.
 */
void written_made(struct made_profile *made);

#endif
