/* SPDX-License-Identifier: MIT */
/*
 * signal_watch_process.c: what watching a signal takes from the process, and how it is given back:
 * dispositions, masks; the engine's own signal, and SIGVTALRM beside a guard that takes it.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal/taken.h"
#include "watching.h"

/* ---- the old dispositions come back ---- */

static void end_watching(int way, int signo, struct told *told)
{
    if (way == 0)
        unwatch(signo, told);
    else if (way == 1)
        ck_assert_int_eq(aw_signal_unwatch(signo, NULL, NULL), 0);
    else
        shut_down();
}

START_TEST(old_disposition_comes_back)
{
    struct told told = { 0 };
    for (int way = 0; way < 3; ++way) {
        start_variant(_i);
        signal(SIGUSR1, SIG_DFL);
        watch(SIGUSR1, &told);
        ck_assert(disposition(SIGUSR1).sa_handler != SIG_DFL);
        end_watching(way, SIGUSR1, &told);
        ck_assert(disposition(SIGUSR1).sa_handler == SIG_DFL);
        if (way == 2)
            start_variant(_i);
        signal(SIGUSR1, SIG_IGN);
        watch(SIGUSR1, &told);
        end_watching(way, SIGUSR1, &told);
        ck_assert(disposition(SIGUSR1).sa_handler == SIG_IGN);
        if (way == 2)
            start_variant(_i);
        install(SIGUSR1);
        watch(SIGUSR1, &told);
        raise(SIGUSR1);
        ck_assert_int_eq(aw_dispatch(0), 1);
        end_watching(way, SIGUSR1, &told);
        ck_assert(is_installed(SIGUSR1));
        ck_assert_uint_eq(handled, 0);
        signal(SIGUSR1, SIG_DFL);
        if (way != 2)
            shut_down();
    }
}
END_TEST

/* What has come and was not called back is not lost: the old handler gets it, with its value. */
START_TEST(what_was_not_called_back_is_sent_again)
{
    struct told told = { 0 };
    for (int way = 0; way < 3; ++way) {
        start_variant(_i);
        install(SIGRTMIN + 1);
        install(SIGUSR1);
        watch(SIGRTMIN + 1, &told);
        watch(SIGUSR1, &told);
        for (int i = 1; i <= 3; ++i)
            queue_value(SIGRTMIN + 1, i);
        ck_assert_uint_eq(handled, 0);
        end_watching(way, SIGRTMIN + 1, &told);
        if (way == 2) {
            ck_assert_uint_eq(handled, 3);
            continue;
        }
        ck_assert_uint_eq(handled, 3);
        ck_assert_int_eq(handled_value, 3);
        queue_value(SIGUSR1, 77);
        queue_value(SIGUSR1, 78);
        end_watching(way, SIGUSR1, &told);
        ck_assert_uint_eq(handled, 4);
        ck_assert_int_eq(handled_value, 78);
        ck_assert_int_eq(aw_dispatch(0), 0);
        shut_down();
    }
    ck_assert_uint_eq(told.runs, 0);
}
END_TEST

