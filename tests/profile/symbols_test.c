/* SPDX-License-Identifier: MIT */
/* symbols_test.c: names, files and lines of addresses of this program and its libraries; what has none. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

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

/* ---- what is named ---- */

START_TEST(static_function)
{
    struct symbol_place place;
    symbol_fixture_static(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);

    const struct awi_function *function = symbol_profile_function(&made, sample, 0);
    ck_assert_str_eq(function->name, "held_static");
    ck_assert_str_eq(function->linkage, "held_static");
    symbol_profile_check_end(function->file, "symbol_fixture.c");
    ck_assert_uint_eq(function->line, place.first_line);
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 0)->line, place.line);

    const struct awi_location *location = symbol_profile_location(&made, sample, 0);
    const struct awi_module *module = symbol_profile_module(&made, place.pc);
    ck_assert_uint_eq(location->pc, place.pc);
    ck_assert_uint_eq(location->frames_count, 1);
    ck_assert_ptr_eq(&made.profile.modules[location->module], module);
    ck_assert(made.symbols->has_lines[location->module]);
    ck_assert_uint_eq(made.symbols->stacks[sample].depth, 1);
}
END_TEST

START_TEST(inlined_calls_innermost_first)
{
    struct symbol_place place;
    symbol_fixture_inlined(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);

    static const char *const names[] = { "innermost", "middle", "symbol_fixture_inlined" };
    const uint32_t lines[] = { place.line, place.caller_line, place.outer_line };
    ck_assert_uint_eq(symbol_profile_location(&made, sample, 0)->frames_count, 3);
    for (size_t i = 0; i < 3; ++i) {
        const struct awi_function *function = symbol_profile_function(&made, sample, i);
        ck_assert_str_eq(function->name, names[i]);
        symbol_profile_check_end(function->file, "symbol_fixture.c");
        ck_assert_uint_eq(symbol_profile_frame(&made, sample, i)->line, lines[i]);
    }
    ck_assert_uint_eq(symbol_profile_function(&made, sample, 0)->line, place.first_line);
}
END_TEST

/* clang-format off */
static SYMBOL_KEPT void same_name(struct symbol_place *place)
{
    place->line = __LINE__; place->pc = symbol_here();
}
/* clang-format on */

START_TEST(each_function_once)
{
    struct symbol_place there;
    struct symbol_place here;
    symbol_fixture_same_name(&there);
    same_name(&here);
    uint64_t pcs[] = { there.pc, here.pc, there.pc - 1, there.pc };
    size_t sample = symbol_profile_stack(&made, AWI_STACK, pcs, 4);
    size_t again = symbol_profile_pc(&made, here.pc);
    symbol_profile_name(&made);

    const struct awi_stack_names *stack = &made.symbols->stacks[sample];
    ck_assert_uint_eq(stack->depth, 4);
    ck_assert_uint_eq(made.symbols->locations_count, 3);
    ck_assert_uint_eq(stack->locations[0], stack->locations[3]);
    ck_assert_uint_ne(stack->locations[0], stack->locations[2]);
    ck_assert_uint_eq(stack->locations[1], made.symbols->stacks[again].locations[0]);

    const struct awi_frame *frames[4];
    for (size_t i = 0; i < 4; ++i) {
        frames[i] = symbol_profile_location(&made, sample, i)->frames;
        ck_assert_str_eq(made.symbols->functions[frames[i]->function].name, "same_name");
    }
    ck_assert_uint_eq(frames[0]->function, frames[2]->function);
    ck_assert_uint_ne(frames[0]->function, frames[1]->function); /* of another file */
    ck_assert_uint_eq(made.symbols->functions_count, 2);
}
END_TEST

START_TEST(exported_function_of_a_library)
{
    void *library = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    ck_assert_ptr_nonnull(library);
    uint64_t pc = (uint64_t)(uintptr_t)dlsym(library, "qsort");
    size_t sample = symbol_profile_pc(&made, pc);
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name, "qsort");
    symbol_profile_check_end(made.profile.modules[symbol_profile_location(&made, sample, 0)->module].path,
                             "libc.so.6");
    dlclose(library);
}
END_TEST

static uint64_t comparing_pc;

