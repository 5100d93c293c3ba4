/* SPDX-License-Identifier: MIT */
/* truth.c: see truth.h. */
#include "truth.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 2048 /* of a stack, inlined calls among them */

/* The names of a sample's functions, outermost first; of those that were called only, or inlined ones too. */
struct names {
    const char *names[NAMES_MAX];
    size_t count;
};

static struct names names_of(const struct truth *truth, size_t sample, bool has_inlined)
{
    const struct awi_stack_names *stack = &truth->symbols->stacks[sample];
    struct names names = { .count = 0 };
    for (uint32_t i = stack->depth; i-- > 0;) {
        const struct awi_location *location = &truth->symbols->locations[stack->locations[i]];
        uint32_t least = has_inlined ? 0 : location->frames_count - 1;
        for (uint32_t j = location->frames_count; j-- > least && names.count < NAMES_MAX;)
            names.names[names.count++] = truth->symbols->functions[location->frames[j].function].name;
    }
    return names;
}

uint64_t truth_whole(const struct truth *truth)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < truth->profile->samples_count; ++i)
        ns += truth->profile->samples[i].time_ns;
    return ns;
}

uint64_t truth_total(const struct truth *truth, const char *function)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < truth->profile->samples_count; ++i) {
        struct names names = names_of(truth, i, true);
        bool is_there = false;
        for (size_t j = 0; j < names.count; ++j)
            is_there = is_there || strcmp(names.names[j], function) == 0;
        ns += is_there ? truth->profile->samples[i].time_ns : 0;
    }
    return ns;
}

uint64_t truth_own(const struct truth *truth, const char *function)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < truth->profile->samples_count; ++i) {
        struct names names = names_of(truth, i, true);
        if (strcmp(names.names[names.count - 1], function) == 0)
            ns += truth->profile->samples[i].time_ns;
    }
    return ns;
}

static uint64_t thread_time(const struct truth *truth, size_t thread)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < truth->profile->samples_count; ++i)
        if (truth->profile->samples[i].thread == thread)
            ns += truth->profile->samples[i].time_ns;
    return ns;
}

static uint64_t label_time(const struct truth *truth, size_t label)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < truth->profile->samples_count; ++i)
        if (truth->profile->samples[i].label == label)
            ns += truth->profile->samples[i].time_ns;
    return ns;
}

/* Names here are of our own programs: no control characters. */
static void put(FILE *file, const char *string)
{
    (void)fputc('"', file);
    for (; *string != '\0'; ++string)
        (void)fprintf(file, *string == '"' || *string == '\\' ? "\\%c" : "%c", *string);
    (void)fputc('"', file);
}

static void put_ms(FILE *file, uint64_t ns)
{
    (void)fprintf(file, "%" PRIu64 ".%06" PRIu64, ns / 1000000, ns % 1000000);
}

static void write_threads(const struct truth *truth, FILE *file)
{
    (void)fprintf(file, "\"threads\": [");
    for (size_t i = 0; i < truth->profile->threads_count; ++i) {
        char title[64];
        (void)snprintf(title, sizeof title, "%s (%" PRId32 ")", truth->profile->threads[i].name,
                       truth->profile->threads[i].tid);
        (void)fprintf(file, i == 0 ? "\n  [" : ",\n  [");
        put(file, title);
        (void)fprintf(file, ", ");
        put_ms(file, thread_time(truth, i));
        (void)fprintf(file, "]");
    }
    (void)fprintf(file, "],\n");
}

/* Each label is pushed alone, by these programs. */
static void write_labels(const struct truth *truth, FILE *file)
{
    (void)fprintf(file, "\"labels\": [");
    for (size_t i = 1; i < truth->profile->labels_count; ++i) {
        (void)fprintf(file, i == 1 ? "\n  [" : ",\n  [");
        put(file, truth->profile->labels[i].key);
        (void)fprintf(file, ", ");
        put(file, truth->profile->labels[i].value);
        (void)fprintf(file, ", ");
        put_ms(file, label_time(truth, i));
        (void)fprintf(file, "]");
    }
    (void)fprintf(file, "],\n");
}

static void write_functions(const struct truth *truth, FILE *file)
{
    const char *separator = "";
    (void)fprintf(file, "\"functions\": {");
    for (size_t i = 0; i < truth->symbols->functions_count; ++i) {
        const char *name = truth->symbols->functions[i].name;
        size_t first = 0;
        while (strcmp(truth->symbols->functions[first].name, name) != 0)
            ++first;
        uint64_t total_ns = truth_total(truth, name);
        if (first != i || total_ns == 0)
            continue;
        (void)fprintf(file, "%s\n  ", separator);
        put(file, name);
        (void)fprintf(file, ": {\"own\": ");
        put_ms(file, truth_own(truth, name));
        (void)fprintf(file, ", \"total\": ");
        put_ms(file, total_ns);
        (void)fprintf(file, "}");
        separator = ",";
    }
    (void)fprintf(file, "},\n");
}

static void put_names(FILE *file, const char *head, const struct names *names)
{
    (void)fprintf(file, "%s", head);
    for (size_t i = 0; i < names->count; ++i) {
        (void)fprintf(file, "%s", i == 0 ? "" : ", ");
        put(file, names->names[i]);
    }
}

static void write_stacks(const struct truth *truth, FILE *file)
{
    (void)fprintf(file, "\"stacks\": [");
    for (size_t i = 0; i < truth->profile->samples_count; ++i) {
        const struct awi_sample *sample = &truth->profile->samples[i];
        struct names names = names_of(truth, i, true);
        (void)fprintf(file, "%s\n  {\"thread\": %" PRIu32 ", \"kind\": ", i == 0 ? "" : ",", sample->thread);
        put(file, truth->profile->labels[sample->label].value);
        (void)fprintf(file, ", \"ms\": ");
        put_ms(file, sample->time_ns);
        put_names(file, ", \"stack\": [", &names);
        names = names_of(truth, i, false);
        put_names(file, "], \"called\": [", &names);
        (void)fprintf(file, "]}");
    }
    (void)fprintf(file, "]\n");
}

int truth_write(const struct truth *truth, const char *folder, const char *search, const char *zoom)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/truth.json", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return -1;
    (void)fprintf(file, "{\n\"search\": ");
    put(file, search);
    (void)fprintf(file, ",\n\"zoom\": ");
    put(file, zoom);
    (void)fprintf(file, ",\n");
    write_threads(truth, file);
    write_labels(truth, file);
    write_functions(truth, file);
    write_stacks(truth, file);
    (void)fprintf(file, "}\n");
    return fclose(file) == 0 ? 0 : -1;
}
