/* SPDX-License-Identifier: MIT */
/*
 * walk.c: walks a stack by frame rules, which are found once for an address and then kept in a table: a
 * frame costs a look into it and two loads. A stack with a frame that no rule can say is walked by the
 * compiler's unwinder, from its beginning.
 *
 * The table is direct-mapped and shared by all threads without a lock. An entry is two words, written one
 * after the other, the first one mixed with the second: a reader that sees one of this address and one of
 * another does not find its address in them. Of an object that may be unloaded, and another be loaded in its
 * place, its identity is mixed in as well.
 */
#include "walk.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

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

/* The object that holds the compiler's unwinder. */
static uint64_t unwinder_start;
static uint64_t unwinder_end;

void awi_unwind_warm(void)
{
    uint64_t pc;
    bool is_truncated;
    ucontext_t context;
    memset(&context, 0, sizeof context);
    atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed);
    awi_lasting_find();
    awi_object_identity((uintptr_t)&_Unwind_Backtrace, &unwinder_start, &unwinder_end);
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

#define PAGE_BYTES UINT64_C(4096)
#define PAGES_KNOWN 8u

/* Pages that this thread could read. */
static _Thread_local uint64_t readable[PAGES_KNOWN] __attribute__((tls_model("initial-exec")));

/*
 * What call-frame information says may be wrong: in assembly, on a smashed stack. A new page is looked at by
 * the kernel first: it reads the mask before it finds that what to do with it makes no sense.
 */
static bool is_readable(uint64_t address)
{
    uint64_t page = address / PAGE_BYTES;
    if (readable[page % PAGES_KNOWN] == page)
        return true;
    if (address % sizeof(uint64_t) != 0 ||
        (syscall(SYS_rt_sigprocmask, -1, address, NULL, sizeof(uint64_t)) != 0 && errno == EFAULT))
        return false;
    readable[page % PAGES_KNOWN] = page;
    return true;
}

/* AddressSanitizer knows nothing of a stack that is read from outside its frames. */
#define AWI_ANY_STACK __attribute__((no_sanitize("address", "thread")))

AWI_ANY_STACK static uint64_t load(uint64_t address)
{
    return *(const uint64_t *)(uintptr_t)address;
}

struct registers {
    uint64_t pc;
    uint64_t sp;
    uint64_t bp;
};

AWI_ANY_STACK static void read_context(const ucontext_t *context, struct registers *registers)
{
    registers->pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    registers->sp = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
    registers->bp = (uint64_t)context->uc_mcontext.gregs[REG_RBP];
}

/* To what a signal interrupted. False: the kernel's frame is not there. */
static bool step_out_of_signal(struct registers *registers)
{
    const ucontext_t *interrupted = (const ucontext_t *)(uintptr_t)registers->sp;
    if (!is_readable((uint64_t)(uintptr_t)&interrupted->uc_mcontext.gregs[0]) ||
        !is_readable((uint64_t)(uintptr_t)&interrupted->uc_mcontext.gregs[REG_RIP]))
        return false;
    read_context(interrupted, registers);
    return true;
}

/* To the caller. False: there is none, or the rule leads nowhere: a caller's frame lies above. */
static bool step(struct registers *registers, struct awi_frame_rule rule)
{
    uint64_t cfa = (rule.is_based_on_rbp != 0 ? registers->bp : registers->sp) + (uint64_t)rule.cfa;
    uint64_t saved = cfa + (uint64_t)(int64_t)rule.rbp;
    if (cfa <= registers->sp || !is_readable(cfa - 8) || (rule.rbp != 0 && !is_readable(saved)))
        return false;
    uint64_t return_address = load(cfa - 8);
    if (rule.rbp != 0)
        registers->bp = load(saved);
    registers->sp = cfa;
    registers->pc = return_address - 1;
    return return_address != 0;
}

unsigned awi_unwind_by_rules(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated,
                             bool *is_whole)
{
    struct registers registers;
    struct passing passing = { 0 };
    uint64_t age = atomic_load_explicit(&epoch, memory_order_relaxed);
    read_context(context, &registers);
    *is_truncated = false;
    *is_whole = true;
    for (unsigned depth = 0;; ++depth) {
        if (depth == max) {
            *is_truncated = true;
            return depth;
        }
        struct awi_frame_rule rule = rule_at(registers.pc, age, &passing);
        bool is_signal = rule.kind == AWI_RULE_SIGNAL;
        pcs[depth] = registers.pc + is_signal; /* nothing calls there: where it begins is exact */
        *is_whole = rule.kind != AWI_RULE_COMPLEX;
        bool goes_on = is_signal ? step_out_of_signal(&registers)
                                 : rule.kind == AWI_RULE_PLAIN && step(&registers, rule);
        if (!goes_on)
            return depth + 1;
    }
}

/*
 * The compiler's unwinder, of which the program may have its own, keeps frames that are registered behind a
 * lock: who was interrupted in it may hold that.
 */
static bool is_in_unwinder(const uint64_t *pcs, unsigned depth)
{
    for (unsigned i = 0; i < depth; ++i) {
        if (pcs[i] >= unwinder_start && pcs[i] < unwinder_end)
            return true;
    }
    return false;
}

unsigned awi_unwind(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated)
{
    bool is_whole;
    unsigned depth = awi_unwind_by_rules(context, pcs, max, is_truncated, &is_whole);
    return is_whole || is_in_unwinder(pcs, depth) ? depth
                                                  : awi_unwind_by_libgcc(context, pcs, max, is_truncated);
}

#else

unsigned awi_unwind_by_rules(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated,
                             bool *is_whole)
{
    (void)context, (void)pcs, (void)max;
    *is_truncated = *is_whole = false;
    return 0;
}

unsigned awi_unwind(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated)
{
    return awi_unwind_by_libgcc(context, pcs, max, is_truncated);
}

#endif
