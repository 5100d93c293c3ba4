/* SPDX-License-Identifier: MIT */
/*
 * escape_nesting.c: which guard an escape goes to. Three guards, each cooperative, escaping or on processor
 * time, in every order of deadlines, equal ones too, on the stack and in callbacks: where it lands, who is
 * said to have fired, and what the guards around report then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "spin.h"

#define DEEP 3
#define NOBODY DEEP
#define STEP_NS AW_MS(3)

enum mode {
    COOPERATIVE,
    ESCAPING,
    ON_CPU,          /* cooperative, on processor time */
    ESCAPING_ON_CPU, /* both */
    MODES
};

/* One try: what was asked, and what was seen at each depth. */
static struct {
    enum mode mode[DEEP];
    unsigned rank[DEEP]; /* its deadline, in steps */
    uint64_t start_ns[DEEP];
    struct seen {
        bool completed;  /* its body */
        bool gave_up;    /* its AW_EXPIRED ran */
        int error;       /* of entering */
        unsigned fired;  /* who, by then */
        uint64_t end_ns; /* when its body ended */
    } seen[DEEP];
    const struct aw_guard *guards[DEEP];
    unsigned ended_for; /* who had fired when the innermost body ended by itself; NOBODY: it did not */
} volatile tried;

static unsigned who_fired(const struct aw_guard *guard)
{
    const struct aw_guard *fired = aw_guard_fired(guard);
    for (unsigned i = 0; i < DEEP; ++i) {
        if (fired == tried.guards[i])
            return i;
    }
    return NOBODY;
}

static unsigned target_of(unsigned fired);

/* A body that no escape will end. To ask who fired is not yet to be told. */
static bool has_to_end(const struct aw_guard *guard)
{
    unsigned fired = who_fired(guard);
    if (fired == NOBODY || target_of(fired) != NOBODY)
        return false;
    tried.ended_for = fired;
    return true;
}

static void go_deeper(unsigned depth);

static void inside(unsigned depth, const struct aw_guard *guard)
{
    uint64_t limit = tried.start_ns[0] + SPIN_LIMIT;
    if (depth + 1 < DEEP) {
        go_deeper(depth + 1);
    } else {
        while (!has_to_end(guard) && clock_ns() < limit)
            spin_a_while();
    }
    tried.seen[depth].end_ns = clock_ns();
    tried.seen[depth].completed = true;
}

/* An escape to a guard further out may end this anywhere: what is said last is that all of it was said. */
static void gave_up(unsigned depth, const struct aw_guard *guard)
{
    if (!tried.seen[depth].completed)
        tried.seen[depth].end_ns = clock_ns();
    tried.seen[depth].error = aw_guard_error(guard);
    tried.seen[depth].fired = who_fired(guard);
    tried.seen[depth].gave_up = true;
}

/* The flags have to be constants: a function for each mode. */
#define DEFINE_LEVEL(name, flags)                         \
    static void name(unsigned depth, uint64_t timeout_ns) \
    {                                                     \
        struct aw_guard guard;                            \
        tried.guards[depth] = &guard;                     \
        AW_GUARD(&guard, timeout_ns, flags) {             \
            inside(depth, &guard);                        \
        }                                                 \
        AW_EXPIRED                                        \
        {                                                 \
            gave_up(depth, &guard);                       \
        }                                                 \
        if (!tried.seen[depth].gave_up)                   \
            tried.seen[depth].fired = who_fired(&guard);  \
    }
DEFINE_LEVEL(cooperative_level, AW_GUARD_DEFAULT)
DEFINE_LEVEL(escaping_level, AW_GUARD_ESCAPE)
DEFINE_LEVEL(cpu_level, AW_GUARD_CPU)
DEFINE_LEVEL(escaping_cpu_level, AW_GUARD_ESCAPE | AW_GUARD_CPU)

static bool escapes(unsigned depth)
{
    return tried.mode[depth] == ESCAPING || tried.mode[depth] == ESCAPING_ON_CPU;
}

static bool is_on_cpu(unsigned depth)
{
    return tried.mode[depth] == ON_CPU || tried.mode[depth] == ESCAPING_ON_CPU;
}

