/* SPDX-License-Identifier: MIT */
/*
 * call_tree.c: merges stacks into a tree. Calls are kept in one growing array, and found by their parent and
 * function through a hash table that is as good as forgotten once the tree stands. Called when an output is
 * written; no recursion, however deep the stacks are.
 */
#include "call_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST UINT32_C(1024)
#define CALLS_MAX (UINT32_C(1) << 30)

struct growth {
    struct awi_call_tree *tree;
    uint32_t capacity; /* of the calls; the slots are twice as many, a power of two */
    uint32_t *slots;   /* AWI_NO_CALL: free */
};

static uint32_t slot_of(const struct growth *growth, uint32_t parent, uint32_t what)
{
    uint64_t hash = (((uint64_t)parent << 32) | what) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mask = 2 * growth->capacity - 1;
    uint32_t slot = (uint32_t)(hash >> 32) & mask;
    for (; growth->slots[slot] != AWI_NO_CALL; slot = (slot + 1) & mask) {
        const struct awi_call *call = &growth->tree->calls[growth->slots[slot]];
        if (call->parent == parent && call->what == what)
            break;
    }
    return slot;
}

static int grow(struct growth *growth)
{
    uint32_t capacity = growth->capacity == 0 ? SLOTS_FIRST / 2 : 2 * growth->capacity;
    if (capacity > CALLS_MAX)
        return -ENOMEM;
    struct awi_call *calls = realloc(growth->tree->calls, capacity * sizeof *calls);
    if (calls == NULL)
        return -ENOMEM;
    growth->tree->calls = calls;
    uint32_t *slots = malloc((size_t)2 * capacity * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    memset(slots, 0xff, (size_t)2 * capacity * sizeof *slots);
    free(growth->slots);
    growth->slots = slots;
    growth->capacity = capacity;
    for (uint32_t i = 0; i < growth->tree->count; ++i)
        slots[slot_of(growth, calls[i].parent, calls[i].what)] = i;
    return 0;
}

static int add_call(struct growth *growth, uint32_t parent, uint32_t what, uint32_t *added)
{
    struct awi_call_tree *tree = growth->tree;
    if (tree->count == growth->capacity) {
        int error = grow(growth);
        if (error != 0)
            return error;
    }
    uint32_t index = tree->count++;
    struct awi_call *call = &tree->calls[index];
    *call = (struct awi_call){
        .parent = parent, .first_child = AWI_NO_CALL, .next_sibling = AWI_NO_CALL, .what = what
    };
    if (parent != AWI_NO_CALL) {
        call->depth = tree->calls[parent].depth + 1;
        call->next_sibling = tree->calls[parent].first_child;
        tree->calls[parent].first_child = index;
    }
    if (tree->depth < call->depth)
        tree->depth = call->depth;
    growth->slots[slot_of(growth, parent, what)] = index;
    *added = index;
    return 0;
}

/* Goes down to the callee, and counts the sample there. */
static int descend(struct growth *growth, uint32_t *call, uint32_t what, const struct awi_sample *sample)
{
    uint32_t found = growth->slots[slot_of(growth, *call, what)];
    if (found == AWI_NO_CALL) {
        int error = add_call(growth, *call, what, &found);
        if (error != 0)
            return error;
    }
    growth->tree->calls[found].total_ns += sample->time_ns;
    growth->tree->calls[found].total_count += sample->count;
    *call = found;
    return 0;
}

static int add_sample(struct growth *growth, const struct awi_sample *sample,
                      const struct awi_stack_names *stack, const struct awi_symbols *symbols)
{
    uint32_t call = 0;
    growth->tree->calls[0].total_ns += sample->time_ns;
    growth->tree->calls[0].total_count += sample->count;
    int error = growth->tree->has_threads ? descend(growth, &call, sample->thread, sample) : 0;
    for (uint32_t i = stack->depth; error == 0 && i-- > 0;) {
        const struct awi_location *location = &symbols->locations[stack->locations[i]];
        for (uint32_t frame = location->frames_count; error == 0 && frame-- > 0;)
            error = descend(growth, &call, location->frames[frame].function, sample);
    }
    growth->tree->calls[call].own_ns += sample->time_ns;
    growth->tree->calls[call].own_count += sample->count;
    return error;
}

int awi_call_tree_build(const struct aw_profile *profile, const struct awi_symbols *symbols, bool by_thread,
                        struct awi_call_tree **tree)
{
    struct growth growth = { .tree = calloc(1, sizeof(struct awi_call_tree)) };
    if (growth.tree == NULL)
        return -ENOMEM;
    growth.tree->has_threads = by_thread;
    uint32_t whole;
    int error = grow(&growth);
    if (error == 0)
        error = add_call(&growth, AWI_NO_CALL, 0, &whole);
    for (size_t i = 0; error == 0 && i < profile->samples_count; ++i)
        error = add_sample(&growth, &profile->samples[i], &symbols->stacks[i], symbols);
    free(growth.slots);
    if (error != 0)
        awi_call_tree_free(growth.tree);
    else
        *tree = growth.tree;
    return error;
}

void awi_call_tree_free(struct awi_call_tree *tree)
{
    if (tree != NULL)
        free(tree->calls);
    free(tree);
}
