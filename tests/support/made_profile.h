/* SPDX-License-Identifier: MIT */
/*
 * made_profile.h: profiles made by hand, with names, for tests of what writes them: nothing is measured, so
 * each share is known to the nanosecond. A failure to allocate aborts.
 */
#ifndef AWI_MADE_PROFILE_H
#define AWI_MADE_PROFILE_H

#include "profile/model.h"

struct made_profile {
    struct aw_profile profile;
    struct awi_symbols symbols;
    uint32_t thread; /* of the samples that are added next */
    uint32_t label;
};

/* Begins with one thread "main", no module, and no label; 250 samples a second of CPU time. */
void made_begin(struct made_profile *made);
void made_end(struct made_profile *made);

/* Each returns an index. A thread or label is that of the samples that follow. */
uint32_t made_thread(struct made_profile *made, int32_t tid, const char *name);
uint32_t made_label(struct made_profile *made, uint32_t parent, const char *key, const char *value);
uint32_t made_module(struct made_profile *made, const char *path);
/* A function has one location, of the same index. module UINT32_MAX: a made-up function, as [lost]. */
uint32_t made_function(struct made_profile *made, uint32_t module, const char *name, const char *file,
                       uint32_t line);

/* The location gets the function as its caller: it was inlined there. */
void made_inline(struct made_profile *made, uint32_t location, uint32_t caller);

/* Functions from the outside in; the same by their names, with semicolons between, of which each is known. */
struct awi_sample *made_sample(struct made_profile *made, const uint32_t *functions, uint32_t depth,
                               uint64_t time_ns, uint64_t count);
struct awi_sample *made_stack(struct made_profile *made, const char *names, uint64_t time_ns, uint64_t count);

#endif