/* The kernel's queue is full: they come without their values. */
START_TEST(sent_again_without_room)
{
    const struct rlimit none = { 0, 0 };
    struct told told = { 0 };
    start_variant(_i);
    install(SIGRTMIN + 1);
    install(SIGUSR1);
    watch(SIGRTMIN + 1, &told);
    watch(SIGUSR1, &told);
    for (int i = 1; i <= 3; ++i)
        queue_value(SIGRTMIN + 1, i);
    queue_value(SIGUSR1, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    unwatch(SIGRTMIN + 1, &told);
    ck_assert_uint_eq(handled, 3);
    unwatch(SIGUSR1, &told);
    ck_assert_uint_eq(handled, 4);
    shut_down();
}
END_TEST

static int die_of_it(void *arg)
{
    struct told told = { 0 };
    signal(SIGTERM, SIG_DFL); /* Check's own handler forwards it */
    start_variant(*(const int *)arg);
    if (aw_signal_watch(SIGTERM, note, &told) != 0 || raise(SIGTERM) != 0)
        return 1;
    aw_shutdown();
    return 2;
}

START_TEST(a_termination_is_not_swallowed)
{
    expect_killed(in_child(0, die_of_it, &_i), SIGTERM);
}
END_TEST

/* ---- somebody else takes our place ---- */

static struct sigaction found_by_another;

static void take_and_chain(int signo, siginfo_t *info, void *context)
{
    ++handled;
    found_by_another.sa_sigaction(signo, info, context);
}

static void take_our_place(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = take_and_chain;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    handled = 0;
    ck_assert_int_eq(sigaction(signo, &action, &found_by_another), 0);
}

START_TEST(who_replaced_ours_keeps_his_place)
{
    struct told told = { 0 };
    struct aw_signal_state state = { .size = sizeof state };
    for (int way = 0; way < 3; ++way) {
        told.runs = 0;
        start_variant(_i);
        watch(SIGUSR1, &told);
        take_our_place(SIGUSR1);
        ck_assert_int_eq(aw_signal_query(SIGUSR1, &state), 0);
        ck_assert_int_eq(state.kind, AW_SIGNAL_FOREIGN);
        ck_assert_uint_eq(state.watchers, 1);
        /* He passes on to us. */
        raise(SIGUSR1);
        ck_assert_uint_eq(handled, 1);
        ck_assert_int_eq(aw_dispatch(0), 1);
        ck_assert_uint_eq(told.runs, 1);
        /* And neither the policy nor the end takes his place away; what was beneath us is SIG_DFL. */
        ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, true), 0);
        ck_assert(disposition(SIGUSR1).sa_sigaction == take_and_chain);
        end_watching(way, SIGUSR1, &told);
        ck_assert(disposition(SIGUSR1).sa_sigaction == take_and_chain);
        raise(SIGUSR1);
        ck_assert_uint_eq(handled, 2);
        ck_assert_uint_eq(told.runs, 1);
        signal(SIGUSR1, SIG_DFL);
        if (way != 2)
            shut_down();
    }
}
END_TEST

