/* SPDX-License-Identifier: MIT */
/*
 * stacks_test.c: the hash that the handler counts in: what is one stack and what is two, what happens when
 * it is full, and that threads which insert at once lose nothing. What was counted is read back record by
 * record, as freeze.c does.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "profile/sampler/recording.h"
#include "profile/sampler/stacks.h"

#define BYTES ((size_t)1 << 20)

static struct awi_recording recording;
static void *second;

static void begin(void)
{
    void *block = calloc(1, BYTES);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(awi_recording_format(block, BYTES, &recording), 0);
    second = calloc(1, awi_recording_half_bytes(&recording));
    ck_assert_ptr_nonnull(second);
    awi_recording_set_half(&recording, second);
}

static void end(void)
{
    free(recording.head);
    free(second);
}

static struct awi_stack_record *count_in(unsigned half, uint16_t thread, uint32_t label, const uint64_t *pcs,
                                         unsigned depth)
{
    struct awi_taken taken = { .thread = thread, .weight_ns = 1, .label = label, .depth = depth, .pcs = pcs };
    return awi_stacks_count(&recording, half, &taken);
}

static struct awi_stack_record *count(uint16_t thread, uint32_t label, const uint64_t *pcs, unsigned depth)
{
    return count_in(0, thread, label, pcs, depth);
}

/* A stack of its own for each number; they differ in the outermost frame only. */
static void make_stack(uint64_t number, uint64_t *pcs, unsigned depth)
{
    for (unsigned i = 0; i < depth; ++i)
        pcs[i] = 0x1000 + i;
    pcs[depth - 1] = number;
}

static uint64_t count_of(const struct awi_stack_record *record)
{
    return atomic_load(&record->count);
}

static void expect_frames(const struct awi_half *half, const struct awi_stack_record *record,
                          const uint64_t *pcs, unsigned depth)
{
    uint32_t frames = atomic_load(&record->frames);
    ck_assert_uint_eq(record->depth, depth);
    ck_assert_uint_gt(frames, 0);
    ck_assert_uint_le(frames - 1 + depth, recording.head->frames_max);
    ck_assert_mem_eq(&half->frames[frames - 1], pcs, depth * sizeof pcs[0]);
}

/* The records that are whole, and the sum of their counts. */
static unsigned whole(unsigned half, uint64_t *sum)
{
    unsigned records = 0;
    *sum = 0;
    for (uint32_t i = 0; i < recording.head->stacks_max; ++i) {
        const struct awi_stack_record *record = &recording.halves[half].stacks[i];
        if (atomic_load(&record->frames) == 0)
            continue;
        ++records;
        *sum += count_of(record);
    }
    return records;
}

/* --- One stack or two ----------------------------------------------------------------------------------- */

START_TEST(the_same_stack_is_counted)
{
    const uint64_t pcs[] = { 0x10, 0x20, 0x30 };
    struct awi_stack_record *record = count(1, 2, pcs, 3);
    ck_assert_ptr_nonnull(record);
    expect_frames(&recording.halves[0], record, pcs, 3);
    ck_assert_uint_eq(record->thread, 1);
    ck_assert_uint_eq(record->label, 2);
    for (unsigned i = 2; i <= 1000; ++i) {
        const uint64_t again[] = { 0x10, 0x20, 0x30 }; /* elsewhere in memory */
        ck_assert_ptr_eq(count(1, 2, again, 3), record);
        ck_assert_uint_eq(count_of(record), i);
    }
    uint64_t sum;
    ck_assert_uint_eq(whole(0, &sum), 1);
    ck_assert_uint_eq(sum, 1000);
    ck_assert_uint_eq(atomic_load(&recording.head->half.frames_used), 3);
}
END_TEST

