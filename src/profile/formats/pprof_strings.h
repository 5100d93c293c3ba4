/* SPDX-License-Identifier: MIT */
/*
 * pprof_strings.h: the table of strings of a profile.proto file: each string once, "" first.
 */
#ifndef AWI_PROFILE_PPROF_STRINGS_H
#define AWI_PROFILE_PPROF_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"

struct awi_strings {
    const char **strings;
    size_t count;
    uint32_t *slots; /* 1 + index, by hash; 0: free. A power of two, at least twice the count. */
    size_t slots_count;
    struct awi_arena *arena; /* of the copies */
    bool is_incomplete;      /* there was no memory */
};

/* 0, or -ENOMEM. What was opened, or all zero, is freed by close. */
int awi_strings_open(struct awi_strings *strings);
void awi_strings_close(struct awi_strings *strings);

/* Of a string that lives until close, NULL for "". */
uint64_t awi_strings_index(struct awi_strings *strings, const char *text);

/* Makes one live until close; NULL: no memory, which write will tell. */
const char *awi_strings_copy(struct awi_strings *strings, const char *text);

/* Writes the table, what is not UTF-8 replaced. 0; -ENOMEM: some string was left out. */
int awi_strings_write(struct awi_strings *strings, struct awi_output *output);

#endif
