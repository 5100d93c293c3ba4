/* SPDX-License-Identifier: MIT */
/*
 * pprof_read.c: decodes profile.proto. A first pass notes where each message lies, so that every array is as
 * large as needed from the start; then strings, functions, mappings, locations and samples, each of which
 * refers to those before it. No byte is trusted: what a message refers to has to be there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof_comment.h"
#include "pprof_decoder.h"
#include "pprof_read.h"
#include "titles.h"

/* ---- the whole ---- */

static bool is_kind(uint32_t field)
{
    return field >= PROFILE_SAMPLE_TYPE && field <= PROFILE_STRING_TABLE;
}

/* Notes the messages where there is memory for it already, else counts them. */
static int note_messages(struct awi_decoder *decoder, struct awi_wire whole)
{
    struct awi_field field;
    int result;
    for (size_t i = 0; i <= PROFILE_STRING_TABLE; ++i)
        decoder->kinds[i].count = 0;
    while ((result = awi_wire_field(&whole, &field)) == 1) {
        if (is_kind(field.number)) {
            struct awi_messages *kind = &decoder->kinds[field.number];
            if (field.type != AWI_WIRE_BYTES || kind->count >= UINT32_MAX - 1)
                return -EBADMSG;
            if (kind->messages != NULL)
                kind->messages[kind->count] = field.bytes;
            ++kind->count;
        } else if (field.number <= PROFILE_DEFAULT_SAMPLE_TYPE && field.type == AWI_WIRE_VARINT) {
            decoder->numbers[field.number] = field.value;
        }
    }
    return result;
}

static int find_messages(struct awi_decoder *decoder, struct awi_wire whole)
{
    int result = note_messages(decoder, whole);
    for (size_t i = PROFILE_SAMPLE_TYPE; i <= PROFILE_STRING_TABLE && result == 0; ++i) {
        struct awi_messages *kind = &decoder->kinds[i];
        kind->messages =
            awi_decoder_alloc(decoder, decoder->scratch, kind->count + 1, sizeof *kind->messages, &result);
    }
    return result == 0 ? note_messages(decoder, whole) : result;
}

/* The numbers of a message's fields, where they are below `count`; others are passed over. */
static int read_numbers(struct awi_wire message, uint64_t *numbers, size_t count)
{
    struct awi_field field;
    int result;
    memset(numbers, 0, count * sizeof *numbers);
    while ((result = awi_wire_field(&message, &field)) == 1)
        if (field.number < count && field.type == AWI_WIRE_VARINT)
            numbers[field.number] = field.value;
    return result;
}

/* ---- strings ---- */

static int decode_strings(struct awi_decoder *decoder)
{
    const struct awi_messages *kind = &decoder->kinds[PROFILE_STRING_TABLE];
    struct awi_texts *texts = &decoder->texts;
    size_t bytes = 0;
    int result;
    if (kind->count == 0 || awi_wire_left(&kind->messages[0]) != 0)
        return -EBADMSG;
    for (size_t i = 0; i < kind->count; ++i)
        bytes += awi_wire_left(&kind->messages[i]) + 1;
    texts->offsets =
        awi_decoder_alloc(decoder, decoder->scratch, kind->count, sizeof *texts->offsets, &result);
    if (result == 0)
        texts->of_profile = awi_decoder_alloc(decoder, decoder->profile->arena, bytes, 1, &result);
    if (result == 0)
        texts->of_symbols = awi_decoder_alloc(decoder, decoder->symbols->arena, bytes, 1, &result);
    if (result != 0)
        return result;
    bytes = 0;
    for (size_t i = 0; i < kind->count; ++i) {
        size_t length = awi_wire_left(&kind->messages[i]);
        texts->offsets[i] = bytes;
        if (length != 0)
            memcpy(texts->of_profile + bytes, kind->messages[i].at, length);
        bytes += length + 1;
    }
    memcpy(texts->of_symbols, texts->of_profile, bytes);
    texts->count = kind->count;
    return 0;
}

static char *symbols_text(const struct awi_decoder *decoder, uint64_t string)
{
    const struct awi_texts *texts = &decoder->texts;
    return string < texts->count ? texts->of_symbols + texts->offsets[string] : NULL;
}

/* ---- functions ---- */

static uint32_t line_of(uint64_t number)
{
    return number < UINT32_MAX ? (uint32_t)number : 0;
}

