/* SPDX-License-Identifier: MIT */
/*
 * pprof_decoder.h: what the files that read profile.proto share: pprof_read.c (the whole, and what samples
 * refer to) and pprof_samples.c. A decoder lives while one file is decoded, and refers to its bytes.
 */
#ifndef AWI_PROFILE_PPROF_DECODER_H
#define AWI_PROFILE_PPROF_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model.h"
#include "pprof_proto.h"
#include "protobuf.h"

/* All messages of one kind. */
struct awi_messages {
    struct awi_wire *messages;
    size_t count;
};

/* Where the message with an id is; by id. */
struct awi_id {
    uint64_t id;
    uint32_t index;
};

struct awi_ids {
    struct awi_id *ids;
    size_t count;
};

/* The strings' bytes stand twice, in the profile's memory and in its symbols', each of which may go first. */
struct awi_texts {
    size_t count;
    size_t *offsets;
    char *of_profile;
    char *of_symbols;
};

struct awi_decoder {
    struct aw_profile *profile;
    struct awi_symbols *symbols;
    struct awi_arena *scratch;
    size_t memory; /* that may still be taken */
    struct awi_messages kinds[PROFILE_STRING_TABLE + 1];
    uint64_t numbers[PROFILE_DEFAULT_SAMPLE_TYPE + 1]; /* the fields that are */
    struct awi_texts texts;
    struct awi_ids functions;
    struct awi_ids mappings;
    struct awi_ids locations;
    size_t count_value; /* which of a sample's values is the count; SIZE_MAX: none */
    size_t time_value;  /* and which the time */
    uint64_t time_unit_ns;
    uint32_t *threads;      /* 1 + index of the one with this title, by string */
    size_t function_count;  /* in the file: then come those named after modules, then the unknown one */
    uint32_t unknown_place; /* the location of samples that have none; UINT32_MAX: none is needed */
};

/* Zeroed. NULL: no memory, or more than AWI_PPROF_MEMORY: *result says which. */
void *awi_decoder_alloc(struct awi_decoder *decoder, struct awi_arena *arena, size_t count, size_t size,
                        int *result);

/*
 * Room for ids; 0, -EFBIG, -ENOMEM. Sorts them when all are noted: -EBADMSG if one is zero, or stands twice.
 */
int awi_ids_open(struct awi_decoder *decoder, struct awi_ids *ids, size_t count);
int awi_ids_sort(struct awi_ids *ids);

/* The index of a message by its id: false if there is none. */
bool awi_decoder_find(const struct awi_ids *ids, uint64_t id, uint32_t *index);

/* A string by its number. NULL: none has it. */
const char *awi_profile_text(const struct awi_decoder *decoder, uint64_t string);

/*
 * Calls take for each number of a field that is a repeated one, packed or not, until it returns other than 0.
 * -EBADMSG: no such field.
 */
int awi_decoder_numbers(const struct awi_field *field, int (*take)(void *arg, uint64_t number), void *arg);

int awi_decode_samples(struct awi_decoder *decoder);

int awi_pprof_decode_plain(const unsigned char *bytes, size_t count, struct aw_profile **profile,
                           struct awi_symbols **symbols);

#endif
