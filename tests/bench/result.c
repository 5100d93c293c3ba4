/* SPDX-License-Identifier: MIT */
/* result.c: the results: collected, printed as JSON lines, and read back from such lines. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct bench_result *bench_results;
size_t bench_results_count;

void bench_sample(struct bench_series *series, double value)
{
    if (series->count < BENCH_RUNS_MAX)
        series->values[series->count++] = value;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(const struct bench_series *series)
{
    double sorted[BENCH_RUNS_MAX];
    if (series->count == 0)
        return 0;
    memcpy(sorted, series->values, series->count * sizeof *sorted);
    qsort(sorted, series->count, sizeof *sorted, compare);
    const unsigned middle = series->count / 2;
    return series->count % 2 != 0 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

static struct bench_result *add_result(void)
{
    struct bench_result *grown = realloc(bench_results, (bench_results_count + 1) * sizeof *grown);
    if (grown == NULL) {
        fputs("aw-bench: out of memory\n", stderr);
        exit(2);
    }
    bench_results = grown;
    memset(&grown[bench_results_count], 0, sizeof *grown);
    return &grown[bench_results_count++];
}

static void print_json(const struct bench_result *r)
{
    printf("{\"bench\":\"%s\",\"impl\":\"%s\",\"n\":%u,\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,\"max\":%"
           ".6g,"
           "\"runs\":%u}\n",
           r->bench, r->impl, (unsigned)r->n, r->unit, r->median, r->min, r->max, r->runs);
    fflush(stdout);
}

void bench_report(const char *bench, const char *impl, uint32_t n, const char *unit,
                  const struct bench_series *series)
{
    if (series->count == 0 || !bench_wanted(bench))
        return;
    struct bench_result *r = add_result();
    snprintf(r->bench, sizeof r->bench, "%s", bench);
    snprintf(r->impl, sizeof r->impl, "%s", impl);
    snprintf(r->unit, sizeof r->unit, "%s", unit);
    r->n = n;
    r->runs = series->count;
    r->median = bench_median(series);
    r->min = r->max = series->values[0];
    for (unsigned i = 1; i < series->count; i++) {
        r->min = series->values[i] < r->min ? series->values[i] : r->min;
        r->max = series->values[i] > r->max ? series->values[i] : r->max;
    }
    if (bench_options.form == BENCH_JSON)
        print_json(r);
    else
        fprintf(stderr, "%-32s %-11s %9u  %.4g %s\n", r->bench, r->impl, (unsigned)r->n, r->median, r->unit);
}

const struct bench_result *bench_find(const char *bench, const char *impl, uint32_t n)
{
    for (size_t i = bench_results_count; i-- > 0;) {
        const struct bench_result *r = &bench_results[i];
        if (strcmp(r->bench, bench) == 0 && strcmp(r->impl, impl) == 0 && r->n == n)
            return r;
    }
    return NULL;
}

/* Reads what print_json wrote, and nothing more general. */
bool bench_read_json(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    char line[512];
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        struct bench_result r = { .n = 0 };
        unsigned n;
        good =
            sscanf(
                line,
                "{\"bench\":\"%47[^\"]\",\"impl\":\"%23[^\"]\",\"n\":%u,\"unit\":\"%7[^\"]\",\"median\":%lf,"
                "\"min\":%lf,\"max\":%lf,\"runs\":%u}",
                r.bench, r.impl, &n, r.unit, &r.median, &r.min, &r.max, &r.runs) == 8;
        r.n = n;
        if (!good)
            fprintf(stderr, "aw-bench: %s: not a result: %s", path, line);
        else if (bench_wanted(r.bench))
            *add_result() = r;
    }
    fclose(file);
    return good;
}
