/* SPDX-License-Identifier: MIT */
/*
 * signal_escape.c: escapes under real signals: where they land and when, what they keep (mask, errno,
 * volatile locals, timers), and every way out of the body. tests/escape/ has the rest: other stacks and
 * callbacks, nesting, shields and clean-ups, the stress.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <alarmwheel/io.h>

#include "../escape/spin.h"
#include "check_main.h"

static int ends[2];

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_unshield(), -EINVAL);
    ck_assert_int_eq(aw_shutdown(), 0);
}

START_TEST(never_early_and_named)
{
    volatile unsigned landings = 0;
    unsigned tries = scaled(300);
    start_variant(_i);
    for (volatile unsigned i = 0; i < tries; ++i) {
        struct aw_guard guard;
        volatile uint64_t timeout_ns = AW_US(20) + i * 7919 % AW_MS(1);
        volatile uint64_t start = clock_ns();
        AW_GUARD(&guard, timeout_ns, AW_GUARD_ESCAPE) {
            spin_to_the_escape();
        }
        AW_EXPIRED
        {
            ck_assert_uint_ge(clock_ns(), start + timeout_ns);
            ck_assert(aw_guard_expired(&guard));
            ck_assert_ptr_eq(aw_guard_fired(&guard), &guard);
            ck_assert_int_eq(aw_guard_error(&guard), 0);
            ck_assert_int_eq(aw_guard_mark(), 0);
            ++landings;
        }
    }
    ck_assert_uint_eq(landings, tries);
    ck_assert_uint_eq(stats_now().guards, tries);
    stop();
}
END_TEST

/* In time there is no escape, later either. */
START_TEST(h11_in_time_there_is_none)
{
    volatile unsigned bodies = 0;
    volatile bool is_inside;
    volatile uint64_t start, give_up = clock_ns() + AW_SEC(60);
    start_variant(_i);
    while (bodies < 100 && clock_ns() < give_up) {
        struct aw_guard guard;
        is_inside = true;
        start = clock_ns();
        AW_GUARD(&guard, AW_MS(1), AW_GUARD_ESCAPE) {
            ++bodies;
        }
        AW_EXPIRED /* the machine stood still in between */
        {
            ck_assert(is_inside);
            ck_assert_uint_ge(clock_ns(), start + AW_MS(1));
        }
        is_inside = false;
    }
    spin_ms(3);
    ck_assert_uint_eq(bodies, 100);
    stop();
}
END_TEST

/* ---- 17: mask, errno, locals ---- */

enum way {
    BY_SIGNAL,
    BY_SAFE_POINT,
    BY_UNSHIELD,
    BY_CALL,
    WAYS
};

static void be_ended(enum way way)
{
    sigset_t all;
    char byte;
    switch (way) {
    case BY_SIGNAL:
        spin_to_the_escape();
        break;
    case BY_SAFE_POINT: /* with no signal to help */
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        spin_ms(8);
        errno = 4711;
        aw_dispatch(0);
        break;
    case BY_UNSHIELD:
        aw_shield();
        spin_ms(8);
        aw_unshield();
        break;
    default:
        aw_read(ends[0], &byte, 1, AW_FOREVER);
    }
    ck_abort_msg("no escape by way %d", way);
}

static void expect_same_mask(const sigset_t *before, int except)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signo = 1; signo < 65; ++signo) {
        if (signo != except)
            ck_assert_msg(sigismember(&now, signo) == sigismember(before, signo), "signal %d", signo);
    }
}

START_TEST(h17_the_mask_is_that_of_the_entry)
{
    sigset_t before;
    open_pipe();
    block_signal(SIGWINCH);
    start_variant(_i);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (volatile int way = 0; way < WAYS; ++way) {
        for (volatile int changes = 0; changes < 2; ++changes) {
            volatile bool landed = false;
            struct aw_guard guard;
            AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE) {
                if (changes) {
                    block_signal(SIGUSR2);
                    unblock_signal(SIGWINCH);
                }
                be_ended((enum way)way);
            }
            AW_EXPIRED
            {
                landed = true;
            }
            ck_assert(landed);
            expect_same_mask(&before, 0);
        }
    }
    stop();
}
END_TEST

static volatile bool has_blocked;

static void escape_with_nomask(enum way way)
{
    struct aw_guard guard;
    has_blocked = false;
    AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE | AW_GUARD_NOMASK) {
        block_signal(SIGUSR2);
        has_blocked = true;
        be_ended(way);
    }
    ck_assert(aw_guard_expired(&guard));
}

