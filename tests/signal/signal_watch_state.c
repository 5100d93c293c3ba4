/* SPDX-License-Identifier: MIT */
/*
 * signal_watch_state.c: what is kept of watched signals until a safe point, in the queue of the real-time
 * ones above all; and the dispositions: asked for, ignored, set to their default, restarting or
 * interrupting.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "watching.h"

static struct aw_signal_state state_of(int signo)
{
    struct aw_signal_state state = { .size = sizeof state };
    ck_assert_int_eq(aw_signal_query(signo, &state), 0);
    ck_assert_uint_eq(state.size, sizeof state);
    return state;
}

static void unwatch_all(int signo)
{
    ck_assert_int_eq(aw_signal_unwatch(signo, NULL, NULL), 0);
}

/* ---- real-time signals ---- */

#define MOST 2000

struct queue {
    unsigned runs;
    uint64_t counted;
    int values[MOST];
    uint64_t counts[MOST];
};

static int collect(const siginfo_t *info, uint64_t count, void *arg)
{
    struct queue *queue = arg;
    if (queue->runs < MOST) {
        queue->values[queue->runs] = info->si_value.sival_int;
        queue->counts[queue->runs] = count;
    }
    ++queue->runs;
    queue->counted += count;
    return 0;
}

static struct queue queues[2];

START_TEST(real_time_ones_in_their_order)
{
    memset(queues, 0, sizeof queues);
    start_variant(_i);
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN, collect, &queues[0]), 0);
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN + 1, collect, &queues[1]), 0);
    for (int i = 0; i < 100; ++i)
        queue_value(SIGRTMIN + i % 2, i);
    while (aw_dispatch(0) > 0)
        continue;
    for (unsigned which = 0; which < 2; ++which) {
        ck_assert_uint_eq(queues[which].runs, 50);
        for (unsigned i = 0; i < 50; ++i) {
            ck_assert_int_eq(queues[which].values[i], (int)(2 * i + which));
            ck_assert_uint_eq(queues[which].counts[i], 1);
        }
    }
    shut_down();
}
END_TEST

static int order[4];
static unsigned ordered;

static int note_order(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)count;
    (void)arg;
    if (ordered < 4)
        order[ordered] = info->si_value.sival_int;
    ++ordered;
    return 0;
}

/* Two kinds come one by one as they arrived, not sorted by their numbers. */
START_TEST(real_time_ones_across_kinds)
{
    start_variant(_i);
    ordered = 0;
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN + 1, note_order, NULL), 0);
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN, note_order, NULL), 0);
    for (int i = 0; i < 4; ++i)
        queue_value(i % 2 == 0 ? SIGRTMIN + 1 : SIGRTMIN, i);
    ck_assert_int_eq(aw_dispatch(0), 4);
    for (int i = 0; i < 4; ++i)
        ck_assert_int_eq(order[i], i);
    shut_down();
}
END_TEST

/* No safe point runs: 1024 are kept apart, the rest is counted, behind them, with the last one's value. */
START_TEST(queue_overflows)
{
    memset(queues, 0, sizeof queues);
    start_variant(_i);
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN, collect, &queues[0]), 0);
    for (unsigned round = 1; round <= 2; ++round) {
        queues[0].runs = 0;
        queues[0].counted = 0;
        for (int i = 0; i < MOST; ++i)
            queue_value(SIGRTMIN, i);
        ck_assert_uint_eq(state_of(SIGRTMIN).received, (uint64_t)MOST * round);
        ck_assert_uint_eq(state_of(SIGRTMIN).merged, (uint64_t)(MOST - 1024) * round);
        while (queues[0].counted < MOST)
            ck_assert_int_gt(aw_dispatch(0), 0);
        ck_assert_int_eq(aw_dispatch(0), 0);
        ck_assert_uint_eq(queues[0].counted, MOST);
        ck_assert_uint_eq(queues[0].runs, 1025);
        for (int i = 0; i < 1024; ++i) {
            ck_assert_int_eq(queues[0].values[i], i);
            ck_assert_uint_eq(queues[0].counts[i], 1);
        }
        ck_assert_int_eq(queues[0].values[1024], MOST - 1);
        ck_assert_uint_eq(queues[0].counts[1024], MOST - 1024);
    }
    shut_down();
}
END_TEST

