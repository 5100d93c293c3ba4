/* SPDX-License-Identifier: MIT */
/*
 * pprof_samples.c: the samples of a profile.proto file, with their threads and labels. Called by pprof_read.c
 * when all that they refer to stands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof_decoder.h"
#include "titles.h"

/* A sample that is being decoded. */
struct filling {
    struct awi_decoder *decoder;
    struct awi_sample *sample;
    struct awi_stack_names *stack;
    uint64_t *pcs;
    uint32_t *locations;
    size_t values;         /* that were seen */
    uint64_t thread_title; /* a string; 0: none */
    uint32_t first_label;  /* of the profile's labels, the sample's own */
};

/* ---- threads ---- */

/* "name (tid)", "(tid)", or a name alone. */
static void read_title(const char *title, struct awi_sampled_thread *thread)
{
    const char *bracket = strrchr(title, '(');
    size_t length = strlen(title);
    char *end = NULL;
    if (bracket != NULL && bracket[1] >= '1' && bracket[1] <= '9') {
        long tid = strtol(bracket + 1, &end, 10);
        if (strcmp(end, ")") == 0 && tid <= INT32_MAX) {
            thread->tid = (int32_t)tid;
            length = (size_t)(bracket - title);
            length -= length != 0 && title[length - 1] == ' ';
        }
    }
    (void)snprintf(thread->name, sizeof thread->name, "%.*s",
                   (int)(length < sizeof thread->name ? length : sizeof thread->name - 1), title);
}

/* By the string of its title; string 0 stands for those without. */
static uint32_t thread_of(struct awi_decoder *decoder, uint64_t title)
{
    struct aw_profile *profile = decoder->profile;
    if (decoder->threads[title] == 0) {
        read_title(awi_profile_text(decoder, title), &profile->threads[profile->threads_count]);
        decoder->threads[title] = (uint32_t)++profile->threads_count;
    }
    return decoder->threads[title] - 1;
}

/* ---- labels ---- */

/* A number as text, with its unit. */
static const char *number_text(struct awi_decoder *decoder, uint64_t number, const char *unit, int *result)
{
    size_t bytes = strlen(unit) + 24;
    char *text = awi_decoder_alloc(decoder, decoder->profile->arena, bytes, 1, result);
    if (text != NULL)
        (void)snprintf(text, bytes, *unit != '\0' ? "%" PRId64 " %s" : "%" PRId64 "%s", (int64_t)number,
                       unit);
    return text;
}

static int decode_label(struct filling *filling, const struct awi_field *message)
{
    struct awi_decoder *decoder = filling->decoder;
    struct aw_profile *profile = decoder->profile;
    uint64_t numbers[LABEL_NUM_UNIT + 1] = { 0 };
    struct awi_wire wire = message->bytes;
    struct awi_field field;
    int result;
    while ((result = awi_wire_field(&wire, &field)) == 1)
        if (field.number <= LABEL_NUM_UNIT && field.type == AWI_WIRE_VARINT)
            numbers[field.number] = field.value;
    const char *key = awi_profile_text(decoder, numbers[LABEL_KEY]);
    const char *value = awi_profile_text(decoder, numbers[LABEL_STR]);
    const char *unit = awi_profile_text(decoder, numbers[LABEL_NUM_UNIT]);
    if (result != 0 || message->type != AWI_WIRE_BYTES || key == NULL || value == NULL || unit == NULL)
        return -EBADMSG;
    if (strcmp(key, AWI_THREAD_LABEL) == 0 && *value != '\0') {
        filling->thread_title = numbers[LABEL_STR];
        return 0;
    }
    if (numbers[LABEL_STR] == 0 && numbers[LABEL_NUM] != 0)
        value = number_text(decoder, numbers[LABEL_NUM], unit, &result);
    profile->labels[profile->labels_count++] = (struct awi_label){ 0, key, value };
    return result;
}

/* They stand from the innermost outwards. */
static void chain_labels(struct filling *filling)
{
    struct aw_profile *profile = filling->decoder->profile;
    uint32_t end = (uint32_t)profile->labels_count;
    for (uint32_t i = filling->first_label; i < end; ++i)
        profile->labels[i].parent = i + 1 < end ? i + 1 : 0;
    filling->sample->label = filling->first_label < end ? filling->first_label : 0;
}

/* ---- samples ---- */

