/* SPDX-License-Identifier: MIT */
/*
 * freeze_test.c: from a recording that is made by hand to a profile: what each sample weighs, what becomes of
 * time without a sample and samples without a stack, and that nothing in a recording is believed.
 */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "profile/freeze.h"
#include "profile/labels.h"
#include "profile/sampler/recording.h"

#define BYTES ((size_t)256 * 1024)
#define ALL_LABELS true
#define NO_LABELS false

static struct awi_recording recording;
static void *second;
static uint32_t next_stack;
static uint32_t next_frame;
static struct aw_profile *profile;

static void begin(void)
{
    struct awi_recording_head *head = calloc(1, BYTES);
    ck_assert_ptr_nonnull(head);
    ck_assert_int_eq(awi_recording_format(head, BYTES, &recording), 0);
    head->clock = AW_PROFILE_USER;
    head->hz = 250;
    head->started_realtime_ns = 77;
    strcpy(head->program, "/usr/bin/program");
    second = calloc(1, awi_recording_half_bytes(&recording));
    ck_assert_ptr_nonnull(second);
    awi_recording_set_half(&recording, second);
    next_stack = next_frame = 0;
    profile = NULL;
}

static void end(void)
{
    aw_profile_free(profile);
    free(recording.head);
    free(second);
}

static struct awi_thread_record *add_thread(enum awi_thread_state state, uint64_t looked_ns,
                                            uint64_t taken_ns)
{
    uint32_t index = atomic_fetch_add(&recording.head->threads_used, 1);
    struct awi_thread_record *thread = &recording.threads[index];
    thread->tid = (int32_t)(100 + index);
    strcpy(thread->name, "thread");
    thread->looked_ns = looked_ns;
    thread->taken_ns = taken_ns;
    atomic_store(&thread->state, state);
    return thread;
}

static struct awi_stack_record *add_stack_in(unsigned half, uint16_t thread, uint64_t count, uint16_t depth)
{
    struct awi_stack_record *record = &recording.halves[half].stacks[next_stack++];
    uint64_t *frames = &recording.halves[half].frames[next_frame];
    for (uint16_t i = 0; i < depth; ++i)
        frames[i] = 0x1000 * (uint64_t)next_stack + i;
    record->thread = thread;
    record->depth = depth;
    atomic_store(&record->hash, next_stack);
    atomic_store(&record->count, count);
    atomic_store(&record->frames, 1 + next_frame);
    next_frame += depth;
    return record;
}

static struct awi_stack_record *add_stack(uint16_t thread, uint64_t count)
{
    return add_stack_in(0, thread, count, 2);
}

static void add_module(uint64_t start, uint64_t end, const char *path)
{
    uint32_t index = atomic_fetch_add(&recording.head->modules_used, 1);
    uint32_t offset = atomic_fetch_add(&recording.head->strings_used, (uint32_t)strlen(path) + 1);
    struct awi_module_record *module = &recording.modules[index];
    strcpy(recording.strings + offset, path);
    module->path = offset;
    module->start = start;
    module->end = end;
    module->bias = start;
    atomic_store(&module->is_ready, 1);
}

static void freeze_half(unsigned half, bool keeps_rest, bool has_labels)
{
    aw_profile_free(profile);
    struct awi_room *room = awi_profile_prepare(&recording);
    ck_assert_ptr_nonnull(room);
    awi_profile_fill(room, &recording, half, keeps_rest, has_labels);
    profile = room->profile;
    /* Whatever was asked, the totals are the sums. */
    ck_assert_uint_eq(awi_profile_time(profile), profile->stats.time_ns);
    ck_assert_uint_eq(awi_profile_count(profile), profile->stats.samples + profile->stats.lost);
}

static void freeze(void)
{
    freeze_half(0, false, NO_LABELS);
}

static uint64_t time_of(uint32_t thread)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i)
        sum += profile->samples[i].thread == thread ? profile->samples[i].time_ns : 0;
    return sum;
}

static const struct awi_sample *find(uint32_t thread, enum awi_sample_kind kind)
{
    const struct awi_sample *found = NULL;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        if (profile->samples[i].thread != thread || profile->samples[i].kind != kind)
            continue;
        ck_assert_ptr_null(found);
        found = &profile->samples[i];
    }
    return found;
}

/* --- Weights -------------------------------------------------------------------------------------------- */

