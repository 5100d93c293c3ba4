/* SPDX-License-Identifier: MIT */
/*
 * pprof.c: writes profile.proto (github.com/google/pprof), from its public description; pprof_proto.h has
 * the numbers of the fields. Messages go out one by one; strings, which they name by their place in a
 * table, last.
 *
 * Labels: those of the program as it named them, the one that was pushed last where a key stands twice.
 * Each sample has also the label "thread", "name (tid)", a string: `go tool pprof -tags` then shows the
 * share of each thread, and -tagfocus=thread=NAME picks those of a name. As a number it would get a unit,
 * and be summed in ranges. A label "thread" that the program pushed replaces it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pprof_comment.h"
#include "pprof_proto.h"
#include "pprof_strings.h"
#include "protobuf.h"
#include "titles.h"

struct pprof {
    struct awi_output *output;
    const struct aw_profile *profile;
    const struct awi_symbols *symbols;
    struct awi_strings strings;
    struct awi_message message;
    struct awi_message part;
    uint32_t program;     /* the module that is mapping 1 */
    const char **threads; /* their titles */
};

/* Writes the message that was put together, and empties it. */
static void put(struct pprof *pprof, uint32_t field)
{
    unsigned char prefix[2 * AWI_VARINT_MAX];
    awi_output_bytes(pprof->output, prefix, awi_prefix_write(prefix, field, pprof->message.count));
    awi_output_bytes(pprof->output, pprof->message.bytes, pprof->message.count);
    awi_message_clear(&pprof->message);
}

static uint64_t string(struct pprof *pprof, const char *text)
{
    return awi_strings_index(&pprof->strings, text);
}

static void add_number(struct pprof *pprof, uint32_t field, uint64_t value)
{
    awi_message_number(&pprof->message, field, value);
}

static void add_string(struct pprof *pprof, uint32_t field, const char *text)
{
    awi_message_number(&pprof->message, field, string(pprof, text));
}

static void put_value_type(struct pprof *pprof, uint32_t field, const char *type, const char *unit)
{
    add_string(pprof, VALUE_TYPE_TYPE, type);
    add_string(pprof, VALUE_TYPE_UNIT, unit);
    put(pprof, field);
}

/* ---- samples ---- */

static void add_label(struct pprof *pprof, const char *key, const char *value)
{
    awi_message_clear(&pprof->part);
    awi_message_number(&pprof->part, LABEL_KEY, string(pprof, key));
    awi_message_number(&pprof->part, LABEL_STR, string(pprof, value));
    awi_message_message(&pprof->message, SAMPLE_LABEL, &pprof->part);
}

/* Was the key pushed again after the label? */
static bool is_hidden(const struct awi_label *labels, uint32_t last, uint32_t label)
{
    for (uint32_t i = last; i != label; i = labels[i].parent)
        if (strcmp(labels[i].key, labels[label].key) == 0)
            return true;
    return false;
}

static void add_labels(struct pprof *pprof, const struct awi_sample *sample)
{
    const struct awi_label *labels = pprof->profile->labels;
    bool has_thread = false;
    for (uint32_t i = sample->label; i != 0; i = labels[i].parent) {
        if (is_hidden(labels, sample->label, i))
            continue;
        add_label(pprof, labels[i].key, labels[i].value);
        has_thread = has_thread || strcmp(labels[i].key, AWI_THREAD_LABEL) == 0;
    }
    if (!has_thread)
        add_label(pprof, AWI_THREAD_LABEL, pprof->threads[sample->thread]);
}

static void put_sample(struct pprof *pprof, size_t index)
{
    const struct awi_sample *sample = &pprof->profile->samples[index];
    const struct awi_stack_names *stack = &pprof->symbols->stacks[index];
    awi_message_clear(&pprof->part);
    for (uint32_t i = 0; i < stack->depth; ++i)
        awi_message_packed(&pprof->part, (uint64_t)stack->locations[i] + 1);
    awi_message_message(&pprof->message, SAMPLE_LOCATION_ID, &pprof->part);
    awi_message_clear(&pprof->part);
    awi_message_packed(&pprof->part, sample->count);
    awi_message_packed(&pprof->part, sample->time_ns);
    awi_message_message(&pprof->message, SAMPLE_VALUE, &pprof->part);
    add_labels(pprof, sample);
    put(pprof, PROFILE_SAMPLE);
}

/* ---- what samples refer to ---- */

/* The program's is the first: readers take it for the binary that was profiled. */
static uint64_t mapping_id(const struct pprof *pprof, uint32_t module)
{
    if (module == UINT32_MAX)
        return 0;
    if (module == pprof->program)
        return 1;
    return (uint64_t)module + 1 + (pprof->program != UINT32_MAX && module < pprof->program);
}