/* He passes on to us, who are gone, and we to who was there before us. */
START_TEST(chained_to_who_was_there_before)
{
    struct told told = { 0 };
    start_variant(_i);
    install(SIGUSR1);
    watch(SIGUSR1, &told);
    take_our_place(SIGUSR1);
    unwatch(SIGUSR1, &told);
    queue_value(SIGUSR1, 5);
    ck_assert_uint_eq(handled, 2);
    ck_assert_int_eq(handled_value, 5);
    shut_down();
    queue_value(SIGUSR1, 6);
    ck_assert_uint_eq(handled, 4);
    ck_assert_int_eq(handled_value, 6);
    ck_assert_uint_eq(told.runs, 0);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

static int chain_to_the_default(void *arg)
{
    struct told told = { 0 };
    struct sigaction action;
    start_variant(*(const int *)arg);
    if (aw_signal_watch(SIGUSR1, note, &told) != 0)
        return 1;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = take_and_chain;
    action.sa_flags = (int)(SA_SIGINFO | (unsigned)SA_RESETHAND);
    sigaction(SIGUSR1, &action, &found_by_another);
    aw_signal_unwatch(SIGUSR1, note, &told);
    raise(SIGUSR1);
    return 2;
}

/*
 * Who passes on to us has left his place to SIG_DFL, which was there before us, too: that is who it is for.
 */
START_TEST(chained_to_the_default)
{
    expect_killed(in_child(0, chain_to_the_default, &_i), SIGUSR1);
}
END_TEST

/* He leaves, and puts back what he has found, which nobody watches any more: it gives way. */
static void have_us_put_back(int signo, struct told *told)
{
    watch(signo, told);
    take_our_place(signo);
    unwatch(signo, told);
    ck_assert_int_eq(sigaction(signo, &found_by_another, NULL), 0);
}

START_TEST(put_back_by_another)
{
    struct told told = { 0 };
    start_variant(_i);
    have_us_put_back(SIGWINCH, &told);
    raise(SIGWINCH);
    ck_assert(disposition(SIGWINCH).sa_handler == SIG_DFL);
    install(SIGUSR1);
    have_us_put_back(SIGUSR1, &told);
    handled = 0;
    raise(SIGUSR1);
    ck_assert_uint_eq(handled, 1);
    ck_assert_uint_eq(told.runs, 0);
    shut_down();
}
END_TEST

static int die_after_we_are_put_back(void *arg)
{
    struct told told = { 0 };
    start_variant(*(const int *)arg);
    have_us_put_back(SIGUSR1, &told);
    raise(SIGUSR1);
    return 2;
}

START_TEST(put_back_by_another_it_is_no_shield)
{
    expect_killed(in_child(0, die_after_we_are_put_back, &_i), SIGUSR1);
}
END_TEST

/* ---- masks ---- */

START_TEST(masks_are_untouched)
{
    struct told told = { 0 };
    sigset_t before, now;
    start_variant(_i);
    block_signal(SIGUSR2);
    block_signal(SIGHUP);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    watch(SIGUSR1, &told);
    watch(SIGUSR2, &told);
    raise(SIGUSR2);
    ck_assert_int_eq(aw_dispatch(0), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(aw_wait(AW_MS(1)), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signo = 1; signo <= SIGRTMAX; ++signo)
        ck_assert_int_eq(sigismember(&now, signo), sigismember(&before, signo));
    unblock_signal(SIGUSR2);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(told.info.si_signo, SIGUSR2);
    unwatch(SIGUSR1, &told);
    unwatch(SIGUSR2, &told);
    ck_assert(is_blocked(SIGHUP) && !is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
    shut_down();
}
END_TEST

/* ---- the engine's own signal ---- */

static unsigned ticks;

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++ticks;
    return 0;
}

static int cancel(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return -ECANCELED;
}

/* What others send arrives, what the engine's alarm brings does not, and the timers go on. */
START_TEST(engines_own_signal)
{
    struct told told = { 0 };
    struct aw_timer timer;
    struct aw_guard guard;
    int signo = variant_signo(_i);
    start_variant(_i);
    ticks = 0;
    ck_assert_int_eq(aw_timer_create(&timer, tick, NULL), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(2), AW_MS(2), AW_MISSED_SKIP), 0);
    watch(signo, &told);
    ck_assert_int_eq(aw_signal_ignore(signo), -EINVAL);
    ck_assert_int_eq(aw_signal_default(signo), -EINVAL);
    ck_assert_int_eq(aw_signal_interrupt(signo, true), -EINVAL);
    for (unsigned i = 1; i <= 10; ++i) {
        unsigned before = ticks;
        while (ticks < before + 3)
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_eq(told.counted, i - 1);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(1), AW_GUARD_DEFAULT), 0);
        pass_until_expired(i);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        while (told.counted < i) { /* the kernel may merge it with an alarm */
            kill(getpid(), signo);
            ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
        }
        ck_assert_uint_eq(told.counted, i);
        ck_assert_int_eq(told.info.si_signo, signo);
        ck_assert_int_eq(told.info.si_code, SI_USER);
    }
    ck_assert_uint_eq(stats_now().dropped, 0);
    unwatch(signo, &told);
    while (stats_now().dropped == 0) {
        kill(getpid(), signo);
        ck_assert_int_ge(aw_dispatch(0), 0);
    }
    ck_assert_uint_eq(told.counted, 10);
    unsigned before = ticks;
    while (ticks < before + 3)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    shut_down();
}
END_TEST

/* The disposition that aw_init found is not called meanwhile, and is afterwards. */
START_TEST(engines_own_signal_before_what_was_found)
{
    struct told told = { 0 };
    int signo = variant_signo(_i);
    install(signo);
    start_variant(_i);
    kill(getpid(), signo);
    ck_assert_uint_eq(handled, 1);
    watch(signo, &told);
    kill(getpid(), signo);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(handled, 1);
    ck_assert_uint_eq(told.runs, 1);
    sleep_and_expect(signo, &told);
    unwatch(signo, &told);
    kill(getpid(), signo);
    ck_assert_uint_eq(handled, 2);
    ck_assert_int_eq(aw_dispatch(0), 0);
    shut_down();
    ck_assert(is_installed(signo));
}
END_TEST