START_TEST(nothing_is_a_profile_too)
{
    freeze();
    ck_assert_uint_eq(profile->samples_count, 0);
    ck_assert_uint_eq(profile->threads_count, 0);
    ck_assert_uint_eq(profile->modules_count, 0);
    ck_assert_uint_eq(profile->labels_count, 1);
    ck_assert_int_eq(profile->clock, AW_PROFILE_USER);
    ck_assert_uint_eq(profile->period_ns, 4000000);
    ck_assert_uint_eq(profile->started_realtime_ns, 77);
    ck_assert_uint_eq(profile->stats.requested_hz, 250);
    ck_assert(profile->stats.achieved_hz < 1e-9);
}
END_TEST

/* What each thread has used, whatever the counts are: nothing is lost by rounding. */
START_TEST(times_add_up_to_the_nanosecond)
{
    static const struct {
        uint64_t time_ns;
        uint64_t counts[5];
    } threads[] = {
        { 1000000000, { 1, 2, 3, 4, 5 } },
        { 1, { 1, 1, 1, 1, 1 } },
        { 0, { 1, 2, 3, 4, 5 } },
        { 999999937, { 7, 11, 13, 17, 19 } },
        { UINT64_C(86400) * 365 * 1000000000,
          { 1, 4000000000, 3, 100, 200 } }, /* a year at more than its rate */
        { 3, { 1000, 1000, 1000, 1000, 1 } },
    };
    enum {
        THREADS = sizeof threads / sizeof threads[0]
    };
    for (uint16_t i = 0; i < THREADS; ++i) {
        add_thread(AWI_THREAD_SAMPLED, 5000 + threads[i].time_ns, 5000);
        for (unsigned stack = 0; stack < 5; ++stack)
            add_stack(i, threads[i].counts[stack]);
    }
    freeze();
    ck_assert_uint_eq(profile->samples_count, 5 * THREADS);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < THREADS; ++i) {
        ck_assert_uint_eq(time_of(i), threads[i].time_ns);
        sum += threads[i].time_ns;
        ck_assert_int_eq(profile->threads[i].tid, (int32_t)(100 + i));
        ck_assert_str_eq(profile->threads[i].name, "thread");
    }
    ck_assert_uint_eq(profile->stats.time_ns, sum);
}
END_TEST

/* And each sample of a thread weighs the same, but for less than a nanosecond. */
START_TEST(a_threads_samples_weigh_the_same)
{
    static const uint64_t counts[] = { 1, 2, 3, 50, 1000, 1, 999 };
    const uint64_t time_ns = 8000000321;
    uint64_t total = 0;
    add_thread(AWI_THREAD_ENDED, time_ns, 0);
    add_thread(AWI_THREAD_SAMPLED, 7, 0); /* the neighbour's time is nobody else's */
    add_stack(1, 100000);
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; ++i) {
        add_stack(0, counts[i]);
        total += counts[i];
    }
    freeze();
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        if (sample->thread != 0)
            continue;
        double due = (double)time_ns * (double)sample->count / (double)total;
        ck_assert_double_ge(due - (double)sample->time_ns, -1.01);
        ck_assert_double_le(due - (double)sample->time_ns, 1.01);
    }
    ck_assert_uint_eq(time_of(0), time_ns);
    ck_assert_uint_eq(time_of(1), 7);
}
END_TEST

START_TEST(only_what_was_not_taken_is_shared_out)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 400);
    add_thread(AWI_THREAD_SAMPLED, 1000, 1000);
    add_thread(AWI_THREAD_SAMPLED, 1000, 1001); /* a clock that went back */
    for (uint16_t i = 0; i < 3; ++i)
        add_stack(i, 3);
    freeze();
    ck_assert_uint_eq(time_of(0), 600);
    ck_assert_uint_eq(time_of(1), 0);
    ck_assert_uint_eq(time_of(2), 0);
    ck_assert_uint_eq(profile->stats.samples, 9);
}
END_TEST

START_TEST(lost_samples_have_their_share)
{
    struct awi_thread_record *some = add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    struct awi_thread_record *all = add_thread(AWI_THREAD_SAMPLED, 5555, 0);
    add_stack(0, 30);
    atomic_store(&some->counts[0].lost, 70);
    atomic_store(&all->counts[0].lost, 3);
    atomic_store(&all->counts[1].lost, 1000000); /* the other half's */
    freeze();
    const struct awi_sample *lost = find(0, AWI_LOST);
    ck_assert_ptr_nonnull(lost);
    ck_assert_uint_eq(lost->count, 70);
    ck_assert_uint_eq(lost->time_ns, 700);
    ck_assert_uint_eq(lost->depth, 0);
    ck_assert_uint_eq(find(0, AWI_STACK)->time_ns, 300);
    ck_assert_uint_eq(find(1, AWI_LOST)->time_ns, 5555);
    ck_assert_ptr_null(find(1, AWI_UNSAMPLED));
    ck_assert_uint_eq(profile->stats.lost, 73);
    ck_assert_uint_eq(profile->stats.samples, 30);
    ck_assert_double_le(profile->stats.achieved_hz, 103 * 1e9 / 6555 * 1.0001);
    ck_assert_double_ge(profile->stats.achieved_hz, 103 * 1e9 / 6555 * 0.9999);
}
END_TEST

