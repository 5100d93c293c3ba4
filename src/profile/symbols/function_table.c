/* SPDX-License-Identifier: MIT */
/*
 * function_table.c: see function_table.h. Two hash tables: of strings, so that what is equal is one pointer
 * and a name is demangled once, and of functions by these pointers. Filled by symbols.c; one thread at a
 * time uses a table.
 */
#include "function_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"

#define FIRST_SLOTS ((size_t)256) /* a power of two, as all numbers of slots */

/* Linear probing; at most two of three slots are taken. Slots hold 1 + an index, 0: free. */
struct hash_slots {
    uint32_t *slots;
    size_t count;
};

struct string {
    uint64_t hash;
    const char *text;
    const char *demangled; /* NULL: not asked for yet */
};

struct keyed_function {
    uint64_t hash;
    struct awi_function function;
    uint32_t module;
};

struct awi_function_table {
    struct awi_arena *arena;
    struct string *strings;
    size_t strings_count;
    size_t strings_room;
    struct hash_slots by_text;
    struct keyed_function *functions;
    size_t functions_count;
    size_t functions_room;
    struct hash_slots by_key;
};

/* ---- hashing ---- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; ++i)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static size_t first_slot(const struct hash_slots *slots, uint64_t hash)
{
    return (size_t)(hash ^ hash >> 32) & (slots->count - 1);
}

static void put(struct hash_slots *slots, uint64_t hash, size_t index)
{
    size_t slot = first_slot(slots, hash);
    while (slots->slots[slot] != 0)
        slot = (slot + 1) & (slots->count - 1);
    slots->slots[slot] = (uint32_t)index + 1;
}

/* The hash is the first member of what `items` holds. */
static int make_slots(struct hash_slots *slots, size_t slots_count, const void *items, size_t count,
                      size_t size)
{
    uint32_t *memory = calloc(slots_count, sizeof *memory);
    if (memory == NULL)
        return -ENOMEM;
    free(slots->slots);
    slots->slots = memory;
    slots->count = slots_count;
    for (size_t i = 0; i < count; ++i) {
        uint64_t hash;
        memcpy(&hash, (const char *)items + i * size, sizeof hash);
        put(slots, hash, i);
    }
    return 0;
}

/* Room for one more item, in the array and in the slots. */
static int make_room(void **items, size_t count, size_t *room, size_t size, struct hash_slots *slots)
{
    if (count >= UINT32_MAX - 1)
        return -ENOMEM;
    if (count == *room) {
        size_t more = *room != 0 ? 2 * *room : FIRST_SLOTS;
        void *memory = more <= SIZE_MAX / size ? realloc(*items, more * size) : NULL;
        if (memory == NULL)
            return -ENOMEM;
        *items = memory;
        *room = more;
    }
    if (slots->count != 0 && count < slots->count / 3 * 2)
        return 0;
    return make_slots(slots, slots->count != 0 ? 2 * slots->count : FIRST_SLOTS, *items, count, size);
}

/* ---- strings ---- */

static int find_string(struct awi_function_table *table, const char *text, size_t *index)
{
    size_t bytes = strlen(text);
    uint64_t hash = hash_bytes(HASH_START, text, bytes);
    void *items = table->strings;
    int error = make_room(&items, table->strings_count, &table->strings_room, sizeof *table->strings,
                          &table->by_text);
    table->strings = items;
    if (error != 0)
        return error;
    size_t slot = first_slot(&table->by_text, hash);
    for (uint32_t taken; (taken = table->by_text.slots[slot]) != 0;
         slot = (slot + 1) & (table->by_text.count - 1)) {
        const struct string *string = &table->strings[taken - 1];
        if (string->hash == hash && strcmp(string->text, text) == 0) {
            *index = taken - 1;
            return 0;
        }
    }
    const char *copy = awi_arena_string(table->arena, text);
    if (copy == NULL)
        return -ENOMEM;
    *index = table->strings_count++;
    table->strings[*index] = (struct string){ .hash = hash, .text = copy };
    table->by_text.slots[slot] = (uint32_t)*index + 1;
    return 0;
}

