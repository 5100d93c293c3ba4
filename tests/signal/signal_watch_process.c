/* SPDX-License-Identifier: MIT */
/*
 * signal_watch_process.c: what watching a signal does to the process, and how it is given back: dispositions,
 * masks, forks, other threads; the engine's own signal, and SIGVTALRM beside a guard that takes it; and that
 * all kinds of safe points hear of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

struct told {
    unsigned runs;
    uint64_t counted;
    siginfo_t info;
    pthread_t thread;
    int result;
};

static int note(const siginfo_t *info, uint64_t count, void *arg)
{
    struct told *told = arg;
    ++told->runs;
    told->counted += count;
    told->info = *info;
    told->thread = pthread_self();
    return told->result;
}

static void watch(int signo, struct told *told)
{
    ck_assert_int_eq(aw_signal_watch(signo, note, told), 0);
}

static void unwatch(int signo, struct told *told)
{
    ck_assert_int_eq(aw_signal_unwatch(signo, note, told), 0);
}

static struct sigaction disposition(int signo)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(signo, NULL, &now), 0);
    return now;
}

static void queue_value(int signo, int value)
{
    const union sigval with = { .sival_int = value };
    ck_assert_int_eq(sigqueue(getpid(), signo, with), 0);
}

static volatile unsigned handled;
static volatile int handled_value;

static void handle(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    ++handled;
    handled_value = info->si_value.sival_int;
}

/* A handler with a mask and flags that nobody else would think of. */
static void install(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGHUP);
    handled = 0;
    ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static bool is_installed(int signo)
{
    struct sigaction now = disposition(signo);
    const int flags = SA_SIGINFO | SA_NODEFER | SA_RESTART | SA_ONSTACK;
    return now.sa_sigaction == handle && (now.sa_flags & flags) == (SA_SIGINFO | SA_NODEFER) &&
           sigismember(&now.sa_mask, SIGHUP) == 1 && sigismember(&now.sa_mask, SIGTERM) == 0;
}

static void shut_down(void)
{
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- a child that sends ---- */

struct later {
    pid_t target;
    int signo;
    int fd; /* then a byte goes here, or it is -1 */
};

static int send_later(void *arg)
{
    const struct later *later = arg;
    kill(later->target, later->signo);
    if (later->fd < 0)
        return 0;
    pass_ms(50);
    return write(later->fd, "x", 1) == 1 ? 0 : 1;
}

/* It comes while the owner sleeps: that is no foreign handler. */
static void sleep_and_expect(int signo, struct told *told)
{
    struct later later = { getpid(), signo, -1 };
    unsigned before = told->runs;
    pid_t pid = in_child(20, send_later, &later);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(told->runs, before + 1);
    expect_exit(pid, 0);
}

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
        pass_ms(2);
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
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(20), AW_GUARD_USER), 0);
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

/* ---- other threads ---- */

static uint32_t go_on;

static void *take_signals(void *arg)
{
    int signo = *(const int *)arg;
    unblock_signal(signo);
    while (__atomic_load_n(&go_on, __ATOMIC_SEQ_CST) != 0)
        pass_ms(1);
    return NULL;
}

/* The handler runs on a thread that knows nothing of us; the callback runs on the owner, who sleeps. */
START_TEST(delivered_to_another_thread)
{
    struct told told = { 0 };
    pthread_t thread;
    int signo = SIGUSR1;
    start_variant(_i);
    watch(signo, &told);
    block_signal(signo);
    __atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_signals, &signo), 0);
    for (unsigned i = 1; i <= 50; ++i) {
        if (i % 2 == 0)
            kill(getpid(), signo);
        else
            ck_assert_int_eq(aw_signal_raise_in(thread, signo), 0);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_eq(told.counted, i);
        ck_assert(pthread_equal(told.thread, pthread_self()));
    }
    __atomic_store_n(&go_on, 0, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    unblock_signal(signo);
    shut_down();
}
END_TEST

/* ... and to the owner who blocks in a guarded call. */
START_TEST(delivered_elsewhere_during_a_guarded_call)
{
    struct told told = { .result = -9 };
    pthread_t thread;
    int signo = SIGUSR1, ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    watch(signo, &told);
    block_signal(signo);
    __atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_signals, &signo), 0);
    for (unsigned i = 1; i <= 20; ++i) {
        ck_assert_int_eq(aw_signal_raise_in(thread, signo), 0);
        ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_SEC(60)), -1);
        ck_assert_int_eq(errno, ECANCELED);
        ck_assert_uint_eq(told.counted, i);
    }
    __atomic_store_n(&go_on, 0, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    unblock_signal(signo);
    shut_down();
}
END_TEST