static int take_value(void *arg, uint64_t value)
{
    struct filling *filling = arg;
    const struct awi_decoder *decoder = filling->decoder;
    if (value > INT64_MAX)
        return -EBADMSG;
    if (filling->values == decoder->count_value)
        filling->sample->count = value;
    if (filling->values == decoder->time_value) {
        if (value > INT64_MAX / decoder->time_unit_ns)
            return -EBADMSG;
        filling->sample->time_ns = value * decoder->time_unit_ns;
    }
    ++filling->values;
    return 0;
}

static int take_location(void *arg, uint64_t id)
{
    struct filling *filling = arg;
    uint32_t index;
    if (!awi_decoder_find(&filling->decoder->locations, id, &index))
        return -EBADMSG;
    filling->pcs[filling->stack->depth] = filling->decoder->symbols->locations[index].pc;
    filling->locations[filling->stack->depth++] = index;
    return 0;
}

static int count_location(void *arg, uint64_t id)
{
    uint32_t *count = arg;
    (void)id;
    return ++*count < UINT32_MAX ? 0 : -EBADMSG;
}

/* Is it one of our made-up places? */
static bool is_titled(const struct awi_symbols *symbols, uint32_t index, const char *title)
{
    const struct awi_location *location = &symbols->locations[index];
    return location->pc == 0 && location->module == UINT32_MAX &&
           strcmp(symbols->functions[location->frames[0].function].name, title) == 0;
}

static void find_kind(struct filling *filling)
{
    const struct awi_symbols *symbols = filling->decoder->symbols;
    struct awi_sample *sample = filling->sample;
    uint32_t depth = filling->stack->depth, last = filling->locations[depth - 1];
    sample->depth = depth;
    if (depth > 1 && is_titled(symbols, last, AWI_TITLE_TRUNCATED))
        sample->kind = AWI_TRUNCATED;
    else if (depth == 1 && is_titled(symbols, last, AWI_TITLE_LOST))
        sample->kind = AWI_LOST;
    else if (depth == 1 && is_titled(symbols, last, AWI_TITLE_UNSAMPLED))
        sample->kind = AWI_UNSAMPLED;
    if (sample->kind != AWI_STACK)
        --sample->depth;
}

/* The place of samples that have none: [unknown], without an address. */
static int find_unknown_place(struct awi_decoder *decoder, uint32_t *place)
{
    struct awi_symbols *symbols = decoder->symbols;
    int result = 0;
    if (decoder->unknown_place == UINT32_MAX) {
        struct awi_frame *frame = awi_decoder_alloc(decoder, symbols->arena, 1, sizeof *frame, &result);
        if (frame == NULL)
            return result;
        frame->function = (uint32_t)symbols->functions_count - 1;
        decoder->unknown_place = (uint32_t)symbols->locations_count++;
        symbols->locations[decoder->unknown_place] = (struct awi_location){ 0, UINT32_MAX, 1, frame };
    }
    *place = decoder->unknown_place;
    return result;
}

static int open_stack(struct filling *filling, struct awi_wire message)
{
    struct awi_decoder *decoder = filling->decoder;
    struct awi_field field;
    uint32_t depth = 0;
    int result;
    while ((result = awi_wire_field(&message, &field)) == 1)
        if (field.number == SAMPLE_LOCATION_ID && awi_decoder_numbers(&field, count_location, &depth) != 0)
            return -EBADMSG;
    if (result == 0)
        filling->pcs = awi_decoder_alloc(decoder, decoder->profile->arena, (size_t)depth + 1,
                                         sizeof *filling->pcs, &result);
    if (result == 0)
        filling->locations = awi_decoder_alloc(decoder, decoder->symbols->arena, (size_t)depth + 1,
                                               sizeof *filling->locations, &result);
    filling->sample->pcs = filling->pcs;
    filling->stack->locations = filling->locations;
    return result;
}

static int decode_field(struct filling *filling, const struct awi_field *field)
{
    switch (field->number) {
    case SAMPLE_LOCATION_ID:
        return awi_decoder_numbers(field, take_location, filling);
    case SAMPLE_VALUE:
        return awi_decoder_numbers(field, take_value, filling);
    case SAMPLE_LABEL:
        return decode_label(filling, field);
    default:
        return 0;
    }
}

