/* SPDX-License-Identifier: MIT */
/*
 * function_table.h: functions, each once: those of the same name, file and module are one. It keeps its own
 * copies of all strings, in the arena that it is given.
 */
#ifndef AWI_PROFILE_FUNCTION_TABLE_H
#define AWI_PROFILE_FUNCTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "../model.h"

struct awi_function_table;

/* NULL: no memory. */
struct awi_function_table *awi_function_table_create(struct awi_arena *arena);
void awi_function_table_destroy(struct awi_function_table *table);

/*
 * *index: of this function, which may be new. A name of NULL is made from the linkage name. Strings that
 * are not known are NULL or "". 0 or -ENOMEM.
 */
int awi_function_table_add(struct awi_function_table *table, uint32_t module,
                           const struct awi_function *function, uint32_t *index);

/* Puts a copy of all functions, by index, into the arena. 0 or -ENOMEM. */
int awi_function_table_copy(const struct awi_function_table *table, struct awi_function **functions,
                            size_t *count);

#endif