static uint64_t received_elsewhere;

static void *raise_all(void *arg)
{
    unsigned n = *(const unsigned *)arg;
    for (unsigned i = 0; i < n; ++i)
        raise(SIGUSR2);
    __atomic_fetch_add(&received_elsewhere, n, __ATOMIC_SEQ_CST);
    return NULL;
}

/* raise on a thread runs the handler there each time: with several of them none may be miscounted. */
START_TEST(counted_on_three_threads)
{
    struct told told = { 0 };
    pthread_t threads[2];
    unsigned each = scaled(20000);
    start_variant(_i);
    received_elsewhere = 0;
    watch(SIGUSR2, &told);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, raise_all, &each), 0);
    for (unsigned i = 0; i < each; ++i) {
        raise(SIGUSR2);
        ck_assert_int_ge(aw_safepoint(), 0);
        ck_assert_int_eq(told.runs == 0 || told.info.si_signo == SIGUSR2, 1);
        ck_assert(told.runs == 0 || told.info.si_pid == getpid());
    }
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_ge(aw_dispatch(0), 0);
    ck_assert_uint_eq(told.counted, 3u * each);
    shut_down();
}
END_TEST

/* ---- forks ---- */

static int look_at_the_child(void *arg)
{
    struct told *told = arg;
    struct aw_signal_state state = { .size = sizeof state };
    if (!is_installed(SIGUSR1) || disposition(SIGUSR2).sa_handler != SIG_IGN)
        return 1;
    if (disposition(SIGHUP).sa_handler != SIG_DFL || is_blocked(SIGUSR1) || !is_blocked(SIGTERM))
        return 2;
    if (aw_signal_watch(SIGUSR1, note, told) != -ENODEV ||
        aw_signal_unwatch(SIGUSR1, NULL, NULL) != -ENODEV || aw_signal_query(SIGUSR1, &state) != -ENODEV ||
        aw_pause() != -ENODEV)
        return 3;
    raise(SIGUSR1);
    if (handled != 1)
        return 4;
    /* With an engine of its own it begins from nothing. */
    if (aw_init(NULL) != 0 || aw_dispatch(0) != 0 || told->runs != 0)
        return 5;
    if (aw_signal_watch(SIGUSR1, note, told) != 0 || raise(SIGUSR1) != 0 || aw_dispatch(0) != 1)
        return 6;
    if (told->counted != 1 || aw_shutdown() != 0 || !is_installed(SIGUSR1))
        return 7;
    return 0;
}

