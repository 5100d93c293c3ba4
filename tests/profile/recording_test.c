/* SPDX-License-Identifier: MIT */
/*
 * recording_test.c: a block of memory as a recording: its parts stand apart, aligned and inside, at any size;
 * and a block that somebody else has written is refused, or whatever its head says is read inside the block.
 * The hostile blocks end where their memory ends: what is read beyond is a fault, with AddressSanitizer or
 * without.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_main.h"
#include "profile/freeze.h"
#include "profile/sampler/recording.h"

#define BYTES_MIN ((size_t)64 * 1024)

/* A zeroed block whose end is the end of the memory that may be touched. */
static void *guarded_block(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = (bytes + page - 1) / page * page;
    char *memory =
        mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory + whole, page, PROT_NONE), 0);
    return memory + whole - bytes;
}

static void release_block(void *block, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = (char *)block - (uintptr_t)block % page;
    ck_assert_int_eq(munmap(memory, (bytes + page - 1) / page * page + page), 0);
}

static struct awi_recording_head *whole_block(size_t bytes, struct awi_recording *recording)
{
    struct awi_recording_head *head = guarded_block(bytes);
    ck_assert_int_eq(awi_recording_format(head, bytes, recording), 0);
    head->clock = AW_PROFILE_CPU;
    head->hz = 100;
    head->max_depth = 64;
    strcpy(head->program, "/bin/true");
    awi_recording_publish(recording);
    return head;
}

/* --- Layout --------------------------------------------------------------------------------------------- */

struct part {
    uint64_t start;
    uint64_t bytes;
};

static void check_layout(size_t bytes)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(bytes, &recording);
    const struct part parts[] = {
        { 0, sizeof *head },
        { head->threads, head->threads_max * sizeof(struct awi_thread_record) },
        { head->modules, head->modules_max * sizeof(struct awi_module_record) },
        { head->strings, head->strings_max },
        { head->stacks, head->stacks_max * sizeof(struct awi_stack_record) },
        { head->frames, head->frames_max * sizeof(uint64_t) },
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; ++i) {
        ck_assert_uint_gt(parts[i].bytes, 0);
        ck_assert_uint_eq(parts[i].start % 8, 0);
        ck_assert_uint_le(parts[i].start + parts[i].bytes, bytes);
        for (size_t j = 0; j < i; ++j)
            ck_assert(parts[j].start + parts[j].bytes <= parts[i].start ||
                      parts[i].start + parts[i].bytes <= parts[j].start);
    }
    ck_assert_uint_eq(head->bytes, bytes);
    ck_assert_uint_eq(head->stacks_max & (head->stacks_max - 1), 0);
    ck_assert_uint_le(head->threads_max, UINT16_MAX);
    ck_assert_ptr_eq(recording.head, head);
    ck_assert_ptr_eq(recording.threads, (char *)head + head->threads);
    ck_assert_ptr_eq(recording.modules, (char *)head + head->modules);
    ck_assert_ptr_eq(recording.strings, (char *)head + head->strings);
    ck_assert_ptr_eq(recording.halves[0].head, &head->half);
    ck_assert_ptr_eq(recording.halves[0].stacks, (char *)head + head->stacks);
    ck_assert_ptr_eq(recording.halves[0].frames, (char *)head + head->frames);
    ck_assert_ptr_null(recording.halves[1].head);

    /* Most of the memory is for what is counted, and a thread has room. */
    ck_assert_uint_ge((parts[4].bytes + parts[5].bytes) * 2, bytes);
    ck_assert_uint_ge(head->threads_max,
                      256 * (bytes >> 10) / 1024 < UINT16_MAX ? 256 * (bytes >> 10) / 1024 : UINT16_MAX);
    struct awi_recording attached;
    ck_assert_int_eq(awi_recording_attach(head, bytes, &attached), 0);
    ck_assert_mem_eq(&attached, &recording, sizeof recording);
    release_block(head, bytes);
}

