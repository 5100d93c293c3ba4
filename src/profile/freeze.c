/* SPDX-License-Identifier: MIT */
/*
 * freeze.c: from the recording, which handlers write, to a profile, which nobody writes any more. Here
 * samples get their weight: the time that a thread has really used is shared out among its samples, to the
 * last nanosecond. A recording that another process left may say anything: indices are checked.
 */
#include "freeze.h"

#include <stdlib.h>
#include <string.h>

#include "labels.h"

/* What a thread has to share out, and what of it is shared out already. */
struct awi_share {
    uint64_t time_ns;
    uint64_t weight; /* of all its samples, with the lost ones */
    uint64_t given_ns;
    uint64_t given_weight;
};

struct filling {
    struct awi_room *room;
    struct aw_profile *profile;
    const struct awi_recording *recording;
    const struct awi_half *half;
    struct awi_share *shares; /* of the threads */
};

static size_t samples_bound(const struct awi_recording *recording)
{
    /* A thread may add [lost] and [unsampled]. */
    return (size_t)recording->head->stacks_max + 2 * (size_t)recording->head->threads_max;
}

/* False: there was no memory for one of them. */
static bool allocate_profile(struct awi_arena *arena, struct aw_profile *profile,
                             const struct awi_recording *recording)
{
    const struct awi_recording_head *head = recording->head;
    profile->arena = arena;
    profile->threads = awi_arena_alloc(arena, head->threads_max, sizeof *profile->threads);
    profile->labels = awi_arena_alloc(arena, AWI_LABELS_MAX + 1, sizeof *profile->labels);
    profile->modules = awi_arena_alloc(arena, head->modules_max, sizeof *profile->modules);
    profile->samples = awi_arena_alloc(arena, samples_bound(recording), sizeof *profile->samples);
    return profile->threads != NULL && profile->labels != NULL && profile->modules != NULL &&
           profile->samples != NULL;
}

static bool allocate_room(struct awi_arena *arena, struct awi_room *room,
                          const struct awi_recording *recording)
{
    const struct awi_recording_head *head = recording->head;
    room->profile = awi_arena_alloc(arena, 1, sizeof *room->profile);
    room->shares = awi_arena_alloc(arena, head->threads_max, sizeof *room->shares);
    room->frames = awi_arena_alloc(arena, head->frames_max, sizeof *room->frames);
    room->strings = awi_arena_alloc(arena, (size_t)head->strings_max + 1, 1);
    room->program = awi_arena_alloc(arena, sizeof head->program + 1, 1);
    room->build_ids = awi_arena_alloc(arena, head->modules_max, AWI_BUILD_ID_TEXT);
    return room->build_ids != NULL && room->profile != NULL && room->shares != NULL && room->frames != NULL &&
           room->strings != NULL && room->program != NULL &&
           allocate_profile(arena, room->profile, recording);
}

struct awi_room *awi_profile_prepare(const struct awi_recording *recording)
{
    struct awi_arena *arena = awi_arena_create();
    struct awi_room *room = arena != NULL ? awi_arena_alloc(arena, 1, sizeof *room) : NULL;
    if (room != NULL && allocate_room(arena, room, recording))
        return room;
    awi_arena_destroy(arena);
    return NULL;
}

static void fill_threads(struct filling *filling)
{
    struct aw_profile *profile = filling->profile;
    profile->threads_count = awi_recording_threads(filling->recording);
    for (size_t i = 0; i < profile->threads_count; ++i) {
        const struct awi_thread_record *record = &filling->recording->threads[i];
        struct awi_sampled_thread *thread = &profile->threads[i];
        thread->tid = record->tid;
        memcpy(thread->name, record->name, sizeof thread->name);
        thread->name[sizeof thread->name - 1] = '\0';
        uint64_t looked = record->looked_ns;
        filling->shares[i] =
            (struct awi_share){ .time_ns = looked > record->taken_ns ? looked - record->taken_ns : 0 };
    }
}

