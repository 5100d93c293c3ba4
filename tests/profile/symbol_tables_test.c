/* SPDX-License-Identifier: MIT */
/* symbol_tables_test.c: the tables that names are looked up in: many entries, overlaps, odd names. */
#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "profile/symbols/address_ranges.h"
#include "profile/symbols/address_set.h"
#include "profile/symbols/demangle.h"
#include "profile/symbols/function_table.h"

#define MANY 5000u

START_TEST(addresses_once_and_in_order)
{
    struct awi_address_set set = { 0 };
    for (unsigned round = 0; round < 2; ++round)
        for (uint64_t i = 0; i < MANY; ++i)
            ck_assert_int_eq(awi_address_set_add(&set, UINT64_C(0x7f0000000000) + (i * 7919) % MANY * 16), 0);
    ck_assert_uint_eq(set.count, MANY);
    awi_address_set_sort(&set);
    for (uint64_t i = 0; i < MANY; ++i) {
        ck_assert_uint_eq(set.addresses[i], UINT64_C(0x7f0000000000) + i * 16);
        ck_assert_uint_eq(awi_address_set_index(&set, set.addresses[i]), i);
    }
    awi_address_set_free(&set);
}
END_TEST

static size_t what_at(const struct awi_address_ranges *ranges, uint64_t address)
{
    const struct awi_address_range *range = awi_address_ranges_find(ranges, address);
    return range != NULL ? range->what : SIZE_MAX;
}

START_TEST(ranges_that_nest_and_overlap)
{
    static const struct {
        uint64_t start;
        uint64_t end;
    } added[] = { { 100, 1000 }, { 200, 300 },   { 200, 250 }, { 260, 400 },
                  { 500, 500 },  { 2000, 2001 }, { 40, 50 } };
    static const struct {
        uint64_t address;
        size_t what;
    } asked[] = { { 0, SIZE_MAX },    { 39, SIZE_MAX }, { 40, 6 },          { 49, 6 },
                  { 50, SIZE_MAX },   { 100, 0 },       { 199, 0 },         { 200, 2 },
                  { 249, 2 },         { 250, 1 },       { 259, 1 },         { 260, 3 },
                  { 399, 3 },         { 400, 0 },       { 500, 0 },         { 999, 0 },
                  { 1000, SIZE_MAX }, { 2000, 5 },      { 2001, SIZE_MAX }, { UINT64_MAX, SIZE_MAX } };
    struct awi_address_ranges ranges = { .arena = awi_arena_create() };
    ck_assert_uint_eq(what_at(&ranges, 1), SIZE_MAX);
    for (size_t i = 0; i < sizeof added / sizeof added[0]; ++i)
        ck_assert_int_eq(awi_address_ranges_add(&ranges, added[i].start, added[i].end, i), 0);
    awi_address_ranges_sort(&ranges);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; ++i)
        ck_assert_msg(what_at(&ranges, asked[i].address) == asked[i].what, "at %u",
                      (unsigned)asked[i].address);
    awi_arena_destroy(ranges.arena);
}
END_TEST

START_TEST(many_ranges)
{
    struct awi_address_ranges ranges = { .arena = awi_arena_create() };
    for (size_t i = 0; i < MANY; ++i)
        ck_assert_int_eq(awi_address_ranges_add(&ranges, i * 7919 % MANY * 10, i * 7919 % MANY * 10 + 9, i),
                         0);
    awi_address_ranges_sort(&ranges);
    for (size_t i = 0; i < MANY; ++i) {
        ck_assert_uint_eq(what_at(&ranges, i * 7919 % MANY * 10 + 8), i);
        ck_assert_uint_eq(what_at(&ranges, i * 7919 % MANY * 10 + 9), SIZE_MAX);
    }
    awi_arena_destroy(ranges.arena);
}
END_TEST

