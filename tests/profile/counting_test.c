/* SPDX-License-Identifier: MIT */
/*
 * counting_test.c: what is counted: samples of each clock, at the places where the program was, with totals
 * that are what the threads have used; snapshots that neither lose nor repeat; labels; and what is lost or
 * cut short when memory or depth do not suffice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "profile/labels.h"
#include "signal_fixture.h"
#include "work.h"

/* --- Clocks --------------------------------------------------------------------------------------------- */

START_TEST(processor_time_is_sampled)
{
    uint64_t outer_passed = clock_ns();
    uint64_t outer = cpu_ns();
    start_profile(AW_PROFILE_CPU, 1000);
    uint64_t inner = cpu_ns();
    uint64_t inner_passed = clock_ns();
    pass_ms(200); /* costs next to nothing */
    burn_until_samples(50);
    inner_passed = clock_ns() - inner_passed;
    inner = cpu_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = cpu_ns() - outer;
    outer_passed = clock_ns() - outer_passed;
    struct aw_profile_stats stats = profile_stats();
    expect_between(stats.time_ns, inner, outer);
    expect_between(stats.elapsed_ns, inner_passed, outer_passed);
    ck_assert_uint_eq(stats.threads, 1);
    if (stats.capped_hz != 0) /* no more than there were ticks */
        ck_assert_uint_le(stats.samples + stats.lost, stats.elapsed_ns / (AW_SEC(1) / stats.capped_hz) + 5);
    double rate = (double)(stats.samples + stats.lost) * 1e9 / (double)stats.time_ns;
    ck_assert_double_le(stats.achieved_hz, rate * 1.001);
    ck_assert_double_ge(stats.achieved_hz, rate * 0.999);
}
END_TEST

/* What the kernel says of this thread's time outside of it, which it counts by whom its ticks meet. */
static uint64_t user_ns(void)
{
    struct timespec now;
    clockid_t clock = (clockid_t)((~(unsigned)gettid()) << 3 | 4u | 1u);
    ck_assert_int_eq(clock_gettime(clock, &now), 0);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

/* Half of the time is spent in the kernel, and does not count. */
static void read_zeros(int fd)
{
    static char zeros[256 * 1024];
    for (uint64_t until = cpu_ns() + AW_MS(5); cpu_ns() < until;)
        ck_assert_int_gt((int)read(fd, zeros, sizeof zeros), 0); /* fewer, if a signal comes */
}

START_TEST(time_in_the_program_is_sampled)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    uint64_t outer = user_ns();
    start_profile(AW_PROFILE_USER, 250);
    uint64_t inner = user_ns();
    for (uint64_t samples = 1; samples <= 40; ++samples) {
        burn_until_samples(samples);
        read_zeros(fd);
    }
    inner = user_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = user_ns() - outer;
    expect_between(profile_stats().time_ns, inner, outer);
    close(fd);
}
END_TEST

/* Samples of 300 ms of sleep. */
static uint64_t samples_asleep(void)
{
    uint64_t before = profile_stats().samples;
    pass_ms(300);
    return profile_stats().samples - before;
}

START_TEST(passing_time_is_sampled)
{
    uint64_t outer = clock_ns();
    start_profile(AW_PROFILE_WALL, 500);
    uint64_t inner = clock_ns();
    /* Fewer, where the machine stands still meanwhile. */
    while (samples_asleep() < 20)
        ck_assert_uint_lt(clock_ns() - inner, AW_SEC(60));
    burn_ms(100);
    inner = clock_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = clock_ns() - outer;
    struct aw_profile_stats stats = profile_stats();
    expect_between(stats.time_ns, inner, outer);
    expect_between(stats.elapsed_ns, stats.time_ns, outer);
    ck_assert_uint_le(stats.samples,
                      2 * 500 * outer / AW_SEC(1) + 10); /* intervals of half a period at least */
    ck_assert_uint_eq(stats.capped_hz, 0);
}
END_TEST