/* While what was merged waits, nothing overtakes it, though there is room again. */
START_TEST(nothing_overtakes_the_merged)
{
    memset(queues, 0, sizeof queues);
    start_variant(_i);
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN, collect, &queues[0]), 0);
    for (int i = 0; i < 1030; ++i)
        queue_value(SIGRTMIN, i);
    ck_assert_int_eq(aw_dispatch(0), 1024);
    queue_value(SIGRTMIN, 1030);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(queues[0].values[1024], 1030);
    ck_assert_uint_eq(queues[0].counts[1024], 7);
    queue_value(SIGRTMIN, 1031);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(queues[0].counts[1025], 1);
    ck_assert_uint_eq(state_of(SIGRTMIN).merged, 7);
    shut_down();
}
END_TEST

/* ---- query, ignore, default, interrupt ---- */

static void do_nothing(int signo)
{
    (void)signo;
}

static void do_nothing_once(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
}

static int quit_on_it(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    return aw_quit(0);
}

START_TEST(query_says_who_has_it)
{
    struct told told[2] = { 0 };
    start_variant(_i);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_DEFAULT);
    signal(SIGUSR1, SIG_IGN);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_IGNORED);
    /* The kernel resets such a one, and leaves its flags. */
    struct sigaction once = { .sa_sigaction = do_nothing_once };
    once.sa_flags = (int)(SA_SIGINFO | (unsigned)SA_RESETHAND);
    ck_assert_int_eq(sigaction(SIGUSR1, &once, NULL), 0);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_FOREIGN);
    raise(SIGUSR1);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_DEFAULT);
    handle_signal(SIGUSR1, do_nothing, 0);
    struct aw_signal_state state = state_of(SIGUSR1);
    ck_assert_int_eq(state.kind, AW_SIGNAL_FOREIGN);
    ck_assert_uint_eq(state.watchers, 0);
    ck_assert(state.fn == NULL && state.arg == NULL);
    watch(SIGUSR1, &told[0]);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, quit_on_it, &told[1]), 0);
    raise(SIGUSR1);
    state = state_of(SIGUSR1);
    ck_assert_int_eq(state.kind, AW_SIGNAL_WATCHED);
    ck_assert_uint_eq(state.watchers, 2);
    ck_assert(state.fn == note && state.arg == &told[0]);
    ck_assert_uint_eq(state.received, 1);
    unwatch(SIGUSR1, &told[0]);
    state = state_of(SIGUSR1);
    ck_assert(state.fn == quit_on_it && state.watchers == 1 && state.received == 1);
    /* It counts from the first that begins to watch. */
    unwatch_all(SIGUSR1);
    watch(SIGUSR1, &told[0]);
    ck_assert_uint_eq(state_of(SIGUSR1).received, 0);
    /* The engine's own. */
    state = state_of(variant_signo(_i));
    ck_assert(state.kind == AW_SIGNAL_WATCHED && state.watchers == 0 && state.fn == NULL);
    /* A caller that knows only the first fields. */
    struct aw_signal_state old;
    memset(&old, 0x55, sizeof old);
    old.size = offsetof(struct aw_signal_state, watchers);
    ck_assert_int_eq(aw_signal_query(SIGUSR1, &old), 0);
    ck_assert_uint_eq(old.size, offsetof(struct aw_signal_state, watchers));
    ck_assert_int_eq(old.kind, AW_SIGNAL_WATCHED);
    ck_assert_uint_eq(old.watchers, 0x55555555u);
    struct {
        struct aw_signal_state state;
        char more[16];
    } young = { .state.size = sizeof young };
    ck_assert_int_eq(aw_signal_query(SIGUSR1, &young.state), 0);
    ck_assert_uint_eq(young.state.size, sizeof young.state);
    shut_down();
}
END_TEST

