/* SPDX-License-Identifier: MIT */
/*
 * folded.c: a line a stack, as flame graph tools read it: functions from the outermost to the innermost with
 * semicolons between them, a space, nanoseconds. If there is more than one thread each stack begins with its
 * own. Labels are not shown: stacks that only these tell apart are one line.
 *
 * The format has no quoting: in a name a semicolon becomes a colon, and a line's end a space.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call_paths.h"
#include "output.h"
#include "titles.h"
#include "utf8.h"

static int compare_names(const struct awi_function *a, const struct awi_function *b)
{
    return strcmp(a->name, b->name);
}

static const char *folded_name(struct awi_arena *arena, const char *name)
{
    char *copy = awi_arena_alloc(arena, 3 * strlen(name) + 1, 1);
    if (copy == NULL)
        return NULL;
    (void)awi_utf8_copy(copy, name, false);
    for (char *at = strchr(copy, ';'); at != NULL; at = strchr(at, ';'))
        *at = ':';
    return *copy != '\0' ? copy : AWI_TITLE_UNKNOWN;
}

static bool has_threads(const struct aw_profile *profile)
{
    for (size_t i = 1; i < profile->samples_count; ++i)
        if (profile->samples[i].thread != profile->samples[0].thread)
            return true;
    return false;
}

/* *folded is *symbols with names as they are written, and a function for each thread if there are more. */
static int fold_names(struct awi_arena *arena, const struct aw_profile *profile,
                      const struct awi_symbols *symbols, struct awi_symbols *folded)
{
    size_t functions = symbols->functions_count;
    size_t threads = has_threads(profile) ? profile->threads_count : 0;
    *folded = *symbols;
    folded->functions_count = functions + threads;
    folded->functions = awi_arena_alloc(arena, functions + threads, sizeof *folded->functions);
    if (folded->functions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < functions + threads; ++i) {
        char thread[AWI_THREAD_TITLE_BYTES];
        const char *name = thread;
        if (i < functions)
            name = symbols->functions[i].name;
        else
            awi_thread_title(&profile->threads[i - functions], thread, sizeof thread);
        folded->functions[i].name = folded_name(arena, name);
        if (folded->functions[i].name == NULL)
            return -ENOMEM;
    }
    return 0;
}

static void write_paths(struct awi_output *output, const struct awi_paths *paths)
{
    for (size_t i = 0; i < paths->paths_count; ++i) {
        const struct awi_path *path = &paths->paths[i];
        for (uint32_t j = 0; j < path->depth; ++j) {
            if (j != 0)
                awi_output_text(output, ";");
            awi_output_text(output, paths->frames[path->frames[j]].name);
        }
        awi_output_print(output, " %" PRIu64 "\n", path->time_ns);
    }
}

int awi_write_folded(struct awi_output *output, const struct aw_profile *profile,
                     const struct awi_symbols *symbols)
{
    struct awi_symbols folded;
    struct awi_paths *paths = NULL;
    struct awi_arena *arena = awi_arena_create();
    if (arena == NULL)
        return -ENOMEM;
    int result = fold_names(arena, profile, symbols, &folded);
    if (result == 0)
        result =
            awi_paths_collect(profile, &folded, compare_names, (uint32_t)symbols->functions_count, &paths);
    if (result == 0)
        write_paths(output, paths);
    awi_paths_free(paths);
    awi_arena_destroy(arena);
    return result;
}