START_TEST(sleep_uses_no_processor_time)
{
    uint64_t outer = cpu_ns();
    start_profile(AW_PROFILE_CPU, 1000);
    uint64_t inner = cpu_ns();
    pass_ms(300);
    inner = cpu_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = cpu_ns() - outer;
    struct aw_profile_stats stats = profile_stats();
    expect_between(stats.time_ns, inner, outer);
    ck_assert_uint_ge(stats.elapsed_ns, AW_MS(300));
}
END_TEST

START_TEST(a_rate_above_the_ticks_is_said_to_be_capped)
{
    struct timespec tick;
    ck_assert_int_eq(clock_getres(CLOCK_MONOTONIC_COARSE, &tick), 0);
    unsigned ticks = (unsigned)(1000000000 / tick.tv_nsec);
    start_profile(AW_PROFILE_CPU, 10000);
    ck_assert_uint_eq(profile_stats().capped_hz, ticks);
    ck_assert_int_eq(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_CPU, ticks);
    ck_assert_uint_eq(profile_stats().capped_hz, 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_WALL, 10000);
    ck_assert_uint_eq(profile_stats().capped_hz, 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* --- Places --------------------------------------------------------------------------------------------- */

static volatile unsigned sink;

/* Their addresses are known: samples have to lie in them. */
static __attribute__((noinline)) void inner(uint64_t until)
{
    while (cpu_ns() < until) {
        for (unsigned i = 0; i < 5000; ++i)
            sink = sink * 1664525 + 1013904223;
    }
    sink = 1;
}

static __attribute__((noinline)) void outer(uint64_t until)
{
    inner(until);
    sink = 2;
}

static bool lies_in(uint64_t pc, void (*function)(uint64_t until))
{
    uint64_t start = (uint64_t)(uintptr_t)function;
    return pc >= start && pc < start + 512;
}

START_TEST(samples_lie_where_the_program_was)
{
    start_profile(AW_PROFILE_CPU, 250);
    uint64_t began = cpu_ns();
    while (profile_stats().samples < 30)
        outer(cpu_ns() + AW_MS(20));
    uint64_t used = cpu_ns() - began;
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    uint64_t here = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        for (uint32_t frame = 0; frame + 1 < sample->depth; ++frame) {
            if (lies_in(sample->pcs[frame], inner) && lies_in(sample->pcs[frame + 1], outer)) {
                here += sample->time_ns;
                break;
            }
        }
    }
    ck_assert_uint_ge(here, used / 2);
    ck_assert_uint_le(here, used + AW_MS(2));
    aw_profile_free(profile);
}
END_TEST

static unsigned depth_wanted;

static __attribute__((noinline)) unsigned descend(unsigned depth)
{
    if (depth == depth_wanted)
        burn_ms(10);
    else
        sink += descend(depth + 1);
    return sink + depth;
}

static void descend_until_samples(unsigned depth, uint64_t samples)
{
    uint64_t began = clock_ns();
    depth_wanted = depth;
    while (profile_stats().samples < samples) {
        sink = descend(0);
        ck_assert_uint_lt(clock_ns() - began, AW_SEC(60));
    }
}

START_TEST(stacks_that_are_too_deep_are_cut_short)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_depth = 20;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    descend_until_samples(200, 20);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_ge(stats.truncated, stats.samples / 2);
    ck_assert_uint_le(stats.truncated, stats.samples);
    struct aw_profile *profile = take();
    uint64_t truncated = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        ck_assert_uint_le(profile->samples[i].depth, 20);
        if (profile->samples[i].kind != AWI_TRUNCATED)
            continue;
        ck_assert_uint_eq(profile->samples[i].depth, 20);
        truncated += profile->samples[i].count;
    }
    ck_assert_uint_eq(truncated, stats.truncated);
    aw_profile_free(profile);
}
END_TEST

START_TEST(one_frame_is_a_stack)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_depth = 1;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    burn_until_samples(20);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    for (size_t i = 0; i < profile->samples_count; ++i)
        ck_assert_uint_eq(profile->samples[i].depth, 1);
    aw_profile_free(profile);
}
END_TEST

START_TEST(recursion_of_ten_thousand_is_survived)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_depth = 256;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    descend_until_samples(10000, 10);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_gt(profile_stats().truncated, 0);
}
END_TEST

/* --- Too little memory ---------------------------------------------------------------------------------- */

