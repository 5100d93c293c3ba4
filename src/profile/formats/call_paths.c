/* SPDX-License-Identifier: MIT */
/*
 * call_paths.c: see call_paths.h. Functions are sorted once and replaced by their place in that order, so
 * that stacks, of which there may be many and deep ones, are sorted by comparing numbers.
 */
#include "call_paths.h"

#include <errno.h>
#include <stdlib.h>

struct ranked {
    const struct awi_function *function;
    awi_function_compare *compare;
    uint32_t index;
};

struct collection {
    const struct aw_profile *profile;
    const struct awi_symbols *symbols;
    awi_function_compare *compare;
    uint32_t thread_function;
    uint32_t *ranks; /* of the functions that occur, by index */
    struct awi_paths *paths;
};

static bool begins_with_thread(const struct collection *collection)
{
    return collection->thread_function < collection->symbols->functions_count;
}

static uint32_t path_depth(const struct collection *collection, size_t sample)
{
    const struct awi_stack_names *stack = &collection->symbols->stacks[sample];
    uint32_t depth = begins_with_thread(collection) ? 1 : 0;
    for (uint32_t i = 0; i < stack->depth; ++i)
        depth += collection->symbols->locations[stack->locations[i]].frames_count;
    return depth;
}

/* The functions of a sample, outermost first. */
static void list_functions(const struct collection *collection, size_t sample, uint32_t *functions)
{
    const struct awi_stack_names *stack = &collection->symbols->stacks[sample];
    if (begins_with_thread(collection))
        *functions++ = collection->thread_function + collection->profile->samples[sample].thread;
    for (uint32_t i = stack->depth; i-- > 0;) {
        const struct awi_location *location = &collection->symbols->locations[stack->locations[i]];
        for (uint32_t j = location->frames_count; j-- > 0;)
            *functions++ = location->frames[j].function;
    }
}

static int list_samples(struct collection *collection)
{
    struct awi_paths *paths = collection->paths;
    paths->paths_count = collection->profile->samples_count;
    paths->paths = awi_arena_alloc(paths->arena, paths->paths_count, sizeof *paths->paths);
    if (paths->paths == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < paths->paths_count; ++i) {
        const struct awi_sample *sample = &collection->profile->samples[i];
        struct awi_path *path = &paths->paths[i];
        path->time_ns = sample->time_ns;
        path->thread = collection->thread_function == AWI_PATHS_BY_THREAD ? sample->thread : 0;
        path->depth = path_depth(collection, i);
        path->frames = awi_arena_alloc(paths->arena, path->depth, sizeof *path->frames);
        if (path->frames == NULL)
            return -ENOMEM;
        list_functions(collection, i, path->frames);
    }
    return 0;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *one = a, *other = b;
    return one->compare(one->function, other->function);
}

/* Those that occur, in order; frames[] and ranks[] follow from it. */
static int rank_functions(struct collection *collection)
{
    struct awi_paths *paths = collection->paths;
    const struct awi_symbols *symbols = collection->symbols;
    size_t count = 0;
    for (size_t i = 0; i < paths->paths_count; ++i)
        for (uint32_t j = 0; j < paths->paths[i].depth; ++j)
            collection->ranks[paths->paths[i].frames[j]] = 1;
    struct ranked *ranked = awi_arena_alloc(paths->arena, symbols->functions_count, sizeof *ranked);
    paths->frames = awi_arena_alloc(paths->arena, symbols->functions_count, sizeof *paths->frames);
    if (ranked == NULL || paths->frames == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < symbols->functions_count; ++i)
        if (collection->ranks[i] != 0)
            ranked[count++] = (struct ranked){ &symbols->functions[i], collection->compare, i };
    if (count != 0)
        qsort(ranked, count, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < count; ++i) {
        if (i == 0 || compare_ranked(&ranked[i - 1], &ranked[i]) != 0)
            paths->frames[paths->frames_count++] = *ranked[i].function;
        collection->ranks[ranked[i].index] = (uint32_t)paths->frames_count - 1;
    }
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    const struct awi_path *one = a, *other = b;
    if (one->thread != other->thread)
        return one->thread < other->thread ? -1 : 1;
    for (uint32_t i = 0; i < one->depth && i < other->depth; ++i)
        if (one->frames[i] != other->frames[i])
            return one->frames[i] < other->frames[i] ? -1 : 1;
    return (one->depth > other->depth) - (one->depth < other->depth);
}

static void sum_paths(struct collection *collection)
{
    struct awi_paths *paths = collection->paths;
    size_t kept = 0;
    for (size_t i = 0; i < paths->paths_count; ++i)
        for (uint32_t j = 0; j < paths->paths[i].depth; ++j)
            paths->paths[i].frames[j] = collection->ranks[paths->paths[i].frames[j]];
    if (paths->paths_count != 0)
        qsort(paths->paths, paths->paths_count, sizeof *paths->paths, compare_paths);
    for (size_t i = 0; i < paths->paths_count; ++i)
        if (kept != 0 && compare_paths(&paths->paths[kept - 1], &paths->paths[i]) == 0)
            paths->paths[kept - 1].time_ns += paths->paths[i].time_ns;
        else
            paths->paths[kept++] = paths->paths[i];
    paths->paths_count = kept;
}

static int collect(struct collection *collection)
{
    collection->paths->arena = awi_arena_create();
    if (collection->paths->arena == NULL)
        return -ENOMEM;
    collection->ranks = awi_arena_alloc(collection->paths->arena, collection->symbols->functions_count,
                                        sizeof *collection->ranks);
    if (collection->ranks == NULL)
        return -ENOMEM;
    int result = list_samples(collection);
    if (result == 0)
        result = rank_functions(collection);
    if (result == 0)
        sum_paths(collection);
    return result;
}

int awi_paths_collect(const struct aw_profile *profile, const struct awi_symbols *symbols,
                      awi_function_compare *compare, uint32_t thread_function, struct awi_paths **paths)
{
    *paths = calloc(1, sizeof **paths);
    if (*paths == NULL)
        return -ENOMEM;
    struct collection collection = { profile, symbols, compare, thread_function, NULL, *paths };
    int result = collect(&collection);
    if (result != 0) {
        awi_paths_free(*paths);
        *paths = NULL;
    }
    return result;
}

void awi_paths_free(struct awi_paths *paths)
{
    if (paths == NULL)
        return;
    awi_arena_destroy(paths->arena);
    free(paths);
}