START_TEST(h17_nomask_keeps_the_mask_of_the_body)
{
    static const enum way ways[] = { BY_SIGNAL, BY_UNSHIELD, BY_CALL }; /* the other one blocks all */
    sigset_t before;
    open_pipe();
    start_variant(_i);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; ++i) {
        /* On a slow machine the escape may come before the body blocks anything: then once more. */
        do {
            unblock_signal(SIGUSR2);
            escape_with_nomask(ways[i]);
        } while (!has_blocked);
        ck_assert(is_blocked(SIGUSR2));
        expect_same_mask(&before, SIGUSR2);
    }
    unblock_signal(SIGUSR2);
    stop();
}
END_TEST

START_TEST(h17_errno_and_volatile_locals)
{
    open_pipe();
    start_variant(_i);
    for (volatile int way = 0; way < BY_CALL; ++way) {
        volatile int changed = 1, error = 0;
        while (changed == 1) {
            struct aw_guard guard;
            errno = 0;
            AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE) {
                errno = 4711;
                changed = 2;
                be_ended((enum way)way);
            }
            AW_EXPIRED
            {
                error = errno;
            }
        }
        ck_assert_int_eq(changed, 2);
        ck_assert_int_eq(error, 4711);
    }
    stop();
}
END_TEST

/* ---- 13: the ways out of the body ---- */

START_TEST(h13_break_and_continue)
{
    volatile int rounds = 0, beyond = 0, gave_up = 0;
    start_variant(_i);
    for (volatile int i = 0; i < 4; ++i) {
        struct aw_guard guard;
        AW_GUARD(&guard, i < 2 ? AW_SEC(3600) : AW_MS(2), AW_GUARD_ESCAPE) {
            if (i == 0)
                break;
            if (i == 1)
                continue;
            spin_to_the_escape();
            ++beyond;
        }
        AW_EXPIRED
        {
            ++gave_up;
            if (i == 2)
                break;
            if (i == 3)
                continue;
            ++beyond;
        }
        ck_assert_int_eq(aw_guard_mark(), 0);
        ++rounds;
    }
    ck_assert_int_eq(rounds, 4);
    ck_assert_int_eq(gave_up, 2);
    ck_assert_int_eq(beyond, 0);
    spin_ms(4);
    stop();
}
END_TEST

static int leave_by_return(bool late)
{
    struct aw_guard guard;
    AW_GUARD(&guard, late ? AW_MS(2) : AW_SEC(3600), AW_GUARD_ESCAPE) {
        if (late)
            spin_to_the_escape();
        return 5;
    }
    AW_EXPIRED
    {
        return 6;
    }
    return 7;
}

static int leave_by_goto(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(3600), AW_GUARD_ESCAPE) {
        goto out;
    }
    AW_EXPIRED
    {
        return 8;
    }
    return 9;
out:
    return aw_guard_mark() == 0 ? 10 : 11;
}

START_TEST(h13_return_and_goto)
{
    start_variant(_i);
    for (volatile int i = 0; i < 10; ++i) {
        ck_assert_int_eq(leave_by_return(false), 5);
        ck_assert_int_eq(aw_guard_mark(), 0);
        ck_assert_int_eq(leave_by_goto(), 10);
        ck_assert_int_eq(leave_by_return(true), 6);
        ck_assert_int_eq(aw_guard_mark(), 0);
    }
    stop();
}
END_TEST

static jmp_buf landing;
static volatile bool has_left;
static volatile uint64_t called_ns;

/* Leaves the guard in a dead frame. On a slow machine it may expire before: in its time, and not later. */
__attribute__((noinline)) static void leave_by_jump(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        longjmp(landing, 1);
    }
    AW_EXPIRED
    {
        ck_assert_msg(!has_left, "landed in a dead frame");
        ck_assert_msg(clock_ns() >= called_ns + AW_MS(2), "landed in the frame of an earlier call");
    }
}

__attribute__((noinline)) static void leave_a_dead_guard(void)
{
    called_ns = clock_ns();
    has_left = false;
    if (setjmp(landing) == 0)
        leave_by_jump();
    has_left = true;
}

/* Has other frames where the dead ones were, written over or as they are; the alarm comes meanwhile. */
__attribute__((noinline)) static unsigned go_deep(unsigned depth, bool writes, uint64_t until_ns)
{
    volatile unsigned char bytes[1024];
    if (writes)
        memset((unsigned char *)bytes, (int)depth, sizeof bytes);
    else
        bytes[0] = 0;
    if (depth != 0)
        return go_deep(depth - 1, writes, until_ns) + bytes[0];
    while (clock_ns() < until_ns)
        spin_a_while();
    return bytes[0];
}

START_TEST(h13_a_dead_frame_is_not_landed_in)
{
    start_variant(_i);
    for (volatile unsigned i = 0; i < 40; ++i) {
        volatile uint64_t start = clock_ns();
        leave_a_dead_guard();
        if (i < 3)
            spin_ms(4);
        else
            go_deep(i / 2, i % 2 != 0, start + AW_MS(4));
    }
    stop();
}
END_TEST

