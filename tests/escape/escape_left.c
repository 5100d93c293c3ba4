/* SPDX-License-Identifier: MIT */
/*
 * escape_left.c: what the program has left by longjmp, guards with clean-ups, shields, callbacks, and what
 * of it must not show afterwards: in where escapes come, in what they run, in plain calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "spin.h"

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_unshield(), -EINVAL);
    ck_assert_int_eq(aw_shutdown(), 0);
}

static sigjmp_buf landing;

/* On a slow machine a guard may expire before anything was left: then once more. */
static volatile bool may_leave, has_left;

static _Noreturn void leave(void)
{
    has_left = true;
    siglongjmp(landing, 1);
}

/* Runs fn below frames that are written all over. */
__attribute__((noinline)) static void deep_down(unsigned depth, void (*fn)(void))
{
    volatile unsigned char bytes[1024];
    memset((unsigned char *)bytes, (int)depth, sizeof bytes);
    if (depth != 0)
        deep_down(depth - 1, fn);
    else
        fn();
    bytes[0] = 0;
}

/* ---- guards and shields ---- */

static volatile unsigned cleaned;

static void count_clean_up(void *arg)
{
    (void)arg;
    ++cleaned;
}

static void leave_with_a_clean_up(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(3600), AW_GUARD_DEFAULT) {
        (void)aw_guard_on_expiry(&guard, count_clean_up, NULL);
        leave();
    }
}

static void escape_around_what_was_left(volatile bool at_unshield)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(5), AW_GUARD_ESCAPE) {
        aw_shield();
        if (sigsetjmp(landing, 0) == 0)
            deep_down(32, leave_with_a_clean_up);
        if (at_unshield)
            spin_ms(8);
        (void)aw_unshield();
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

/* The program has cleared up by itself, if it had to. */
START_TEST(h34_a_left_guard_is_not_cleaned_up_for)
{
    start_variant(_i);
    cleaned = 0;
    for (int at_unshield = 0; at_unshield < 2; ++at_unshield) {
        has_left = false;
        do
            escape_around_what_was_left(at_unshield != 0);
        while (!has_left);
        ck_assert_uint_eq(cleaned, 0);
    }
    stop();
}
END_TEST

static struct aw_guard *dead;
static bool is_plain;

__attribute__((noinline)) static void leave_a_guard_with_a_clean_up(void)
{
    struct aw_guard guard;
    dead = &guard;
    if (is_plain) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
        (void)aw_guard_on_expiry(&guard, count_clean_up, NULL);
        leave();
    }
    AW_GUARD(&guard, AW_SEC(3600), AW_GUARD_ESCAPE) {
        (void)aw_guard_on_expiry(&guard, count_clean_up, NULL);
        leave();
    }
}

/*
 * A large array, of which nothing is used but what lies where the guard has its inner part: what is before
 * that, by which a guard is known, stays as it was.
 */
__attribute__((noinline)) static void spin_over_it(bool writes)
{
    volatile unsigned char bytes[8192];
    if (writes) {
        const size_t head = offsetof(struct aw_guard, awi_state) + sizeof dead->awi_state;
        uintptr_t at = (uintptr_t)dead + head - (uintptr_t)bytes;
        ck_assert_uint_lt(at, sizeof bytes - sizeof *dead);
        for (size_t i = 0; i < sizeof *dead - head; ++i)
            bytes[at + i] = 0x5a;
    }
    (void)aw_unshield();
    spin_to_the_escape();
    bytes[0] = 0;
}

static void escape_over_a_dead_guard(volatile bool writes)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(5), AW_GUARD_ESCAPE) {
        aw_shield();
        if (sigsetjmp(landing, 0) == 0)
            deep_down(1, leave_a_guard_with_a_clean_up);
        spin_over_it(writes);
    }
    ck_assert(aw_guard_expired(&guard));
}

static void escape_over_dead_guards(int variant, bool writes)
{
    start_variant(variant);
    cleaned = 0;
    for (int way = 0; way < 2; ++way) {
        is_plain = way != 0;
        has_left = false;
        do
            escape_over_a_dead_guard(writes);
        while (!has_left);
        ck_assert_uint_eq(cleaned, 0);
    }
    stop();
}

/* The frame that lies over it now is deeper, and has left it whole, */
START_TEST(h34_a_dead_guard_in_a_hole)
{
    escape_over_dead_guards(_i, false);
}
END_TEST

/* ... or but for what it is known by. */
START_TEST(h34_a_dead_guard_written_over)
{
    escape_over_dead_guards(_i, true);
}
END_TEST

static void leave_a_plain_guard(void)
{
    struct aw_guard guard;
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(20), AW_GUARD_DEFAULT), 0);
    leave();
}