/* It could be the alarm's: nobody hears of it any more, and nobody says that there is one. */
START_TEST(engines_own_signal_unwatched_before_it_was_heard)
{
    struct told told = { 0 };
    struct aw_timer timer;
    sigset_t set;
    int signo = variant_signo(_i);
    install(signo);
    start_variant(_i);
    watch(signo, &told);
    kill(getpid(), signo);
    ck_assert_int_eq(aw_signal_pending(&set), 1);
    unwatch(signo, &told);
    ck_assert_int_eq(aw_signal_pending(&set), 0);
    ck_assert_int_eq(sigismember(&set, signo), 0);
    ck_assert_int_eq(aw_timer_create(&timer, cancel, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(20)), 0);
    ck_assert_int_eq(aw_pause(), -ECANCELED);
    ck_assert_uint_eq(told.runs, 0);
    shut_down();
    ck_assert_uint_eq(handled, 0);
}
END_TEST

/* The POSIX source leaves SIGALRM to the program: it is watched as any other. */
START_TEST(sigalrm_with_the_posix_source)
{
    struct told told = { 0 };
    start_variant(1);
    watch(SIGALRM, &told);
    const struct itimerval soon = { { 0, 0 }, { 0, 2000 } };
    ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert_int_eq(told.info.si_code, SI_KERNEL);
    shut_down();
    ck_assert(disposition(SIGALRM).sa_handler == SIG_DFL);
}
END_TEST

/* ---- SIGVTALRM beside a guard on user time, which takes it ---- */

static void raise_and_expect(int signo, struct told *told)
{
    unsigned before = told->runs;
    kill(getpid(), signo);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(told->runs, before + 1);
    ck_assert_int_eq(told->info.si_code, SI_USER);
}

static void burn_until_told(struct aw_guard *guard)
{
    uint64_t give_up = clock_ns() + AW_SEC(60);
    int result;
    do
        result = aw_safepoint();
    while (result == 0 && clock_ns() < give_up);
    ck_assert_int_eq(result, -ETIMEDOUT);
    ck_assert(aw_guard_expired(guard));
}

START_TEST(sigvtalrm_watched_before_the_guard)
{
    struct told told = { 0 };
    struct aw_guard guard;
    install(SIGVTALRM);
    start_variant(_i);
    watch(SIGVTALRM, &told);
    raise_and_expect(SIGVTALRM, &told);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(100), AW_GUARD_USER), 0);
    raise_and_expect(SIGVTALRM, &told);
    sleep_and_expect(SIGVTALRM, &told);
    burn_until_told(&guard);
    ck_assert_uint_eq(told.runs, 3);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    raise_and_expect(SIGVTALRM, &told);
    unwatch(SIGVTALRM, &told);
    ck_assert(is_installed(SIGVTALRM));
    ck_assert_uint_eq(handled, 0);
    shut_down();
    ck_assert(is_installed(SIGVTALRM));
}
END_TEST

START_TEST(sigvtalrm_watched_inside_the_guard)
{
    struct told told = { 0 };
    struct aw_guard guard;
    install(SIGVTALRM);
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(20), AW_GUARD_USER), 0);
    watch(SIGVTALRM, &told);
    raise_and_expect(SIGVTALRM, &told);
    burn_until_told(&guard);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    raise_and_expect(SIGVTALRM, &told);
    shut_down();
    ck_assert(is_installed(SIGVTALRM));
    ck_assert_uint_eq(handled, 0);
}
END_TEST

START_TEST(sigvtalrm_unwatched_inside_the_guard)
{
    struct told told = { 0 };
    struct aw_guard guard;
    install(SIGVTALRM);
    start_variant(_i);
    for (unsigned where = 0; where < 2; ++where) {
        handled = 0;
        if (where == 0)
            watch(SIGVTALRM, &told);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(20), AW_GUARD_USER), 0);
        if (where == 1)
            watch(SIGVTALRM, &told);
        raise_and_expect(SIGVTALRM, &told);
        unwatch(SIGVTALRM, &told);
        kill(getpid(), SIGVTALRM);
        ck_assert_int_eq(aw_dispatch(0), 0);
        ck_assert_uint_eq(handled, 1);
        burn_until_told(&guard);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ck_assert(is_installed(SIGVTALRM));
    }
    shut_down();
    ck_assert(is_installed(SIGVTALRM));
}
END_TEST