static int decode_sample(struct awi_decoder *decoder, size_t index)
{
    struct awi_wire message = decoder->kinds[PROFILE_SAMPLE].messages[index];
    struct aw_profile *profile = decoder->profile;
    struct filling filling = { .decoder = decoder,
                               .sample = &profile->samples[index],
                               .stack = &decoder->symbols->stacks[index],
                               .first_label = (uint32_t)profile->labels_count };
    struct awi_field field;
    int result = open_stack(&filling, message);
    while (result == 0 && awi_wire_field(&message, &field) == 1)
        result = decode_field(&filling, &field);
    if (result == 0 && filling.values != decoder->kinds[PROFILE_SAMPLE_TYPE].count)
        result = -EBADMSG;
    if (result == 0 && filling.stack->depth == 0) {
        result = find_unknown_place(decoder, &filling.locations[0]);
        filling.stack->depth = 1;
    }
    if (result != 0)
        return result;
    find_kind(&filling);
    chain_labels(&filling);
    filling.sample->thread = thread_of(decoder, filling.thread_title);
    return 0;
}

/* ---- all of them ---- */

static int count_labels(const struct awi_messages *samples, size_t *count)
{
    struct awi_field field;
    int result = 0;
    *count = 0;
    for (size_t i = 0; i < samples->count && result == 0; ++i) {
        struct awi_wire message = samples->messages[i];
        while ((result = awi_wire_field(&message, &field)) == 1)
            *count += field.number == SAMPLE_LABEL;
    }
    return result;
}

static int open_samples(struct awi_decoder *decoder, size_t labels)
{
    struct aw_profile *profile = decoder->profile;
    size_t samples = decoder->kinds[PROFILE_SAMPLE].count;
    size_t threads = samples < decoder->texts.count ? samples : decoder->texts.count;
    int result;
    profile->samples =
        awi_decoder_alloc(decoder, profile->arena, samples + 1, sizeof *profile->samples, &result);
    if (result == 0)
        decoder->symbols->stacks = awi_decoder_alloc(decoder, decoder->symbols->arena, samples + 1,
                                                     sizeof *decoder->symbols->stacks, &result);
    if (result == 0)
        profile->labels =
            awi_decoder_alloc(decoder, profile->arena, labels + 1, sizeof *profile->labels, &result);
    if (result == 0)
        profile->threads =
            awi_decoder_alloc(decoder, profile->arena, threads + 1, sizeof *profile->threads, &result);
    if (result == 0)
        decoder->threads = awi_decoder_alloc(decoder, decoder->scratch, decoder->texts.count,
                                             sizeof *decoder->threads, &result);
    profile->samples_count = samples;
    profile->labels_count = 1;
    decoder->unknown_place = UINT32_MAX;
    return result;
}

/* What the samples say goes before what a comment says of them. -EBADMSG: sums that no 63 bits hold. */
static int sum_up(struct aw_profile *profile)
{
    uint64_t counts[AWI_UNSAMPLED + 1] = { 0 }, count = 0, time_ns = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        if (sample->count > INT64_MAX - count || sample->time_ns > INT64_MAX - time_ns)
            return -EBADMSG;
        counts[sample->kind] += sample->count;
        count += sample->count;
        time_ns += sample->time_ns;
    }
    struct aw_profile_stats *stats = &profile->stats;
    stats->samples = counts[AWI_STACK] + counts[AWI_TRUNCATED];
    stats->truncated = counts[AWI_TRUNCATED];
    stats->lost = counts[AWI_LOST];
    stats->time_ns = time_ns;
    stats->threads = (unsigned)profile->threads_count;
    if (stats->requested_hz == 0 && profile->period_ns != 0 && profile->period_ns <= UINT64_C(1000000000))
        stats->requested_hz =
            (unsigned)((UINT64_C(1000000000) + profile->period_ns / 2) / profile->period_ns);
    if (time_ns != 0)
        stats->achieved_hz = (double)(stats->samples + stats->lost) * 1e9 / (double)time_ns;
    return 0;
}

int awi_decode_samples(struct awi_decoder *decoder)
{
    size_t labels;
    int result = count_labels(&decoder->kinds[PROFILE_SAMPLE], &labels);
    if (result == 0)
        result = open_samples(decoder, labels);
    for (size_t i = 0; i < decoder->profile->samples_count && result == 0; ++i)
        result = decode_sample(decoder, i);
    return result == 0 ? sum_up(decoder->profile) : result;
}