static int decode_function(struct awi_decoder *decoder, size_t index)
{
    uint64_t numbers[FUNCTION_START_LINE + 1];
    struct awi_function *function = &decoder->symbols->functions[index];
    int result =
        read_numbers(decoder->kinds[PROFILE_FUNCTION].messages[index], numbers, FUNCTION_START_LINE + 1);
    if (result != 0)
        return result;
    function->name = symbols_text(decoder, numbers[FUNCTION_NAME]);
    function->linkage = symbols_text(decoder, numbers[FUNCTION_SYSTEM_NAME]);
    function->file = symbols_text(decoder, numbers[FUNCTION_FILENAME]);
    function->line = line_of(numbers[FUNCTION_START_LINE]);
    if (function->name == NULL || function->linkage == NULL || function->file == NULL)
        return -EBADMSG;
    if (*function->name == '\0')
        function->name = *function->linkage != '\0' ? function->linkage : AWI_TITLE_UNKNOWN;
    decoder->functions.ids[index] = (struct awi_id){ numbers[FUNCTION_ID], (uint32_t)index };
    return 0;
}

static int decode_functions(struct awi_decoder *decoder)
{
    size_t count = decoder->kinds[PROFILE_FUNCTION].count;
    size_t all = count + decoder->kinds[PROFILE_MAPPING].count + 1;
    struct awi_symbols *symbols = decoder->symbols;
    int result = awi_ids_open(decoder, &decoder->functions, count);
    if (result == 0)
        symbols->functions =
            awi_decoder_alloc(decoder, symbols->arena, all, sizeof *symbols->functions, &result);
    for (size_t i = 0; i < count && result == 0; ++i)
        result = decode_function(decoder, i);
    if (result != 0)
        return result;
    decoder->function_count = count;
    symbols->functions_count = all;
    for (size_t i = count; i < all; ++i)
        symbols->functions[i] = (struct awi_function){ AWI_TITLE_UNKNOWN, "", "", 0 };
    return awi_ids_sort(&decoder->functions);
}

/* ---- mappings ---- */

struct mapping {
    uint64_t numbers[MAPPING_HAS_LINE_NUMBERS + 1];
    uint32_t index; /* in the file */
};

