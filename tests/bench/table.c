/* SPDX-License-Identifier: MIT */
/* table.c: the results for people: a block per bench with a column per number of timers, then the single
 * figures. */
#include <string.h>

#include "catalog.h"

#define SINGLE_HEADING "Single figures"

static bool same_bench(const struct bench_result *a, const struct bench_result *b)
{
    return strcmp(a->bench, b->bench) == 0;
}

/* The first result of its bench; with `impl`, of its bench and implementation. */
static bool is_first(size_t index, bool impl)
{
    for (size_t i = 0; i < index; i++)
        if (same_bench(&bench_results[i], &bench_results[index]) &&
            (!impl || strcmp(bench_results[i].impl, bench_results[index].impl) == 0))
            return false;
    return true;
}

static const char *grouped(uint32_t number, char *text, size_t size)
{
    char digits[16];
    const int length = snprintf(digits, sizeof digits, "%u", (unsigned)number);
    size_t out = 0;
    for (int i = 0; i < length && out + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

/* Three figures that mean something; small counts and ratios as they are. */
static const char *figure(const struct bench_result *r, char *text, size_t size)
{
    const double value = r->median;
    if (strcmp(r->unit, "count") == 0)
        snprintf(text, size, "%.0f", value);
    else if (strcmp(r->unit, "ratio") == 0)
        snprintf(text, size, value < 0.1 ? "%.4f" : "%.3f", value);
    else
        snprintf(text, size, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
    return text;
}

static void print_cell(FILE *out, bool markdown, const struct bench_result *r,
                       const struct bench_result *ours)
{
    char text[32];
    char cell[64] = "-";
    if (r != NULL) {
        figure(r, text, sizeof text);
        if (ours != NULL && ours != r && ours->median > 0 && strcmp(r->unit, "ns") == 0)
            snprintf(cell, sizeof cell, "%s (%.1fx)", text, r->median / ours->median);
        else
            snprintf(cell, sizeof cell, "%s", text);
    }
    fprintf(out, markdown ? " %s |" : "%17s", cell);
}

static size_t collect_sizes(const char *bench, uint32_t *sizes)
{
    size_t count = 0;
    for (size_t i = 0; i < bench_results_count; i++) {
        const struct bench_result *r = &bench_results[i];
        bool known = strcmp(r->bench, bench) != 0;
        for (size_t j = 0; j < count; j++)
            known = known || sizes[j] == r->n;
        if (!known && count < BENCH_SIZES_MAX)
            sizes[count++] = r->n;
    }
    return count;
}

static bool has_sizes(const char *bench)
{
    return strncmp(bench, "wheel.", 6) == 0 || strncmp(bench, "timer.", 6) == 0;
}

/* What the bench is about; a result that is a part of it (latency.p50) adds its own name's end. */
static void print_about(FILE *out, const char *bench)
{
    const struct bench_entry *entry = bench_entry_of(bench);
    const size_t length = entry != NULL ? strlen(entry->name) : 0;
    if (entry != NULL && bench[length] == '\0')
        fputs(entry->about, out);
    else if (entry != NULL)
        fprintf(out, "%.*s: %s", (int)strcspn(entry->about, ":"), entry->about, bench + length + 1);
}

static void print_block(FILE *out, bool markdown, const struct bench_result *first)
{
    uint32_t sizes[BENCH_SIZES_MAX];
    const size_t columns = collect_sizes(first->bench, sizes);
    char text[32];
    fprintf(out, markdown ? "\n**%s**" : "\n%s", first->bench);
    fputs(markdown ? ": " : "  ", out);
    print_about(out, first->bench);
    fprintf(out, " (%s)", first->unit);
    fprintf(out, markdown ? "\n\n| |" : "\n%-14s", "");
    for (size_t i = 0; i < columns; i++)
        fprintf(out, markdown ? " %s |" : "%17s", grouped(sizes[i], text, sizeof text));
    fputc('\n', out);
    for (size_t i = 0; markdown && i <= columns; i++)
        fputs(i == 0 ? "|---|" : i == columns ? "---:|\n" : "---:|", out);
    for (size_t i = 0; i < bench_results_count; i++) {
        if (!same_bench(&bench_results[i], first) || !is_first(i, true))
            continue;
        fprintf(out, markdown ? "| %s |" : "  %-12s", bench_results[i].impl);
        for (size_t j = 0; j < columns; j++)
            print_cell(out, markdown, bench_find(first->bench, bench_results[i].impl, sizes[j]),
                       bench_find(first->bench, "alarmwheel", sizes[j]));
        fputc('\n', out);
    }
}

static void print_single(FILE *out, bool markdown, const struct bench_result *r)
{
    char text[32];
    figure(r, text, sizeof text);
    fprintf(out, markdown ? "| `%s` | %s | %s %s | " : "  %-26s %-11s %10s %-6s ", r->bench, r->impl, text,
            r->unit);
    print_about(out, r->bench);
    fputs(markdown ? " |\n" : "\n", out);
}

void bench_print_table(FILE *out, bool markdown)
{
    bool singles = false;
    for (size_t i = 0; i < bench_results_count; i++) {
        if (!has_sizes(bench_results[i].bench))
            singles = true;
        else if (is_first(i, false))
            print_block(out, markdown, &bench_results[i]);
    }
    if (!singles)
        return;
    fputs(markdown ? "\n**" SINGLE_HEADING "**\n\n| | | | |\n|---|---|---:|---|\n" : "\n" SINGLE_HEADING "\n",
          out);
    for (size_t i = 0; i < bench_results_count; i++)
        if (!has_sizes(bench_results[i].bench))
            print_single(out, markdown, &bench_results[i]);
}