START_TEST(ignore_and_default)
{
    struct sigaction now;
    struct told told = { 0 };
    start_variant(_i);
    handle_signal(SIGUSR1, do_nothing, SA_RESTART);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), 0);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_IGNORED);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_int_eq(aw_signal_default(SIGUSR1), 0);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_DEFAULT);
    unwatch_all(SIGUSR1);
    now = disposition(SIGUSR1);
    ck_assert(now.sa_handler == do_nothing);
    ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, NULL, NULL), -ENOENT);
    /* Watched: not to be changed beneath. */
    watch(SIGUSR1, &told);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), -EBUSY);
    ck_assert_int_eq(aw_signal_default(SIGUSR1), -EBUSY);
    unwatch(SIGUSR1, &told);
    /* aw_shutdown brings the old one back, too. */
    ck_assert_int_eq(aw_signal_default(SIGUSR1), 0);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR2), 0);
    shut_down();
    now = disposition(SIGUSR1);
    ck_assert(now.sa_handler == do_nothing && (now.sa_flags & SA_RESTART) != 0);
    now = disposition(SIGUSR2);
    ck_assert(now.sa_handler == SIG_DFL);
}
END_TEST

/* Who came later keeps his place. */
START_TEST(ignored_and_replaced)
{
    struct sigaction now;
    start_variant(_i);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), 0);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR2), 0);
    handle_signal(SIGUSR1, do_nothing, 0);
    handle_signal(SIGUSR2, do_nothing, 0);
    unwatch_all(SIGUSR1);
    now = disposition(SIGUSR1);
    ck_assert(now.sa_handler == do_nothing);
    shut_down();
    now = disposition(SIGUSR2);
    ck_assert(now.sa_handler == do_nothing);
}
END_TEST

/* Who came later has his place, too, where the engine then changes it once more: he comes back. */
START_TEST(ignored_replaced_and_changed)
{
    struct told told = { 0 };
    start_variant(_i);
    for (unsigned i = 0; i < 4; ++i) {
        handle_signal(SIGUSR1, SIG_DFL, 0);
        ck_assert_int_eq(i < 2 ? aw_signal_ignore(SIGUSR1) : aw_signal_default(SIGUSR1), 0);
        handle_signal(SIGUSR1, do_nothing, 0);
        if (i % 2 == 0) {
            ck_assert_int_eq(i < 2 ? aw_signal_default(SIGUSR1) : aw_signal_ignore(SIGUSR1), 0);
            ck_assert_int_eq(state_of(SIGUSR1).kind, i < 2 ? AW_SIGNAL_DEFAULT : AW_SIGNAL_IGNORED);
        } else {
            watch(SIGUSR1, &told);
            raise(SIGUSR1);
            ck_assert_int_eq(aw_dispatch(0), 1);
        }
        unwatch_all(SIGUSR1);
        ck_assert(disposition(SIGUSR1).sa_handler == do_nothing);
    }
    handle_signal(SIGUSR1, SIG_DFL, 0);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), 0);
    handle_signal(SIGUSR1, do_nothing, 0);
    watch(SIGUSR1, &told);
    shut_down();
    ck_assert(disposition(SIGUSR1).sa_handler == do_nothing);
}
END_TEST

/* The one that the first watcher displaced comes back: here what aw_signal_ignore had set. */
START_TEST(ignored_then_watched)
{
    struct told told = { 0 };
    struct sigaction now;
    start_variant(_i);
    handle_signal(SIGUSR1, do_nothing, 0);
    ck_assert_int_eq(aw_signal_ignore(SIGUSR1), 0);
    watch(SIGUSR1, &told);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    unwatch(SIGUSR1, &told);
    ck_assert_int_eq(state_of(SIGUSR1).kind, AW_SIGNAL_IGNORED);
    unwatch_all(SIGUSR1);
    now = disposition(SIGUSR1);
    ck_assert(now.sa_handler == do_nothing);
    ck_assert_int_eq(aw_signal_default(SIGUSR1), 0);
    watch(SIGUSR1, &told);
    shut_down();
    now = disposition(SIGUSR1);
    ck_assert(now.sa_handler == do_nothing);
}
END_TEST