/* All have functions, if only by the file's name: a reader need not look for symbols again. */
static void put_mapping(struct pprof *pprof, uint32_t index)
{
    const struct awi_module *module = &pprof->profile->modules[index];
    bool has_lines = pprof->symbols->has_lines[index];
    add_number(pprof, MAPPING_ID, mapping_id(pprof, index));
    add_number(pprof, MAPPING_MEMORY_START, module->start);
    add_number(pprof, MAPPING_MEMORY_LIMIT, module->end);
    /* No MAPPING_FILE_OFFSET: a module begins where its file does. */
    add_string(pprof, MAPPING_FILENAME, module->path);
    add_string(pprof, MAPPING_BUILD_ID, pprof->symbols->build_ids[index]);
    add_number(pprof, MAPPING_HAS_FUNCTIONS, true);
    add_number(pprof, MAPPING_HAS_FILENAMES, has_lines);
    add_number(pprof, MAPPING_HAS_LINE_NUMBERS, has_lines);
    add_number(pprof, MAPPING_HAS_INLINE_FRAMES, has_lines);
    put(pprof, PROFILE_MAPPING);
}

static void put_mappings(struct pprof *pprof)
{
    if (pprof->program != UINT32_MAX)
        put_mapping(pprof, pprof->program);
    for (uint32_t i = 0; i < pprof->profile->modules_count; ++i)
        if (i != pprof->program)
            put_mapping(pprof, i);
}

static void put_location(struct pprof *pprof, size_t index)
{
    const struct awi_location *location = &pprof->symbols->locations[index];
    add_number(pprof, LOCATION_ID, index + 1);
    add_number(pprof, LOCATION_MAPPING_ID, mapping_id(pprof, location->module));
    add_number(pprof, LOCATION_ADDRESS, location->pc);
    for (uint32_t i = 0; i < location->frames_count; ++i) {
        awi_message_clear(&pprof->part);
        awi_message_number(&pprof->part, LINE_FUNCTION_ID, (uint64_t)location->frames[i].function + 1);
        awi_message_number(&pprof->part, LINE_LINE, location->frames[i].line);
        awi_message_message(&pprof->message, LOCATION_LINE, &pprof->part);
    }
    put(pprof, PROFILE_LOCATION);
}

static void put_function(struct pprof *pprof, size_t index)
{
    const struct awi_function *function = &pprof->symbols->functions[index];
    add_number(pprof, FUNCTION_ID, index + 1);
    add_string(pprof, FUNCTION_NAME, function->name);
    add_string(pprof, FUNCTION_SYSTEM_NAME, function->linkage);
    add_string(pprof, FUNCTION_FILENAME, function->file);
    add_number(pprof, FUNCTION_START_LINE, function->line);
    put(pprof, PROFILE_FUNCTION);
}

/* ---- the whole ---- */

/* The fields that are numbers; PROFILE_COMMENT a repeated one. */
static void put_rest(struct pprof *pprof)
{
    const struct aw_profile *profile = pprof->profile;
    char comment[AWI_COMMENT_BYTES];
    awi_comment_write(&profile->stats, comment);
    add_number(pprof, PROFILE_TIME_NANOS, profile->started_realtime_ns);
    add_number(pprof, PROFILE_DURATION_NANOS, profile->elapsed_ns);
    add_number(pprof, PROFILE_PERIOD, profile->period_ns);
    add_string(pprof, PROFILE_COMMENT, awi_strings_copy(&pprof->strings, comment));
    add_string(pprof, PROFILE_DEFAULT_SAMPLE_TYPE, awi_clock_title(profile->clock));
    awi_output_bytes(pprof->output, pprof->message.bytes, pprof->message.count);
    awi_message_clear(&pprof->message);
}

static int name_threads(struct pprof *pprof)
{
    const struct aw_profile *profile = pprof->profile;
    pprof->threads = calloc(profile->threads_count + 1, sizeof *pprof->threads);
    if (pprof->threads == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < profile->threads_count; ++i) {
        char title[AWI_THREAD_TITLE_BYTES];
        awi_thread_title(&profile->threads[i], title, sizeof title);
        pprof->threads[i] = awi_strings_copy(&pprof->strings, title);
    }
    return 0;
}

static int put_all(struct pprof *pprof)
{
    const char *clock = awi_clock_title(pprof->profile->clock);
    if (awi_strings_open(&pprof->strings) != 0 || name_threads(pprof) != 0)
        return -ENOMEM;
    put_value_type(pprof, PROFILE_SAMPLE_TYPE, "samples", "count");
    put_value_type(pprof, PROFILE_SAMPLE_TYPE, clock, "nanoseconds");
    put_value_type(pprof, PROFILE_PERIOD_TYPE, clock, "nanoseconds");
    for (size_t i = 0; i < pprof->profile->samples_count; ++i)
        put_sample(pprof, i);
    put_mappings(pprof);
    for (size_t i = 0; i < pprof->symbols->locations_count; ++i)
        put_location(pprof, i);
    for (size_t i = 0; i < pprof->symbols->functions_count; ++i)
        put_function(pprof, i);
    put_rest(pprof);
    return awi_strings_write(&pprof->strings, pprof->output);
}

int awi_write_pprof(struct awi_output *output, const struct aw_profile *profile,
                    const struct awi_symbols *symbols)
{
    struct pprof pprof = { .output = output, .profile = profile, .symbols = symbols };
    pprof.program = awi_program_module(profile);
    int result = put_all(&pprof);
    if (pprof.message.is_incomplete || pprof.part.is_incomplete)
        result = -ENOMEM;
    awi_message_free(&pprof.message);
    awi_message_free(&pprof.part);
    awi_strings_close(&pprof.strings);
    free(pprof.threads);
    return result;
}