/* A thread that used time and was never met. A living one may have its sample in the next snapshot. */
START_TEST(time_without_a_sample_is_shown)
{
    add_thread(AWI_THREAD_ENDED, 10, 0);
    add_thread(AWI_THREAD_SAMPLED, 200, 0);
    add_thread(AWI_THREAD_ENDED, 3000, 3000); /* used nothing since */
    add_thread(AWI_THREAD_SAMPLED, 40000, 0);
    add_stack(3, 1);
    freeze_half(0, false, NO_LABELS);
    ck_assert_uint_eq(find(0, AWI_UNSAMPLED)->time_ns, 10);
    ck_assert_uint_eq(find(0, AWI_UNSAMPLED)->count, 0);
    ck_assert_uint_eq(find(1, AWI_UNSAMPLED)->time_ns, 200);
    ck_assert_ptr_null(find(2, AWI_UNSAMPLED));
    ck_assert_ptr_null(find(3, AWI_UNSAMPLED));
    ck_assert_uint_eq(profile->stats.time_ns, 40210);

    freeze_half(0, true, NO_LABELS);
    ck_assert_uint_eq(find(0, AWI_UNSAMPLED)->time_ns, 10);
    ck_assert_ptr_null(find(1, AWI_UNSAMPLED));
    ck_assert_uint_eq(profile->stats.time_ns, 40010);
}
END_TEST

START_TEST(kinds_and_counts_are_told)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    add_stack(0, 5)->is_truncated = 1;
    add_stack(0, 7)->is_unknown = 1;
    struct awi_stack_record *both = add_stack(0, 11);
    both->is_truncated = both->is_unknown = 1;
    add_stack(0, 13);
    freeze();
    ck_assert_uint_eq(profile->stats.samples, 36);
    ck_assert_uint_eq(profile->stats.truncated, 16);
    ck_assert_uint_eq(profile->stats.unknown, 18);
    unsigned truncated = 0;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        ck_assert_uint_eq(sample->depth, 2);
        ck_assert_uint_eq(sample->pcs[1], sample->pcs[0] + 1);
        truncated += sample->kind == AWI_TRUNCATED;
    }
    ck_assert_uint_eq(truncated, 2);
}
END_TEST

START_TEST(halves_are_apart)
{
    struct awi_thread_record *thread = add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    add_stack_in(0, 0, 5, 3);
    next_frame = 0;
    add_stack_in(1, 0, 7, 3);
    atomic_store(&thread->counts[1].lost, 1);
    freeze_half(0, false, NO_LABELS);
    ck_assert_uint_eq(profile->stats.samples, 5);
    ck_assert_uint_eq(profile->stats.lost, 0);
    freeze_half(1, false, NO_LABELS);
    ck_assert_uint_eq(profile->stats.samples, 7);
    ck_assert_uint_eq(profile->stats.lost, 1);
}
END_TEST

/* What is frozen does not move when the recording does. */
START_TEST(nothing_points_into_the_recording)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    add_stack_in(0, 0, 5, 3);
    add_module(0x1000, 0x2000, "/lib/liba.so");
    add_module(0x3000, 0x4000, "");
    freeze();
    memset((void *)recording.head, 0xee, BYTES);
    ck_assert_uint_eq(profile->samples[0].pcs[2], 0x1002);
    ck_assert_str_eq(profile->modules[0].path, "/lib/liba.so");
    ck_assert_str_eq(profile->modules[1].path, "/usr/bin/program");
    ck_assert_str_eq(profile->threads[0].name, "thread");
}
END_TEST

/* --- Modules -------------------------------------------------------------------------------------------- */

