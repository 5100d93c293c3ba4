/* SPDX-License-Identifier: MIT */
/*
 * bench_wheel.c: runs one loop (peer_loops.h) over all implementations: the same stream of operations, one
 * run of each in turn, so that whatever disturbs the machine disturbs all of them. Used for the wheel
 * against the peers on the loops' clock, and for the public timer calls against the peers on the real one.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

/* The shortest and the longest random delay. */
#define DELAY_MIN_NS (1 * MS)
#define DELAY_MAX_NS (60 * SEC)
#define REFRESH_NS (30 * SEC)

/*
 * On the real clock nothing may expire: a peer that is slow at running timers would fall behind for ever,
 * with a million of them on a busy machine.
 */
#define REAL_MIN_NS (600 * SEC)
#define REAL_MAX_NS (1200 * SEC)

/* A run performs at least this many operations, however few timers there are. */
#define OPERATIONS_MIN 200000u

/* An implementation that has used this much time on one row makes no more runs; warming up stops after a
 * third of it. */
#define ROW_LIMIT_NS (6 * SEC)

enum loop {
    LOOP_REARM,
    LOOP_REFRESH,
    LOOP_CANCEL_BURST,
    LOOP_INSERT_EXPIRE
};

struct row {
    const char *bench;
    enum loop loop;
    bool moving; /* 1 ms every max(1, n / 1000) operations, and what is due runs */
    bool real_clock;
    bool with_floor;
};

static const struct row wheel_rows[] = {
    { "wheel.rearm", LOOP_REARM, true, false, true },
    { "wheel.rearm_fixed", LOOP_REARM, false, false, true },
    { "wheel.refresh30s", LOOP_REFRESH, true, false, true },
    { "wheel.cancel_burst", LOOP_CANCEL_BURST, true, false, false },
    { "wheel.insert_expire", LOOP_INSERT_EXPIRE, true, false, false },
};

/* On the real clock the loop's own turn comes every thousand operations. */
static const struct row timer_rows[] = {
    { "timer.rearm", LOOP_REARM, true, true, false },
    { "timer.again", LOOP_REFRESH, true, true, false },
};

#define DELAYS 4096u

struct streams {
    uint32_t *picks;
    uint32_t picks_count;
    uint64_t delays_ns[DELAYS];
};

/*
 * Four picks a timer, so that nearly every timer is named, and not more: reading the stream must not cost
 * memory bandwidth while the timers fit the cache.
 */
static bool make_streams(uint32_t timers, bool real_clock, struct streams *streams)
{
    const uint64_t least_ns = real_clock ? REAL_MIN_NS : DELAY_MIN_NS;
    const uint64_t most_ns = real_clock ? REAL_MAX_NS : DELAY_MAX_NS;
    uint32_t size = 1u << 15;
    while (size / 4 < timers && size < 1u << 25)
        size *= 2;
    uint64_t state = timers;
    streams->picks_count = size;
    streams->picks = malloc(size * sizeof *streams->picks);
    for (uint32_t i = 0; streams->picks != NULL && i < size; i++)
        streams->picks[i] = (uint32_t)((bench_random(&state) >> 32) * timers >> 32);
    for (uint32_t i = 0; i < DELAYS; i++)
        streams->delays_ns[i] = least_ns + bench_random(&state) % (most_ns - least_ns);
    return streams->picks != NULL;
}

static bool has_loop(const struct peer *peer, enum loop loop)
{
    return loop == LOOP_REARM          ? peer->rearm != NULL
           : loop == LOOP_REFRESH      ? peer->refresh != NULL
           : loop == LOOP_CANCEL_BURST ? peer->cancel_burst != NULL
                                       : peer->insert_expire != NULL;
}

/* Each run is led in by some operations that are not timed: the one before it has left a cold cache. */
static uint64_t lead_in(const struct peer *peer, enum loop loop, uint32_t timers)
{
    const uint32_t count = timers < 1000000 ? timers : 1000000;
    return loop == LOOP_REARM ? peer->rearm(count) : loop == LOOP_REFRESH ? peer->refresh(count) : 0;
}

/* One run; *operations is what it performed. Returns the timers that expired. */
static uint64_t run_loop(const struct peer *peer, enum loop loop, uint32_t timers, uint32_t *operations)
{
    uint32_t count = timers > OPERATIONS_MIN ? timers : OPERATIONS_MIN;
    count = count > 4000000 ? 4000000 : count;
    uint64_t expired = 0;
    switch (loop) {
    case LOOP_REARM:
        expired = peer->rearm(count);
        break;
    case LOOP_REFRESH:
        expired = peer->refresh(count);
        break;
    case LOOP_CANCEL_BURST:
        count = (OPERATIONS_MIN + timers - 1) / timers * timers;
        expired = peer->cancel_burst(count);
        break;
    case LOOP_INSERT_EXPIRE:
        count = 0;
        do {
            expired += peer->insert_expire((uint32_t)(DELAY_MAX_NS / (100 * MS)) + 10);
            count += timers;
        } while (count < OPERATIONS_MIN / 2);
        if (expired != count)
            fprintf(stderr, "aw-bench: %s: %u timers armed, %llu ran\n", peer->name, (unsigned)count,
                    (unsigned long long)expired);
        break;
    }
    *operations = count;
    return expired;
}