/* The kernel's profiling timer is the program's: it is heard like any other. */
START_TEST(sigprof_of_the_profiling_timer)
{
    struct told told = { 0 };
    start_variant(_i);
    watch(SIGPROF, &told);
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    ck_assert_int_eq(setitimer(ITIMER_PROF, &often, NULL), 0);
    uint64_t give_up = clock_ns() + AW_SEC(60);
    while (told.counted < 3 && clock_ns() < give_up)
        ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &never, NULL), 0);
    ck_assert_uint_ge(told.counted, 3);
    ck_assert_int_eq(told.info.si_signo, SIGPROF);
    shut_down();
}
END_TEST

static volatile bool is_taking;
static volatile unsigned asked;

static void be_asked(int signo, siginfo_t *info, void *context)
{
    (void)context;
    asked += signo == SIGPROF;
    if (is_taking)
        awi_take(info);
}

static void let_itimer_ring(unsigned times)
{
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    unsigned until = asked + times;
    ck_assert_int_eq(setitimer(ITIMER_PROF, &often, NULL), 0);
    uint64_t give_up = clock_ns() + AW_SEC(60);
    while (asked < until && clock_ns() < give_up)
        ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &never, NULL), 0);
    ck_assert_int_ge(aw_dispatch(0), 0);
}

/*
 * A handler of SIGPROF that was there before may be a profiler's: it is asked whose a timer's signal is. What
 * others send is for who watches alone.
 */
START_TEST(sigprof_of_a_profiler)
{
    struct told told = { 0 };
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = be_asked;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGPROF, &action, NULL), 0);
    start_variant(_i);
    watch(SIGPROF, &told);
    is_taking = true;
    let_itimer_ring(3);
    ck_assert_uint_ge(asked, 3);
    ck_assert_uint_eq(told.counted, 0);
    raise(SIGPROF);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(told.counted, 1);
    is_taking = false;
    unsigned before = asked;
    let_itimer_ring(3);
    ck_assert_uint_eq(told.counted, 1 + asked - before);
    unwatch(SIGPROF, &told);
    before = asked;
    raise(SIGPROF);
    ck_assert_uint_eq(asked, before + 1);
    ck_assert(disposition(SIGPROF).sa_sigaction == be_asked);
    shut_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watched signals in a process");
    TCase *back = signal_case(suite, "given back");
    TCase *own = signal_case(suite, "the engine's own");

    tcase_add_loop_test(back, old_disposition_comes_back, 0, VARIANTS);
    tcase_add_loop_test(back, what_was_not_called_back_is_sent_again, 0, VARIANTS);
    tcase_add_loop_test(back, a_termination_is_not_swallowed, 0, SOURCES);
    tcase_add_loop_test(back, who_replaced_ours_keeps_his_place, 0, VARIANTS);
    tcase_add_loop_test(back, chained_to_who_was_there_before, 0, VARIANTS);
    tcase_add_loop_test(back, sent_again_without_room, 0, SOURCES);
    tcase_add_loop_test(back, chained_to_the_default, 0, SOURCES);
    tcase_add_loop_test(back, put_back_by_another, 0, VARIANTS);
    tcase_add_loop_test(back, put_back_by_another_it_is_no_shield, 0, SOURCES);
    tcase_add_loop_test(back, masks_are_untouched, 0, VARIANTS);
    tcase_add_loop_test(own, engines_own_signal, 0, VARIANTS);
    tcase_add_loop_test(own, engines_own_signal_before_what_was_found, 0, VARIANTS);
    tcase_add_loop_test(own, engines_own_signal_unwatched_before_it_was_heard, 0, VARIANTS);
    tcase_add_test(own, sigalrm_with_the_posix_source);
    tcase_add_loop_test(own, sigvtalrm_watched_before_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigvtalrm_watched_inside_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigvtalrm_unwatched_inside_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigprof_of_the_profiling_timer, 0, SOURCES);
    tcase_add_loop_test(own, sigprof_of_a_profiler, 0, SOURCES);
    return run_suite(suite);
}