START_TEST(parts_stand_apart_and_inside)
{
    static const size_t sizes[] = {
        BYTES_MIN,         BYTES_MIN + 8,         BYTES_MIN + 4096, 100 * 1024,
        (size_t)1 << 20,   3 * 1024 * 1024,       (size_t)1 << 24,  (size_t)1 << 26,
        ((size_t)1 << 28), ((size_t)1 << 30) - 8, (size_t)1 << 30
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
        check_layout(sizes[i]);
}
END_TEST

START_TEST(too_small_is_no_memory)
{
    static const size_t sizes[] = { 0, 1, 8, sizeof(struct awi_recording_head), BYTES_MIN - 1 };
    void *block = guarded_block(BYTES_MIN);
    struct awi_recording recording;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        ck_assert_int_eq(awi_recording_format(block, sizes[i], &recording), -ENOMEM);
        ck_assert_int_eq(awi_recording_attach(block, sizes[i], &recording), -EBADMSG);
    }
    release_block(block, BYTES_MIN);
}
END_TEST

START_TEST(a_second_half_is_as_large_as_the_first)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &recording);
    size_t bytes = awi_recording_half_bytes(&recording);
    ck_assert_uint_lt(bytes, BYTES_MIN);
    bytes = (bytes + 7) / 8 * 8;
    char *block = guarded_block(bytes);
    awi_recording_set_half(&recording, block);
    const struct awi_half *half = &recording.halves[1];
    ck_assert_ptr_eq(half->head, block);
    ck_assert((char *)half->stacks >= (char *)(half->head + 1));
    ck_assert((char *)half->frames >= (char *)(half->stacks + head->stacks_max));
    /* Written to its last word, and not beyond. */
    memset(half->stacks, 0xff, head->stacks_max * sizeof *half->stacks);
    memset(half->frames, 0xff, head->frames_max * sizeof *half->frames);
    ck_assert((char *)(half->frames + head->frames_max) <= block + bytes);
    ck_assert_uint_eq(atomic_load(&half->head->frames_used), 0);
    release_block(block, bytes);
    release_block(head, BYTES_MIN);
}
END_TEST

/* --- What others wrote ---------------------------------------------------------------------------------- */

START_TEST(not_published_is_refused)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &recording);
    atomic_store(&head->magic, 0);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN, &recording), -EBADMSG);
    for (unsigned bit = 0; bit < 64; ++bit) {
        atomic_store(&head->magic, AWI_RECORDING_MAGIC ^ UINT64_C(1) << bit);
        ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN, &recording), -EBADMSG);
    }
    awi_recording_publish(&recording);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN, &recording), 0);
    release_block(head, BYTES_MIN);
}
END_TEST

/* A field, and a value that it may not have. */
static const struct {
    const char *name;
    size_t offset;
    size_t size;
    uint64_t value;
} wrong_values[] = {
#define WRONG(name, value)                                                                                 \
    {                                                                                                      \
#name, offsetof(struct awi_recording_head, name), sizeof((struct awi_recording_head *)NULL)->name, \
            value                                                                                          \
    }
    WRONG(bytes, BYTES_MIN + 1),
    WRONG(bytes, BYTES_MIN * 2),
    WRONG(bytes, UINT64_MAX),
    WRONG(bytes, 0),
    WRONG(bytes, sizeof(struct awi_recording_head)),
    WRONG(clock, AW_PROFILE_WALL + 1),
    WRONG(clock, UINT32_MAX),
    WRONG(hz, 0),
    WRONG(max_depth, AWI_DEPTH_MAX + 1),
    WRONG(max_depth, UINT32_MAX),
    WRONG(threads_max, UINT16_MAX + 1),
    WRONG(threads_max, UINT16_MAX),
    WRONG(threads_max, UINT32_MAX),
    WRONG(modules_max, UINT32_MAX),
    WRONG(modules_max, BYTES_MIN),
    WRONG(strings_max, UINT32_MAX),
    WRONG(strings_max, BYTES_MIN),
    WRONG(strings_max, 0),
    WRONG(stacks_max, UINT32_MAX),
    WRONG(stacks_max, BYTES_MIN),
    WRONG(frames_max, UINT32_MAX),
    WRONG(frames_max, BYTES_MIN),
#define WRONG_OFFSET(name)                                                              \
    WRONG(name, 0), WRONG(name, 8), WRONG(name, sizeof(struct awi_recording_head) - 8), \
        WRONG(name, BYTES_MIN), WRONG(name, BYTES_MIN + 8), WRONG(name, UINT64_MAX),    \
        WRONG(name, UINT64_MAX - 7), WRONG(name, UINT64_C(1) << 63), WRONG(name, BYTES_MIN / 2 + 1)
    WRONG_OFFSET(threads),
    WRONG_OFFSET(modules),
    WRONG_OFFSET(strings),
    WRONG_OFFSET(stacks),
    WRONG_OFFSET(frames),
};
enum {
    WRONG_VALUES = sizeof wrong_values / sizeof wrong_values[0]
};