/* More stacks than the table can hold, one a depth and a label, each met at least once. */
START_TEST(what_does_not_fit_is_lost_and_totals_are_true)
{
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 10000);
    options.max_bytes = 64 * 1024;
    options.max_depth = 256;
    uint64_t outer = clock_ns();
    ck_assert_int_eq(aw_profile_start(&options), 0);
    uint64_t inner = clock_ns();
    char value[16];
    for (unsigned i = 0; profile_stats().lost < 50; ++i) {
        snprintf(value, sizeof value, "%u", i % 4000);
        ck_assert_int_eq(aw_profile_label_push("number", value), 0);
        depth_wanted = 200;
        uint64_t met = profile_stats().samples + profile_stats().lost;
        while (profile_stats().samples + profile_stats().lost == met) {
            sink = descend(i % 100);
            ck_assert_uint_lt(clock_ns() - inner, AW_SEC(60));
        }
        ck_assert_int_eq(aw_profile_label_pop(), 0);
    }
    inner = clock_ns() - inner;
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = clock_ns() - outer;
    struct aw_profile_stats stats = profile_stats();
    expect_between(stats.time_ns, inner, outer);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_time(profile), stats.time_ns);
    ck_assert_uint_eq(awi_profile_count(profile), stats.samples + stats.lost);
    uint64_t lost_ns = time_of_kind(profile, AWI_LOST);
    ck_assert_uint_gt(lost_ns, 0);
    ck_assert_uint_lt(lost_ns, stats.time_ns);
    aw_profile_free(profile);
}
END_TEST

/* --- Pauses --------------------------------------------------------------------------------------------- */

START_TEST(a_pause_counts_nothing)
{
    enum aw_profile_clock clock = (enum aw_profile_clock)_i;
    start_profile(clock, 1000);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_pause(), 0);
    struct aw_profile_stats before = profile_stats();
    burn_ms(100);
    pass_ms(50);
    struct aw_profile_stats after = profile_stats();
    ck_assert_uint_eq(after.samples, before.samples);
    ck_assert_uint_eq(after.lost, before.lost);
    ck_assert_uint_eq(after.time_ns, before.time_ns);
    ck_assert_uint_eq(after.elapsed_ns, before.elapsed_ns);
    ck_assert_uint_eq(after.foreign, 0);
    ck_assert_int_eq(aw_profile_resume(), 0);
    burn_until_samples(before.samples + 5);
    uint64_t since = profile_stats().time_ns - before.time_ns;
    ck_assert_uint_gt(since, 0);
    ck_assert_int_eq(aw_profile_pause(), 0);
    before = profile_stats();
    burn_ms(50);
    ck_assert_int_eq(aw_profile_stop(), 0);
    after = profile_stats();
    ck_assert_uint_eq(after.time_ns, before.time_ns);
    ck_assert_uint_eq(after.elapsed_ns, before.elapsed_ns);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_time(profile), after.time_ns);
    aw_profile_free(profile);
}
END_TEST

/* Other threads' handlers may be on their way: when it returns, they have done. */
START_TEST(a_pause_is_one_when_it_returns)
{
    struct worker workers[2] = { { .is_registered = true, .depth = 240 }, { .depth = 240 } };
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 10000);
    unsigned rounds = scaled(300);
    options.max_depth = 256;
    for (unsigned i = 0; i < 2; ++i)
        start_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    for (unsigned round = 0; round < rounds; ++round) {
        pass_ms(1);
        ck_assert_int_eq(aw_profile_pause(), 0);
        struct aw_profile_stats before = profile_stats();
        pass_ms(1);
        struct aw_profile_stats after = profile_stats();
        ck_assert_uint_eq(after.samples + after.lost, before.samples + before.lost);
        ck_assert_uint_eq(after.time_ns, before.time_ns);
        ck_assert_int_eq(aw_profile_resume(), 0);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    for (unsigned i = 0; i < 2; ++i)
        stop_worker(&workers[i]);
}
END_TEST

