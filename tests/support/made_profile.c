/* SPDX-License-Identifier: MIT */
/* made_profile.c: see made_profile.h. */
#include "made_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE_BYTES UINT64_C(0x100000000)
#define DEPTH_MAX 512

static void *or_abort(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* One more element at the end of an array whose capacity is the power of two at or above its count. */
static void *more(void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) == 0)
        array = or_abort(realloc(array, (count == 0 ? 1 : 2 * count) * size));
    memset((char *)array + count * size, 0, size);
    return array;
}

static char *keep(struct made_profile *made, const char *string)
{
    return or_abort(awi_arena_string(made->profile.arena, string));
}

void made_begin(struct made_profile *made)
{
    memset(made, 0, sizeof *made);
    made->profile.arena = or_abort(awi_arena_create());
    made->symbols.arena = made->profile.arena;
    made->profile.clock = AW_PROFILE_CPU;
    made->profile.period_ns = UINT64_C(4000000);
    made->profile.started_realtime_ns = UINT64_C(1790000000) * UINT64_C(1000000000);
    made->profile.stats.size = sizeof made->profile.stats;
    made->profile.stats.requested_hz = 250;
    made->profile.labels = more(NULL, 0, sizeof *made->profile.labels);
    made->profile.labels[0] = (struct awi_label){ 0, "", "" };
    made->profile.labels_count = 1;
    made_thread(made, 4711, "main");
}

void made_end(struct made_profile *made)
{
    free(made->profile.threads);
    free(made->profile.labels);
    free(made->profile.modules);
    free(made->profile.samples);
    free(made->symbols.functions);
    free(made->symbols.locations);
    free(made->symbols.stacks);
    free(made->symbols.build_ids);
    free(made->symbols.has_lines);
    awi_arena_destroy(made->profile.arena);
}

uint32_t made_thread(struct made_profile *made, int32_t tid, const char *name)
{
    struct aw_profile *profile = &made->profile;
    profile->threads = more(profile->threads, profile->threads_count, sizeof *profile->threads);
    profile->threads[profile->threads_count].tid = tid;
    (void)snprintf(profile->threads[profile->threads_count].name, AWI_NAME_BYTES, "%s", name);
    made->thread = (uint32_t)profile->threads_count++;
    profile->stats.threads = (unsigned)profile->threads_count;
    return made->thread;
}

uint32_t made_label(struct made_profile *made, uint32_t parent, const char *key, const char *value)
{
    struct aw_profile *profile = &made->profile;
    profile->labels = more(profile->labels, profile->labels_count, sizeof *profile->labels);
    profile->labels[profile->labels_count] = (struct awi_label){ parent, keep(made, key), keep(made, value) };
    made->label = (uint32_t)profile->labels_count++;
    return made->label;
}

uint32_t made_module(struct made_profile *made, const char *path)
{
    struct aw_profile *profile = &made->profile;
    struct awi_symbols *symbols = &made->symbols;
    size_t index = profile->modules_count;
    char build_id[41];
    profile->modules = more(profile->modules, index, sizeof *profile->modules);
    symbols->build_ids = more(symbols->build_ids, index, sizeof *symbols->build_ids);
    symbols->has_lines = more(symbols->has_lines, index, sizeof *symbols->has_lines);
    profile->modules[index].start = (index + 1) * MODULE_BYTES;
    profile->modules[index].end = (index + 1) * MODULE_BYTES + MODULE_BYTES / 2;
    profile->modules[index].bias = profile->modules[index].start;
    profile->modules[index].path = keep(made, path);
    (void)snprintf(build_id, sizeof build_id, "%040zx", index + 1);
    symbols->build_ids[index] = keep(made, build_id);
    symbols->has_lines[index] = true;
    return (uint32_t)profile->modules_count++;
}

uint32_t made_function(struct made_profile *made, uint32_t module, const char *name, const char *file,
                       uint32_t line)
{
    struct awi_symbols *symbols = &made->symbols;
    size_t index = symbols->functions_count;
    char *kept = keep(made, name);
    struct awi_frame *frame = or_abort(awi_arena_alloc(made->profile.arena, 1, sizeof *frame));
    frame->function = (uint32_t)index;
    frame->line = line == 0 ? 0 : line + 1;
    symbols->functions = more(symbols->functions, index, sizeof *symbols->functions);
    symbols->locations = more(symbols->locations, index, sizeof *symbols->locations);
    symbols->functions[index] =
        (struct awi_function){ kept, module == UINT32_MAX ? "" : kept, keep(made, file), line };
    symbols->locations[index] = (struct awi_location){ .module = module, .frames_count = 1, .frames = frame };
    if (module != UINT32_MAX)
        symbols->locations[index].pc = made->profile.modules[module].start + 16 * (index + 1) + 1;
    symbols->locations_count = ++symbols->functions_count;
    return (uint32_t)index;
}

void made_inline(struct made_profile *made, uint32_t location, uint32_t caller)
{
    struct awi_location *made_at = &made->symbols.locations[location];
    struct awi_frame *frames =
        or_abort(awi_arena_alloc(made->profile.arena, made_at->frames_count + 1, sizeof *frames));
    memcpy(frames, made_at->frames, made_at->frames_count * sizeof *frames);
    frames[made_at->frames_count++] = (struct awi_frame){ caller, made->symbols.functions[caller].line };
    made_at->frames = frames;
}

struct awi_sample *made_sample(struct made_profile *made, const uint32_t *functions, uint32_t depth,
                               uint64_t time_ns, uint64_t count)
{
    struct aw_profile *profile = &made->profile;
    size_t index = profile->samples_count;
    uint64_t *pcs = or_abort(awi_arena_alloc(profile->arena, depth, sizeof *pcs));
    uint32_t *locations = or_abort(awi_arena_alloc(profile->arena, depth, sizeof *locations));
    for (uint32_t i = 0; i < depth; ++i) {
        locations[i] = functions[depth - 1 - i];
        pcs[i] = made->symbols.locations[locations[i]].pc;
    }
    profile->samples = more(profile->samples, index, sizeof *profile->samples);
    made->symbols.stacks = more(made->symbols.stacks, index, sizeof *made->symbols.stacks);
    profile->samples[index] = (struct awi_sample){ .count = count,
                                                   .time_ns = time_ns,
                                                   .thread = made->thread,
                                                   .label = made->label,
                                                   .kind = AWI_STACK,
                                                   .depth = depth,
                                                   .pcs = pcs };
    made->symbols.stacks[index] = (struct awi_stack_names){ locations, depth };
    ++profile->samples_count;
    profile->elapsed_ns += time_ns;
    profile->stats.samples += count;
    profile->stats.time_ns += time_ns;
    profile->stats.elapsed_ns = profile->elapsed_ns;
    return &profile->samples[index];
}

struct awi_sample *made_stack(struct made_profile *made, const char *names, uint64_t time_ns, uint64_t count)
{
    uint32_t functions[DEPTH_MAX], depth = 0;
    for (const char *name = names; *name != '\0'; ++depth) {
        size_t length = strcspn(name, ";"), i = 0;
        while (i < made->symbols.functions_count &&
               (strncmp(made->symbols.functions[i].name, name, length) != 0 ||
                made->symbols.functions[i].name[length] != '\0'))
            ++i;
        if (i == made->symbols.functions_count || depth == DEPTH_MAX)
            abort();
        functions[depth] = (uint32_t)i;
        name += length + (name[length] == ';');
    }
    return made_sample(made, functions, depth, time_ns, count);
}
