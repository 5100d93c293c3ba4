/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what the files of aw-bench share: the options, the results, and the benches. It knows nothing of
 * alarmwheel; the files that measure do.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "peer.h"

#define BENCH_RUNS_MAX 101
#define BENCH_SIZES_MAX 16

/* options.c: what the command line asked for. */
enum bench_form {
    BENCH_TABLE,
    BENCH_JSON,
    BENCH_MARKDOWN
};

struct bench_options {
    enum bench_form form;
    const char *filter; /* comma-separated prefixes; NULL: everything */
    uint32_t sizes[BENCH_SIZES_MAX];
    unsigned sizes_count;
    unsigned runs;
    bool list;
    bool bars;
    const char *from; /* a file of JSON lines instead of a measurement */
    const char *plot; /* an SVG file to write */
};

extern struct bench_options bench_options;

/* False, with the reason printed, if the arguments make no sense. */
bool bench_parse(int argc, char **argv);
/* Whether a result of this name is wanted; and whether a bench may produce a wanted one. */
bool bench_wanted(const char *name);
bool bench_needed(const char *bench);

/* result.c: a figure, and how it spread over the runs. */
struct bench_result {
    char bench[48];
    char impl[24];
    uint32_t n;
    char unit[8]; /* ns, bytes, count, ratio or percent */
    double median;
    double min;
    double max;
    unsigned runs;
};

struct bench_series {
    double values[BENCH_RUNS_MAX];
    unsigned count;
};

extern struct bench_result *bench_results;
extern size_t bench_results_count;

void bench_sample(struct bench_series *series, double value);
double bench_median(const struct bench_series *series);
/* Files a result, if it is wanted; JSON goes out at once. */
void bench_report(const char *bench, const char *impl, uint32_t n, const char *unit,
                  const struct bench_series *series);
const struct bench_result *bench_find(const char *bench, const char *impl, uint32_t n);
bool bench_read_json(const char *path);

/* table.c, plot.c, bars.c: what is made of the results. */
void bench_print_table(FILE *out, bool markdown);
bool bench_write_plot(const char *path);
/* True if no `must` was missed. */
bool bench_print_bars(FILE *out);

/* measure.c: clocks, the random stream, modules. */
uint64_t bench_cpu_ns(void);  /* of this thread: neighbours on a shared machine do not count */
uint64_t bench_wall_ns(void); /* CLOCK_MONOTONIC */
uint64_t bench_random(uint64_t *state);
void *bench_module(const char *name, const char *symbol);

/* The benches. Each measures everything it has to say about the names that it was registered with. */
void bench_wheel(void);
void bench_relinks(void);
void bench_next(void);
void bench_memory(void);
void bench_timer(void);
void bench_calls(void);
void bench_burn(void);
void bench_latency(void);
void bench_simulated(void);
void bench_profile(void);

/* Implementations that are not modules, and all that are there, ours first. */
extern const struct peer bench_ours_wheel;
extern const struct peer bench_ours_timer;
extern const struct peer bench_floor;
#define BENCH_PEERS_MAX 8
unsigned bench_peers(const struct peer *ours, bool with_floor, const struct peer **peers);

#endif