START_TEST(each_field_is_checked)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &recording);
    char *field = (char *)head + wrong_values[_i].offset;
    char found[8];
    memcpy(found, field, wrong_values[_i].size);
    /* The low bytes come first on every machine that Linux runs this on. */
    memcpy(field, &wrong_values[_i].value, wrong_values[_i].size);
    ck_assert_msg(awi_recording_attach(head, BYTES_MIN, &recording) == -EBADMSG, "%s = %llu is accepted",
                  wrong_values[_i].name, (unsigned long long)wrong_values[_i].value);
    memcpy(field, found, wrong_values[_i].size);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN, &recording), 0);
    release_block(head, BYTES_MIN);
}
END_TEST

START_TEST(a_program_without_an_end_is_refused)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &recording);
    memset(head->program, 'x', sizeof head->program);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN, &recording), -EBADMSG);
    release_block(head, BYTES_MIN);
}
END_TEST

/* A file that was cut short: the head promises more than there is. */
START_TEST(a_short_file_is_refused)
{
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN * 2, &recording);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN * 2 - 8, &recording), -EBADMSG);
    ck_assert_int_eq(awi_recording_attach(head, BYTES_MIN * 2, &recording), 0);
    release_block(head, BYTES_MIN * 2);
}
END_TEST

static uint64_t seed;

static uint64_t at_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Everything that a profile at rest points to is read once. */
static uint64_t read_all(const struct aw_profile *profile)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->threads_count; ++i)
        sum += strlen(profile->threads[i].name);
    for (size_t i = 0; i < profile->modules_count; ++i)
        sum += strlen(profile->modules[i].path) + profile->modules[i].start;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        const struct awi_sample *sample = &profile->samples[i];
        ck_assert_uint_lt(sample->thread, profile->threads_count);
        ck_assert_uint_lt(sample->label, profile->labels_count);
        ck_assert_uint_le(sample->depth, AWI_DEPTH_MAX);
        ck_assert(sample->kind == AWI_LOST || sample->kind == AWI_UNSAMPLED || sample->depth > 0);
        for (uint32_t pc = 0; pc < sample->depth; ++pc)
            sum += sample->pcs[pc];
    }
    return sum;
}

/* A few stacks, as a handler would have left them. */
static void fill_whole(struct awi_recording *recording)
{
    struct awi_recording_head *head = recording->head;
    atomic_store(&head->threads_used, 3);
    atomic_store(&head->modules_used, 2);
    for (uint32_t i = 0; i < 2; ++i) {
        struct awi_module_record *module = &recording->modules[i];
        module->path = i * 8;
        strcpy(recording->strings + module->path, "/lib/a");
        module->start = 0x1000 * (i + 1);
        module->end = module->start + 0x1000;
        atomic_store(&module->is_ready, 1);
    }
    for (uint32_t i = 0; i < 20; ++i) {
        struct awi_stack_record *stack = &recording->halves[0].stacks[i * 3];
        atomic_store(&stack->hash, i + 1);
        atomic_store(&stack->count, i + 1);
        atomic_store(&stack->frames, 1 + i * 4);
        stack->thread = (uint16_t)(i % 3);
        stack->depth = 4;
    }
}

/* Half of the tries keep the head's sense, and strike what stands behind it. */
static void strike(char *block, size_t bytes, unsigned try)
{
    struct awi_recording_head *head = (struct awi_recording_head *)(void *)block;
    unsigned strikes = 1 + (unsigned)(at_random() % 8);
    size_t from = try % 2 == 0 ? sizeof head->magic : sizeof *head;
    size_t span = try % 2 == 0 ? offsetof(struct awi_recording_head, program) - from : bytes - from;
    while (strikes-- > 0) {
        uint64_t value = at_random();
        size_t at = from + (size_t)(at_random() % (span - 8));
        if (value % 4 == 0) {
            static const uint64_t corners[] = { 0, 1, 8, 255, 65535, UINT32_MAX, UINT64_MAX, BYTES_MIN };
            memcpy(block + at / 4 * 4, &corners[value / 4 % 8], 4 + 4 * (value / 32 % 2));
        } else {
            block[at] = (char)(value >> 8);
        }
    }
}