static int compare_mappings(const void *a, const void *b)
{
    const struct mapping *one = a, *other = b;
    uint64_t start = one->numbers[MAPPING_MEMORY_START], other_start = other->numbers[MAPPING_MEMORY_START];
    if (start != other_start)
        return start < other_start ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

/* What has no symbols is called "[file]". */
static const char *name_after_file(struct awi_decoder *decoder, const char *path, int *result)
{
    const char *title = awi_file_title(path);
    size_t length = strlen(title);
    if (length == 0 || title[0] == '[')
        return length == 0 ? AWI_TITLE_UNKNOWN : title;
    char *name = awi_decoder_alloc(decoder, decoder->symbols->arena, length + 3, 1, result);
    if (name != NULL)
        (void)snprintf(name, length + 3, "[%s]", title);
    return name;
}

static int take_mapping(struct awi_decoder *decoder, const struct mapping *mapping, uint32_t index)
{
    struct awi_module *module = &decoder->profile->modules[index];
    const char *name = symbols_text(decoder, mapping->numbers[MAPPING_FILENAME]);
    int result = 0;
    module->start = mapping->numbers[MAPPING_MEMORY_START];
    module->end = mapping->numbers[MAPPING_MEMORY_LIMIT];
    module->path = awi_profile_text(decoder, mapping->numbers[MAPPING_FILENAME]);
    decoder->symbols->build_ids[index] = symbols_text(decoder, mapping->numbers[MAPPING_BUILD_ID]);
    if (name == NULL || decoder->symbols->build_ids[index] == NULL)
        return -EBADMSG;
    decoder->symbols->has_lines[index] = mapping->numbers[MAPPING_HAS_LINE_NUMBERS] != 0;
    decoder->symbols->functions[decoder->function_count + index].name =
        name_after_file(decoder, name, &result);
    decoder->mappings.ids[index] = (struct awi_id){ mapping->numbers[MAPPING_ID], index };
    return result;
}

static int decode_mappings(struct awi_decoder *decoder)
{
    const struct awi_messages *kind = &decoder->kinds[PROFILE_MAPPING];
    struct aw_profile *profile = decoder->profile;
    struct awi_symbols *symbols = decoder->symbols;
    struct mapping *sorted = NULL;
    int result = awi_ids_open(decoder, &decoder->mappings, kind->count);
    if (result == 0)
        sorted = awi_decoder_alloc(decoder, decoder->scratch, kind->count + 1, sizeof *sorted, &result);
    if (result == 0)
        profile->modules =
            awi_decoder_alloc(decoder, profile->arena, kind->count + 1, sizeof *profile->modules, &result);
    if (result == 0)
        symbols->build_ids =
            awi_decoder_alloc(decoder, symbols->arena, kind->count + 1, sizeof *symbols->build_ids, &result);
    if (result == 0)
        symbols->has_lines =
            awi_decoder_alloc(decoder, symbols->arena, kind->count + 1, sizeof *symbols->has_lines, &result);
    for (size_t i = 0; i < kind->count && result == 0; ++i) {
        sorted[i].index = (uint32_t)i;
        result = read_numbers(kind->messages[i], sorted[i].numbers, MAPPING_HAS_LINE_NUMBERS + 1);
    }
    if (result != 0)
        return result;
    qsort(sorted, kind->count, sizeof *sorted, compare_mappings);
    for (size_t i = 0; i < kind->count && result == 0; ++i)
        result = take_mapping(decoder, &sorted[i], (uint32_t)i);
    for (uint32_t i = 0; i < kind->count; ++i)
        if (sorted[i].index == 0)
            profile->program = i; /* the first is the binary that was profiled */
    profile->modules_count = kind->count;
    return result == 0 ? awi_ids_sort(&decoder->mappings) : result;
}

/* ---- locations ---- */

static int decode_line(struct awi_decoder *decoder, const struct awi_field *field, struct awi_frame *frame)
{
    uint64_t numbers[LINE_LINE + 1];
    if (field->type != AWI_WIRE_BYTES)
        return -EBADMSG;
    int result = read_numbers(field->bytes, numbers, LINE_LINE + 1);
    if (result != 0)
        return result;
    frame->function = (uint32_t)decoder->symbols->functions_count - 1;
    frame->line = line_of(numbers[LINE_LINE]);
    if (numbers[LINE_FUNCTION_ID] != 0 &&
        !awi_decoder_find(&decoder->functions, numbers[LINE_FUNCTION_ID], &frame->function))
        return -EBADMSG;
    return 0;
}

static int decode_lines(struct awi_decoder *decoder, struct awi_wire message, struct awi_location *location)
{
    struct awi_field field;
    uint32_t lines = 0, count = 0;
    int result;
    for (struct awi_wire wire = message; (result = awi_wire_field(&wire, &field)) == 1;)
        lines += field.number == LOCATION_LINE;
    if (result != 0)
        return result;
    location->frames_count = lines != 0 ? lines : 1;
    struct awi_frame *frames =
        awi_decoder_alloc(decoder, decoder->symbols->arena, location->frames_count, sizeof *frames, &result);
    if (result != 0)
        return result;
    location->frames = frames;
    if (lines == 0)
        frames[0].function =
            (uint32_t)(location->module != UINT32_MAX ? decoder->function_count + location->module
                                                      : decoder->symbols->functions_count - 1);
    while (result == 0 && awi_wire_field(&message, &field) == 1)
        if (field.number == LOCATION_LINE)
            result = decode_line(decoder, &field, &frames[count++]);
    return result;
}

static int decode_location(struct awi_decoder *decoder, size_t index)
{
    struct awi_wire message = decoder->kinds[PROFILE_LOCATION].messages[index];
    struct awi_location *location = &decoder->symbols->locations[index];
    uint64_t numbers[LOCATION_ADDRESS + 1];
    int result = read_numbers(message, numbers, LOCATION_ADDRESS + 1);
    if (result != 0)
        return result;
    location->pc = numbers[LOCATION_ADDRESS];
    location->module = UINT32_MAX;
    if (numbers[LOCATION_MAPPING_ID] != 0 &&
        !awi_decoder_find(&decoder->mappings, numbers[LOCATION_MAPPING_ID], &location->module))
        return -EBADMSG;
    decoder->locations.ids[index] = (struct awi_id){ numbers[LOCATION_ID], (uint32_t)index };
    return decode_lines(decoder, message, location);
}

static int decode_locations(struct awi_decoder *decoder)
{
    size_t count = decoder->kinds[PROFILE_LOCATION].count;
    struct awi_symbols *symbols = decoder->symbols;
    int result = awi_ids_open(decoder, &decoder->locations, count);
    if (result == 0) /* and one that samples without a stack get */
        symbols->locations =
            awi_decoder_alloc(decoder, symbols->arena, count + 1, sizeof *symbols->locations, &result);
    for (size_t i = 0; i < count && result == 0; ++i)
        result = decode_location(decoder, i);
    symbols->locations_count = count;
    return result == 0 ? awi_ids_sort(&decoder->locations) : result;
}

/* ---- what samples mean ---- */

static uint64_t unit_ns(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        { "nanoseconds", 1 }, { "microseconds", 1000 }, { "milliseconds", 1000000 }, { "seconds", 1000000000 }
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ns;
    return 0;
}

static enum aw_profile_clock clock_of(const char *type)
{
    for (int clock = AW_PROFILE_CPU; clock <= AW_PROFILE_WALL; ++clock)
        if (strcmp(type, awi_clock_title((enum aw_profile_clock)clock)) == 0)
            return (enum aw_profile_clock)clock;
    return AW_PROFILE_CPU;
}

/* The time is the default if that is one, else the last there is. */
static int decode_types(struct awi_decoder *decoder)
{
    const struct awi_messages *kind = &decoder->kinds[PROFILE_SAMPLE_TYPE];
    uint64_t numbers[VALUE_TYPE_UNIT + 1];
    const char *chosen = awi_profile_text(decoder, decoder->numbers[PROFILE_DEFAULT_SAMPLE_TYPE]);
    bool is_chosen = false;
    if (kind->count == 0 || chosen == NULL)
        return -EBADMSG;
    decoder->count_value = SIZE_MAX;
    for (size_t i = 0; i < kind->count; ++i) {
        if (read_numbers(kind->messages[i], numbers, VALUE_TYPE_UNIT + 1) != 0)
            return -EBADMSG;
        const char *type = awi_profile_text(decoder, numbers[VALUE_TYPE_TYPE]);
        const char *unit = awi_profile_text(decoder, numbers[VALUE_TYPE_UNIT]);
        if (type == NULL || unit == NULL)
            return -EBADMSG;
        if (decoder->count_value == SIZE_MAX && strcmp(unit, "count") == 0)
            decoder->count_value = i;
        if (unit_ns(unit) == 0 || is_chosen)
            continue;
        is_chosen = strcmp(type, chosen) == 0;
        decoder->time_value = i;
        decoder->time_unit_ns = unit_ns(unit);
        decoder->profile->clock = clock_of(type);
    }
    return decoder->time_unit_ns != 0 ? 0 : -ENOTSUP;
}

static int take_comment(void *arg, uint64_t string)
{
    struct awi_decoder *decoder = arg;
    const char *comment = awi_profile_text(decoder, string);
    if (comment != NULL)
        awi_comment_read(comment, &decoder->profile->stats);
    return comment != NULL ? 0 : -EBADMSG;
}

static int decode_rest(struct awi_decoder *decoder, struct awi_wire whole)
{
    struct aw_profile *profile = decoder->profile;
    struct awi_field field;
    int result = 0;
    profile->started_realtime_ns = decoder->numbers[PROFILE_TIME_NANOS];
    profile->elapsed_ns = decoder->numbers[PROFILE_DURATION_NANOS];
    profile->period_ns = decoder->numbers[PROFILE_PERIOD];
    profile->stats.size = sizeof profile->stats;
    profile->stats.elapsed_ns = profile->elapsed_ns;
    while (result == 0 && awi_wire_field(&whole, &field) == 1)
        if (field.number == PROFILE_COMMENT)
            result = awi_decoder_numbers(&field, take_comment, decoder);
    return result;
}

static int decode_all(struct awi_decoder *decoder, struct awi_wire whole)
{
    int result = find_messages(decoder, whole);
    if (result == 0)
        result = decode_strings(decoder);
    if (result == 0)
        result = decode_types(decoder);
    if (result == 0)
        result = decode_functions(decoder);
    if (result == 0)
        result = decode_mappings(decoder);
    if (result == 0)
        result = decode_locations(decoder);
    if (result == 0)
        result = decode_rest(decoder, whole);
    return result == 0 ? awi_decode_samples(decoder) : result;
}

int awi_pprof_decode_plain(const unsigned char *bytes, size_t count, struct aw_profile **profile,
                           struct awi_symbols **symbols)
{
    struct awi_decoder decoder = { .memory = AWI_PPROF_MEMORY, .scratch = awi_arena_create() };
    struct awi_arena *of_profile = awi_arena_create(), *of_symbols = awi_arena_create();
    int result = -ENOMEM;
    if (of_profile != NULL && of_symbols != NULL && decoder.scratch != NULL) {
        decoder.profile = awi_arena_alloc(of_profile, 1, sizeof *decoder.profile);
        decoder.symbols = awi_arena_alloc(of_symbols, 1, sizeof *decoder.symbols);
    }
    if (decoder.profile != NULL && decoder.symbols != NULL) {
        decoder.profile->arena = of_profile;
        decoder.symbols->arena = of_symbols;
        decoder.profile->program = UINT32_MAX;
        result = decode_all(&decoder, (struct awi_wire){ bytes, bytes + count });
    }
    awi_arena_destroy(decoder.scratch);
    if (result != 0) {
        awi_arena_destroy(of_profile);
        awi_arena_destroy(of_symbols);
        return result;
    }
    *profile = decoder.profile;
    *symbols = decoder.symbols;
    return 0;
}