static int write_byte(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

/* No call of the library comes between, which would find that the guard was left. */
START_TEST(h13_h24_a_left_guard_interrupts_nothing)
{
    static volatile unsigned interruptions;
    static volatile uint64_t start, left;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    start_variant(_i);
    do {
        pid_t pid = in_child(60, write_byte, &ends[1]);
        ssize_t n;
        interruptions = 0;
        start = clock_ns();
        if (sigsetjmp(landing, 0) == 0)
            deep_down(8, leave_a_plain_guard);
        left = clock_ns();
        while ((n = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
            ++interruptions;
        ck_assert_int_eq(n, 1);
        ck_assert_int_eq(aw_guard_mark(), 0);
        expect_exit(pid, 0);
    } while (left - start >= AW_MS(20)); /* so slow that it had expired before it was left */
    ck_assert_uint_eq(interruptions, 0);
    stop();
}
END_TEST

static void leave_under_a_shield(void)
{
    aw_shield();
    spin_ms(8);
    leave();
}

static void rewind_past_a_shield(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(5), AW_GUARD_ESCAPE) {
        volatile int mark = aw_guard_mark();
        if (sigsetjmp(landing, 0) == 0)
            deep_down(4, leave_under_a_shield);
        (void)aw_guard_rewind(mark);
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

/* What the shield has put off comes once rewinding has lowered it. */
START_TEST(h13_rewinding_lowers_shields)
{
    start_variant(_i);
    has_left = false;
    do
        rewind_past_a_shield();
    while (!has_left);
    stop();
}
END_TEST

/* ---- callbacks ---- */

/* Posted for a try that has ended meanwhile, it does nothing. */
static int leave_the_callback(void *arg)
{
    uint64_t after_ms = *(const uint64_t *)arg;
    if (!may_leave)
        return 0;
    spin_ms(after_ms);
    leave();
}

static const uint64_t at_once = 0, after_the_guard = 60;

START_TEST(h13_rewinding_where_a_callback_was_left)
{
    struct aw_guard outer, inner;
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&outer, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
    volatile int mark = aw_guard_mark();
    aw_shield();
    may_leave = true;
    if (sigsetjmp(landing, 0) == 0) {
        ck_assert_int_eq(aw_guard_enter(&inner, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_post(leave_the_callback, (void *)&at_once), 0);
        aw_safepoint();
        ck_abort_msg("the callback was not left");
    }
    ck_assert_int_eq(aw_guard_rewind(mark), 1);
    ck_assert_int_eq(aw_guard_mark(), mark);
    ck_assert_int_eq(aw_guard_leave(&outer), 0);
    stop();
}
END_TEST

static volatile bool by_signal;

/* By the handler's looks alone, or by a safe point's. */
static void be_ended(void)
{
    sigset_t all;
    if (by_signal)
        spin_to_the_escape();
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    spin_ms(60);
    aw_dispatch(0);
    ck_abort_msg("no escape at the safe point");
}

static void escape_after_a_callback_was_left(const uint64_t *after_ms, volatile unsigned depth)
{
    struct aw_guard guard;
    may_leave = true;
    AW_GUARD(&guard, AW_MS(40), AW_GUARD_ESCAPE) {
        if (sigsetjmp(landing, 0) == 0) {
            aw_post(leave_the_callback, (void *)after_ms);
            aw_safepoint();
        }
        deep_down(depth, be_ended);
    }
    may_leave = false;
    ck_assert(aw_guard_expired(&guard));
    ck_assert_int_ge(aw_safepoint(), 0);
}

/* The dispatch was under way, and is no more: it does not keep what lies deeper from being escaped out of. */
START_TEST(h30_a_left_callback_is_not_under_way)
{
    start_variant(_i);
    for (int way = 0; way < 2; ++way) {
        by_signal = way == 0;
        has_left = false;
        do
            escape_after_a_callback_was_left(&at_once, 64);
        while (!has_left);
    }
    stop();
}
END_TEST

/* The callback has hidden the guard when that expired. Nobody asks, and no call of the library is made. */
START_TEST(h30_expired_while_a_left_callback_hid_it)
{
    start_variant(_i);
    by_signal = true;
    has_left = false;
    do
        escape_after_a_callback_was_left(&after_the_guard, 0);
    while (!has_left);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_left");
    TCase *guards = signal_case(suite, "guards");
    TCase *callbacks = signal_case(suite, "callbacks");

    tcase_add_loop_test(guards, h34_a_left_guard_is_not_cleaned_up_for, 0, VARIANTS);
    if (!UNDER_ASAN) { /* which gives the array and the guard places of their own */
        tcase_add_loop_test(guards, h34_a_dead_guard_in_a_hole, 0, VARIANTS);
        tcase_add_loop_test(guards, h34_a_dead_guard_written_over, 0, VARIANTS);
    }
    tcase_add_loop_test(guards, h13_h24_a_left_guard_interrupts_nothing, 0, VARIANTS);
    tcase_add_loop_test(guards, h13_rewinding_lowers_shields, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h13_rewinding_where_a_callback_was_left, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h30_a_left_callback_is_not_under_way, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h30_expired_while_a_left_callback_hid_it, 0, VARIANTS);
    return run_suite(suite);
}
