/* SPDX-License-Identifier: MIT */
/*
 * bench_inside.c: what is to be known about alarmwheel's wheel beside the comparison: the share of re-arms
 * that are more than one store, what a query for the next deadline adds, and how much memory a timer takes.
 * Only this file of the benchmark looks into the wheel, in a pass that is not timed.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <alarmwheel/wheel.h>

#include "bench.h"
#include "wheel/wheel_internal.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
#define HOUR (3600 * SEC)
#define DAY (24 * HOUR)
#define START_NS UINT64_C(1234567890123456)

static int nothing(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return 0;
}

static struct aw_wheel *make_wheel(uint32_t timers, struct aw_timer *handles)
{
    struct aw_wheel_options options = { .size = sizeof options, .start_ns = START_NS, .capacity = timers };
    struct aw_wheel *wheel = NULL;
    if (handles == NULL || aw_wheel_create(&wheel, &options) != 0)
        return NULL;
    for (uint32_t i = 0; i < timers; i++)
        if (aw_wheel_timer_create(wheel, &handles[i], nothing, NULL) != 0)
            return NULL;
    return wheel;
}

/*
 * One store means: of the timer's record `when` has changed and nothing else, nor the least deadline of its
 * slot. Four re-arms a timer come first, as before the timed runs.
 */
static double share_of_relinks(uint32_t timers, uint64_t seed)
{
    struct aw_timer *handles = malloc(timers * sizeof *handles);
    struct aw_wheel *wheel = make_wheel(timers, handles);
    uint64_t more = 0;
    const uint64_t operations = timers < 200000 ? 200000 : timers;
    const uint64_t before = UINT64_C(4) * timers + operations;
    for (uint64_t i = 0; wheel != NULL && i < timers + before + operations; i++) {
        const uint32_t timer =
            i < timers ? (uint32_t)i : (uint32_t)((bench_random(&seed) >> 32) * timers >> 32);
        const uint64_t deadline_ns = START_NS + MS + bench_random(&seed) % (60 * SEC - MS);
        const uint32_t index = (uint32_t)handles[timer].id;
        const struct awi_record was = wheel->record[index];
        const struct awi_record *head = &wheel->record[awi_linked(&was) ? awi_slot(&was) : AWI_TODO];
        const uint32_t least = head->when;
        aw_wheel_timer_arm_at(wheel, handles[timer], deadline_ns);
        const struct awi_record *is = &wheel->record[index];
        if (i >= timers + before)
            more +=
                is->prev != was.prev || is->next != was.next || is->meta != was.meta || head->when != least;
    }
    aw_wheel_destroy(wheel);
    free(handles);
    return (double)more / (double)operations;
}

void bench_relinks(void)
{
    if (!bench_wanted("wheel.rearm_fixed.relinks"))
        return;
    for (unsigned size = 0; size < bench_options.sizes_count; size++) {
        struct bench_series series = { .count = 0 };
        for (unsigned run = 0; run < (bench_options.runs < 3 ? bench_options.runs : 3); run++)
            bench_sample(&series, share_of_relinks(bench_options.sizes[size], run + 1));
        bench_report("wheel.rearm_fixed.relinks", "alarmwheel", bench_options.sizes[size], "ratio", &series);
    }
}

/*
 * wheel.next. All n timers are armed; then 1,024 of them are re-armed over and over, few enough to stay in
 * the cache, once without and once with a query after every operation. The difference is what the query adds.
 */
#define NEXT_TIMERS 1024u
#define NEXT_OPERATIONS 400000u

struct deadlines {
    const char *bench;
    uint64_t least_ns[3];
    uint64_t most_ns[3];
};

static const struct deadlines kinds[] = {
    { "wheel.next.near", { MS, MS, MS }, { SEC, SEC, SEC } },
    { "wheel.next.far", { HOUR, HOUR, HOUR }, { 10 * HOUR, 10 * HOUR, 10 * HOUR } },
    { "wheel.next.beyond", { 8 * DAY, 8 * DAY, 8 * DAY }, { 100 * DAY, 100 * DAY, 100 * DAY } },
    { "wheel.next.mixed", { MS, HOUR, 8 * DAY }, { SEC, 10 * HOUR, 100 * DAY } },
};
#define KINDS (sizeof kinds / sizeof *kinds)

struct next_op {
    struct aw_timer timer;
    uint64_t deadline_ns;
};

static volatile uint64_t next_sink;