/* Pauses at every instant: the time in between is what the test has measured. */
START_TEST(many_pauses_add_up)
{
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(aw_profile_pause(), 0);
    uint64_t inner = profile_stats().time_ns;
    uint64_t outer = inner;
    for (unsigned i = 0; i < 200; ++i) {
        uint64_t resumes = cpu_ns();
        ck_assert_int_eq(aw_profile_resume(), 0);
        uint64_t began = cpu_ns();
        burn_ms(1 + i % 3);
        inner += cpu_ns() - began;
        ck_assert_int_eq(aw_profile_pause(), 0);
        outer += cpu_ns() - resumes;
        burn_ms(i % 2);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    expect_between(profile_stats().time_ns, inner, outer);
    ck_assert_uint_gt(profile_stats().samples, 0);
}
END_TEST

/* --- Snapshots ------------------------------------------------------------------------------------------ */

struct sums {
    uint64_t samples, lost, truncated, unknown, time_ns, count;
};

static void add_snapshot(struct sums *sums)
{
    struct aw_profile *profile = take();
    sums->samples += profile->stats.samples;
    sums->lost += profile->stats.lost;
    sums->truncated += profile->stats.truncated;
    sums->unknown += profile->stats.unknown;
    sums->time_ns += awi_profile_time(profile);
    sums->count += awi_profile_count(profile);
    aw_profile_free(profile);
}

static void expect_sums(const struct sums *sums)
{
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(sums->samples, stats.samples);
    ck_assert_uint_eq(sums->lost, stats.lost);
    ck_assert_uint_eq(sums->truncated, stats.truncated);
    ck_assert_uint_eq(sums->unknown, stats.unknown);
    ck_assert_uint_eq(sums->time_ns, stats.time_ns);
    ck_assert_uint_eq(sums->count, stats.samples + stats.lost);
}

/*
 * Three threads are sampled as fast as can be, with stacks that take the handler long, while snapshots are
 * taken at every instant.
 */
START_TEST(snapshots_lose_and_repeat_nothing)
{
    struct worker workers[3] = { { .is_registered = true, .depth = 240 },
                                 { .is_registered = true, .depth = 240 },
                                 { .depth = 240 } };
    struct sums sums = { 0 };
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 5000);
    options.max_depth = 256;
    for (unsigned i = 0; i < 3; ++i)
        start_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    unsigned snapshots = 0;
    uint64_t began = clock_ns();
    while (clock_ns() - began < AW_SEC(2) || snapshots < scaled(20) || sums.samples < scaled(500)) {
        ck_assert_uint_lt(clock_ns() - began, AW_SEC(60));
        add_snapshot(&sums);
        if (snapshots++ % 7 == 0)
            pass_ms(1);
    }
    for (unsigned i = 0; i < 3; ++i)
        stop_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_stop(), 0);
    add_snapshot(&sums);
    expect_sums(&sums);
    expect_no_profile();
}
END_TEST

