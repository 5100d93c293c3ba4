/* SPDX-License-Identifier: MIT */
/*
 * call_tree.h: the stacks of a profile, merged from the outside in: who called whom, and for how long. The
 * flame graph draws it; whatever needs callers and callees may read it.
 */
#ifndef AWI_PROFILE_CALL_TREE_H
#define AWI_PROFILE_CALL_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "../model.h"

#define AWI_NO_CALL UINT32_MAX

/*
 * A function as it was called along one path. Call 0 is the whole; the first level below it are the threads,
 * if the tree has them. A parent stands before its children.
 */
struct awi_call {
    uint32_t parent;
    uint32_t first_child; /* AWI_NO_CALL: none */
    uint32_t next_sibling;
    uint32_t what;  /* index into the functions, or into the profile's threads */
    uint32_t depth; /* 0: the whole */
    uint64_t own_ns;
    uint64_t total_ns; /* its own, and that of all below it */
    uint64_t own_count;
    uint64_t total_count;
};

struct awi_call_tree {
    struct awi_call *calls;
    uint32_t count; /* 1 and more */
    uint32_t depth; /* of the deepest */
    bool has_threads;
};

/* -ENOMEM, or 0: then *tree is freed by awi_call_tree_free. */
int awi_call_tree_build(const struct aw_profile *profile, const struct awi_symbols *symbols, bool by_thread,
                        struct awi_call_tree **tree);
void awi_call_tree_free(struct awi_call_tree *tree);

static inline bool awi_call_is_thread(const struct awi_call_tree *tree, uint32_t call)
{
    return tree->has_threads && tree->calls[call].depth == 1;
}

#endif
