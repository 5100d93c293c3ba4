/* SPDX-License-Identifier: MIT */
/* symbol_module.c: a library of which the tests have stripped copies. */
#include "symbol_fixture.h"

__attribute__((visibility("default"))) symbol_module_fn symbol_module_run;

/* clang-format off */
/* A place is filled in on the line whose number it gets. */
static SYMBOL_KEPT void kept_inside(struct symbol_place *place, symbol_here_fn *here)
{
    place->line = __LINE__; place->pc = here();
}
/* clang-format on */

void symbol_module_run(struct symbol_place *place, symbol_here_fn *here)
{
    kept_inside(place, here);
    place->outer_line = 0; /* no tail call */
}