/* Snapshots before any sample, while it is paused, and one after another. */
START_TEST(time_is_in_one_snapshot_only)
{
    struct sums sums = { 0 };
    uint64_t outer = cpu_ns();
    start_profile(AW_PROFILE_CPU, 1);
    burn_ms(20);
    add_snapshot(&sums);
    add_snapshot(&sums);
    burn_ms(20);
    ck_assert_int_eq(aw_profile_pause(), 0);
    add_snapshot(&sums);
    add_snapshot(&sums);
    ck_assert_int_eq(aw_profile_resume(), 0);
    burn_ms(20);
    add_snapshot(&sums);
    ck_assert_int_eq(aw_profile_pause(), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    outer = cpu_ns() - outer;
    add_snapshot(&sums);
    expect_between(sums.time_ns, AW_MS(60), outer);
    expect_sums(&sums);
    expect_no_profile();
}
END_TEST

START_TEST(snapshots_hold_their_part_of_the_time)
{
    uint64_t before = cpu_ns();
    start_profile(AW_PROFILE_CPU, 1000);
    uint64_t started = cpu_ns();
    burn_until_samples(10);
    uint64_t burnt = cpu_ns();
    struct aw_profile *first = take();
    uint64_t taken = cpu_ns();
    burn_until_samples(awi_profile_count(first) + 10);
    uint64_t burnt_again = cpu_ns();
    struct aw_profile *other = take();
    uint64_t ended = cpu_ns();
    expect_between(awi_profile_time(first), burnt - started, taken - before);
    expect_between(awi_profile_time(other), burnt_again - taken, ended - burnt);
    ck_assert_uint_ge(awi_profile_count(other), 10);
    aw_profile_free(first);
    ck_assert_int_eq(aw_profile_stop(), 0);
    aw_profile_free(other); /* they outlive the profile */
}
END_TEST

/* The second piece of memory is there from the first snapshot on, and no third. */
START_TEST(memory_does_not_grow_with_snapshots)
{
    start_profile(AW_PROFILE_CPU, 100);
    size_t one = profile_stats().bytes;
    aw_profile_free(take());
    size_t two = profile_stats().bytes;
    ck_assert_uint_gt(two, one);
    ck_assert_uint_le(two, 2 * one + 4096);
    for (unsigned i = 0; i < 50; ++i)
        aw_profile_free(take());
    ck_assert_uint_eq(profile_stats().bytes, two);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* --- Labels --------------------------------------------------------------------------------------------- */

/* The labels of a sample from the outside in, as "key=value key=value". */
static void describe(const struct aw_profile *profile, uint32_t label, char *text, size_t bytes)
{
    text[0] = '\0';
    if (label == 0)
        return;
    ck_assert_uint_lt(profile->labels[label].parent, label);
    describe(profile, profile->labels[label].parent, text, bytes);
    size_t used = strlen(text);
    snprintf(text + used, bytes - used, "%s%s=%s", used != 0 ? " " : "", profile->labels[label].key,
             profile->labels[label].value);
}

static uint64_t count_labelled(const struct aw_profile *profile, const char *wanted)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        char text[256];
        describe(profile, profile->samples[i].label, text, sizeof text);
        sum += strcmp(text, wanted) == 0 ? profile->samples[i].count : 0;
    }
    return sum;
}

static void more_samples(uint64_t samples)
{
    burn_until_samples(profile_stats().samples + samples);
}

START_TEST(labels_tell_samples_apart)
{
    char key[] = "kind", value[] = "query";
    ck_assert_int_eq(aw_profile_label_push("early", "yes"), 0); /* before the start */
    start_profile(AW_PROFILE_CPU, 1000);
    more_samples(5);
    ck_assert_int_eq(aw_profile_label_push(key, value), 0);
    strcpy(key, "gone"); /* they are copied */
    strcpy(value, "gone");
    more_samples(5);
    ck_assert_int_eq(aw_profile_label_push("kind", "query"), 0); /* the same once more is another set */
    more_samples(5);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_push("kind", "update"), 0);
    more_samples(5);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    more_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    static const char *const wanted[] = { "", "early=yes", "early=yes kind=query",
                                          "early=yes kind=query kind=query", "early=yes kind=update" };
    uint64_t sum = 0;
    for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; ++i) {
        ck_assert_msg(count_labelled(profile, wanted[i]) >= 4, "%s", wanted[i]);
        sum += count_labelled(profile, wanted[i]);
    }
    ck_assert_uint_eq(sum, profile->stats.samples);
    aw_profile_free(profile);
}
END_TEST

START_TEST(equal_sets_are_one)
{
    struct awi_label labels[AWI_LABELS_MAX + 1];
    for (unsigned i = 0; i < 100000; ++i) {
        ck_assert_int_eq(aw_profile_label_push("kind", i % 2 == 0 ? "even" : "odd"), 0);
        ck_assert_int_eq(aw_profile_label_push("inner", ""), 0);
        ck_assert_int_eq(aw_profile_label_pop(), 0);
        ck_assert_int_eq(aw_profile_label_pop(), 0);
    }
    ck_assert_uint_eq(awi_labels_copy(labels, AWI_LABELS_MAX + 1), 5);
}
END_TEST

