/* SPDX-License-Identifier: MIT */
/*
 * refusal.h: allocations that fail when a test wants them to. For the one file of a test program that
 * includes it; `ld --wrap` sends it the library's calls.
 */
#ifndef AWI_TEST_REFUSAL_H
#define AWI_TEST_REFUSAL_H

#include <stdbool.h>
#include <stdlib.h>

static int allocations_left = -1; /* negative: all that are asked for */

void *__wrap_malloc(size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);

static bool is_refused(void)
{
    return allocations_left == 0 || (allocations_left > 0 && --allocations_left < 0);
}

void *__wrap_malloc(size_t bytes)
{
    return is_refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_refused() ? NULL : __real_realloc(memory, bytes);
}

#endif