static int by_start(const void *a, const void *b)
{
    const struct awi_module *left = a;
    const struct awi_module *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

/* The later of two that share addresses is the one that is there. */
static void drop_unloaded(struct aw_profile *profile)
{
    size_t kept = 0;
    for (size_t i = 0; i < profile->modules_count; ++i) {
        bool is_there = true;
        for (size_t later = i + 1; is_there && later < profile->modules_count; ++later)
            is_there = profile->modules[i].end <= profile->modules[later].start ||
                       profile->modules[later].end <= profile->modules[i].start;
        if (is_there)
            profile->modules[kept++] = profile->modules[i];
    }
    profile->modules_count = kept;
}

static void write_hexadecimal(char *text, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count && i < AWI_BUILD_ID_BYTES; ++i) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}

static void fill_modules(struct filling *filling)
{
    const struct awi_recording_head *head = filling->recording->head;
    struct aw_profile *profile = filling->profile;
    char *strings = filling->room->strings;
    memcpy(strings, filling->recording->strings, head->strings_max);
    memcpy(filling->room->program, head->program, sizeof head->program);
    uint32_t used = atomic_load(&head->modules_used);
    for (uint32_t i = 0; i < used && i < head->modules_max; ++i) {
        const struct awi_module_record *record = &filling->recording->modules[i];
        if (atomic_load_explicit(&record->is_ready, memory_order_acquire) == 0 ||
            record->path >= head->strings_max || record->start >= record->end)
            continue;
        const char *path = strings + record->path;
        char *build_id = filling->room->build_ids + (size_t)i * AWI_BUILD_ID_TEXT;
        write_hexadecimal(build_id, record->build_id, record->build_id_bytes);
        profile->modules[profile->modules_count++] =
            (struct awi_module){ record->start, record->end, record->bias,
                                 path[0] != '\0' ? path : filling->room->program, build_id };
    }
    drop_unloaded(profile);
    if (profile->modules_count > 1)
        qsort(profile->modules, profile->modules_count, sizeof profile->modules[0], by_start);
    profile->program = UINT32_MAX;
    for (uint32_t i = 0; i < profile->modules_count; ++i) {
        if (profile->modules[i].path == filling->room->program)
            profile->program = i;
    }
}

/* Copies what is whole. */
static void fill_stacks(struct filling *filling)
{
    const struct awi_recording_head *head = filling->recording->head;
    struct aw_profile *profile = filling->profile;
    uint64_t *frames = filling->room->frames;
    uint64_t copied = 0;
    for (uint32_t i = 0; i < head->stacks_max; ++i) {
        const struct awi_stack_record *record = &filling->half->stacks[i];
        uint32_t first = atomic_load_explicit(&record->frames, memory_order_acquire);
        uint64_t count = atomic_load_explicit(&record->count, memory_order_relaxed);
        if (first == 0 || count == 0 || record->thread >= profile->threads_count || record->depth == 0 ||
            record->depth > AWI_DEPTH_MAX || (uint64_t)first - 1 + record->depth > head->frames_max ||
            copied + record->depth > head->frames_max)
            continue;
        memcpy(&frames[copied], &filling->half->frames[first - 1], record->depth * sizeof frames[0]);
        uint64_t weight = atomic_load_explicit(&record->weight_ns, memory_order_relaxed);
        weight = weight != 0 ? weight : count;
        profile->samples[profile->samples_count++] = (struct awi_sample){
            .count = count,
            .time_ns = weight,
            .thread = record->thread,
            .label = record->label < profile->labels_count ? record->label : 0,
            .kind = record->is_truncated != 0 ? AWI_TRUNCATED : AWI_STACK,
            .depth = record->depth,
            .pcs = &frames[copied],
        };
        copied += record->depth;
        filling->shares[record->thread].weight += weight;
        profile->stats.truncated += record->is_truncated != 0 ? count : 0;
        profile->stats.unknown += record->is_unknown != 0 ? count : 0;
        profile->stats.samples += count;
    }
}