START_TEST(h18_forked_child_has_the_old_dispositions)
{
    struct told told = { 0 };
    install(SIGUSR1);
    signal(SIGUSR2, SIG_IGN);
    start_variant(_i);
    block_signal(SIGTERM);
    watch(SIGUSR1, &told);
    watch(SIGTERM, &told);
    ck_assert_int_eq(aw_signal_default(SIGUSR2), 0);
    ck_assert_int_eq(aw_signal_ignore(SIGHUP), 0);
    raise(SIGUSR1); /* the parent's: the child hears nothing of it */
    expect_exit(in_child(0, look_at_the_child, &told), 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert_int_eq(disposition(SIGHUP).sa_handler == SIG_IGN, 1);
    ck_assert(!is_blocked(SIGUSR1));
    shut_down();
}
END_TEST

/* The engine's signal was blocked when it started, and is blocked again in the child: also where signals are
 * watched. */
static int is_engines_blocked(void *arg)
{
    return is_blocked(*(const int *)arg) ? 0 : 1;
}

START_TEST(h18_forked_child_has_the_old_mask)
{
    struct told told = { 0 };
    int signo = variant_signo(_i);
    block_signal(signo);
    start_variant(_i);
    ck_assert(!is_blocked(signo));
    watch(SIGUSR1, &told);
    expect_exit(in_child(0, is_engines_blocked, &signo), 0);
    ck_assert(!is_blocked(signo));
    shut_down();
}
END_TEST

static int exit_if_handled(void *arg)
{
    uint64_t give_up = clock_ns() + AW_SEC(20);
    (void)arg;
    while (handled == 0 && clock_ns() < give_up)
        pass_ms(1);
    return handled == 1 ? 0 : 1;
}

/* A signal that comes to the child before its dispositions are back waits for them. */
START_TEST(h18_signal_right_after_fork)
{
    struct told told = { 0 };
    unsigned tries = scaled(200);
    install(SIGUSR1);
    start_variant(_i);
    watch(SIGUSR1, &told);
    for (unsigned i = 0; i < tries; ++i) {
        handled = 0;
        pid_t pid = in_child(0, exit_if_handled, NULL);
        ck_assert_int_eq(kill(pid, SIGUSR1), 0);
        expect_exit(pid, 0);
    }
    ck_assert_uint_eq(told.runs, 0);
    shut_down();
}
END_TEST

static int take_from_the_middle(void *arg)
{
    struct told *told = arg;
    if (aw_init(NULL) != 0 || aw_signal_watch(SIGRTMIN, note, told) != 0)
        return 1;
    for (int i = 0; i < 4; ++i)
        queue_value(SIGRTMIN, i);
    for (int i = 0; i < 4; ++i) {
        if (aw_dispatch(0) < 0)
            return 2;
    }
    return told->counted == 4 && aw_shutdown() == 0 ? 0 : 3;
}

/* The queue that the child inherits has a gap. */
START_TEST(h18_forked_in_the_middle_of_a_queue)
{
    struct told told = { 0 };
    start_variant(_i);
    watch(SIGRTMIN, &told);
    watch(SIGRTMIN + 1, &told);
    queue_value(SIGRTMIN, 1);
    queue_value(SIGRTMIN + 1, 2);
    signal(SIGRTMIN + 1, SIG_IGN);
    unwatch(SIGRTMIN + 1, &told);
    expect_exit(in_child(0, take_from_the_middle, &told), 0);
    ck_assert_int_eq(aw_dispatch(0), 1);
    shut_down();
}
END_TEST

/* ---- all kinds of safe points ---- */

/* It blocks, the watcher runs while it does, and the call goes on. */
START_TEST(guarded_call_runs_the_watcher)
{
    struct told told = { 0 };
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    watch(SIGUSR1, &told);
    for (unsigned i = 0; i < 4; ++i) {
        struct later later = { getpid(), SIGUSR1, ends[1] };
        told.runs = 0;
        told.result = 0;
        ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, i % 2 != 0), 0);
        pid_t pid = in_child(20, send_later, &later);
        ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_SEC(60)), 1);
        ck_assert_uint_eq(told.runs, 1);
        expect_exit(pid, 0);
        later.fd = -1;
        told.result = -4;
        pid = in_child(20, send_later, &later);
        ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_SEC(60)), -1);
        ck_assert_int_eq(errno, ECANCELED);
        ck_assert_uint_eq(told.runs, 2);
        expect_exit(pid, 0);
    }
    shut_down();
}
END_TEST

static int quit(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)count;
    if (info->si_signo != SIGTERM)
        return note(info, count, arg);
    return aw_quit(3);
}

/* aw_run goes on while something is watched, and ends when the last has gone. */
static int go_away(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    return aw_signal_unwatch(SIGTERM, NULL, NULL);
}

START_TEST(run_goes_on_while_something_is_watched)
{
    struct told told = { 0 };
    struct later later = { getpid(), SIGTERM, -1 };
    start_variant(_i);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_int_eq(aw_signal_watch(SIGTERM, quit, &told), 0);
    pid_t pid = in_child(30, send_later, &later);
    ck_assert_int_eq(aw_run(), 3);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_signal_unwatch(SIGTERM, quit, &told), 0);
    ck_assert_int_eq(aw_run(), 0);
    ck_assert_int_eq(aw_signal_watch(SIGTERM, go_away, &told), 0);
    pid = in_child(30, send_later, &later);
    ck_assert_int_eq(aw_run(), 0);
    expect_exit(pid, 0);
    shut_down();
}
END_TEST

START_TEST(poll_goes_on)
{
    struct told told = { 0 };
    struct later later = { getpid(), SIGUSR1, -1 };
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    later.fd = ends[1];
    start_variant(_i);
    watch(SIGUSR1, &told);
    struct pollfd fd = { .fd = ends[0], .events = POLLIN };
    pid_t pid = in_child(20, send_later, &later);
    ck_assert_int_eq(aw_poll(&fd, 1, AW_SEC(60)), 1);
    ck_assert_uint_eq(told.runs, 1);
    expect_exit(pid, 0);
    shut_down();
}
END_TEST