struct sender {
    pid_t target;
    int fd; /* -1: it goes on until it is killed */
};

static int send_signals(void *arg)
{
    const struct sender *plan = arg;
    for (unsigned i = 0; i < 5 || plan->fd < 0; ++i) {
        kill(plan->target, SIGUSR1);
        pass_ms(10);
    }
    return write(plan->fd, "x", 1) == 1 ? 0 : 1;
}

/* A plain read(2): restarted, or interrupted, as the policy says. */
START_TEST(restart_or_interrupt)
{
    struct told told = { 0 };
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(_i);
    watch(SIGUSR1, &told);
    for (unsigned i = 0; i < 4; ++i) {
        bool interrupts = i % 2 != 0;
        struct sender plan = { getpid(), interrupts ? -1 : ends[1] };
        ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, interrupts), 0);
        pid_t pid = in_child(10, send_signals, &plan);
        ssize_t got = read(ends[0], &byte, 1);
        int error = errno;
        if (interrupts) {
            kill(pid, SIGKILL);
            ck_assert(got == -1 && error == EINTR);
            expect_killed(pid, SIGKILL);
        } else {
            ck_assert_int_eq(got, 1);
            expect_exit(pid, 0);
        }
        ck_assert_int_eq(aw_dispatch(0), 1);
    }
    /* The policy ends with the watching. */
    ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, true), 0);
    unwatch_all(SIGUSR1);
    watch(SIGUSR1, &told);
    struct sigaction now;
    now = disposition(SIGUSR1);
    ck_assert((now.sa_flags & SA_RESTART) != 0);
    shut_down();
}
END_TEST

START_TEST(the_handler_is_a_good_neighbour)
{
    struct told told = { 0 };
    struct sigaction now;
    start_variant(_i);
    watch(SIGUSR1, &told);
    now = disposition(SIGUSR1);
    const int flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ck_assert_int_eq(now.sa_flags & flags, flags);
    for (int signo = 1; signo < SIGRTMAX; ++signo) {
        if (signo != SIGKILL && signo != SIGSTOP && (signo < 32 || signo >= SIGRTMIN))
            ck_assert_int_eq(sigismember(&now.sa_mask, signo), 1);
    }
    errno = 4711;
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(errno, 4711);
    unwatch(SIGUSR1, &told);
    ck_assert_int_eq(errno, 4711);
    shut_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("what is kept of watched signals");
    TCase *real_time = signal_case(suite, "real time");
    TCase *others = signal_case(suite, "query, ignore, interrupt");

    tcase_add_loop_test(real_time, real_time_ones_in_their_order, 0, VARIANTS);
    tcase_add_loop_test(real_time, real_time_ones_across_kinds, 0, VARIANTS);
    tcase_add_loop_test(real_time, queue_overflows, 0, VARIANTS);
    tcase_add_loop_test(real_time, nothing_overtakes_the_merged, 0, VARIANTS);
    tcase_add_loop_test(others, query_says_who_has_it, 0, VARIANTS);
    tcase_add_loop_test(others, ignore_and_default, 0, VARIANTS);
    tcase_add_loop_test(others, ignored_and_replaced, 0, VARIANTS);
    tcase_add_loop_test(others, ignored_replaced_and_changed, 0, VARIANTS);
    tcase_add_loop_test(others, ignored_then_watched, 0, VARIANTS);
    tcase_add_loop_test(others, restart_or_interrupt, 0, VARIANTS);
    tcase_add_loop_test(others, the_handler_is_a_good_neighbour, 0, SOURCES);
    return run_suite(suite);
}
