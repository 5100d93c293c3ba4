/* SPDX-License-Identifier: MIT */
/*
 * unwind.c: walks a stack by frame rules, which are found once for an address and then kept in a table: a
 * frame costs a look into it and two loads. A stack with a frame that no rule can say (a signal handler's, an
 * expression of a PLT) is walked by the compiler's unwinder, from its beginning.
 *
 * The table is direct-mapped and shared by all threads without a lock. An entry is two words, written one
 * after the other, the first one mixed with the second: a reader that sees one of this address and one of
 * another does not find its address in them. Of an object that may be unloaded, and another be loaded in its
 * place, its identity is mixed in as well.
 */
#include "unwind.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "../../engine/context.h"
#include "frame_rule.h"
#include "lasting.h"

#define ENTRIES 4096u

struct entry {
    _Atomic uint64_t mixed;
    _Atomic uint64_t rule;
};

static struct entry entries[ENTRIES];
static _Atomic uint64_t epoch; /* rules of an earlier profile are void */

void awi_unwind_warm(void)
{
    uint64_t pc;
    bool is_truncated;
    ucontext_t context;
    memset(&context, 0, sizeof context);
    atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed);
    awi_lasting_find();
    awi_unwind_by_libgcc(&context, &pc, 1, &is_truncated);
    awi_frame_rule_find((uintptr_t)&awi_unwind_warm);
}

#if defined(__x86_64__) && !defined(__ILP32__)

/* The object that the frame before lay in, if it is one that may be unloaded: asked for once in a row. */
struct passing {
    uint64_t start;
    uint64_t end;
    uint64_t identity;
};

static uint64_t identity_of(uint64_t pc, struct passing *passing)
{
    if (pc < passing->start || pc >= passing->end)
        passing->identity = awi_object_identity((uintptr_t)pc, &passing->start, &passing->end);
    return passing->identity;
}

static uint64_t mix(uint64_t pc, uint64_t rule, uint64_t age)
{
    return pc ^ rule * UINT64_C(0x9e3779b97f4a7c15) ^ age << 48 ^ 1;
}

static struct awi_frame_rule rule_at(uint64_t pc, uint64_t age, struct passing *passing)
{
    struct entry *entry = &entries[(pc * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
    uint64_t word = atomic_load_explicit(&entry->rule, memory_order_relaxed);
    uint64_t expected = mix(pc, word, age);
    struct awi_frame_rule rule;
    memcpy(&rule, &word, sizeof rule);
    if (rule.is_lasting == 0)
        expected ^= identity_of(pc, passing);
    if (atomic_load_explicit(&entry->mixed, memory_order_relaxed) == expected)
        return rule;
    rule = awi_frame_rule_find((uintptr_t)pc);
    rule.is_lasting = awi_lasting_has((uintptr_t)pc);
    memcpy(&word, &rule, sizeof word);
    expected = mix(pc, word, age) ^ (rule.is_lasting != 0 ? 0 : identity_of(pc, passing));
    atomic_store_explicit(&entry->rule, word, memory_order_relaxed);
    atomic_store_explicit(&entry->mixed, expected, memory_order_relaxed);
    return rule;
}

_Static_assert(sizeof(struct awi_frame_rule) == sizeof(uint64_t), "a rule is one word");

static uint64_t load(uint64_t address)
{
    uint64_t value;
    memcpy(&value, (const void *)(uintptr_t)address, sizeof value);
    return value;
}

/* AddressSanitizer knows nothing of a stack that is read from outside its frames. */
__attribute__((no_sanitize("address", "thread"))) unsigned awi_unwind_by_rules(const void *context,
                                                                               uint64_t *pcs, unsigned max,
                                                                               bool *is_truncated)
{
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t pc = (uint64_t)registers[REG_RIP];
    uint64_t sp = (uint64_t)registers[REG_RSP];
    uint64_t bp = (uint64_t)registers[REG_RBP];
    uint64_t age = atomic_load_explicit(&epoch, memory_order_relaxed);
    struct passing passing = { 0 };
    *is_truncated = false;
    for (unsigned depth = 0;;) {
        pcs[depth++] = pc;
        struct awi_frame_rule rule = rule_at(pc, age, &passing);
        if (rule.kind == AWI_RULE_END)
            return depth;
        uint64_t cfa = (rule.is_based_on_rbp != 0 ? bp : sp) + (uint64_t)rule.cfa;
        /* A caller's frame lies above; anything else is not to be followed by a rule. */
        if (rule.kind != AWI_RULE_PLAIN || cfa <= sp || cfa % 8 != 0)
            return 0;
        uint64_t return_address = load(cfa - 8);
        if (rule.rbp != 0)
            bp = load(cfa + (uint64_t)(int64_t)rule.rbp);
        if (return_address == 0)
            return depth;
        if (depth == max) {
            *is_truncated = true;
            return depth;
        }
        sp = cfa;
        pc = return_address - 1;
    }
}

#else

unsigned awi_unwind_by_rules(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated)
{
    (void)context, (void)pcs, (void)max, (void)is_truncated;
    return 0;
}

#endif

unsigned awi_unwind(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated)
{
    unsigned depth = awi_unwind_by_rules(context, pcs, max, is_truncated);
    return depth != 0 ? depth : awi_unwind_by_libgcc(context, pcs, max, is_truncated);
}