START_TEST(what_differs_is_counted_apart)
{
    const uint64_t pcs[] = { 0x10, 0x20, 0x30, 0x40 };
    const uint64_t inner[] = { 0x11, 0x20, 0x30, 0x40 };
    const uint64_t outer[] = { 0x10, 0x20, 0x30, 0x41 };
    const uint64_t swapped[] = { 0x20, 0x10, 0x30, 0x40 };
    struct awi_stack_record *records[] = {
        count(0, 0, pcs, 4),     count(0, 0, pcs, 3),     count(0, 0, pcs, 1),
        count(1, 0, pcs, 4),     count(0, 1, pcs, 4),     count(UINT16_MAX - 1, 0, pcs, 4),
        count(0, 4096, pcs, 4),  count(0, 0, inner, 4),   count(0, 0, outer, 4),
        count(0, 0, swapped, 4), count(0, 0, &pcs[1], 3), count_in(1, 0, 0, pcs, 4),
    };
    enum {
        COUNT = sizeof records / sizeof records[0]
    };
    for (unsigned i = 0; i < COUNT; ++i) {
        ck_assert_ptr_nonnull(records[i]);
        ck_assert_uint_eq(count_of(records[i]), 1);
        for (unsigned j = 0; j < i; ++j)
            ck_assert_ptr_ne(records[i], records[j]);
    }
    uint64_t sum;
    ck_assert_uint_eq(whole(0, &sum), COUNT - 1);
    ck_assert_uint_eq(whole(1, &sum), 1);
}
END_TEST

START_TEST(zeros_are_a_stack_like_others)
{
    const uint64_t zeros[AWI_DEPTH_MAX] = { 0 };
    struct awi_stack_record *one = count(0, 0, zeros, 1);
    struct awi_stack_record *two = count(0, 0, zeros, 2);
    ck_assert_ptr_nonnull(one);
    ck_assert_ptr_nonnull(two);
    ck_assert_ptr_ne(one, two);
    ck_assert_ptr_eq(count(0, 0, zeros, 1), one);
    ck_assert_uint_ne(atomic_load(&one->hash), 0);
}
END_TEST

START_TEST(the_deepest_stack_is_kept_whole)
{
    uint64_t pcs[AWI_DEPTH_MAX];
    for (unsigned i = 0; i < AWI_DEPTH_MAX; ++i)
        pcs[i] = 0x5000 + i * i;
    struct awi_taken taken = { .weight_ns = 1, .depth = AWI_DEPTH_MAX, .pcs = pcs, .is_truncated = true };
    struct awi_stack_record *record = awi_stacks_count(&recording, 0, &taken);
    ck_assert_ptr_nonnull(record);
    expect_frames(&recording.halves[0], record, pcs, AWI_DEPTH_MAX);
    ck_assert_uint_eq(record->is_truncated, 1);
    ck_assert_ptr_eq(awi_stacks_count(&recording, 0, &taken), record);
    struct awi_stack_record *shallower = count(0, 0, pcs, AWI_DEPTH_MAX - 1);
    ck_assert_ptr_nonnull(shallower);
    ck_assert_uint_eq(shallower->is_truncated, 0);
}
END_TEST

static void no_function(void)
{
}

/* Innermost address in a file or not; callers do not matter. */
START_TEST(code_of_no_file_is_unknown)
{
    uint64_t here = (uint64_t)(uintptr_t)no_function;
    const uint64_t in_file[] = { here, 0x20 };
    const uint64_t outside[] = { 0x20, here };
    struct awi_stack_record *known = count(0, 0, in_file, 2);
    struct awi_stack_record *unknown = count(0, 0, outside, 2);
    ck_assert_ptr_nonnull(known);
    ck_assert_ptr_nonnull(unknown);
    ck_assert_uint_eq(known->is_unknown, 0);
    ck_assert_uint_eq(unknown->is_unknown, 1);
    ck_assert_uint_eq(atomic_load(&recording.head->modules_used), 1);
    const struct awi_module_record *module = &recording.modules[0];
    ck_assert_uint_eq(atomic_load(&module->is_ready), 1);
    ck_assert_uint_le(module->start, here);
    ck_assert_uint_gt(module->end, here);
    ck_assert_str_eq(recording.strings + module->path, ""); /* the program itself */
}
END_TEST

/* --- Full ----------------------------------------------------------------------------------------------- */