static void add_made_up(struct aw_profile *profile, uint32_t thread, enum awi_sample_kind kind,
                        uint64_t count, uint64_t weight)
{
    profile->samples[profile->samples_count++] =
        (struct awi_sample){ .count = count, .time_ns = weight, .thread = thread, .kind = kind };
}

/* Samples without a stack, and threads without a sample. */
static void fill_stackless(struct filling *filling, unsigned half, bool keeps_rest)
{
    struct aw_profile *profile = filling->profile;
    for (uint32_t i = 0; i < profile->threads_count; ++i) {
        const struct awi_thread_record *record = &filling->recording->threads[i];
        struct awi_share *share = &filling->shares[i];
        uint64_t lost = atomic_load(&record->counts[half].lost);
        uint64_t lost_ns = atomic_load(&record->counts[half].lost_ns);
        lost_ns = lost_ns != 0 ? lost_ns : lost;
        if (lost > 0)
            add_made_up(profile, i, AWI_LOST, lost, lost_ns);
        share->weight += lost_ns;
        profile->stats.lost += lost;
        bool is_kept = keeps_rest && atomic_load(&record->state) == AWI_THREAD_SAMPLED;
        if (share->weight == 0 && share->time_ns > 0 && !is_kept)
            add_made_up(profile, i, AWI_UNSAMPLED, 0, 0);
    }
}

static uint64_t share_out(struct awi_share *share, uint64_t weight)
{
    __extension__ typedef unsigned __int128 wide;
    if (share->weight == 0)
        return share->time_ns;
    share->given_weight += weight;
    uint64_t due = (uint64_t)((wide)share->time_ns * share->given_weight / share->weight);
    uint64_t time = due - share->given_ns;
    share->given_ns = due;
    return time;
}

/* Until here a sample's time is its weight. */
static void weigh(struct filling *filling)
{
    struct aw_profile *profile = filling->profile;
    for (size_t i = 0; i < profile->samples_count; ++i) {
        struct awi_sample *sample = &profile->samples[i];
        sample->time_ns = share_out(&filling->shares[sample->thread], sample->time_ns);
        profile->stats.time_ns += sample->time_ns;
    }
}

void awi_profile_fill(struct awi_room *room, const struct awi_recording *recording, unsigned half,
                      bool keeps_rest, bool has_labels)
{
    const struct awi_recording_head *head = recording->head;
    struct aw_profile *profile = room->profile;
    struct filling filling = {
        .room = room,
        .profile = profile,
        .recording = recording,
        .half = &recording->halves[half],
        .shares = room->shares,
    };
    profile->clock = (enum aw_profile_clock)head->clock;
    profile->period_ns = UINT64_C(1000000000) / head->hz;
    profile->started_realtime_ns = head->started_realtime_ns;
    profile->stats.size = sizeof profile->stats;
    profile->stats.bytes = head->bytes;
    profile->stats.requested_hz = head->hz;
    profile->stats.threads_missed = atomic_load(&head->threads_missed);
    profile->stats.foreign = atomic_load(&head->foreign);
    profile->labels_count = awi_labels_copy(profile->labels, has_labels ? AWI_LABELS_MAX + 1 : 1);
    fill_threads(&filling);
    fill_modules(&filling);
    fill_stacks(&filling);
    fill_stackless(&filling, half, keeps_rest);
    weigh(&filling);
    profile->stats.threads = (unsigned)profile->threads_count;
    if (profile->stats.time_ns > 0)
        profile->stats.achieved_hz =
            (double)(profile->stats.samples + profile->stats.lost) * 1e9 / (double)profile->stats.time_ns;
}

uint64_t awi_profile_time(const struct aw_profile *profile)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i)
        sum += profile->samples[i].time_ns;
    return sum;
}

uint64_t awi_profile_count(const struct aw_profile *profile)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; ++i)
        sum += profile->samples[i].count;
    return sum;
}