static int intern(struct awi_function_table *table, const char **text)
{
    size_t index = 0;
    int error = find_string(table, *text != NULL ? *text : "", &index);
    if (error == 0)
        *text = table->strings[index].text;
    return error;
}

static int intern_demangled(struct awi_function_table *table, const char *linkage, const char **name)
{
    size_t index = 0;
    int error = find_string(table, linkage, &index);
    if (error != 0)
        return error;
    if (table->strings[index].demangled == NULL) {
        char *text = NULL;
        error = awi_demangle(linkage, &text);
        if (error != 0)
            return error;
        *name = text != NULL ? text : linkage;
        error = intern(table, name);
        free(text);
        if (error != 0)
            return error;
        table->strings[index].demangled = *name;
    }
    *name = table->strings[index].demangled;
    return 0;
}

/* ---- functions ---- */

static struct keyed_function *find_function(struct awi_function_table *table,
                                            const struct keyed_function *key, size_t *slot)
{
    const struct hash_slots *slots = &table->by_key;
    *slot = first_slot(slots, key->hash);
    for (uint32_t taken; (taken = slots->slots[*slot]) != 0; *slot = (*slot + 1) & (slots->count - 1)) {
        struct keyed_function *known = &table->functions[taken - 1];
        if (known->hash == key->hash && known->function.name == key->function.name &&
            known->function.file == key->function.file && known->module == key->module)
            return known;
    }
    return NULL;
}

int awi_function_table_add(struct awi_function_table *table, uint32_t module,
                           const struct awi_function *function, uint32_t *index)
{
    struct keyed_function key = { .function = *function, .module = module };
    int error = intern(table, &key.function.linkage);
    if (error == 0 && key.function.name == NULL)
        error = intern_demangled(table, key.function.linkage, &key.function.name);
    else if (error == 0)
        error = intern(table, &key.function.name);
    if (error == 0)
        error = intern(table, &key.function.file);
    if (error != 0)
        return error;
    void *items = table->functions;
    error = make_room(&items, table->functions_count, &table->functions_room, sizeof *table->functions,
                      &table->by_key);
    table->functions = items;
    if (error != 0)
        return error;

    key.hash = hash_bytes(HASH_START, &key.function.name, sizeof key.function.name);
    key.hash = hash_bytes(key.hash, &key.function.file, sizeof key.function.file);
    key.hash = hash_bytes(key.hash, &key.module, sizeof key.module);
    size_t slot = 0;
    struct keyed_function *known = find_function(table, &key, &slot);
    if (known == NULL) {
        known = &table->functions[table->functions_count++];
        *known = key;
        table->by_key.slots[slot] = (uint32_t)table->functions_count;
    }
    /* An inlined call of it may have been met first, of which less is known. */
    if (known->function.linkage[0] == '\0')
        known->function.linkage = key.function.linkage;
    if (known->function.line == 0)
        known->function.line = key.function.line;
    *index = (uint32_t)(known - table->functions);
    return 0;
}

int awi_function_table_copy(const struct awi_function_table *table, struct awi_function **functions,
                            size_t *count)
{
    *count = table->functions_count;
    *functions = awi_arena_alloc(table->arena, *count, sizeof **functions);
    if (*functions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < *count; ++i)
        (*functions)[i] = table->functions[i].function;
    return 0;
}

/* ---- the table ---- */

struct awi_function_table *awi_function_table_create(struct awi_arena *arena)
{
    struct awi_function_table *table = calloc(1, sizeof *table);
    if (table != NULL)
        table->arena = arena;
    return table;
}

void awi_function_table_destroy(struct awi_function_table *table)
{
    if (table == NULL)
        return;
    free(table->strings);
    free(table->by_text.slots);
    free(table->functions);
    free(table->by_key.slots);
    free(table);
}
