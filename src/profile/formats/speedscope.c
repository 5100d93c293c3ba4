/* SPDX-License-Identifier: MIT */
/*
 * speedscope.c: JSON as https://www.speedscope.app/file-format-schema.json has it: a "sampled" profile for
 * each thread, its stacks in the order of their functions' names, so that even the view by time, of which
 * nothing is known, shows callers in one piece. The format knows no labels.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call_paths.h"
#include "output.h"
#include "titles.h"
#include "utf8.h"

static int compare_frames(const struct awi_function *a, const struct awi_function *b)
{
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = strcmp(a->file, b->file);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static void write_character(struct awi_output *output, const char *text, size_t length)
{
    unsigned char first = (unsigned char)*text;
    if (length == 0)
        awi_output_text(output, AWI_UTF8_REPLACEMENT);
    else if (first == '"' || first == '\\')
        awi_output_print(output, "\\%c", first);
    else if (first < 0x20 || first == 0x7f)
        awi_output_print(output, "\\u%04x", (unsigned)first);
    else
        awi_output_bytes(output, text, length);
}

static void write_string(struct awi_output *output, const char *text)
{
    awi_output_text(output, "\"");
    while (*text != '\0') {
        size_t length = awi_utf8_length(text);
        write_character(output, text, length);
        text += length != 0 ? length : 1;
    }
    awi_output_text(output, "\"");
}

static void write_frame(struct awi_output *output, const struct awi_function *function)
{
    awi_output_text(output, "{\"name\":");
    write_string(output, *function->name != '\0' ? function->name : AWI_TITLE_UNKNOWN);
    if (*function->file != '\0') {
        awi_output_text(output, ",\"file\":");
        write_string(output, function->file);
        if (function->line != 0)
            awi_output_print(output, ",\"line\":%" PRIu32, function->line);
    }
    awi_output_text(output, "}");
}

static void write_stack(struct awi_output *output, const struct awi_path *path)
{
    for (uint32_t i = 0; i < path->depth; ++i)
        awi_output_print(output, "%c%" PRIu32, i == 0 ? '[' : ',', path->frames[i]);
    awi_output_text(output, "]");
}

/* The paths of one thread; none for the only one of an empty profile. */
static void write_profile(struct awi_output *output, const char *title, const struct awi_path *paths,
                          size_t count)
{
    uint64_t time_ns = 0;
    for (size_t i = 0; i < count; ++i)
        time_ns += paths[i].time_ns;
    awi_output_text(output, "{\"type\":\"sampled\",\"name\":");
    write_string(output, title);
    awi_output_print(output, ",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":%" PRIu64, time_ns);
    awi_output_text(output, ",\"samples\":[");
    for (size_t i = 0; i < count; ++i) {
        if (i != 0)
            awi_output_text(output, ",\n");
        write_stack(output, &paths[i]);
    }
    awi_output_text(output, "],\n\"weights\":[");
    for (size_t i = 0; i < count; ++i)
        awi_output_print(output, i == 0 ? "%" PRIu64 : ",%" PRIu64, paths[i].time_ns);
    awi_output_text(output, "]}");
}

static size_t paths_of_thread(const struct awi_paths *paths, size_t first, uint64_t *time_ns)
{
    size_t end = first;
    *time_ns = 0;
    for (; end < paths->paths_count && paths->paths[end].thread == paths->paths[first].thread; ++end)
        *time_ns += paths->paths[end].time_ns;
    return end - first;
}

/* Returns which of the profiles is shown first: the one with the most time. */
static size_t write_threads(struct awi_output *output, const struct aw_profile *profile,
                            const struct awi_paths *paths)
{
    size_t profiles = 0, count, active = 0;
    uint64_t most_ns = 0, time_ns;
    for (size_t first = 0; first < paths->paths_count; first += count, ++profiles) {
        char title[AWI_THREAD_TITLE_BYTES];
        count = paths_of_thread(paths, first, &time_ns);
        awi_thread_title(&profile->threads[paths->paths[first].thread], title, sizeof title);
        if (profiles != 0)
            awi_output_text(output, ",\n");
        write_profile(output, title, &paths->paths[first], count);
        if (time_ns > most_ns) {
            most_ns = time_ns;
            active = profiles;
        }
    }
    if (profiles == 0)
        write_profile(output, "no samples", NULL, 0);
    return active;
}

int awi_write_speedscope(struct awi_output *output, const struct aw_profile *profile,
                         const struct awi_symbols *symbols)
{
    struct awi_paths *paths = NULL;
    int result = awi_paths_collect(profile, symbols, compare_frames, AWI_PATHS_BY_THREAD, &paths);
    if (result != 0)
        return result;
    awi_output_text(output, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n");
    awi_output_text(output, "\"exporter\":\"alarmwheel@" AW_VERSION_STRING "\",\n\"name\":");
    write_string(output, awi_program_title(profile));
    awi_output_text(output, ",\n\"shared\":{\"frames\":[");
    for (size_t i = 0; i < paths->frames_count; ++i) {
        if (i != 0)
            awi_output_text(output, ",\n");
        write_frame(output, &paths->frames[i]);
    }
    awi_output_text(output, "]},\n\"profiles\":[");
    size_t active = write_threads(output, profile, paths);
    awi_output_print(output, "],\n\"activeProfileIndex\":%zu}\n", active);
    awi_paths_free(paths);
    return 0;
}