static uint64_t time_without(struct aw_wheel *wheel, const struct next_op *ops)
{
    const uint64_t start = bench_cpu_ns();
    for (uint32_t i = 0; i < NEXT_OPERATIONS; i++)
        aw_wheel_timer_arm_at(wheel, ops[i % NEXT_TIMERS].timer, ops[i % NEXT_TIMERS].deadline_ns);
    return bench_cpu_ns() - start;
}

static uint64_t time_with(struct aw_wheel *wheel, const struct next_op *ops)
{
    uint64_t sum = 0;
    const uint64_t start = bench_cpu_ns();
    for (uint32_t i = 0; i < NEXT_OPERATIONS; i++) {
        uint64_t next_ns;
        aw_wheel_timer_arm_at(wheel, ops[i % NEXT_TIMERS].timer, ops[i % NEXT_TIMERS].deadline_ns);
        aw_wheel_next(wheel, &next_ns);
        sum += next_ns;
    }
    const uint64_t took = bench_cpu_ns() - start;
    next_sink = sum;
    return took;
}

static void measure_next(const struct deadlines *kind, uint32_t timers, struct bench_series *series)
{
    static struct next_op ops[NEXT_TIMERS];
    struct aw_timer *handles = malloc(timers * sizeof *handles);
    struct aw_wheel *wheel = make_wheel(timers, handles);
    uint64_t seed = timers;
    for (uint32_t i = 0; wheel != NULL && i < timers + NEXT_TIMERS; i++) {
        const uint32_t timer = (uint32_t)((bench_random(&seed) >> 32) * timers >> 32);
        const uint64_t span = kind->most_ns[i % 3] - kind->least_ns[i % 3];
        struct next_op *op = &ops[i % NEXT_TIMERS];
        op->timer = handles[i < timers ? i : timer];
        op->deadline_ns = START_NS + kind->least_ns[i % 3] + bench_random(&seed) % span;
        aw_wheel_timer_arm_at(wheel, op->timer, op->deadline_ns);
    }
    if (wheel != NULL) {
        time_without(wheel, ops);
        for (unsigned run = 0; run < bench_options.runs; run++) {
            uint64_t without = UINT64_MAX;
            uint64_t with = UINT64_MAX;
            for (int i = 0; i < 3; i++) {
                const uint64_t a = time_without(wheel, ops);
                const uint64_t b = time_with(wheel, ops);
                without = a < without ? a : without;
                with = b < with ? b : with;
            }
            bench_sample(series, ((double)with - (double)without) / NEXT_OPERATIONS);
        }
    }
    aw_wheel_destroy(wheel);
    free(handles);
}

void bench_next(void)
{
    for (unsigned size = 0; size < bench_options.sizes_count; size++) {
        struct bench_series series[KINDS];
        unsigned worst = 0;
        memset(series, 0, sizeof series);
        for (unsigned i = 0; i < KINDS; i++) {
            if (!bench_wanted("wheel.next") && !bench_wanted(kinds[i].bench))
                continue;
            measure_next(&kinds[i], bench_options.sizes[size], &series[i]);
            bench_report(kinds[i].bench, "alarmwheel", bench_options.sizes[size], "ns", &series[i]);
            if (bench_median(&series[i]) > bench_median(&series[worst]))
                worst = i;
        }
        bench_report("wheel.next", "alarmwheel", bench_options.sizes[size], "ns", &series[worst]);
    }
}

/*
 * wheel.memory: what malloc has handed out once n timers are made and armed, the structures of the loop
 * itself included, the harness's own arrays not, nor the handle or pointer that the program keeps.
 */
static size_t allocated(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void bench_memory(void)
{
    static const uint32_t picks[1] = { 0 };
    static const uint64_t delays_ns[1] = { 30 * SEC };
    for (unsigned size = 0; size < bench_options.sizes_count; size++) {
        const struct peer *peers[BENCH_PEERS_MAX];
        const unsigned count = bench_peers(&bench_ours_wheel, false, peers);
        const uint32_t timers = bench_options.sizes[size];
        const struct bench_setup setup = {
            .timers = timers,
            .picks = picks,
            .picks_count = 1,
            .delays_ns = delays_ns,
            .delays_count = 1,
            .armed = true,
        };
        for (unsigned i = 0; i < count; i++) {
            struct bench_series series = { .count = 0 };
            const size_t before = allocated();
            if (peers[i]->open(&setup) != NULL)
                continue;
            const double bytes = (double)(allocated() - before);
            peers[i]->close();
            bench_sample(&series, bytes / timers - (double)(sizeof(uint32_t) + peers[i]->handle_bytes));
            bench_report("wheel.memory", peers[i]->name, timers, "bytes", &series);
        }
    }
}