START_TEST(there_are_4096_sets)
{
    char value[16];
    for (unsigned i = 0; i < 4096; ++i) {
        snprintf(value, sizeof value, "%u", i);
        ck_assert_int_eq(aw_profile_label_push("number", value), 0);
        if (i % 3 != 0)
            ck_assert_int_eq(aw_profile_label_pop(), 0);
    }
    ck_assert_int_eq(aw_profile_label_push("number", "one too many"), -ENOSPC);
    /* What there is can still be had, and what was refused has changed nothing. */
    for (unsigned i = 0; i < 4096 / 3 + 1; ++i)
        ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_pop(), -ENOENT);
    ck_assert_int_eq(aw_profile_label_push("number", "0"), 0);
    ck_assert_int_eq(aw_profile_label_push("number", "one too many"), -ENOSPC);
    start_profile(AW_PROFILE_CPU, 1000);
    more_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(profile->labels_count, 4097);
    ck_assert_uint_eq(count_labelled(profile, "number=0"), profile->stats.samples);
    aw_profile_free(profile);
}
END_TEST

static void *label_itself(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; !atomic_load(&worker->is_told); ++i) {
        char value[16];
        snprintf(value, sizeof value, "%u", i % 50);
        ck_assert_int_eq(aw_profile_label_push("of", worker->name), 0);
        ck_assert_int_eq(aw_profile_label_push("number", value), 0);
        burn_ms(0);
        ck_assert_int_eq(aw_profile_label_pop(), 0);
        ck_assert_int_eq(aw_profile_label_pop(), 0);
    }
    ck_assert_int_eq(aw_profile_label_pop(), -ENOENT);
    return NULL;
}

/* A thread's labels are its own. */
START_TEST(threads_label_themselves)
{
    struct worker workers[2] = { { .name = "one" }, { .name = "two" } };
    ck_assert_int_eq(aw_profile_label_push("of", "main"), 0);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, label_itself, &workers[i]), 0);
    start_profile(AW_PROFILE_WALL, 2000);
    for (unsigned i = 0; i < 20; ++i) {
        pass_ms(20);
        aw_profile_free(take());
    }
    burn_until_samples(100);
    struct aw_profile *profile = take();
    for (unsigned i = 0; i < 2; ++i)
        stop_worker(&workers[i]);
    ck_assert_int_eq(aw_profile_stop(), 0);
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        char text[64];
        describe(profile, sample->label, text, sizeof text);
        if (profile->threads[sample->thread].tid == getpid())
            ck_assert(sample->count == 0 || strcmp(text, "of=main") == 0);
        else
            ck_assert_ptr_null(strstr(text, "main"));
    }
    aw_profile_free(profile);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile counting");
    TCase *clocks = signal_case(suite, "clocks");
    tcase_add_test(clocks, processor_time_is_sampled);
    tcase_add_test(clocks, time_in_the_program_is_sampled);
    tcase_add_test(clocks, passing_time_is_sampled);
    tcase_add_test(clocks, sleep_uses_no_processor_time);
    tcase_add_test(clocks, a_rate_above_the_ticks_is_said_to_be_capped);
    TCase *places = signal_case(suite, "places");
    tcase_add_test(places, samples_lie_where_the_program_was);
    tcase_add_test(places, stacks_that_are_too_deep_are_cut_short);
    tcase_add_test(places, one_frame_is_a_stack);
    tcase_add_test(places, recursion_of_ten_thousand_is_survived);
    TCase *memory = signal_case(suite, "too little memory");
    tcase_add_test(memory, what_does_not_fit_is_lost_and_totals_are_true);
    TCase *pauses = signal_case(suite, "pauses");
    tcase_add_loop_test(pauses, a_pause_counts_nothing, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(pauses, a_pause_is_one_when_it_returns);
    tcase_add_test(pauses, many_pauses_add_up);
    TCase *snapshots = signal_case(suite, "snapshots");
    tcase_add_test(snapshots, snapshots_lose_and_repeat_nothing);
    tcase_add_test(snapshots, time_is_in_one_snapshot_only);
    tcase_add_test(snapshots, snapshots_hold_their_part_of_the_time);
    tcase_add_test(snapshots, memory_does_not_grow_with_snapshots);
    TCase *labels = signal_case(suite, "labels");
    tcase_add_test(labels, labels_tell_samples_apart);
    tcase_add_test(labels, equal_sets_are_one);
    tcase_add_test(labels, there_are_4096_sets);
    tcase_add_test(labels, threads_label_themselves);
    return run_suite(suite);
}
