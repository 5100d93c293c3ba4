/* SPDX-License-Identifier: MIT */
/*
 * call_paths.h: the samples as sequences of functions, outermost first, inlined calls among them; the same
 * ones summed, and in an order that depends on names alone. For formats that list stacks.
 */
#ifndef AWI_PROFILE_CALL_PATHS_H
#define AWI_PROFILE_CALL_PATHS_H

#include <stddef.h>
#include <stdint.h>

#include "../model.h"

#define AWI_PATHS_BY_THREAD UINT32_MAX

struct awi_path {
    uint64_t time_ns;
    uint32_t thread; /* index into the profile's; 0 if the paths are not by thread */
    uint32_t depth;
    uint32_t *frames; /* indices into awi_paths.frames */
};

struct awi_paths {
    struct awi_path *paths; /* by thread, then by their frames */
    size_t paths_count;
    struct awi_function *frames; /* those that occur, sorted; functions that compare equal are one */
    size_t frames_count;
    struct awi_arena *arena;
};

typedef int awi_function_compare(const struct awi_function *a, const struct awi_function *b);

/*
 * thread_function AWI_PATHS_BY_THREAD: each thread has paths of its own. Else the index of a function that
 * stands for thread 0, with those of the other threads after it, and each path begins with its thread's;
 * or the number of functions, where there are none of that kind: then threads are not told apart.
 * -ENOMEM, or 0: then *paths is freed by awi_paths_free.
 */
int awi_paths_collect(const struct aw_profile *profile, const struct awi_symbols *symbols,
                      awi_function_compare *compare, uint32_t thread_function, struct awi_paths **paths);
void awi_paths_free(struct awi_paths *paths);

#endif