START_TEST(too_many_stacks_are_lost)
{
    uint64_t pcs[2];
    uint32_t max = recording.head->stacks_max;
    unsigned kept = 0, lost = 0;
    for (uint64_t i = 0; i < 3 * (uint64_t)max; ++i) {
        make_stack(i, pcs, 2);
        if (count(0, 0, pcs, 2) != NULL)
            ++kept;
        else
            ++lost;
    }
    ck_assert_uint_ge(kept, max - max / 50); /* nearly all of the table is used */
    ck_assert_uint_le(kept, max);
    uint64_t sum;
    ck_assert_uint_eq(whole(0, &sum), kept);
    ck_assert_uint_eq(sum, kept);
    ck_assert_uint_eq(whole(1, &sum), 0);

    /* What is in it goes on being counted, and is as it was. */
    unsigned found = 0;
    for (uint64_t i = 0; i < 3 * (uint64_t)max; ++i) {
        make_stack(i, pcs, 2);
        struct awi_stack_record *record = count(0, 0, pcs, 2);
        if (record == NULL)
            continue;
        ++found;
        ck_assert_uint_eq(count_of(record), 2);
        expect_frames(&recording.halves[0], record, pcs, 2);
    }
    ck_assert_uint_eq(found, kept);
    ck_assert_uint_eq(kept + lost, 3 * max);
}
END_TEST

START_TEST(too_many_frames_are_lost)
{
    uint64_t pcs[AWI_DEPTH_MAX];
    uint32_t max = recording.head->frames_max;
    unsigned kept = 0;
    ck_assert_uint_lt(max / AWI_DEPTH_MAX, recording.head->stacks_max / 4); /* frames run out first */
    for (uint64_t i = 0; i < max / 64; ++i) {
        make_stack(i, pcs, AWI_DEPTH_MAX);
        kept += count(0, 0, pcs, AWI_DEPTH_MAX) != NULL;
    }
    ck_assert_uint_eq(kept, max / AWI_DEPTH_MAX);
    /* The counter has not run away, */
    ck_assert_uint_le(atomic_load(&recording.head->half.frames_used), max);
    for (uint64_t i = 0; i < max / 64; ++i) {
        make_stack(i, pcs, AWI_DEPTH_MAX);
        struct awi_stack_record *record = count(0, 0, pcs, AWI_DEPTH_MAX);
        ck_assert_int_eq(record != NULL, i < kept);
        if (record != NULL)
            expect_frames(&recording.halves[0], record, pcs, AWI_DEPTH_MAX);
    }
    /* and what still fits is taken: the last frames, one by one. */
    unsigned small = 0;
    for (uint64_t i = 0; i < AWI_DEPTH_MAX; ++i)
        small += count(1, 0, &i, 1) != NULL;
    ck_assert_uint_eq(small, max % AWI_DEPTH_MAX);
    ck_assert_uint_eq(atomic_load(&recording.head->half.frames_used), max);
    /* The other half has its own. */
    ck_assert_ptr_nonnull(count_in(1, 0, 0, pcs, AWI_DEPTH_MAX));
}
END_TEST

/* --- Collisions ----------------------------------------------------------------------------------------- */

/* Where a stack begins to look for its record. */
static uint32_t home_of(uint64_t pc)
{
    const struct awi_stack_record *record = count_in(1, 0, 0, &pc, 1);
    ck_assert_ptr_nonnull(record);
    return (uint32_t)(atomic_load(&record->hash) & (recording.head->stacks_max - 1));
}

static void empty_second(void)
{
    memset(second, 0, awi_recording_half_bytes(&recording));
}