/* The steady state: every timer has been re-armed some times over, and lazy links have sunk as far as they
 * will. */
static uint64_t warm_up(const struct peer *peer, enum loop loop, uint32_t timers)
{
    const uint64_t start = bench_cpu_ns();
    const uint64_t wanted = loop <= LOOP_REFRESH ? UINT64_C(4) * timers : 1;
    uint64_t expired = 0;
    uint64_t done = 0;
    while (done < wanted && bench_cpu_ns() - start < ROW_LIMIT_NS / 3) {
        uint32_t operations;
        expired += run_loop(peer, loop, timers, &operations);
        done += operations;
    }
    return expired;
}

/*
 * The same stream must have made about the same timers expire, or somebody did not do the work. Roundings
 * and the last step make a difference where few expire.
 */
static void compare_expired(const struct row *row, const struct peer *peer, uint64_t expired, uint64_t ours)
{
    if (expired > 20 + ours * 2 || ours > 20 + expired * 2)
        fprintf(stderr, "aw-bench: %s: %s let %llu timers expire, alarmwheel %llu\n", row->bench, peer->name,
                (unsigned long long)expired, (unsigned long long)ours);
}

static void run_row(const struct row *row, const struct peer *ours, uint32_t timers)
{
    const struct peer *peers[BENCH_PEERS_MAX];
    struct bench_series series[BENCH_PEERS_MAX];
    uint64_t used_ns[BENCH_PEERS_MAX] = { 0 };
    uint64_t expired[BENCH_PEERS_MAX] = { 0 };
    memset(series, 0, sizeof series);
    unsigned count = bench_peers(ours, row->with_floor, peers);

    static struct streams streams;
    if (!make_streams(timers, row->real_clock, &streams)) {
        fprintf(stderr, "aw-bench: %s: out of memory\n", row->bench);
        return;
    }
    const struct bench_setup setup = {
        .timers = timers,
        .picks = streams.picks,
        .picks_count = streams.picks_count,
        .delays_ns = streams.delays_ns,
        .delays_count = DELAYS,
        .real_clock = row->real_clock,
        .refresh = row->loop == LOOP_REFRESH,
        .refresh_ns = row->real_clock ? REAL_MIN_NS : REFRESH_NS,
        .armed = row->loop <= LOOP_REFRESH,
        .per_step = row->real_clock ? 1000
                    : !row->moving  ? 0
                    : timers < 1000 ? 1
                                    : timers / 1000,
        .step_ns = row->loop == LOOP_INSERT_EXPIRE ? 100 * MS : 1 * MS,
    };
    unsigned opened = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!has_loop(peers[i], row->loop))
            continue;
        const char *why = peers[i]->open(&setup);
        if (why != NULL)
            fprintf(stderr, "aw-bench: %s: %s: %s\n", row->bench, peers[i]->name, why);
        else
            peers[opened++] = peers[i];
    }
    for (unsigned i = 0; i < opened; i++)
        expired[i] = warm_up(peers[i], row->loop, timers);
    for (unsigned run = 0; run < bench_options.runs; run++) {
        for (unsigned i = 0; i < opened; i++) {
            if (used_ns[i] > ROW_LIMIT_NS)
                continue;
            uint32_t operations;
            expired[i] += lead_in(peers[i], row->loop, timers);
            const uint64_t start = bench_cpu_ns();
            expired[i] += run_loop(peers[i], row->loop, timers, &operations);
            const uint64_t took = bench_cpu_ns() - start;
            used_ns[i] += took;
            bench_sample(&series[i], (double)took / operations);
        }
    }
    for (unsigned i = 0; i < opened; i++) {
        bench_report(row->bench, peers[i]->name, timers, "ns", &series[i]);
        if (row->moving && !row->real_clock && peers[i] != &bench_floor && peers[0] == ours &&
            series[i].count == series[0].count)
            compare_expired(row, peers[i], expired[i], expired[0]);
        peers[i]->close();
    }
    free(streams.picks);
}

static void run_rows(const struct row *rows, size_t count, const struct peer *ours)
{
    for (size_t i = 0; i < count; i++)
        for (unsigned size = 0; size < bench_options.sizes_count; size++)
            if (bench_wanted(rows[i].bench))
                run_row(&rows[i], ours, bench_options.sizes[size]);
}

void bench_wheel(void)
{
    run_rows(wheel_rows, sizeof wheel_rows / sizeof *wheel_rows, &bench_ours_wheel);
}

void bench_timer(void)
{
    run_rows(timer_rows, sizeof timer_rows / sizeof *timer_rows, &bench_ours_timer);
}