/* The dead guard stands between two that live: those stay what they were. */
START_TEST(h13_a_dead_guard_between)
{
    volatile bool landed = false;
    start_variant(_i);
    struct aw_guard outer;
    AW_GUARD(&outer, AW_MS(12), AW_GUARD_ESCAPE) {
        leave_a_dead_guard();
        go_deep(8, false, clock_ns() + AW_MS(4));
        spin_to_the_escape();
    }
    AW_EXPIRED
    {
        landed = aw_guard_fired(&outer) == &outer;
    }
    ck_assert(landed);
    stop();
}
END_TEST

/* The guard of the dead frame looks as if it were around one that lives, in the frames that cover it. */
__attribute__((noinline)) static bool land_deep(unsigned depth, bool writes)
{
    volatile unsigned char bytes[1024];
    struct aw_guard guard;
    if (writes)
        memset((unsigned char *)bytes, (int)depth, sizeof bytes);
    else
        bytes[0] = 0;
    if (depth != 0)
        return land_deep(depth - 1, writes) && bytes[0] != 255;
    AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE) {
        spin_ms(20000);
        return false;
    }
    return aw_guard_expired(&guard) && bytes[0] != 255;
}

START_TEST(h13_a_dead_guard_around)
{
    start_variant(_i);
    for (volatile unsigned i = 0; i < 10; ++i) {
        leave_a_dead_guard();
        ck_assert(land_deep(3 + i / 2, i % 2 != 0));
    }
    stop();
}
END_TEST

/* ---- 29: the timers go on ---- */

struct ticks {
    uint64_t runs, missed;
};

static int tick(struct aw_timer timer, void *arg)
{
    struct ticks *ticks = arg;
    uint64_t missed = 0;
    ck_assert_int_eq(aw_timer_overrun(timer, &missed), 0);
    ++ticks->runs;
    ticks->missed += missed;
    return 0;
}

START_TEST(h29_all_ticks_beside_escapes)
{
    static struct ticks ticks;
    struct aw_timer timer;
    volatile uint64_t escapes = 0;
    ticks = (struct ticks){ 0, 0 };
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, tick, &ticks), 0);
    volatile uint64_t start = clock_ns();
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    volatile uint64_t armed_ns = clock_ns();
    while (clock_ns() < start + AW_MS(200)) {
        struct aw_guard guard;
        AW_GUARD(&guard, AW_US(3300), AW_GUARD_ESCAPE) {
            spin_to_the_escape();
        }
        AW_EXPIRED
        {
            ++escapes;
        }
        ck_assert_int_ge(aw_safepoint(), 0);
    }
    uint64_t before_ns = clock_ns();
    ck_assert_int_ge(aw_dispatch(0), 0);
    ck_assert_uint_ge(ticks.runs + ticks.missed, (before_ns - armed_ns) / AW_MS(1) - 1);
    ck_assert_uint_le(ticks.runs + ticks.missed, (clock_ns() - start) / AW_MS(1));
    ck_assert_uint_eq(stats_now().guards, escapes);

    /* And by signals alone they go on. */
    uint64_t runs = ticks.runs;
    while (ticks.runs < runs + 20 && clock_ns() < before_ns + AW_SEC(20))
        ck_assert_int_ge(aw_safepoint(), 0);
    ck_assert_uint_ge(ticks.runs, runs + 20);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape");
    TCase *landing_in = signal_case(suite, "landing");
    TCase *ways_out = signal_case(suite, "ways out");

    tcase_add_loop_test(landing_in, never_early_and_named, 0, VARIANTS);
    tcase_add_loop_test(landing_in, h11_in_time_there_is_none, 0, VARIANTS);
    tcase_add_loop_test(landing_in, h17_the_mask_is_that_of_the_entry, 0, VARIANTS);
    tcase_add_loop_test(landing_in, h17_nomask_keeps_the_mask_of_the_body, 0, VARIANTS);
    tcase_add_loop_test(landing_in, h17_errno_and_volatile_locals, 0, VARIANTS);
    tcase_add_loop_test(landing_in, h29_all_ticks_beside_escapes, 0, VARIANTS);
    tcase_add_loop_test(ways_out, h13_break_and_continue, 0, VARIANTS);
    tcase_add_loop_test(ways_out, h13_return_and_goto, 0, VARIANTS);
    tcase_add_loop_test(ways_out, h13_a_dead_frame_is_not_landed_in, 0, VARIANTS);
    tcase_add_loop_test(ways_out, h13_a_dead_guard_between, 0, VARIANTS);
    tcase_add_loop_test(ways_out, h13_a_dead_guard_around, 0, VARIANTS);
    return run_suite(suite);
}