static void go_deeper(unsigned depth)
{
    static void (*const levels[MODES])(unsigned depth, uint64_t timeout_ns) = { cooperative_level,
                                                                                escaping_level, cpu_level,
                                                                                escaping_cpu_level };
    tried.start_ns[depth] = clock_ns();
    levels[tried.mode[depth]](depth, STEP_NS * tried.rank[depth]);
}

/* Where it goes once the guard at `fired` is the outermost expired one; NOBODY: the body asks, and ends. */
static unsigned target_of(unsigned fired)
{
    unsigned depth = fired;
    while (depth < DEEP && !escapes(depth))
        ++depth;
    return depth;
}

/* Nothing is early: whoever is said to have fired was due by then. Processor time passes more slowly. */
static void expect_due(unsigned depth, uint64_t by_ns)
{
    ck_assert_uint_ge(by_ns, tried.start_ns[depth] + STEP_NS * tried.rank[depth]);
}

static bool landed_at(unsigned depth)
{
    return tried.seen[depth].gave_up && !tried.seen[depth].completed;
}

/*
 * Who counted first was due, and of the least deadline; on a machine that stood still for a step, or by
 * processor time, others have passed as well, and one further out counts.
 */
static void judge_first(unsigned fired, uint64_t end_ns)
{
    unsigned least = 0;
    ck_assert_uint_ne(fired, NOBODY);
    expect_due(fired, end_ns);
    for (unsigned i = 1; i < DEEP; ++i)
        least = tried.rank[i] < tried.rank[least] ? i : least;
    if (is_on_cpu(0) || is_on_cpu(1) || is_on_cpu(2))
        return;
    if (tried.rank[fired] != tried.rank[least])
        ck_assert_uint_lt(fired, least);
    if (end_ns < tried.start_ns[0] + STEP_NS * (tried.rank[least] + 1))
        ck_assert_uint_eq(fired, least);
}

/* After the first end, a landing or the innermost body's own, a guard further out may land if it is due. */
static void judge(void)
{
    unsigned first = NOBODY, last = NOBODY;
    for (unsigned i = DEEP; i-- != 0;) {
        ck_assert_int_eq(tried.seen[i].error, 0);
        if (landed_at(i)) {
            first = first == NOBODY ? i : first;
            last = i;
            ck_assert_uint_eq(i, target_of(tried.seen[i].fired));
        }
        if (tried.seen[i].gave_up)
            expect_due(tried.seen[i].fired, tried.seen[i].end_ns);
    }
    for (unsigned i = 0; i < DEEP; ++i)
        ck_assert(tried.seen[i].completed || (last != NOBODY && i >= last));
    if (tried.ended_for != NOBODY) {
        ck_assert_uint_eq(target_of(tried.ended_for), NOBODY);
        judge_first(tried.ended_for, clock_ns());
        ck_assert(tried.seen[tried.ended_for].gave_up || last < tried.ended_for);
        return;
    }
    ck_assert_uint_ne(first, NOBODY);
    unsigned fired = tried.seen[first].fired;
    judge_first(fired, tried.seen[first].end_ns);
    for (unsigned i = first + 1; i < DEEP; ++i)
        ck_assert(!tried.seen[i].completed && !tried.seen[i].gave_up);
    /* The one that counted reports it itself, in its own place. */
    ck_assert(tried.seen[fired].gave_up || last < fired);
}

static void run_try(void)
{
    memset((void *)&tried.seen, 0, sizeof tried.seen);
    tried.ended_for = NOBODY;
    for (unsigned i = 0; i < DEEP; ++i) {
        tried.guards[i] = NULL;
        tried.seen[i].fired = NOBODY;
    }
    go_deeper(0);
}