START_TEST(stacks_of_one_home_are_kept_apart)
{
    enum {
        WANTED = 70
    };
    uint64_t pcs[WANTED];
    unsigned found = 0;
    uint64_t first = 1;
    uint32_t home = home_of(first);
    for (uint64_t pc = 1; found < WANTED; ++pc) {
        if (home_of(pc) == home)
            pcs[found++] = pc;
        if (pc % 256 == 0)
            empty_second();
    }
    struct awi_stack_record *records[WANTED];
    unsigned kept = 0;
    for (unsigned i = 0; i < WANTED; ++i) {
        records[i] = count(0, 0, &pcs[i], 1);
        kept += records[i] != NULL;
    }
    ck_assert_uint_ge(kept, 32); /* as many as a probe's length */
    ck_assert_uint_lt(kept, WANTED);
    for (unsigned i = 0; i < WANTED; ++i) {
        ck_assert_int_eq(records[i] != NULL, i < kept);
        ck_assert_ptr_eq(count(0, 0, &pcs[i], 1), records[i]);
        if (records[i] == NULL)
            continue;
        ck_assert_uint_eq(count_of(records[i]), 2);
        expect_frames(&recording.halves[0], records[i], &pcs[i], 1);
    }
}
END_TEST

/* The same hash, and another stack: the frames decide. */
START_TEST(equal_hashes_do_not_confound)
{
    const uint64_t mine[] = { 0x10, 0x20 };
    const uint64_t other[] = { 0x10, 0x21 };
    struct awi_stack_record *record = count(0, 0, mine, 2);
    struct awi_stack_record *wrong = count_in(1, 0, 0, other, 2);
    ck_assert_ptr_nonnull(record);
    ck_assert_ptr_nonnull(wrong);
    /* The other stack in the record where mine would be, under my hash. */
    uint32_t home = (uint32_t)(atomic_load(&record->hash) & (recording.head->stacks_max - 1));
    struct awi_stack_record *impostor = &recording.halves[1].stacks[home];
    memcpy((void *)impostor, (const void *)wrong, sizeof *impostor);
    atomic_store(&impostor->hash, atomic_load(&record->hash));
    struct awi_stack_record *found = count_in(1, 0, 0, mine, 2);
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_ne(found, impostor);
    ck_assert_uint_eq(count_of(impostor), 1);
    expect_frames(&recording.halves[1], found, mine, 2);
}
END_TEST

/* The same hash and frames, and another thread, label or depth. */
START_TEST(equal_frames_are_not_all)
{
    const uint64_t pcs[] = { 0x10, 0x20, 0x30 };
    struct awi_stack_record *record = count(3, 4, pcs, 2);
    ck_assert_ptr_nonnull(record);
    record->thread = 5;
    ck_assert_ptr_ne(count(3, 4, pcs, 2), record);
    record->thread = 3;
    record->label = 5;
    ck_assert_ptr_ne(count(3, 4, pcs, 2), record);
    record->label = 4;
    record->depth = 3;
    ck_assert_ptr_ne(count(3, 4, pcs, 2), record);
    record->depth = 2;
    ck_assert_ptr_eq(count(3, 4, pcs, 2), record);
    ck_assert_uint_eq(count_of(record), 2);
}
END_TEST

/* A record that its thread never finished (it died in between) is nobody's. */
START_TEST(an_unfinished_record_is_lost_alone)
{
    const uint64_t mine[] = { 0x10, 0x20 };
    const uint64_t others[] = { 0x30, 0x40 };
    struct awi_stack_record *record = count(0, 0, mine, 2);
    ck_assert_ptr_nonnull(record);
    atomic_store(&record->frames, 0);
    ck_assert_ptr_null(count(0, 0, mine, 2));
    ck_assert_ptr_nonnull(count(0, 0, others, 2));
    ck_assert_uint_eq(count_of(record), 1);
}
END_TEST

/* --- Threads -------------------------------------------------------------------------------------------- */

#define STACKS 400
#define THREADS 4

static unsigned rounds = 500;
static pthread_barrier_t barrier;
static uint64_t counted[THREADS];
static uint64_t lost[THREADS];

