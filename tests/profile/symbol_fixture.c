/* SPDX-License-Identifier: MIT */
/* symbol_fixture.c: see symbol_fixture.h. A place is filled in on the line whose number it gets. */
#include "symbol_fixture.h"

#define INLINE static inline __attribute__((always_inline))

SYMBOL_KEPT uint64_t symbol_here(void)
{
    return (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
}

/* clang-format off */
/* A function's first line is that of its name. */
static SYMBOL_KEPT void held_static(struct symbol_place *place) { place->first_line = __LINE__;
    place->line = __LINE__; place->pc = symbol_here();
}
/* clang-format on */

void symbol_fixture_static(struct symbol_place *place)
{
    held_static(place);
    place->outer_line = 0; /* no tail call */
}

/* clang-format off */
INLINE void innermost(struct symbol_place *place) { place->first_line = __LINE__;
    place->line = __LINE__; place->pc = symbol_here();
}

INLINE void middle(struct symbol_place *place)
{
    place->caller_line = __LINE__; innermost(place);
}

SYMBOL_KEPT void symbol_fixture_inlined(struct symbol_place *place)
{
    place->outer_line = __LINE__; middle(place);
}

/* As one in symbols_test.c. */
static SYMBOL_KEPT void same_name(struct symbol_place *place)
{
    place->line = __LINE__; place->pc = symbol_here();
}
/* clang-format on */

void symbol_fixture_same_name(struct symbol_place *place)
{
    same_name(place);
    place->outer_line = 0;
}

/* A C++ name in a program without C++. */
SYMBOL_KEPT void shape_area(struct symbol_place *place) __asm__("_ZN6shapes4areaERKlS1_");
SYMBOL_KEPT void shape_area(struct symbol_place *place)
{
    place->pc = symbol_here();
}

void symbol_fixture_mangled(struct symbol_place *place)
{
    shape_area(place);
    place->outer_line = 0;
}

/* Of several names the one for people is shown. */
void symbol_fixture_internal(struct symbol_place *place) __asm__("__symbol_fixture_alias");
void symbol_fixture_internal(struct symbol_place *place)
{
    place->pc = symbol_here();
    place->outer_line = 0;
}

__attribute__((weak, alias("__symbol_fixture_alias"))) void symbol_fixture_alias(struct symbol_place *place);