/* Every order of three deadlines, some of them equal. */
static const unsigned orders[][DEEP] = { { 1, 1, 1 }, { 1, 1, 2 }, { 1, 2, 1 }, { 2, 1, 1 }, { 1, 2, 2 },
                                         { 2, 1, 2 }, { 2, 2, 1 }, { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                         { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };
#define ORDERS (sizeof orders / sizeof *orders)

static void draw(unsigned order, unsigned mix, unsigned modes)
{
    for (unsigned i = 0; i < DEEP; ++i) {
        tried.mode[i] = (enum mode)(mix % modes);
        tried.rank[i] = orders[order][i];
        mix /= modes;
    }
}

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

START_TEST(h12_h31_every_order_and_mix)
{
    start_variant(_i);
    for (volatile unsigned order = 0; order < ORDERS; ++order) {
        for (volatile unsigned mix = 0; mix < 8; ++mix) {
            draw(order, mix, 2);
            run_try();
            judge();
            ck_assert_int_eq(aw_guard_mark(), 0);
        }
    }
    stop();
}
END_TEST

/* With processor time; its ticks are coarser than the steps, so there are fewer tries. */
START_TEST(h12_h31_every_mix_with_processor_time)
{
    start_variant(_i);
    for (volatile unsigned mix = 0; mix < MODES * MODES * MODES; ++mix) {
        draw(7 + mix % 6, mix, MODES);
        run_try();
        judge();
        ck_assert_int_eq(aw_guard_mark(), 0);
    }
    stop();
}
END_TEST

/* ---- 30: inside callbacks ---- */

static int try_in_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    run_try();
    ++*(volatile unsigned *)arg;
    return 0;
}

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(volatile unsigned *)arg;
    return 0;
}

START_TEST(h30_every_mix_inside_a_callback)
{
    static volatile unsigned tries, ticks;
    struct aw_timer timer, other;
    start_variant(_i);
    tries = ticks = 0;
    ck_assert_int_eq(aw_timer_create(&timer, try_in_callback, (void *)&tries), 0);
    ck_assert_int_eq(aw_timer_create(&other, count, (void *)&ticks), 0);
    ck_assert_int_eq(aw_timer_arm_every(other, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    for (volatile unsigned mix = 0; mix < 8; ++mix) {
        draw(mix % 6 + 7, mix, 2);
        ck_assert_int_eq(aw_timer_arm(timer, AW_US(300)), 0);
        while (tries <= mix)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 0);
        judge();
        unsigned before = ticks;
        while (ticks < before + 2)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    }
    stop();
}
END_TEST

/* The guard is around the dispatch: the callback comes to its end, and the dispatch escapes. */
static int spin_in_callback(struct aw_timer timer, void *arg)
{
    volatile int *stages = arg;
    (void)timer;
    ++*stages;
    spin_ms(8);
    ++*stages;
    return 0;
}

static void dispatch_by(unsigned way)
{
    if (way == 0)
        (void)aw_safepoint();
    else if (way == 1)
        aw_dispatch(0);
    else if (way == 2)
        aw_wait(AW_SEC(60));
    else if (way == 3)
        aw_poll(NULL, 0, AW_SEC(60));
    else
        aw_run();
    if (way > 0)
        ck_abort_msg("way %u: no escape at the end of the dispatch", way);
    spin_to_the_escape();
}

START_TEST(h30_a_guard_around_a_dispatch)
{
    static volatile int stages;
    static volatile unsigned ticks;
    struct aw_timer timer, other;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, spin_in_callback, (void *)&stages), 0);
    ck_assert_int_eq(aw_timer_create(&other, count, (void *)&ticks), 0);
    for (volatile unsigned way = 0; way < 5; ++way) {
        /* On a slow machine the escape may come before the callback: then once more. */
        for (stages = 0; stages == 0;) {
            struct aw_guard guard;
            ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
            AW_GUARD(&guard, AW_MS(5), AW_GUARD_ESCAPE) {
                spin_ms(2);
                dispatch_by(way);
            }
            ck_assert(aw_guard_expired(&guard));
        }
        ck_assert_int_eq(stages, 2);
        ticks = 0;
        ck_assert_int_eq(aw_timer_arm_every(other, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
        while (ticks < 3)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        ck_assert_int_eq(aw_timer_disarm(other), 1);
    }
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_nesting");
    TCase *stacks = signal_case(suite, "stacks");
    TCase *callbacks = signal_case(suite, "callbacks");

    tcase_add_loop_test(stacks, h12_h31_every_order_and_mix, 0, VARIANTS);
    tcase_add_loop_test(stacks, h12_h31_every_mix_with_processor_time, 0, SOURCES);
    tcase_add_loop_test(callbacks, h30_every_mix_inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h30_a_guard_around_a_dispatch, 0, VARIANTS);
    return run_suite(suite);
}