START_TEST(modules_are_in_order)
{
    add_module(0x7000, 0x8000, "/lib/c");
    add_module(0x1000, 0x2000, "/lib/a");
    add_module(0x2000, 0x3000, "/lib/b"); /* begins where the other ends */
    freeze();
    ck_assert_uint_eq(profile->modules_count, 3);
    ck_assert_str_eq(profile->modules[0].path, "/lib/a");
    ck_assert_str_eq(profile->modules[1].path, "/lib/b");
    ck_assert_str_eq(profile->modules[2].path, "/lib/c");
    ck_assert_uint_eq(profile->modules[2].start, 0x7000);
    ck_assert_uint_eq(profile->modules[2].end, 0x8000);
    ck_assert_uint_eq(profile->modules[2].bias, 0x7000);
}
END_TEST

START_TEST(of_two_that_overlap_the_later_is_there)
{
    add_module(0x1000, 0x3000, "/lib/unloaded");
    add_module(0x9000, 0xa000, "/lib/stays");
    add_module(0x5000, 0x6000, "/lib/inner");
    add_module(0x2fff, 0x4000, "/lib/over its end");
    add_module(0x4000, 0x8000, "/lib/outer");
    add_module(0x9000, 0xa000, "/lib/same place");
    freeze();
    ck_assert_uint_eq(profile->modules_count, 3);
    ck_assert_str_eq(profile->modules[0].path, "/lib/over its end");
    ck_assert_str_eq(profile->modules[1].path, "/lib/outer");
    ck_assert_str_eq(profile->modules[2].path, "/lib/same place");
}
END_TEST

START_TEST(modules_that_say_nonsense_are_left_out)
{
    for (unsigned i = 0; i < 6; ++i)
        add_module(0x1000 * (i + 1), 0x1000 * (i + 1) + 0x800, "/lib/x");
    recording.modules[0].path = recording.head->strings_max;
    recording.modules[1].path = UINT32_MAX;
    recording.modules[2].end = recording.modules[2].start;
    recording.modules[3].end = recording.modules[3].start - 1;
    atomic_store(&recording.modules[4].is_ready, 0);
    freeze();
    ck_assert_uint_eq(profile->modules_count, 1);
    ck_assert_uint_eq(profile->modules[0].start, 0x6000);
}
END_TEST

/* The last name runs to the end of the strings. */
START_TEST(a_name_without_an_end_gets_one)
{
    add_module(0x1000, 0x2000, "/lib/x");
    uint32_t max = recording.head->strings_max;
    recording.modules[0].path = max - 3;
    memcpy(recording.strings + max - 3, "end", 3);
    freeze();
    ck_assert_str_eq(profile->modules[0].path, "end");
}
END_TEST

START_TEST(more_modules_than_there_is_room_for)
{
    add_module(0x1000, 0x2000, "/lib/x");
    atomic_store(&recording.head->modules_used, UINT32_MAX);
    freeze();
    ck_assert_uint_eq(profile->modules_count, 1);
}
END_TEST

/* --- Nothing is believed -------------------------------------------------------------------------------- */

START_TEST(stacks_that_say_nonsense_are_left_out)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    struct awi_stack_record *good = add_stack(0, 1);
    ck_assert_ptr_nonnull(good);
    add_stack(1, 1); /* there is no such thread */
    add_stack(UINT16_MAX, 1);
    add_stack(0, 0);
    add_stack(0, 1)->depth = AWI_DEPTH_MAX + 1;
    add_stack(0, 1)->depth = UINT16_MAX;
    add_stack(0, 1)->depth = 0;
    atomic_store(&add_stack(0, 1)->frames, 0);
    atomic_store(&add_stack(0, 1)->frames, UINT32_MAX);
    atomic_store(&add_stack(0, 1)->frames, recording.head->frames_max); /* the last one, and one beyond */
    atomic_store(&add_stack(0, 1)->frames, recording.head->frames_max + 1);
    freeze();
    ck_assert_uint_eq(profile->samples_count, 1);
    ck_assert_uint_eq(profile->samples[0].time_ns, 1000);
    /* The last two frames that there are may be used. */
    atomic_store(&add_stack(0, 1)->frames, recording.head->frames_max - 1);
    freeze();
    ck_assert_uint_eq(profile->samples_count, 2);
}
END_TEST

/* Records that share frames: as many as make sense, and never more frames than there are. */
START_TEST(frames_that_are_used_twice_do_not_overflow)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    for (uint32_t i = 0; i < recording.head->stacks_max; ++i) {
        struct awi_stack_record *record = &recording.halves[0].stacks[i];
        record->depth = AWI_DEPTH_MAX;
        atomic_store(&record->count, 1);
        atomic_store(&record->frames, 1);
    }
    freeze();
    ck_assert_uint_ge(profile->samples_count, recording.head->frames_max / AWI_DEPTH_MAX);
    ck_assert_uint_le(profile->samples_count, recording.head->stacks_max);
    for (size_t i = 0; i < profile->samples_count; ++i)
        ck_assert_mem_eq(profile->samples[i].pcs, recording.halves[0].frames,
                         AWI_DEPTH_MAX * sizeof(uint64_t));
}
END_TEST

