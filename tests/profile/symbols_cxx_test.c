/* SPDX-License-Identifier: MIT */
/* symbols_cxx_test.c: names of C++, in a program that has C++: templates, and what no symbol table has. */
#include <string.h>

#include "check_main.h"
#include "symbol_fixture.h"
#include "symbol_profile.h"

static struct symbol_profile made;

static void begin(void)
{
    symbol_profile_begin(&made);
}

static void end(void)
{
    symbol_profile_end(&made);
}

START_TEST(template_in_a_namespace)
{
    struct symbol_place place;
    symbol_fixture_template(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    const struct awi_function *function = symbol_profile_function(&made, sample, 0);
    ck_assert_str_eq(function->name, "shapes::box<long>::grow(symbol_place*, long)");
    ck_assert_str_eq(function->linkage, "_ZN6shapes3boxIlE4growEP12symbol_placel");
    ck_assert_ptr_nonnull(strstr(function->file, "symbol_fixture.cpp"));
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 0)->line, place.line);
}
END_TEST

/* No table has its linkage name; debug information has the namespace and the class. */
START_TEST(class_of_no_name_outside)
{
    struct symbol_place places[2];
    symbol_fixture_hidden_class(places);
    size_t sample = symbol_profile_pc(&made, places[0].pc);
    size_t inlined = symbol_profile_pc(&made, places[1].pc);
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name,
                     "(anonymous namespace)::hidden::run(symbol_place*)");
    static const char walk[] = "(anonymous namespace)::hidden::walk"; /* clang has the linkage name */
    const char *name = symbol_profile_function(&made, inlined, 0)->name;
    size_t length = sizeof walk - 1;
    ck_assert_msg(strncmp(name, walk, length) == 0 && (name[length] == '\0' || name[length] == '('), "%s",
                  name);
    ck_assert_uint_eq(symbol_profile_frame(&made, inlined, 0)->line, places[1].line);
    ck_assert_str_eq(symbol_profile_function(&made, inlined, 1)->name, "symbol_fixture_hidden_class");
}
END_TEST

START_TEST(inlined_method)
{
    struct symbol_place place;
    symbol_fixture_inlined_method(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    ck_assert_uint_eq(symbol_profile_location(&made, sample, 0)->frames_count, 2);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name,
                     "shapes::box<int>::touch(symbol_place*)");
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 0)->line, place.line);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 1)->name, "symbol_fixture_inlined_method");
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 1)->line, place.outer_line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbols_cxx");
    TCase *tests = tcase_create("names");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, template_in_a_namespace);
    tcase_add_test(tests, class_of_no_name_outside);
    tcase_add_test(tests, inlined_method);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
