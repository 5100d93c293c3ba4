/* SPDX-License-Identifier: MIT */
/*
 * symbols_files_test.c: names of addresses in files that are stripped, linked with their debug information,
 * replaced, or none at all.
 */
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_main.h"
#include "symbol_fixture.h"
#include "symbol_profile.h"

static struct symbol_profile made;
static char folder[] = "symbols.XXXXXX";
static char path[256];

static void begin(void)
{
    symbol_profile_begin(&made);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file.so", folder);
}

static void end(void)
{
    char debug[sizeof path + 16];
    snprintf(debug, sizeof debug, "%s/%s", folder, SYMBOL_MODULE_DEBUG);
    unlink(debug);
    unlink(path);
    rmdir(path);
    rmdir(folder);
    symbol_profile_end(&made);
}

/* ---- not what was mapped ---- */

static void write_file(const void *bytes, size_t count)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void copy_file(const char *from, const char *to, size_t at_most)
{
    char bytes[4096];
    FILE *source = fopen(from, "r");
    FILE *target = fopen(to, "w");
    ck_assert_msg(source != NULL && target != NULL, "%s to %s", from, to);
    for (size_t count; (count = fread(bytes, 1, at_most < sizeof bytes ? at_most : sizeof bytes, source)) > 0;
         at_most -= count)
        ck_assert_uint_eq(fwrite(bytes, 1, count, target), count);
    fclose(source);
    fclose(target);
}

/* The module's file is now at `path`, and is not what it was. */
static void check_unnamed(void)
{
    struct symbol_place place;
    symbol_fixture_static(&place);
    struct awi_module *module = symbol_profile_module(&made, place.pc);
    const char *saved = module->path;
    module->path = path;
    size_t sample = symbol_profile_pc(&made, place.pc);
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name, "[file.so]");
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->linkage, "");
    ck_assert_ptr_eq(&made.profile.modules[symbol_profile_location(&made, sample, 0)->module], module);
    module->path = saved;
}

START_TEST(file_that_is_gone)
{
    check_unnamed();
}
END_TEST

START_TEST(file_of_text)
{
    write_file("#!/bin/sh\n", 10);
    check_unnamed();
}
END_TEST

START_TEST(file_that_is_empty)
{
    write_file("", 0);
    check_unnamed();
}
END_TEST

START_TEST(file_that_was_cut_short)
{
    static const size_t sizes[] = { 4, 16, 20, 64, 100, 4000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        copy_file("/proc/self/exe", path, sizes[i]);
        struct symbol_place place;
        symbol_fixture_static(&place);
        struct awi_module *module = symbol_profile_module(&made, place.pc);
        const char *saved = module->path;
        module->path = path;
        symbol_profile_pc(&made, place.pc);
        symbol_profile_name(
            &made); /* headers may be whole, and a function be found by them: it must not fail */
        module->path = saved;
    }
}
END_TEST

START_TEST(folder_in_its_place)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    check_unnamed();
}
END_TEST

/* To open one for reading blocks until somebody writes. */
START_TEST(fifo_in_its_place)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    check_unnamed();
}
END_TEST

/* A library of one page of code: the address is beyond it. */
START_TEST(another_file_in_its_place)
{
    copy_file(SYMBOL_MODULE_BARE, path, SIZE_MAX);
    struct awi_module *module = &made.profile.modules[0];
    const char *saved = module->path;
    uint64_t pc = module->bias + 0x40000000;
    module->end = pc + 1;
    module->path = path;
    size_t all = made.profile.modules_count;
    made.profile.modules_count = 1;
    size_t sample = symbol_profile_pc(&made, pc);
    symbol_profile_name(&made);
    ck_assert_str_eq(symbol_profile_function(&made, sample, 0)->name, "[file.so]");
    module->path = saved;
    made.profile.modules_count = all;
}
END_TEST

/* ---- debug information in a file of its own ---- */

static size_t sample_of_module(struct symbol_place *place)
{
    void *library = dlopen(SYMBOL_MODULE, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    void *symbol = dlsym(library, "symbol_module_run");
    ck_assert_ptr_nonnull(symbol);
    symbol_module_fn *run;
    memcpy(&run, &symbol, sizeof run);
    run(place, symbol_here);
    symbol_profile_end(&made);
    symbol_profile_begin(&made);
    return symbol_profile_pc(&made, place->pc);
}

static const struct awi_function *name_as(const struct symbol_place *place, size_t sample, const char *file)
{
    struct awi_module *module = symbol_profile_module(&made, place->pc);
    const char *saved = module->path;
    module->path = file;
    symbol_profile_name(&made);
    module->path = saved;
    return symbol_profile_function(&made, sample, 0);
}

static void check_name_as(const struct symbol_place *place, size_t sample, const char *file, const char *name)
{
    ck_assert_str_eq(name_as(place, sample, file)->name, name);
}

START_TEST(library_that_is_whole_or_stripped)
{
    struct symbol_place place;
    size_t sample = sample_of_module(&place);
    const struct awi_function *function = name_as(&place, sample, SYMBOL_MODULE);
    ck_assert_str_eq(function->name, "kept_inside");
    symbol_profile_check_end(function->file, "symbol_module.c");
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 0)->line, place.line);

    function = name_as(&place, sample, SYMBOL_MODULE_BARE);
    symbol_profile_check_end(SYMBOL_MODULE_BARE, "/bare.so");
    ck_assert_str_eq(function->name, "[bare.so]");
    ck_assert(!made.symbols->has_lines[symbol_profile_location(&made, sample, 0)->module]);

    /* What is exported is named all the same. */
    made.profile.samples_count = 0;
    void *library = dlopen(SYMBOL_MODULE, RTLD_NOW);
    sample = symbol_profile_pc(&made, (uint64_t)(uintptr_t)dlsym(library, "symbol_module_run"));
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE_BARE)->name, "symbol_module_run");
}
END_TEST