START_TEST(functions_by_name_file_and_module)
{
    static const struct {
        struct awi_function function;
        uint32_t module;
        uint32_t index;
    } added[] = {
        { { .name = "f", .file = "a.c" }, 1, 0 },
        { { .name = "f", .file = "b.c" }, 1, 1 },
        { { .name = "f", .file = "a.c" }, 2, 2 },
        { { .name = "g", .file = "a.c" }, 1, 3 },
        { { .linkage = "f", .file = "a.c", .line = 7 }, 1, 0 },
        { { .name = "f", .linkage = "other", .file = "a.c", .line = 8 }, 1, 0 },
        { { .name = "f" }, 1, 4 },
        { { .name = "f", .file = "" }, 1, 4 },
        { { .linkage = "_ZN1aC1Ev" }, 1, 5 },
        { { .linkage = "_ZN1aC2Ev" }, 1, 5 }, /* both are a::a() */
    };
    struct awi_arena *arena = awi_arena_create();
    struct awi_function_table *table = awi_function_table_create(arena);
    ck_assert_ptr_nonnull(table);
    char *demangled = NULL;
    ck_assert_int_eq(awi_demangle("_ZN1aC1Ev", &demangled), 0);
    size_t tried = sizeof added / sizeof added[0] - (demangled == NULL);
    for (size_t i = 0; i < tried; ++i) {
        uint32_t index = UINT32_MAX;
        ck_assert_int_eq(awi_function_table_add(table, added[i].module, &added[i].function, &index), 0);
        ck_assert_uint_eq(index, added[i].index);
    }
    struct awi_function *functions;
    size_t count;
    ck_assert_int_eq(awi_function_table_copy(table, &functions, &count), 0);
    ck_assert_uint_eq(count, 6);
    ck_assert_str_eq(functions[0].linkage, "f"); /* what is known first stays */
    ck_assert_uint_eq(functions[0].line, 7);
    ck_assert_str_eq(functions[1].linkage, "");
    ck_assert_str_eq(functions[5].linkage, "_ZN1aC1Ev");
    if (demangled != NULL)
        ck_assert_str_eq(functions[5].name, "a::a()");
    free(demangled);
    awi_function_table_destroy(table);
    awi_function_table_destroy(NULL);
    awi_arena_destroy(arena);
}
END_TEST

START_TEST(many_functions)
{
    struct awi_arena *arena = awi_arena_create();
    struct awi_function_table *table = awi_function_table_create(arena);
    for (unsigned round = 0; round < 2; ++round)
        for (uint32_t i = 0; i < MANY; ++i) {
            char name[32];
            snprintf(name, sizeof name, "function_%u", i);
            struct awi_function function = { .linkage = name, .file = "file.c", .line = i + 1 };
            uint32_t index;
            ck_assert_int_eq(awi_function_table_add(table, 0, &function, &index), 0);
            ck_assert_uint_eq(index, i);
        }
    struct awi_function *functions;
    size_t count;
    ck_assert_int_eq(awi_function_table_copy(table, &functions, &count), 0);
    ck_assert_uint_eq(count, MANY);
    ck_assert_str_eq(functions[MANY - 1].name, "function_4999");
    ck_assert_uint_eq(functions[MANY - 1].line, MANY);
    awi_function_table_destroy(table);
    awi_arena_destroy(arena);
}
END_TEST

START_TEST(names_that_are_not_mangled)
{
    static const struct {
        const char *linkage;
        const char *name; /* NULL: itself */
    } names[] = { { "main", NULL },
                  { "", NULL },
                  { "@", NULL },
                  { "_Z", NULL },
                  { "_Znonsense", NULL },
                  { "foo.part.0", NULL },
                  { "memcpy@@GLIBC_2.14", "memcpy" },
                  { "_Z@1", "_Z" } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        char *name = NULL;
        ck_assert_int_eq(awi_demangle(names[i].linkage, &name), 0);
        ck_assert_msg((name == NULL) == (names[i].name == NULL), "%s", names[i].linkage);
        if (name != NULL)
            ck_assert_str_eq(name, names[i].name);
        free(name);
    }
}
END_TEST

START_TEST(mangled_names_with_suffixes)
{
    char *name = NULL;
    ck_assert_int_eq(awi_demangle("_Z3foov", &name), 0);
    if (name == NULL)
        return; /* no demangler here */
    ck_assert_str_eq(name, "foo()");
    free(name);
    ck_assert_int_eq(awi_demangle("_Z3foov@@LIB_1.0", &name), 0);
    ck_assert_str_eq(name, "foo()");
    free(name);
    ck_assert_int_eq(awi_demangle("_Z3foov.part.0", &name), 0);
    ck_assert_ptr_nonnull(name);
    ck_assert_ptr_nonnull(strstr(name, ".part.0"));
    free(name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbol_tables");
    TCase *tests = tcase_create("tables");
    tcase_add_test(tests, addresses_once_and_in_order);
    tcase_add_test(tests, ranges_that_nest_and_overlap);
    tcase_add_test(tests, many_ranges);
    tcase_add_test(tests, functions_by_name_file_and_module);
    tcase_add_test(tests, many_functions);
    tcase_add_test(tests, names_that_are_not_mangled);
    tcase_add_test(tests, mangled_names_with_suffixes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
