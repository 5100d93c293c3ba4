// SPDX-License-Identifier: MIT
// symbol_fixture.cpp: see symbol_fixture.h. A place is filled in on the line whose number it gets.
#include "symbol_fixture.h"

// clang-format off
namespace shapes {
template <typename Number> struct box {
    SYMBOL_KEPT void grow(symbol_place *place, Number)
    {
        place->line = __LINE__; place->pc = symbol_here();
    }
    __attribute__((always_inline)) inline void touch(symbol_place *place)
    {
        place->line = __LINE__; place->pc = symbol_here();
    }
};
} // namespace shapes

namespace {
struct hidden {
    SYMBOL_KEPT void run(symbol_place *place)
    {
        place->line = __LINE__; place->pc = symbol_here();
    }
    __attribute__((always_inline)) inline void walk(symbol_place *place)
    {
        place->line = __LINE__; place->pc = symbol_here();
    }
};
} // namespace

extern "C" {

void symbol_fixture_template(symbol_place *place)
{
    auto *box = new shapes::box<long>; // by the C++ runtime, so that the program has it
    box->grow(place, 1);
    delete box;
}

void symbol_fixture_hidden_class(symbol_place *place)
{
    hidden().run(place);
    place->outer_line = 0;
    hidden().walk(place + 1);
}

void symbol_fixture_inlined_method(symbol_place *place)
{
    shapes::box<int> box;
    place->outer_line = __LINE__; box.touch(place);
}
// clang-format on

} // extern "C"
