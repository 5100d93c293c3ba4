/* SPDX-License-Identifier: MIT */
/*
 * arena.c: memory for what lives and dies together: a profile's arrays and strings, its names. Never used in
 * a signal handler.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define BLOCK_BYTES ((size_t)64 * 1024)

struct block {
    struct block *next;
    size_t used;
    size_t bytes;
    max_align_t memory[];
};

struct awi_arena {
    struct block *blocks; /* the first is the one that is filled */
};

struct awi_arena *awi_arena_create(void)
{
    return calloc(1, sizeof(struct awi_arena));
}

static struct block *add_block(struct awi_arena *arena, size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct block *block = calloc(1, sizeof *block + capacity);
    if (block == NULL)
        return NULL;
    block->bytes = capacity;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *awi_arena_alloc(struct awi_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX / 2) / size)
        return NULL;
    size_t bytes = count * size;
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct block *block = arena->blocks;
    if (block == NULL || block->bytes - block->used < bytes)
        block = add_block(arena, bytes);
    if (block == NULL)
        return NULL;
    void *memory = (char *)block->memory + block->used;
    block->used += bytes;
    return memory;
}

char *awi_arena_string(struct awi_arena *arena, const char *string)
{
    size_t bytes = strlen(string) + 1;
    char *copy = awi_arena_alloc(arena, bytes, 1);
    if (copy != NULL)
        memcpy(copy, string, bytes);
    return copy;
}

void awi_arena_destroy(struct awi_arena *arena)
{
    if (arena == NULL)
        return;
    for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}
