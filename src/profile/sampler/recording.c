/* SPDX-License-Identifier: MIT */
/*
 * recording.c: how a block of memory is divided into a recording's parts, and whether somebody else's block
 * is one.
 */
#include "recording.h"

#include <errno.h>
#include <string.h>

#define THREADS_PER_MIB 256u
#define MODULES_MAX 512u
#define STRINGS_SHARE 32u /* a 32nd of the block: names of modules */
#define MODULES_SHARE 64u
#define STACKS_SHARE 8u
#define BYTES_MIN ((size_t)64 * 1024)

static uint64_t aligned(uint64_t offset)
{
    return (offset + 63) / 64 * 64;
}

static uint32_t power_of_two_below(uint64_t value)
{
    uint32_t power = 1;
    while ((uint64_t)power * 2 <= value && power < UINT32_C(1) << 24)
        power *= 2;
    return power;
}

static void find_parts(void *block, struct awi_recording *recording)
{
    char *base = block;
    struct awi_recording_head *head = block;
    *recording = (struct awi_recording){
        .head = head,
        .threads = (struct awi_thread_record *)(void *)(base + head->threads),
        .modules = (struct awi_module_record *)(void *)(base + head->modules),
        .strings = base + head->strings,
        .halves[0] = { &head->half, (struct awi_stack_record *)(void *)(base + head->stacks),
                       (uint64_t *)(void *)(base + head->frames) },
    };
}

int awi_recording_format(void *block, size_t bytes, struct awi_recording *recording)
{
    if (bytes < BYTES_MIN)
        return -ENOMEM;
    struct awi_recording_head *head = block;
    uint64_t threads = (uint64_t)bytes * THREADS_PER_MIB >> 20;
    uint64_t modules = (uint64_t)bytes / MODULES_SHARE / sizeof(struct awi_module_record);
    head->bytes = bytes;
    head->threads_max = (uint32_t)(threads < UINT16_MAX ? threads : UINT16_MAX);
    head->modules_max = (uint32_t)(modules < MODULES_MAX ? modules : MODULES_MAX);
    head->strings_max = (uint32_t)(bytes / STRINGS_SHARE < 1 << 20 ? bytes / STRINGS_SHARE : 1 << 20);
    head->stacks_max = power_of_two_below(bytes / STACKS_SHARE / sizeof(struct awi_stack_record));
    head->threads = aligned(sizeof *head);
    head->modules = aligned(head->threads + head->threads_max * sizeof(struct awi_thread_record));
    head->strings = aligned(head->modules + head->modules_max * sizeof(struct awi_module_record));
    head->stacks = aligned(head->strings + head->strings_max);
    head->frames = aligned(head->stacks + head->stacks_max * sizeof(struct awi_stack_record));
    head->frames_max = (uint32_t)((bytes - head->frames) / sizeof(uint64_t));
    find_parts(block, recording);
    return 0;
}

void awi_recording_publish(struct awi_recording *recording)
{
    atomic_store_explicit(&recording->head->magic, AWI_RECORDING_MAGIC, memory_order_release);
}

/* `count` things of `size` bytes at `offset` lie behind the head and within the block. */
static bool fits(const struct awi_recording_head *head, uint64_t offset, uint64_t count, uint64_t size)
{
    return offset >= sizeof *head && offset % 8 == 0 && offset <= head->bytes &&
           count <= (head->bytes - offset) / size;
}

int awi_recording_attach(void *block, size_t bytes, struct awi_recording *recording)
{
    struct awi_recording_head *head = block;
    if (bytes < BYTES_MIN || atomic_load_explicit(&head->magic, memory_order_acquire) != AWI_RECORDING_MAGIC)
        return -EBADMSG;
    bool is_whole = head->bytes <= bytes && head->clock <= AW_PROFILE_WALL && head->hz > 0 &&
                    head->hz <= 10000 && head->threads_max <= UINT16_MAX &&
                    head->modules_max <= MODULES_MAX && head->max_depth <= AWI_DEPTH_MAX &&
                    fits(head, head->threads, head->threads_max, sizeof(struct awi_thread_record)) &&
                    fits(head, head->modules, head->modules_max, sizeof(struct awi_module_record)) &&
                    fits(head, head->strings, head->strings_max, 1) && head->strings_max > 0 &&
                    fits(head, head->stacks, head->stacks_max, sizeof(struct awi_stack_record)) &&
                    fits(head, head->frames, head->frames_max, sizeof(uint64_t)) &&
                    memchr(head->program, '\0', sizeof head->program) != NULL;
    if (!is_whole)
        return -EBADMSG;
    find_parts(block, recording);
    return 0;
}

size_t awi_recording_half_bytes(const struct awi_recording *recording)
{
    const struct awi_recording_head *head = recording->head;
    return (size_t)aligned(sizeof(struct awi_half_head)) +
           head->stacks_max * sizeof(struct awi_stack_record) + head->frames_max * sizeof(uint64_t);
}

void awi_recording_set_half(struct awi_recording *recording, void *block)
{
    char *stacks = (char *)block + aligned(sizeof(struct awi_half_head));
    char *frames = stacks + recording->head->stacks_max * sizeof(struct awi_stack_record);
    recording->halves[1] =
        (struct awi_half){ block, (struct awi_stack_record *)(void *)stacks, (uint64_t *)(void *)frames };
}

uint32_t awi_recording_threads(const struct awi_recording *recording)
{
    uint32_t used = atomic_load_explicit(&recording->head->threads_used, memory_order_acquire);
    return used < recording->head->threads_max ? used : recording->head->threads_max;
}

static uint64_t nominal_ns(const struct awi_thread_record *thread)
{
    uint64_t sum = 0;
    for (unsigned half = 0; half < AWI_HALVES; ++half)
        sum += atomic_load_explicit(&thread->counts[half].nominal_ns, memory_order_relaxed);
    return sum;
}

void awi_recording_look(struct awi_recording *recording)
{
    for (uint32_t i = 0; i < awi_recording_threads(recording); ++i) {
        struct awi_thread_record *thread = &recording->threads[i];
        bool has_ended = atomic_load_explicit(&thread->state, memory_order_acquire) == AWI_THREAD_ENDED;
        uint64_t used = atomic_load_explicit(&thread->used_ns, memory_order_relaxed);
        uint64_t nominal = nominal_ns(thread);
        if (has_ended || thread->looked_ns == 0)
            thread->looked_ns = has_ended || used > nominal ? used : nominal;
    }
}
