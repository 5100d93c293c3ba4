/* SPDX-License-Identifier: MIT */
/* catalog.h: the benches by name: what each says, and the function that measures it. */
#ifndef BENCH_CATALOG_H
#define BENCH_CATALOG_H

#include "bench.h"

struct bench_entry {
    const char *name;
    const char *about;
    void (*run)(void); /* of several entries with the same function it runs once */
};

extern const struct bench_entry bench_catalog[];
extern const size_t bench_catalog_count;

/* The entry that a result belongs to, by the longest name that it begins with; NULL if none. */
const struct bench_entry *bench_entry_of(const char *result);

#endif
