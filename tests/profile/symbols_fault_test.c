/* SPDX-License-Identifier: MIT */
/*
 * symbols_fault_test.c: every allocation fails in turn, and one within libdw, which would end the program;
 * and there is no demangler to load.
 */
#include <dlfcn.h>
#include <elfutils/libdw.h>
#include <errno.h>

#include "check_main.h"
#include "fake_fault.h"
#include "symbol_fixture.h"
#include "symbol_profile.h"

static struct symbol_profile made;
static Dwarf_OOM on_no_memory;
static unsigned lines_until_no_memory;
static bool has_no_libraries;

Dwarf_OOM __real_dwarf_new_oom_handler(Dwarf *dwarf, Dwarf_OOM handler);
Dwarf_OOM __wrap_dwarf_new_oom_handler(Dwarf *dwarf, Dwarf_OOM handler);
Dwarf_Line *__real_dwarf_getsrc_die(Dwarf_Die *die, Dwarf_Addr address);
Dwarf_Line *__wrap_dwarf_getsrc_die(Dwarf_Die *die, Dwarf_Addr address);
void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);

Dwarf_OOM __wrap_dwarf_new_oom_handler(Dwarf *dwarf, Dwarf_OOM handler)
{
    on_no_memory = handler;
    return __real_dwarf_new_oom_handler(dwarf, handler);
}

Dwarf_Line *__wrap_dwarf_getsrc_die(Dwarf_Die *die, Dwarf_Addr address)
{
    if (lines_until_no_memory != 0 && --lines_until_no_memory == 0)
        on_no_memory();
    return __real_dwarf_getsrc_die(die, address);
}

void *__wrap_dlsym(void *library, const char *name)
{
    return has_no_libraries ? NULL : __real_dlsym(library, name);
}

void *__wrap_dlopen(const char *path, int flags)
{
    return has_no_libraries ? NULL : __real_dlopen(path, flags);
}

static void begin(void)
{
    struct symbol_place place;
    symbol_profile_begin(&made);
    symbol_fixture_inlined(&place);
    symbol_profile_pc(&made, place.pc);
    symbol_fixture_mangled(&place);
    symbol_profile_pc(&made, place.pc);
    symbol_profile_pc(&made, (uint64_t)(uintptr_t)qsort);
    symbol_profile_pc(&made, 1);
    symbol_profile_stack(&made, AWI_LOST, NULL, 0);
}

static void end(void)
{
    symbol_profile_end(&made);
}

START_TEST(each_allocation_fails)
{
    symbol_profile_name(&made); /* what is kept for the life of the process is there */
    unsigned failed = 0;
    int error = -ENOMEM;
    while (error != 0) {
        struct awi_symbols *symbols = made.symbols;
        fault_plan(FAULT_ALLOCATION, ++failed, ENOMEM);
        error = awi_symbolize(&made.profile, &symbols);
        bool has_struck = fault_calls(FAULT_ALLOCATION) >= failed;
        fault_clear();
        ck_assert_int_eq(error, has_struck ? -ENOMEM : 0);
        ck_assert_msg((symbols != NULL) == (error == 0), "symbols without success, or the other way");
        awi_symbols_free(symbols);
    }
    ck_assert_uint_gt(failed, 10);
}
END_TEST

START_TEST(libdw_has_no_memory)
{
    for (unsigned line = 1; line <= 2; ++line) {
        struct awi_symbols *symbols = NULL;
        lines_until_no_memory = line;
        ck_assert_int_eq(awi_symbolize(&made.profile, &symbols), -ENOMEM);
        ck_assert_uint_eq(lines_until_no_memory, 0);
        ck_assert_ptr_null(symbols);
    }
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, 0, 0)->name, "innermost");
}
END_TEST

START_TEST(no_demangler)
{
    has_no_libraries = true;
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, 1, 0)->name, "_ZN6shapes4areaERKlS1_");
    ck_assert_str_eq(symbol_profile_function(&made, 0, 2)->name, "symbol_fixture_inlined");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbols_fault");
    TCase *tests = tcase_create("faults");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, each_allocation_fails);
    tcase_add_test(tests, libdw_has_no_memory);
    tcase_add_test(tests, no_demangler);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