START_TEST(counts_beyond_all_bounds_do_no_harm)
{
    add_thread(AWI_THREAD_SAMPLED, UINT64_MAX, 0);
    add_stack(0, UINT64_MAX);
    add_stack(0, 1); /* their sum is 0 */
    add_stack(0, UINT64_MAX / 2);
    aw_profile_free(profile);
    struct awi_room *room = awi_profile_prepare(&recording);
    ck_assert_ptr_nonnull(room);
    awi_profile_fill(room, &recording, 0, false, NO_LABELS);
    profile = room->profile;
    ck_assert_uint_eq(profile->samples_count, 3);
}
END_TEST

START_TEST(a_name_of_a_thread_gets_an_end)
{
    struct awi_thread_record *thread = add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    memset(thread->name, 'x', sizeof thread->name);
    freeze();
    ck_assert_str_eq(profile->threads[0].name, "xxxxxxxxxxxxxxx");
}
END_TEST

/* --- Labels --------------------------------------------------------------------------------------------- */

START_TEST(labels_are_known_or_none)
{
    add_thread(AWI_THREAD_SAMPLED, 1000, 0);
    ck_assert_int_eq(aw_profile_label_push("kind", "query"), 0);
    ck_assert_int_eq(aw_profile_label_push("tenant", "seven"), 0);
    add_stack(0, 1)->label = 2;
    add_stack(0, 1)->label = 3;
    add_stack(0, 1)->label = UINT32_MAX;
    freeze_half(0, false, ALL_LABELS);
    ck_assert_uint_eq(profile->labels_count, 3);
    ck_assert_uint_eq(profile->samples[0].label, 2);
    ck_assert_uint_eq(profile->samples[1].label, 0);
    ck_assert_uint_eq(profile->samples[2].label, 0);
    const struct awi_label *inner = &profile->labels[2];
    ck_assert_str_eq(inner->key, "tenant");
    ck_assert_str_eq(inner->value, "seven");
    ck_assert_uint_eq(inner->parent, 1);
    ck_assert_str_eq(profile->labels[1].key, "kind");
    ck_assert_uint_eq(profile->labels[1].parent, 0);

    /* Another process's labels are not these. */
    freeze_half(0, false, NO_LABELS);
    ck_assert_uint_eq(profile->labels_count, 1);
    ck_assert_uint_eq(profile->samples[0].label, 0);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
    ck_assert_int_eq(aw_profile_label_pop(), 0);
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
    Suite *suite = suite_create("freeze");
    TCase *weights = add_case(suite, "weights");
    tcase_add_test(weights, nothing_is_a_profile_too);
    tcase_add_test(weights, times_add_up_to_the_nanosecond);
    tcase_add_test(weights, a_threads_samples_weigh_the_same);
    tcase_add_test(weights, only_what_was_not_taken_is_shared_out);
    tcase_add_test(weights, lost_samples_have_their_share);
    tcase_add_test(weights, time_without_a_sample_is_shown);
    tcase_add_test(weights, kinds_and_counts_are_told);
    tcase_add_test(weights, halves_are_apart);
    tcase_add_test(weights, nothing_points_into_the_recording);
    TCase *modules = add_case(suite, "modules");
    tcase_add_test(modules, modules_are_in_order);
    tcase_add_test(modules, of_two_that_overlap_the_later_is_there);
    tcase_add_test(modules, modules_that_say_nonsense_are_left_out);
    tcase_add_test(modules, a_name_without_an_end_gets_one);
    tcase_add_test(modules, more_modules_than_there_is_room_for);
    TCase *believed = add_case(suite, "nothing is believed");
    tcase_add_test(believed, stacks_that_say_nonsense_are_left_out);
    tcase_add_test(believed, frames_that_are_used_twice_do_not_overflow);
    tcase_add_test(believed, counts_beyond_all_bounds_do_no_harm);
    tcase_add_test(believed, a_name_of_a_thread_gets_an_end);
    TCase *labels = add_case(suite, "labels");
    tcase_add_test(labels, labels_are_known_or_none);
    return run_suite(suite);
}
