/* SPDX-License-Identifier: MIT */
/*
 * watched_test.c: a profile, and SIGPROF watched by the core library, in whichever order they begin and end.
 * The profiler has its own signals, who watches hears the others, and who was there before has SIGPROF again.
 */
#include <signal.h>
#include <sys/time.h>

#include "check_main.h"
#include "signal_fixture.h"
#include "work.h"

/* A test's number says all of it. */
static enum aw_profile_clock clock_number(int i)
{
    return (enum aw_profile_clock)(i % 3);
}

static bool is_watched_first(int i)
{
    return i / 3 % 2 == 0;
}

static bool is_unwatched_first(int i)
{
    return i / 6 % 2 == 0;
}

#define ORDERS 12
#define BEGINNINGS 6 /* those of them that begin differently */

static volatile sig_atomic_t handled;

static void count(int signo, siginfo_t *info, void *context)
{
    handled += signo == SIGPROF && info != NULL && context != NULL;
}

static void install_counter(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = count;
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGPROF, &action, NULL), 0);
}

static struct sigaction current(void)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(SIGPROF, NULL, &action), 0);
    return action;
}

static unsigned heard;

static int hear(const siginfo_t *info, uint64_t times, void *arg)
{
    (void)arg;
    ck_assert_int_eq(info->si_signo, SIGPROF);
    heard += (unsigned)times;
    return 0;
}

static void begin(int i)
{
    start_variant(0);
    if (is_watched_first(i))
        ck_assert_int_eq(aw_signal_watch(SIGPROF, hear, NULL), 0);
    start_profile(clock_number(i), 1000);
    if (!is_watched_first(i))
        ck_assert_int_eq(aw_signal_watch(SIGPROF, hear, NULL), 0);
}

/* Signals of timers that come now are not heard. */
static void expect_silence(void)
{
    unsigned before = heard;
    burn_ms(12);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_uint_eq(heard, before);
}

static void end(int i)
{
    if (is_unwatched_first(i))
        ck_assert_int_eq(aw_signal_unwatch(SIGPROF, hear, NULL), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    expect_silence();
    if (!is_unwatched_first(i))
        ck_assert_int_eq(aw_signal_unwatch(SIGPROF, hear, NULL), 0);
}

/* Several threads, or one: by a timer each, or the interval timer. */
static void sample_and_hear(int i, bool has_worker)
{
    struct worker worker = { .is_registered = true };
    install_counter();
    begin(i);
    if (has_worker)
        start_worker(&worker);
    for (unsigned round = 1; round <= 2; ++round) {
        burn_until_samples(profile_stats().samples + 3);
        ck_assert_int_eq(aw_safepoint(), 0);
        ck_assert_uint_eq(heard, round - 1);
        for (uint64_t until = clock_ns() + AW_SEC(60); heard < round && clock_ns() < until;) {
            ck_assert_int_eq(raise(SIGPROF), 0); /* the kernel may merge it with a timer's */
            ck_assert_int_ge(aw_dispatch(0), 0);
        }
        ck_assert_uint_eq(heard, round);
    }
    if (has_worker)
        stop_worker(&worker);
    end(i);
    ck_assert_int_eq(handled, 0);
    ck_assert_int_eq(raise(SIGPROF), 0); /* whatever stands there: it goes on to who was there before */
    ck_assert_int_eq(handled, 1);
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(raise(SIGPROF), 0);
    ck_assert_int_eq(handled, 2);
}

START_TEST(each_has_its_own)
{
    sample_and_hear(_i, false);
}
END_TEST

START_TEST(each_has_its_own_of_several_threads)
{
    sample_and_hear(_i, true);
}
END_TEST

/* What a timer has sent before the stop is the profiler's still, when it comes after it. */
START_TEST(last_tick_is_not_heard)
{
    begin(_i);
    burn_until_samples(3);
    block_signal(SIGPROF);
    sigset_t pending;
    sigemptyset(&pending);
    for (uint64_t until = clock_ns() + AW_SEC(60); !sigismember(&pending, SIGPROF) && clock_ns() < until;) {
        burn_ms(5);
        ck_assert_int_eq(sigpending(&pending), 0);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    unblock_signal(SIGPROF);
    expect_silence();
    ck_assert_uint_eq(heard, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The program's interval timer, which the profiler has left alone, is heard. */
START_TEST(interval_timer_of_the_program_is_heard)
{
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    ck_assert_int_eq(setitimer(ITIMER_PROF, &often, NULL), 0);
    begin(_i);
    for (uint64_t until = clock_ns() + AW_SEC(60); heard < 5 && clock_ns() < until;) {
        burn_ms(5);
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_uint_ge(heard, 5);
    burn_until_samples(5);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &never, NULL), 0);
    ck_assert_int_ge(aw_dispatch(0), 0);
    end(_i);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* One that is set later, too; the profiler, which had it, has said that it is done with it. */
START_TEST(interval_timer_after_the_profile_is_heard)
{
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    begin(_i);
    burn_until_samples(5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    expect_silence();
    ck_assert_int_eq(setitimer(ITIMER_PROF, &often, NULL), 0);
    for (uint64_t until = clock_ns() + AW_SEC(60); heard < 3 && clock_ns() < until;) {
        burn_ms(5);
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_uint_ge(heard, 3);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &never, NULL), 0);
    ck_assert_int_ge(aw_dispatch(0), 0);
    ck_assert_int_eq(aw_signal_unwatch(SIGPROF, hear, NULL), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/*
 * The default is back at once, if they end in the opposite order of their beginnings. Else one of the two has
 * put the other's handler back. The watching one gives way to the first signal; the profiler's is off,
 * ignores signals where there was no handler before, and goes with the next profile.
 */
START_TEST(the_default_comes_back)
{
    begin(_i);
    burn_until_samples(3);
    end(_i);
    bool is_nested = is_watched_first(_i) != is_unwatched_first(_i);
    ck_assert_int_eq(is_nested, current().sa_handler == SIG_DFL);
    if (!is_nested && !is_watched_first(_i)) {
        ck_assert_int_eq(raise(SIGPROF), 0);
        start_profile(clock_number(_i), 1000);
        burn_until_samples(3);
        ck_assert_int_eq(aw_profile_stop(), 0);
        ck_assert_ptr_eq(current().sa_handler, SIG_DFL);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int be_ended(void *arg)
{
    begin(*(const int *)arg);
    burn_until_samples(3);
    end(*(const int *)arg);
    raise(SIGPROF);
    return 2;
}

START_TEST(the_default_ends_the_process)
{
    bool is_off_and_back = !is_watched_first(_i) && !is_unwatched_first(_i);
    pid_t child = in_child(0, be_ended, &_i);
    if (is_off_and_back)
        expect_exit(child, 2);
    else
        expect_killed(child, SIGPROF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile and watched SIGPROF");
    TCase *both = signal_case(suite, "both");
    tcase_add_loop_test(both, each_has_its_own, 0, ORDERS);
    tcase_add_loop_test(both, each_has_its_own_of_several_threads, 0, ORDERS);
    tcase_add_loop_test(both, last_tick_is_not_heard, 0, BEGINNINGS);
    tcase_add_loop_test(both, interval_timer_of_the_program_is_heard, 0, ORDERS);
    tcase_add_loop_test(both, interval_timer_after_the_profile_is_heard, 0, BEGINNINGS);
    TCase *back = signal_case(suite, "given back");
    tcase_add_loop_test(back, the_default_comes_back, 0, ORDERS);
    tcase_add_loop_test(back, the_default_ends_the_process, 0, ORDERS);
    return run_suite(suite);
}