/* Both descriptors for foreign loops. */
START_TEST(descriptors_hear_of_it)
{
    struct told told = { 0 };
    unsigned char byte = 0;
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    start_variant(_i);
    struct pollfd fd = { .fd = aw_wakeup_fd(), .events = POLLIN };
    ck_assert_int_eq(aw_set_wakeup_fd(ends[1]), -ENOENT);
    watch(SIGUSR1, &told);
    for (unsigned i = 0; i < 3; ++i) {
        ck_assert_int_eq(poll(&fd, 1, 0), 0);
        raise(SIGUSR1);
        ck_assert_int_eq(poll(&fd, 1, 0), 1);
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        ck_assert_int_eq(byte, SIGUSR1);
        ck_assert_int_eq(aw_dispatch(0), 1);
        ck_assert_int_eq(poll(&fd, 1, 0), 0);
        ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    }
    /* The engine's own, sent by others, too. */
    watch(variant_signo(_i), &told);
    kill(getpid(), variant_signo(_i));
    ck_assert_int_eq(poll(&fd, 1, 0), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(byte, variant_signo(_i));
    ck_assert_int_eq(aw_dispatch(0), 1);
    shut_down();
}
END_TEST

/* ---- what is refused ---- */

static void *call_elsewhere(void *arg)
{
    struct aw_signal_state state = { .size = sizeof state };
    struct told *told = arg;
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note, told), -EPERM);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, note, told), -EPERM);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), -EPERM);
    ck_assert_int_eq(aw_signal_default(SIGUSR1), -EPERM);
    ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, true), -EPERM);
    ck_assert_int_eq(aw_signal_query(SIGUSR1, &state), -EPERM);
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -EPERM);
    ck_assert_int_eq(aw_signal_pending(&set), -EPERM);
    ck_assert_int_eq(aw_pause(), -EPERM);
    return NULL;
}

static void expect_no_engine(void)
{
    struct aw_signal_state state = { .size = sizeof state };
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note, NULL), -ENODEV);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, NULL, NULL), -ENODEV);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), -ENODEV);
    ck_assert_int_eq(aw_signal_default(SIGUSR1), -ENODEV);
    ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, true), -ENODEV);
    ck_assert_int_eq(aw_signal_query(SIGUSR1, &state), -ENODEV);
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -ENODEV);
    ck_assert_int_eq(aw_signal_pending(&set), -ENODEV);
    ck_assert_int_eq(aw_pause(), -ENODEV);
}

START_TEST(wrong_signals)
{
    static const int impossible[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                      SIGTRAP, SIGSYS,  0,       -1,     65,     1 << 20 };
    struct aw_signal_state state = { .size = sizeof state };
    struct told told = { 0 };
    start_variant(_i);
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; ++i) {
        int signo = impossible[i];
        bool is_none = signo <= 0 || signo > 64;
        ck_assert_int_eq(aw_signal_watch(signo, note, &told), -EINVAL);
        ck_assert_int_eq(aw_signal_ignore(signo), -EINVAL);
        ck_assert_int_eq(aw_signal_default(signo), -EINVAL);
        ck_assert_int_eq(aw_signal_interrupt(signo, true), -EINVAL);
        ck_assert_int_eq(aw_signal_unwatch(signo, NULL, NULL), is_none ? -EINVAL : -ENOENT);
        ck_assert_int_eq(aw_signal_query(signo, &state), is_none ? -EINVAL : 0);
    }
    /* libc's own. */
    ck_assert_int_eq(aw_signal_watch(32, note, &told), -EINVAL);
    ck_assert_int_eq(aw_signal_ignore(33), -EINVAL);
    ck_assert_int_eq(aw_signal_query(32, &state), -EINVAL);
    ck_assert_int_eq(aw_signal_interrupt(32, true), -ENOENT);
    ck_assert_int_eq(aw_run(), 0);
    shut_down();
}
END_TEST