static int compare(const void *left, const void *right)
{
    const int *a = left;
    const int *b = right;
    comparing_pc = (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
    return (*a > *b) - (*a < *b);
}

/* Whether the library's internal functions have names depends on what is installed. */
START_TEST(function_that_called_back)
{
    int numbers[] = { 3, 1, 2 };
    qsort(numbers, 3, sizeof numbers[0], compare);
    size_t sample = symbol_profile_pc(&made, comparing_pc);
    symbol_profile_name(&made);
    const char *name = symbol_profile_function(&made, sample, 0)->name;
    ck_assert_msg(strstr(name, "sort") != NULL || name[0] == '[', "%s", name);
    ck_assert_str_ne(name, "[unknown]");
}
END_TEST

START_TEST(kernels_own_function)
{
    void *library = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *function = library != NULL ? dlsym(library, "__vdso_clock_gettime") : NULL;
    if (function == NULL || getauxval(AT_SYSINFO_EHDR) == 0) {
        fputs("skipped: this kernel has no clock_gettime in its vdso, or it is hidden\n", stderr);
        return;
    }
    uint64_t pc = (uint64_t)(uintptr_t)function;
    ck_assert_str_eq(symbol_profile_module(&made, pc)->path, "[vdso]");
    size_t sample = symbol_profile_pc(&made, pc);
    symbol_profile_name(&made);
    symbol_profile_check_end(symbol_profile_function(&made, sample, 0)->name, "clock_gettime");
    dlclose(library);
}
END_TEST

/* The program has no C++: the runtime is loaded for it. */
START_TEST(mangled_name_in_a_program_of_c)
{
    struct symbol_place place;
    symbol_fixture_mangled(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    const struct awi_function *function = symbol_profile_function(&made, sample, 0);
    ck_assert_str_eq(function->linkage, "_ZN6shapes4areaERKlS1_");
    void *runtime = dlopen("libstdc++.so.6", RTLD_LAZY);
    ck_assert_str_eq(function->name,
                     runtime != NULL ? "shapes::area(long const&, long const&)" : function->linkage);
}
END_TEST

START_TEST(one_of_two_names)
{
    struct symbol_place place;
    symbol_fixture_alias(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name, "symbol_fixture_alias");
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->linkage, "symbol_fixture_alias");
}
END_TEST

static int append_build_id(struct dl_phdr_info *object, size_t size, void *argument)
{
    (void)size;
    if (object->dlpi_name[0] != '\0') /* not the program */
        return 0;
    for (size_t i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE)
            continue;
        const unsigned char *note = (const unsigned char *)object->dlpi_addr + segment->p_vaddr;
        const unsigned char *notes_end = note + segment->p_memsz;
        while (note + sizeof(ElfW(Nhdr)) < notes_end) {
            ElfW(Nhdr) head;
            memcpy(&head, note, sizeof head);
            note += sizeof head + ((size_t)head.n_namesz + 3) / 4 * 4;
            if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && memcmp(note - 4, "GNU", 4) == 0)
                for (size_t j = 0; j < head.n_descsz; ++j)
                    sprintf((char *)argument + 2 * j, "%02x", note[j]);
            note += ((size_t)head.n_descsz + 3) / 4 * 4;
        }
    }
    return 1;
}

START_TEST(build_ids_of_sampled_modules)
{
    struct symbol_place place;
    symbol_fixture_static(&place);
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    uint32_t module = symbol_profile_location(&made, sample, 0)->module;
    char build_id[256] = "";
    dl_iterate_phdr(append_build_id, build_id);
    ck_assert_str_eq(made.symbols->build_ids[module], build_id);
    for (size_t i = 0; i < made.profile.modules_count; ++i)
        if (i != module) {
            ck_assert_str_eq(made.symbols->build_ids[i], "");
            ck_assert(!made.symbols->has_lines[i]);
        }
}
END_TEST

/* ---- what has no name ---- */

START_TEST(made_up_locations)
{
    struct symbol_place place;
    symbol_fixture_static(&place);
    uint64_t pcs[] = { place.pc, 1 };
    static const char *const names[] = { "[lost]", "[unsampled]", "[unknown]", "[truncated]", "[unknown]" };
    symbol_profile_stack(&made, AWI_LOST, NULL, 0);
    symbol_profile_stack(&made, AWI_UNSAMPLED, NULL, 0);
    symbol_profile_stack(&made, AWI_STACK, NULL, 0);
    symbol_profile_stack(&made, AWI_TRUNCATED, NULL, 0);
    symbol_profile_pc(&made, 1);
    size_t truncated = symbol_profile_stack(&made, AWI_TRUNCATED, pcs, 2);
    symbol_profile_name(&made);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        const struct awi_location *location = symbol_profile_location(&made, i, 0);
        ck_assert_str_eq(symbol_profile_function(&made, i, 0)->name, names[i]);
        ck_assert_str_eq(symbol_profile_function(&made, i, 0)->linkage, "");
        ck_assert_str_eq(symbol_profile_function(&made, i, 0)->file, "");
        ck_assert_uint_eq(made.symbols->stacks[i].depth, 1);
        ck_assert_uint_eq(location->module, UINT32_MAX);
        ck_assert_uint_eq(location->pc, i == 4);
        ck_assert_uint_eq(location->frames_count, 1);
    }
    ck_assert_uint_eq(made.symbols->stacks[truncated].depth, 3);
    ck_assert_uint_eq(made.symbols->stacks[truncated].locations[2], made.symbols->stacks[3].locations[0]);
    ck_assert_uint_eq(made.symbols->stacks[truncated].locations[1], made.symbols->stacks[4].locations[0]);
}
END_TEST

START_TEST(empty_profile)
{
    symbol_profile_name(&made);
    ck_assert_uint_eq(made.symbols->locations_count, 0);
    ck_assert_uint_eq(made.symbols->functions_count, 0);

    struct aw_profile nothing = { 0 };
    struct awi_symbols *symbols;
    ck_assert_int_eq(awi_symbolize(&nothing, &symbols), 0);
    ck_assert_uint_eq(symbols->locations_count, 0);
    awi_symbols_free(symbols);
    awi_symbols_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbols");
    TCase *named = tcase_create("named");
    tcase_add_checked_fixture(named, begin, end);
    tcase_add_test(named, static_function);
    tcase_add_test(named, inlined_calls_innermost_first);
    tcase_add_test(named, each_function_once);
    tcase_add_test(named, exported_function_of_a_library);
    tcase_add_test(named, function_that_called_back);
    tcase_add_test(named, kernels_own_function);
    tcase_add_test(named, mangled_name_in_a_program_of_c);
    tcase_add_test(named, one_of_two_names);
    tcase_add_test(named, build_ids_of_sampled_modules);
    tcase_add_test(named, made_up_locations);
    tcase_add_test(named, empty_profile);
    suite_add_tcase(suite, named);
    return run_suite(suite);
}
