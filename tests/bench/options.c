/* SPDX-License-Identifier: MIT */
/* options.c: the command line of aw-bench, and which benches it selects. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct bench_options bench_options = {
    .sizes = { 1000, 10000, 100000, 1000000 },
    .sizes_count = 4,
    .runs = 5,
};

static bool parse_number(const char *text, char **end, uint32_t least, uint32_t most, uint32_t *number)
{
    errno = 0;
    const unsigned long value = strtoul(text, end, 10);
    if (*end == text || text[0] == '-' || errno != 0 || value < least || value > most)
        return false;
    *number = (uint32_t)value;
    return true;
}

static bool parse_sizes(const char *text)
{
    bench_options.sizes_count = 0;
    for (;;) {
        char *end;
        if (bench_options.sizes_count == BENCH_SIZES_MAX ||
            !parse_number(text, &end, 1, 100000000, &bench_options.sizes[bench_options.sizes_count]))
            return false;
        bench_options.sizes_count++;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

static bool usage(const char *complaint, const char *argument)
{
    if (complaint != NULL)
        fprintf(stderr, "aw-bench: %s: %s\n", argument, complaint);
    fputs("usage: aw-bench [--json | --markdown] [--filter PREFIX,...] [--n N,...] [--runs N] [--list]\n"
          "                [--bars] [--plot FILE.svg] [--from FILE.json]\n"
          "  --json      one object a line, as it is measured\n"
          "  --markdown  the table as Markdown\n"
          "  --filter    only the benches whose names begin so\n"
          "  --n         outstanding timers (default 1000,10000,100000,1000000)\n"
          "  --runs      runs of each, interleaved; medians are reported (default 5; with --bars 9)\n"
          "  --list      the names of the benches\n"
          "  --bars      measured against the project's bars; exit status 1 if a `must` is missed\n"
          "  --plot      draws time against the number of timers\n"
          "  --from      works on an earlier --json output instead of measuring\n",
          complaint != NULL ? stderr : stdout);
    return false;
}

bool bench_parse(int argc, char **argv)
{
    bool runs_given = false;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argument, "--json") == 0) {
            bench_options.form = BENCH_JSON;
            continue;
        }
        if (strcmp(argument, "--markdown") == 0) {
            bench_options.form = BENCH_MARKDOWN;
            continue;
        }
        if (strcmp(argument, "--list") == 0) {
            bench_options.list = true;
            continue;
        }
        if (strcmp(argument, "--bars") == 0) {
            bench_options.bars = true;
            continue;
        }
        if (strcmp(argument, "--help") == 0) {
            usage(NULL, NULL);
            exit(0);
        }
        const bool known = strcmp(argument, "--filter") == 0 || strcmp(argument, "--n") == 0 ||
                           strcmp(argument, "--runs") == 0 || strcmp(argument, "--from") == 0 ||
                           strcmp(argument, "--plot") == 0;
        if (!known)
            return usage("no such option", argument);
        if (value == NULL)
            return usage("needs a value", argument);
        i++;
        if (strcmp(argument, "--filter") == 0) {
            bench_options.filter = value;
        } else if (strcmp(argument, "--from") == 0) {
            bench_options.from = value;
        } else if (strcmp(argument, "--plot") == 0) {
            bench_options.plot = value;
        } else if (strcmp(argument, "--n") == 0) {
            if (!parse_sizes(value))
                return usage("wants numbers from 1 to 100000000, at most 16 of them", argument);
        } else {
            char *end;
            uint32_t runs;
            if (!parse_number(value, &end, 1, BENCH_RUNS_MAX, &runs) || *end != '\0')
                return usage("wants a number from 1 to 101", argument);
            bench_options.runs = runs;
            runs_given = true;
        }
    }
    if (bench_options.bars && !runs_given)
        bench_options.runs = 9;
    return true;
}

static bool begins(const char *text, const char *prefix, size_t length)
{
    return strncmp(text, prefix, length) == 0;
}

static bool selected(const char *name, bool bench)
{
    const char *prefix = bench_options.filter;
    while (prefix != NULL) {
        const size_t length = strcspn(prefix, ",");
        if (length != 0 && begins(name, prefix, length))
            return true;
        /* `latency.p99` asks for a part of the bench `latency`. */
        if (bench && length > strlen(name) && begins(prefix, name, strlen(name)))
            return true;
        prefix = prefix[length] == ',' ? prefix + length + 1 : NULL;
    }
    return bench_options.filter == NULL;
}

bool bench_wanted(const char *name)
{
    return selected(name, false);
}

bool bench_needed(const char *bench)
{
    return selected(bench, true);
}