START_TEST(wrong_arguments)
{
    struct told told[130] = { 0 };
    struct aw_signal_state state = { .size = 0 };
    expect_no_engine();
    start_variant(_i);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, note, NULL), -ENOENT);
    ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, true), -ENOENT);
    ck_assert_int_eq(aw_signal_query(SIGUSR1, NULL), -EINVAL);
    ck_assert_int_eq(aw_signal_query(SIGUSR1, &state), -EINVAL);
    ck_assert_int_eq(aw_signal_pending(NULL), -EINVAL);
    watch(SIGUSR1, &told[0]);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note, &told[0]), -EEXIST);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, note, &told[1]), -ENOENT);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR2, note, &told[0]), -ENOENT);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, quit, &told[0]), -ENOENT);
    for (unsigned i = 1; i < 128; ++i)
        watch(i % 2 != 0 ? SIGUSR1 : SIGUSR2, &told[i]);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note, &told[128]), -ENOSPC);
    ck_assert_int_eq(aw_signal_watch(SIGHUP, note, &told[128]), -ENOSPC);
    ck_assert(disposition(SIGHUP).sa_handler == SIG_DFL);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note, &told[0]), -EEXIST);
    unwatch(SIGUSR2, &told[2]);
    watch(SIGHUP, &told[128]);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_elsewhere, &told[129]), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    shut_down();
    expect_no_engine();
    ck_assert(disposition(SIGUSR1).sa_handler == SIG_DFL && disposition(SIGHUP).sa_handler == SIG_DFL);
}
END_TEST

/* Needs no engine. */
START_TEST(raise_in_a_thread)
{
    install(SIGUSR1);
    ck_assert_int_eq(aw_signal_raise_in(pthread_self(), 0), 0);
    ck_assert_int_eq(aw_signal_raise_in(pthread_self(), SIGUSR1), 0);
    ck_assert_uint_eq(handled, 1);
    ck_assert_int_eq(aw_signal_raise_in(pthread_self(), 65), -EINVAL);
    ck_assert_int_eq(aw_signal_raise_in(pthread_self(), -1), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watched signals in a process");
    TCase *back = signal_case(suite, "given back");
    TCase *own = signal_case(suite, "the engine's own");
    TCase *threads = signal_case(suite, "threads");
    TCase *forks = signal_case(suite, "forks");
    TCase *points = signal_case(suite, "safe points");
    TCase *refused = signal_case(suite, "refused");

    tcase_add_loop_test(back, old_disposition_comes_back, 0, VARIANTS);
    tcase_add_loop_test(back, what_was_not_called_back_is_sent_again, 0, VARIANTS);
    tcase_add_loop_test(back, a_termination_is_not_swallowed, 0, SOURCES);
    tcase_add_loop_test(back, who_replaced_ours_keeps_his_place, 0, VARIANTS);
    tcase_add_loop_test(back, chained_to_who_was_there_before, 0, VARIANTS);
    tcase_add_loop_test(back, sent_again_without_room, 0, SOURCES);
    tcase_add_loop_test(back, chained_to_the_default, 0, SOURCES);
    tcase_add_loop_test(back, masks_are_untouched, 0, VARIANTS);
    tcase_add_loop_test(own, engines_own_signal, 0, VARIANTS);
    tcase_add_loop_test(own, engines_own_signal_before_what_was_found, 0, VARIANTS);
    tcase_add_test(own, sigalrm_with_the_posix_source);
    tcase_add_loop_test(own, sigvtalrm_watched_before_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigvtalrm_watched_inside_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigvtalrm_unwatched_inside_the_guard, 0, VARIANTS);
    tcase_add_loop_test(own, sigprof_of_the_profiling_timer, 0, SOURCES);
    tcase_add_loop_test(threads, delivered_to_another_thread, 0, VARIANTS);
    tcase_add_loop_test(threads, delivered_elsewhere_during_a_guarded_call, 0, VARIANTS);
    tcase_add_loop_test(threads, counted_on_three_threads, 0, SOURCES);
    tcase_add_loop_test(forks, h18_forked_child_has_the_old_dispositions, 0, VARIANTS);
    tcase_add_loop_test(forks, h18_forked_child_has_the_old_mask, 0, VARIANTS);
    tcase_add_loop_test(forks, h18_signal_right_after_fork, 0, SOURCES);
    tcase_add_loop_test(forks, h18_forked_in_the_middle_of_a_queue, 0, SOURCES);
    tcase_add_loop_test(points, guarded_call_runs_the_watcher, 0, VARIANTS);
    tcase_add_loop_test(points, run_goes_on_while_something_is_watched, 0, VARIANTS);
    tcase_add_loop_test(points, poll_goes_on, 0, VARIANTS);
    tcase_add_loop_test(points, descriptors_hear_of_it, 0, VARIANTS);
    tcase_add_loop_test(refused, wrong_signals, 0, SOURCES);
    tcase_add_loop_test(refused, wrong_arguments, 0, SOURCES);
    tcase_add_test(refused, raise_in_a_thread);
    return run_suite(suite);
}