/* The same stacks as all others, as its own. */
static void *insert(void *arg)
{
    uint16_t thread = (uint16_t)(uintptr_t)arg;
    uint64_t pcs[8];
    pthread_barrier_wait(&barrier);
    for (unsigned round = 0; round < rounds; ++round) {
        for (uint64_t i = 0; i < STACKS; ++i) {
            make_stack(i, pcs, 8);
            if (count(thread, 0, pcs, 8) != NULL)
                ++counted[thread];
            else
                ++lost[thread];
        }
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    memset(counted, 0, sizeof counted);
    memset(lost, 0, sizeof lost);
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (uintptr_t i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, insert, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
}

/* Frames may be of another stack by a mistake between threads: each record's are looked at. */
static void expect_all_whole(uint64_t totals[THREADS])
{
    memset(totals, 0, THREADS * sizeof totals[0]);
    for (uint32_t i = 0; i < recording.head->stacks_max; ++i) {
        const struct awi_stack_record *record = &recording.halves[0].stacks[i];
        if (atomic_load(&record->frames) == 0)
            continue;
        uint64_t pcs[8];
        uint64_t number = recording.halves[0].frames[atomic_load(&record->frames) - 1 + 7];
        make_stack(number, pcs, 8);
        ck_assert_uint_lt(number, STACKS);
        expect_frames(&recording.halves[0], record, pcs, 8);
        ck_assert_uint_lt(record->thread, THREADS);
        totals[record->thread] += count_of(record);
    }
}

START_TEST(threads_at_once_lose_nothing)
{
    uint64_t totals[THREADS];
    run_threads();
    expect_all_whole(totals);
    uint64_t sum;
    unsigned records = whole(0, &sum);
    ck_assert_uint_le(records, THREADS * STACKS);
    for (unsigned i = 0; i < THREADS; ++i) {
        ck_assert_uint_eq(totals[i], counted[i]);
        ck_assert_uint_eq(counted[i] + lost[i], (uint64_t)rounds * STACKS);
        ck_assert_uint_eq(lost[i] % rounds, 0); /* a stack is lost always or never */
    }
    ck_assert_uint_eq(records, THREADS * STACKS); /* there was room for all */
    ck_assert_uint_eq(atomic_load(&recording.head->half.frames_used), (uint64_t)records * 8);
}
END_TEST

/* The same in a table that is too small for them: many want the last records and frames. */
START_TEST(threads_at_once_fill_it_up)
{
    uint64_t totals[THREADS];
    rounds = 100;
    recording.head->stacks_max = 1024;
    recording.head->frames_max = 4096;
    run_threads();
    expect_all_whole(totals);
    for (unsigned i = 0; i < THREADS; ++i) {
        ck_assert_uint_eq(totals[i], counted[i]);
        ck_assert_uint_eq(counted[i] + lost[i], (uint64_t)rounds * STACKS);
    }
    uint64_t sum;
    ck_assert_uint_le(whole(0, &sum), 512);
    ck_assert_uint_gt(whole(0, &sum), 400);
    /* Nothing was written beyond what it may use. */
    for (uint32_t i = 4096; i < 4096 + 64; ++i)
        ck_assert_uint_eq(recording.halves[0].frames[i], 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin, end);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("stacks");
    TCase *same = add_case(suite, "one stack or two");
    tcase_add_test(same, the_same_stack_is_counted);
    tcase_add_test(same, what_differs_is_counted_apart);
    tcase_add_test(same, zeros_are_a_stack_like_others);
    tcase_add_test(same, the_deepest_stack_is_kept_whole);
    tcase_add_test(same, code_of_no_file_is_unknown);
    TCase *full = add_case(suite, "full");
    tcase_add_test(full, too_many_stacks_are_lost);
    tcase_add_test(full, too_many_frames_are_lost);
    TCase *collisions = add_case(suite, "collisions");
    tcase_add_test(collisions, stacks_of_one_home_are_kept_apart);
    tcase_add_test(collisions, equal_hashes_do_not_confound);
    tcase_add_test(collisions, equal_frames_are_not_all);
    tcase_add_test(collisions, an_unfinished_record_is_lost_alone);
    TCase *threads = add_case(suite, "threads");
    tcase_add_test(threads, threads_at_once_lose_nothing);
    tcase_add_test(threads, threads_at_once_fill_it_up);
    return run_suite(suite);
}
