/* SPDX-License-Identifier: MIT */
/*
 * symbol_fixture.h: functions that tell where they are: compiled with debug information in every build, and
 * never as a part of something else unless it is said.
 */
#ifndef AWI_SYMBOL_FIXTURE_H
#define AWI_SYMBOL_FIXTURE_H

#include <stdint.h>

#ifdef __clang__
#define SYMBOL_KEPT __attribute__((noinline))
#else
#define SYMBOL_KEPT __attribute__((noinline, noclone))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* An address within the calling instruction, as samples have them, and the lines of what is there. */
struct symbol_place {
    uint64_t pc;
    uint32_t first_line;  /* of the function */
    uint32_t line;        /* that runs */
    uint32_t caller_line; /* and where that was inlined, */
    uint32_t outer_line;  /* and that */
};

typedef uint64_t symbol_here_fn(void);

/* The address that called it. */
uint64_t symbol_here(void);

void symbol_fixture_static(struct symbol_place *place);
void symbol_fixture_inlined(struct symbol_place *place);
void symbol_fixture_same_name(struct symbol_place *place);
void symbol_fixture_mangled(struct symbol_place *place);

/* Its other name is __symbol_fixture_alias. */
void symbol_fixture_alias(struct symbol_place *place);

/* symbol_fixture.cpp */
void symbol_fixture_template(struct symbol_place *place);
void symbol_fixture_hidden_class(struct symbol_place *place);
void symbol_fixture_inlined_method(struct symbol_place *place);

/* symbol_module.c, loaded at run time */
typedef void symbol_module_fn(struct symbol_place *place, symbol_here_fn *here);

#ifdef __cplusplus
}
#endif

#endif
