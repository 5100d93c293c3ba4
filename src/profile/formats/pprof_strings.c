/* SPDX-License-Identifier: MIT */
/*
 * pprof_strings.c: see pprof_strings.h. An open-addressed hash table of indices. Called by pprof.c.
 */
#include "pprof_strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pprof_proto.h"
#include "protobuf.h"
#include "utf8.h"

#define FIRST_SLOTS ((size_t)256)

/* FNV-1a, and its high bits brought down to where the slot is taken from. */
static size_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; ++text)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

/* Where the string is, or would be. */
static size_t slot_of(const struct awi_strings *strings, const char *text)
{
    size_t mask = strings->slots_count - 1;
    size_t slot = hash_of(text) & mask;
    while (strings->slots[slot] != 0 && strcmp(strings->strings[strings->slots[slot] - 1], text) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static int grow(struct awi_strings *strings, size_t slots_count)
{
    uint32_t *slots = calloc(slots_count, sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    const char **texts = realloc(strings->strings, slots_count / 2 * sizeof *texts);
    if (texts == NULL) {
        free(slots);
        return -ENOMEM;
    }
    free(strings->slots);
    strings->strings = texts;
    strings->slots = slots;
    strings->slots_count = slots_count;
    for (size_t i = 0; i < strings->count; ++i)
        strings->slots[slot_of(strings, strings->strings[i])] = (uint32_t)i + 1;
    return 0;
}

int awi_strings_open(struct awi_strings *strings)
{
    *strings = (struct awi_strings){ .arena = awi_arena_create() };
    if (strings->arena == NULL || grow(strings, FIRST_SLOTS) != 0)
        return -ENOMEM;
    (void)awi_strings_index(strings, "");
    return 0;
}

void awi_strings_close(struct awi_strings *strings)
{
    free(strings->strings);
    free(strings->slots);
    awi_arena_destroy(strings->arena);
    *strings = (struct awi_strings){ 0 };
}

uint64_t awi_strings_index(struct awi_strings *strings, const char *text)
{
    if (text == NULL)
        return 0;
    size_t slot = slot_of(strings, text);
    if (strings->slots[slot] != 0)
        return strings->slots[slot] - 1;
    if (2 * (strings->count + 1) > strings->slots_count) {
        if (strings->count >= UINT32_MAX / 4 || grow(strings, 2 * strings->slots_count) != 0) {
            strings->is_incomplete = true;
            return 0;
        }
        slot = slot_of(strings, text);
    }
    strings->strings[strings->count++] = text;
    strings->slots[slot] = (uint32_t)strings->count;
    return strings->count - 1;
}

const char *awi_strings_copy(struct awi_strings *strings, const char *text)
{
    const char *copy = awi_arena_string(strings->arena, text);
    strings->is_incomplete = strings->is_incomplete || copy == NULL;
    return copy;
}

int awi_strings_write(struct awi_strings *strings, struct awi_output *output)
{
    unsigned char prefix[2 * AWI_VARINT_MAX];
    size_t longest = 0;
    for (size_t i = 0; i < strings->count; ++i) {
        size_t length = strlen(strings->strings[i]);
        longest = length > longest ? length : longest;
    }
    char *text = malloc(3 * longest + 1);
    if (text == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < strings->count; ++i) {
        size_t length = awi_utf8_copy(text, strings->strings[i], true);
        awi_output_bytes(output, prefix, awi_prefix_write(prefix, PROFILE_STRING_TABLE, length));
        awi_output_bytes(output, text, length);
    }
    free(text);
    return strings->is_incomplete ? -ENOMEM : 0;
}