#define TRIES 5000

START_TEST(a_hostile_block_is_refused_or_read_inside)
{
    struct awi_recording whole;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &whole);
    fill_whole(&whole);
    char *copy = malloc(BYTES_MIN);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, head, BYTES_MIN);
    unsigned accepted = 0;
    seed = UINT64_C(88172645463325252);
    for (unsigned try = 0; try < TRIES; ++try) {
        struct awi_recording recording;
        memcpy((void *)head, copy, BYTES_MIN);
        strike((char *)head, BYTES_MIN, try);
        if (awi_recording_attach(head, BYTES_MIN, &recording) != 0)
            continue;
        ++accepted;
        awi_recording_look(&recording);
        struct awi_room *room = awi_profile_prepare(&recording);
        ck_assert_ptr_nonnull(room);
        awi_profile_fill(room, &recording, 0, false, false);
        read_all(room->profile);
        aw_profile_free(room->profile);
    }
    free(copy);
    release_block(head, BYTES_MIN);
    ck_assert_uint_ge(accepted, TRIES / 4); /* else this has tested little */
    ck_assert_uint_le(accepted, TRIES - TRIES / 20);
}
END_TEST

/* --- The clocks of another process ---------------------------------------------------------------------- */

START_TEST(what_a_thread_has_used_is_what_is_known_of_it)
{
    static const struct {
        enum awi_thread_state state;
        uint64_t used_ns, first_ns, second_ns, looked_ns;
    } cases[] = {
        { AWI_THREAD_SAMPLED, 0, 0, 0, 0 },
        { AWI_THREAD_SAMPLED, 0, 300, 400, 700 },   /* it was killed: its periods */
        { AWI_THREAD_SAMPLED, 900, 300, 400, 900 }, /* a pause has said more */
        { AWI_THREAD_ENDED, 500, 300, 400, 500 },   /* its own end knows best */
    };
    struct awi_recording recording;
    struct awi_recording_head *head = whole_block(BYTES_MIN, &recording);
    uint32_t count = sizeof cases / sizeof cases[0];
    atomic_store(&head->threads_used, count);
    for (uint32_t i = 0; i < count; ++i) {
        struct awi_thread_record *thread = &recording.threads[i];
        atomic_store(&thread->state, cases[i].state);
        atomic_store(&thread->used_ns, cases[i].used_ns);
        atomic_store(&thread->counts[0].nominal_ns, cases[i].first_ns);
        atomic_store(&thread->counts[1].nominal_ns, cases[i].second_ns);
    }
    awi_recording_look(&recording);
    for (uint32_t i = 0; i < count; ++i)
        ck_assert_uint_eq(recording.threads[i].looked_ns, cases[i].looked_ns);
    ck_assert_uint_eq(awi_recording_threads(&recording), count);
    atomic_store(&head->threads_used, UINT32_MAX);
    ck_assert_uint_eq(awi_recording_threads(&recording), head->threads_max);
    release_block(head, BYTES_MIN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recording");
    TCase *layout = tcase_create("layout");
    tcase_add_test(layout, parts_stand_apart_and_inside);
    tcase_add_test(layout, too_small_is_no_memory);
    tcase_add_test(layout, a_second_half_is_as_large_as_the_first);
    suite_add_tcase(suite, layout);
    TCase *hostile = tcase_create("hostile");
    tcase_add_test(hostile, not_published_is_refused);
    tcase_add_loop_test(hostile, each_field_is_checked, 0, WRONG_VALUES);
    tcase_add_test(hostile, a_program_without_an_end_is_refused);
    tcase_add_test(hostile, a_short_file_is_refused);
    tcase_add_test(hostile, a_hostile_block_is_refused_or_read_inside);
    suite_add_tcase(suite, hostile);
    TCase *clocks = tcase_create("clocks");
    tcase_add_test(clocks, what_a_thread_has_used_is_what_is_known_of_it);
    suite_add_tcase(suite, clocks);
    return run_suite(suite);
}
