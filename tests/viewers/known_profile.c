/* SPDX-License-Identifier: MIT */
/*
 * known_profile FOLDER: a profile made by hand, from the table below, written in every format, and
 * truth.json, which says what a viewer has to show.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "made_profile.h"
#include "profile/formats/output.h"
#include "truth.h"

#define STACK_MAX 8
#define MS UINT64_C(1000000)

#define PUSH_BACK "std::vector<std::pair<int, char> >::push_back(std::pair<int, char> const&)"

enum module {
    SHOP,
    LIBC,
    LIBZ,
    NONE,
    MODULES
};

static const char *const modules[MODULES - 1] = { "/opt/shop/bin/shop", "/usr/lib/libc.so.6",
                                                  "/usr/lib/libz.so.1" };

static const struct {
    const char *name;
    enum module module;
    const char *file;
    uint32_t line;
} functions[] = {
    { "main", SHOP, "src/main.c", 40 },
    { "serve", SHOP, "src/serve.c", 12 },
    { "parse_request", SHOP, "src/parse.c", 7 },
    { "memcpy", LIBC, "", 0 },
    { "run_query", SHOP, "src/query.cc", 88 },
    { "sort_rows", SHOP, "src/query.cc", 120 },
    { PUSH_BACK, SHOP, "include/vector", 900 },
    { "render_page", SHOP, "src/page.c", 5 },
    { "start_thread", LIBC, "", 0 },
    { "compress_log", SHOP, "src/log.c", 33 },
    { "deflate", LIBZ, "deflate.c", 700 },
    { "crc32", LIBZ, "crc32.c", 60 },
    { "[lost]", NONE, "", 0 },
};

#define FUNCTIONS (sizeof functions / sizeof functions[0])

/* sort_rows calls itself: with callees it counts once. */
static const struct {
    unsigned thread;  /* 0: main; 1: logger */
    const char *kind; /* NULL: no label */
    uint64_t ms;
    const char *stack[STACK_MAX];
} stacks[] = {
    { 0, "read", 1000, { "main", "serve", "parse_request" } },
    { 0, "read", 500, { "main", "serve", "parse_request", "memcpy" } },
    { 0, "read", 1400, { "main", "serve", "run_query", "sort_rows" } },
    { 0, "read", 600, { "main", "serve", "run_query", "sort_rows", "sort_rows" } },
    { 0, "write", 400, { "main", "serve", "run_query", PUSH_BACK } },
    { 0, "write", 300, { "main", "serve", "run_query", PUSH_BACK, "memcpy" } },
    { 0, "write", 1200, { "main", "serve", "render_page" } },
    { 0, NULL, 200, { "main" } },
    { 0, NULL, 400, { "[lost]" } },
    { 1, NULL, 2600, { "start_thread", "compress_log", "deflate" } },
    { 1, NULL, 900, { "start_thread", "compress_log", "crc32" } },
    { 1, NULL, 500, { "start_thread", "compress_log" } },
};

#define STACKS (sizeof stacks / sizeof stacks[0])

static void fill(struct made_profile *made)
{
    uint32_t kinds[2];
    made_begin(made);
    made_thread(made, 4712, "logger");
    kinds[0] = made_label(made, 0, "kind", "read");
    kinds[1] = made_label(made, 0, "kind", "write");
    for (size_t i = 0; i < MODULES - 1; ++i)
        made_module(made, modules[i]);
    for (size_t i = 0; i < FUNCTIONS; ++i)
        made_function(made, functions[i].module == NONE ? UINT32_MAX : (uint32_t)functions[i].module,
                      functions[i].name, functions[i].file, functions[i].line);
    for (size_t i = 0; i < STACKS; ++i) {
        char names[512] = "";
        for (size_t j = 0; j < STACK_MAX && stacks[i].stack[j] != NULL; ++j)
            (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", j == 0 ? "" : ";",
                           stacks[i].stack[j]);
        made->thread = stacks[i].thread;
        made->label = stacks[i].kind == NULL ? 0 : kinds[strcmp(stacks[i].kind, "read") != 0];
        struct awi_sample *sample = made_stack(made, names, stacks[i].ms * MS, stacks[i].ms / 4);
        if (strcmp(names, "[lost]") == 0)
            sample->kind = AWI_LOST;
    }
    made->profile.elapsed_ns = 6 * 1000 * MS;
}

static int write_format(const struct made_profile *made, const char *folder, const char *name,
                        int (*write_fn)(struct awi_output *, const struct aw_profile *,
                                        const struct awi_symbols *),
                        bool is_compressed)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/profile.%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    struct awi_output *output = awi_output_open(fd, is_compressed);
    int result = output == NULL ? -1 : write_fn(output, &made->profile, &made->symbols);
    if (output != NULL && awi_output_close(output) != 0)
        result = -1;
    return close(fd) != 0 ? -1 : result;
}

int main(int argc, char **argv)
{
    struct made_profile made;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: known_profile FOLDER\n");
        return EXIT_FAILURE;
    }
    fill(&made);
    struct truth truth = { &made.profile, &made.symbols };
    int failed = truth_write(&truth, argv[1], "memcpy|sort_rows", "serve") != 0;
    failed |= write_format(&made, argv[1], "pb.gz", awi_write_pprof, true) != 0;
    failed |= write_format(&made, argv[1], "folded", awi_write_folded, false) != 0;
    failed |= write_format(&made, argv[1], "speedscope.json", awi_write_speedscope, false) != 0;
    failed |= write_format(&made, argv[1], "svg", awi_write_svg, false) != 0;
    made_end(&made);
    if (failed)
        perror("known_profile");
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
