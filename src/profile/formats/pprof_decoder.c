/* SPDX-License-Identifier: MIT */
/*
 * pprof_decoder.c: see pprof_decoder.h: memory that is counted, ids, strings, repeated numbers.
 */
#include "pprof_decoder.h"

#include <errno.h>
#include <stdlib.h>

void *awi_decoder_alloc(struct awi_decoder *decoder, struct awi_arena *arena, size_t count, size_t size,
                        int *result)
{
    const size_t rounding = 2 * sizeof(max_align_t);
    if (decoder->memory < rounding || count > (decoder->memory - rounding) / size) {
        *result = -EFBIG;
        return NULL;
    }
    decoder->memory -= count * size + rounding;
    void *memory = awi_arena_alloc(arena, count, size);
    *result = memory != NULL ? 0 : -ENOMEM;
    return memory;
}

int awi_decoder_numbers(const struct awi_field *field, int (*take)(void *arg, uint64_t number), void *arg)
{
    struct awi_wire packed = field->bytes;
    uint64_t number;
    int result;
    if (field->type == AWI_WIRE_VARINT)
        return take(arg, field->value);
    if (field->type != AWI_WIRE_BYTES)
        return -EBADMSG;
    while ((result = awi_wire_packed(&packed, &number)) == 1) {
        result = take(arg, number);
        if (result != 0)
            return result;
    }
    return result;
}

const char *awi_profile_text(const struct awi_decoder *decoder, uint64_t string)
{
    const struct awi_texts *texts = &decoder->texts;
    return string < texts->count ? texts->of_profile + texts->offsets[string] : NULL;
}

static int compare_ids(const void *a, const void *b)
{
    const struct awi_id *one = a, *other = b;
    return (one->id > other->id) - (one->id < other->id);
}

int awi_ids_sort(struct awi_ids *ids)
{
    if (ids->count == 0)
        return 0;
    qsort(ids->ids, ids->count, sizeof *ids->ids, compare_ids);
    for (size_t i = 0; i < ids->count; ++i)
        if (ids->ids[i].id == (i == 0 ? 0 : ids->ids[i - 1].id))
            return -EBADMSG;
    return 0;
}

/* Most writers count from 1. */
bool awi_decoder_find(const struct awi_ids *ids, uint64_t id, uint32_t *index)
{
    const struct awi_id wanted = { .id = id };
    const struct awi_id *found = NULL;
    if (ids->count == 0)
        return false;
    if (id - 1 < ids->count && ids->ids[id - 1].id == id)
        found = &ids->ids[id - 1];
    else
        found = bsearch(&wanted, ids->ids, ids->count, sizeof *ids->ids, compare_ids);
    if (found != NULL)
        *index = found->index;
    return found != NULL;
}

int awi_ids_open(struct awi_decoder *decoder, struct awi_ids *ids, size_t count)
{
    int result;
    ids->count = count;
    ids->ids = awi_decoder_alloc(decoder, decoder->scratch, count + 1, sizeof *ids->ids, &result);
    return result;
}