/* Where in a file the first byte of its build ID lies; 0: it has none. */
static long find_build_id(FILE *file)
{
    char bytes[8192];
    static const char head[] = { NT_GNU_BUILD_ID, 0, 0, 0, 'G', 'N', 'U', 0 };
    size_t count = fread(bytes, 1, sizeof bytes, file);
    const char *note = memmem(bytes, count, head, sizeof head);
    return note != NULL ? note - bytes + (long)sizeof head : 0;
}

/* Changes a byte of its build ID, or adds one at its end. */
static void spoil(const char *debug, bool has_build_id)
{
    FILE *file = fopen(debug, "r+");
    ck_assert_ptr_nonnull(file);
    long at = has_build_id ? find_build_id(file) : 0;
    ck_assert_int_eq(at != 0, has_build_id);
    ck_assert_int_eq(fseek(file, at, at != 0 ? SEEK_SET : SEEK_END), 0);
    int byte = at != 0 ? fgetc(file) ^ 1 : 0;
    ck_assert_int_eq(fseek(file, at, at != 0 ? SEEK_SET : SEEK_END), 0);
    ck_assert_int_eq(fputc(byte, file), byte);
    fclose(file);
}

/* Beside a copy of the stripped file: nothing, what belongs to it, and what does not, by one byte. */
static void check_link(const char *linked, bool has_build_id)
{
    struct symbol_place place;
    size_t sample = sample_of_module(&place);
    const struct awi_function *function = name_as(&place, sample, linked);
    ck_assert_str_eq(function->name, "kept_inside");
    symbol_profile_check_end(function->file, "symbol_module.c");
    ck_assert_uint_eq(symbol_profile_frame(&made, sample, 0)->line, place.line);

    copy_file(linked, path, SIZE_MAX);
    char *absolute = realpath(path, NULL);
    ck_assert_ptr_nonnull(absolute);
    check_name_as(&place, sample, absolute, "[file.so]");
    char debug[sizeof path + 16];
    snprintf(debug, sizeof debug, "%s/%s", folder, SYMBOL_MODULE_DEBUG);
    copy_file(SYMBOL_MODULE_DEBUG_PATH, debug, SIZE_MAX);
    check_name_as(&place, sample, absolute, "kept_inside");
    check_name_as(&place, sample, path, "kept_inside");
    spoil(debug, has_build_id);
    check_name_as(&place, sample, absolute, "[file.so]");
    free(absolute);
}

START_TEST(linked_by_build_id)
{
    check_link(SYMBOL_MODULE_LINKED, true);
}
END_TEST

START_TEST(linked_by_checksum)
{
    check_link(SYMBOL_MODULE_SUMMED, false);
}
END_TEST

/* An upgrade leaves another file under the same path: its functions lie elsewhere. */
START_TEST(another_build_in_its_place)
{
    struct symbol_place place;
    size_t sample = sample_of_module(&place);
    struct awi_module *module = symbol_profile_module(&made, place.pc);
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE)->name, "kept_inside");
    uint32_t index = symbol_profile_location(&made, sample, 0)->module;
    char build_id[256];
    snprintf(build_id, sizeof build_id, "%s", made.symbols->build_ids[index]);
    ck_assert_uint_eq(strlen(build_id), 40);

    module->build_id = build_id;
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE)->name, "kept_inside");
    build_id[39] = build_id[39] == '0' ? '1' : '0';
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE)->name, "[whole.so]");
    ck_assert_str_eq(made.symbols->build_ids[index], build_id);
    ck_assert(!made.symbols->has_lines[index]);
    module->build_id = "";
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE)->name, "kept_inside");

    /* What was mapped is known without a sample, too. */
    made.profile.samples_count = 0;
    module->build_id = build_id;
    symbol_profile_name(&made);
    ck_assert_str_eq(made.symbols->build_ids[index], build_id);
}
END_TEST

/* A server that the environment names is not asked: nothing is loaded that could. */
START_TEST(no_server_is_asked)
{
    ck_assert_int_eq(setenv("DEBUGINFOD_URLS", "http://127.0.0.1:9/", 1), 0);
    struct symbol_place place;
    size_t sample = sample_of_module(&place);
    ck_assert_str_eq(name_as(&place, sample, SYMBOL_MODULE_BARE)->name, "[bare.so]");
    ck_assert_str_eq(getenv("DEBUGINFOD_URLS"), "http://127.0.0.1:9/");
    ck_assert_ptr_null(dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_NOLOAD));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbols_files");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, begin, end);
    tcase_add_test(files, file_that_is_gone);
    tcase_add_test(files, file_of_text);
    tcase_add_test(files, file_that_is_empty);
    tcase_add_test(files, file_that_was_cut_short);
    tcase_add_test(files, folder_in_its_place);
    tcase_add_test(files, fifo_in_its_place);
    tcase_add_test(files, another_file_in_its_place);
    tcase_add_test(files, library_that_is_whole_or_stripped);
    tcase_add_test(files, linked_by_build_id);
    tcase_add_test(files, linked_by_checksum);
    tcase_add_test(files, another_build_in_its_place);
    tcase_add_test(files, no_server_is_asked);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
