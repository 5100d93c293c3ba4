/* SPDX-License-Identifier: MIT */
/* Starting and stopping the engine: options, callers, owner, memory, stale handles, counters, forked
 * children. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/engine.h"
#include "engine/pending.h"
#include "fake_clock.h"
#include "fake_fault.h"

static int callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(int *)arg;
    return 0;
}

static int posted(void *arg)
{
    (void)arg;
    return 0;
}

static struct aw_stats stats(void)
{
    struct aw_stats all = { .size = sizeof all };
    EXPECT(aw_stats_read(&all), 0);
    return all;
}

/* Every call but aw_init says why it does not work: -ENODEV or -EPERM. */
static void expect_denied(int error)
{
    struct aw_timer timer = { 1 };
    struct aw_guard guard;
    struct aw_stats all = { .size = sizeof all };
    uint64_t ns;
    int runs = 0;
    memset(&guard, 0, sizeof guard);
    EXPECT(aw_shutdown(), error);
    EXPECT(aw_stats_read(&all), error);
    EXPECT(aw_timer_create(&timer, callback, &runs), error);
    EXPECT(aw_timer_arm(timer, 0), error);
    EXPECT(aw_timer_arm_at(timer, 0), error);
    EXPECT(aw_timer_arm_every(timer, 0, 1, AW_MISSED_SKIP), error);
    EXPECT(aw_timer_again(timer), error);
    EXPECT(aw_timer_disarm(timer), error);
    EXPECT(aw_timer_delete(timer), error);
    EXPECT(aw_timer_remaining(timer, &ns), error);
    EXPECT(aw_timer_overrun(timer, &ns), error);
    EXPECT(aw_timer_unref(timer), error);
    EXPECT(aw_dispatch(0), error);
    EXPECT(aw_safepoint_slow(), error);
    EXPECT(aw_wait(0), error);
    EXPECT(aw_poll(NULL, 0, 0), error);
    EXPECT(aw_run(), error);
    EXPECT(aw_wakeup_fd(), error);
    EXPECT(aw_set_wakeup_fd(-1), error);
    EXPECT(aw_next(&ns), error);
    EXPECT(aw_quiet(), error);
    EXPECT(aw_guard_enter(&guard, 0, 0), error);
    EXPECT(aw_guard_error(&guard), error);
    EXPECT(aw_guard_leave(&guard), error);
    EXPECT(aw_guard_mark(), error);
    EXPECT(aw_guard_rewind(0), error);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_ptr_null(aw_guard_fired(&guard));
    ck_assert_uint_eq(aw_guard_lateness_ns(&guard), 0);
}

START_TEST(without_engine)
{
    expect_denied(-ENODEV);
    EXPECT(aw_post(posted, NULL), -ENODEV);
    EXPECT(aw_quit(0), -ENODEV);
    EXPECT(aw_safepoint(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_shutdown(), 0);
    expect_denied(-ENODEV);
    EXPECT(aw_post(posted, NULL), -ENODEV);
    EXPECT(aw_safepoint(), 0);
}
END_TEST

static void on_another_thread(void)
{
    expect_denied(-EPERM);
    EXPECT(fake_start(), -EPERM);
    EXPECT(aw_post(posted, NULL), 0);
    EXPECT(aw_quit(0), -EINVAL);
}

START_TEST(wrong_thread)
{
    EXPECT(fake_start(), 0);
    fake_elsewhere(on_another_thread);
    EXPECT(aw_dispatch(0), 1);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

static void own_it(void)
{
    EXPECT(fake_start(), 0);
    EXPECT(aw_dispatch(0), 0);
    EXPECT(aw_shutdown(), 0);
}

START_TEST(any_thread_may_own_it)
{
    fake_elsewhere(own_it);
    own_it();
}
END_TEST

/* Each entry is wrong in one field. */
START_TEST(bad_options)
{
    static char memory[65536] __attribute__((aligned(64)));
    const struct aw_options defaults = fake_options();
    struct aw_options bad[24];
    unsigned n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        bad[i] = defaults;
    bad[n++].size = 0;
    bad[n++].size = sizeof defaults - 1;
    bad[n++].size = sizeof defaults + 1;
    bad[n++].alarm = (enum aw_alarm)2;
    bad[n++].alarm = (enum aw_alarm)(-1);
    bad[n].alarm = AW_ALARM_ITIMER;
    bad[n++].signo = SIGRTMIN + 6; /* for AW_ALARM_POSIX only */
    bad[n].alarm = AW_ALARM_POSIX;
    bad[n++].signo = SIGRTMIN - 1;
    bad[n].alarm = AW_ALARM_POSIX;
    bad[n++].signo = SIGRTMAX + 1;
    bad[n].alarm = AW_ALARM_POSIX;
    bad[n++].signo = -1;
    bad[n++].tick_ns = 1;
    bad[n++].tick_ns = UINT64_C(1) << 9;
    bad[n++].tick_ns = UINT64_C(1) << 25;
    bad[n++].tick_ns = 100000;
    bad[n++].slack_ns = (UINT64_C(1) << 50) + 1;
    bad[n++].interrupt = (enum aw_interrupt)2;
    bad[n++].memory = memory;
    bad[n++].memory_bytes = sizeof memory;
    bad[n].memory = memory + 1;
    bad[n++].memory_bytes = sizeof memory - 1;
    bad[n].memory = memory;
    bad[n++].memory_bytes = aw_wheel_bytes(1) - 1;
    bad[n].memory = memory;
    bad[n].capacity = 100000;
    bad[n++].memory_bytes = sizeof memory;
    for (unsigned i = 0; i < n; ++i) {
        struct sigaction action;
        errno = 4711;
        int result = aw_init(&bad[i]);
        ck_assert_msg(result == -EINVAL, "options %u: %d", i, result);
        ck_assert_int_eq(errno, 4711);
        sigaction(fake_signo(), NULL, &action);
        ck_assert(action.sa_handler == SIG_DFL);
    }
    ck_assert_uint_eq(fake.programmed, 0);
    EXPECT(fake_start(), 0);
    for (unsigned i = 0; i < n; ++i) {
        int result = aw_init(&bad[i]);
        /* What only a new engine would look at is not looked at: its memory. */
        ck_assert_msg(result == -EINVAL || (result == 0 && bad[i].memory != NULL), "options %u, joining: %d",
                      i, result);
    }
}
END_TEST

START_TEST(good_options)
{
    struct aw_options good[6];
    unsigned n = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; ++i)
        good[i] = fake_options();
    good[n++].tick_ns = UINT64_C(1) << 10;
    good[n++].tick_ns = UINT64_C(1) << 24;
    good[n++].slack_ns = UINT64_C(1) << 50;
    good[n++].capacity = 1;
    good[n++].budget = UINT32_MAX;
    good[n++].interrupt = AW_INTERRUPT_RESTART;
    for (unsigned i = 0; i < n; ++i) {
        int runs = 0;
        struct aw_timer timer;
        EXPECT(aw_init(&good[i]), 0);
        EXPECT(aw_timer_create(&timer, callback, &runs), 0);
        EXPECT(aw_timer_arm(timer, AW_MS(50)), 0);
        fake_advance(AW_MS(50) - 1);
        EXPECT(aw_dispatch(0), 0);
        fake_advance((UINT64_C(1) << 24) + 1);
        EXPECT(aw_dispatch(0), 1);
        EXPECT(aw_shutdown(), 0);
    }
}
END_TEST

START_TEST(callers_are_counted)
{
    struct aw_options other = fake_options();
    other.alarm = fake_is_posix() ? AW_ALARM_ITIMER : AW_ALARM_POSIX;
    EXPECT(fake_start(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_init(&other), -EBUSY);
    EXPECT(fake_start(), 0);
    EXPECT(aw_shutdown(), 2);
    EXPECT(aw_shutdown(), 1);
    EXPECT(aw_dispatch(0), 0);
    awi_engine.callers = INT32_MAX;
    EXPECT(fake_start(), -EAGAIN);
    awi_engine.callers = 1;
    EXPECT(aw_shutdown(), 0);
    EXPECT(aw_shutdown(), -ENODEV);
}
END_TEST

START_TEST(shutdown_gives_everything_back)
{
    struct sigaction action;
    struct aw_timer timer;
    int runs = 0;
    signal(fake_signo(), SIG_IGN);
    EXPECT(fake_start(), 0);
    sigaction(fake_signo(), NULL, &action);
    ck_assert_int_eq(action.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER),
                     SA_SIGINFO | SA_RESTART | SA_ONSTACK);
    for (int signo = 1; signo < SIGRTMAX; ++signo) {
        bool fits = signo == SIGKILL || signo == SIGSTOP || (signo > 31 && signo < SIGRTMIN) ||
                    sigismember(&action.sa_mask, signo) == 1;
        ck_assert_msg(fits, "signal %d", signo);
    }
    EXPECT(aw_timer_create(&timer, callback, &runs), 0);
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0);
    ck_assert_uint_ne(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_shutdown(), 0);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    sigaction(fake_signo(), NULL, &action);
    ck_assert(action.sa_handler == SIG_IGN);
    fake_advance(AW_SEC(2));
    ck_assert_int_eq(runs, 0);
}
END_TEST

/* Hazard 11: straight to SIG_DFL the pending signal would kill. */
START_TEST(h11_shutdown_discards_what_is_pending)
{
    struct aw_timer timer;
    sigset_t set, mask, pending;
    int runs = 0;
    sigemptyset(&set);
    sigaddset(&set, fake_signo());
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, callback, &runs), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fake_advance(AW_MS(2));
    ck_assert_uint_eq(fake.rings, 1);
    EXPECT(aw_shutdown(), 0);
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, fake_signo()), 0);
    /* It was let through at aw_init, so that is how it is left. */
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
END_TEST

START_TEST(h11_stale_signal_after_disarm)
{
    struct aw_timer timer;
    sigset_t set;
    int runs = 0;
    sigemptyset(&set);
    sigaddset(&set, fake_signo());
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, callback, &runs), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fake_advance(AW_MS(2));
    EXPECT(aw_timer_disarm(timer), 1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_dispatch(0), 0);
    ck_assert_int_eq(runs, 0);
    ck_assert_uint_eq(stats().signals, 1);
}
END_TEST

START_TEST(h20_blocked_signal_is_unblocked_and_blocked_again)
{
    sigset_t set, mask, pending;
    sigemptyset(&set);
    sigaddset(&set, fake_signo());
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(fake_signo());
    EXPECT(fake_start(), 0);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 0);
    ck_assert_uint_eq(stats().signals, 0);
    EXPECT(aw_shutdown(), 0);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 1);
    /* What was pending belongs to who blocked it. */
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, fake_signo()), 1);
    signal(fake_signo(), SIG_IGN);
}
END_TEST

START_TEST(old_handles_are_stale)
{
    struct aw_timer first, second;
    uint64_t ns;
    int runs = 0;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&first, callback, &runs), 0);
    EXPECT(aw_shutdown(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&second, callback, &runs), 0);
    ck_assert(first.id != second.id);
    EXPECT(aw_timer_arm(first, 0), -ENOENT);
    EXPECT(aw_timer_arm(first, AW_SEC(100000)), -ENOENT);
    EXPECT(aw_timer_arm_at(first, 0), -ENOENT);
    EXPECT(aw_timer_arm_every(first, 1, 1, AW_MISSED_SKIP), -ENOENT);
    EXPECT(aw_timer_again(first), -ENOENT);
    EXPECT(aw_timer_disarm(first), -ENOENT);
    EXPECT(aw_timer_delete(first), -ENOENT);
    EXPECT(aw_timer_remaining(first, &ns), -ENOENT);
    EXPECT(aw_timer_overrun(first, &ns), -ENOENT);
    EXPECT(aw_timer_unref(first), -ENOENT);
    ck_assert_uint_eq(fake.alarm_ns, AW_FOREVER);
    EXPECT(aw_timer_disarm(second), 0);
}
END_TEST

START_TEST(callers_memory_is_all_it_takes)
{
    enum {
        TIMERS = 100
    };
    static char memory[65536] __attribute__((aligned(64)));
    struct aw_options options = fake_options();
    struct aw_timer timers[TIMERS], one_more;
    int runs = 0;
    options.memory = memory;
    options.memory_bytes = aw_wheel_bytes(TIMERS);
    ck_assert_uint_le(options.memory_bytes, sizeof memory);
    fault_plan(FAULT_ALLOCATION, 0, 0);
    int failures = 0;
    failures += aw_init(&options) != 0;
    for (int i = 0; i < TIMERS; ++i) {
        failures += aw_timer_create(&timers[i], callback, &runs) != 0;
        failures += aw_timer_arm(timers[i], AW_MS((unsigned)i)) != 0;
    }
    failures += aw_timer_create(&one_more, callback, &runs) != -ENOMEM;
    failures += aw_timer_delete(timers[7]) != 0;
    failures += aw_timer_create(&timers[7], callback, &runs) != 0;
    failures += aw_timer_arm(timers[7], AW_MS(7)) != 0;
    fake_advance(AW_MS(TIMERS));
    failures += aw_dispatch(0) != TIMERS;
    failures += aw_shutdown() != 0;
    unsigned allocations = fault_calls(FAULT_ALLOCATION);
    ck_assert_int_eq(failures, 0);
    ck_assert_uint_eq(allocations, 0);
    ck_assert_int_eq(runs, TIMERS);
}
END_TEST

START_TEST(only_init_and_create_allocate)
{
    struct aw_timer timers[64];
    struct aw_guard guard;
    struct aw_stats all = { .size = sizeof all };
    uint64_t ns;
    int runs = 0, sum = 0;
    EXPECT(fake_start(), 0);
    for (int i = 0; i < 64; ++i)
        EXPECT(aw_timer_create(&timers[i], callback, &runs), 0);
    fault_plan_always(FAULT_ALLOCATION, ENOMEM);
    for (int i = 0; i < 64; ++i) {
        sum += aw_timer_arm(timers[i], AW_SEC((unsigned)i));
        sum += aw_timer_again(timers[i]);
        sum += aw_timer_arm_at(timers[i], fake.now_ns + AW_SEC(2));
        sum += aw_timer_arm_every(timers[i], AW_SEC(1), AW_SEC(1), AW_MISSED_BURST);
        sum += aw_timer_remaining(timers[i], &ns);
        sum += aw_timer_unref(timers[i]);
    }
    fake_advance(AW_SEC(1) + FAKE_TICK_NS);
    sum += aw_guard_enter(&guard, AW_SEC(1), AW_GUARD_COARSE);
    sum += aw_guard_leave(&guard);
    sum += aw_dispatch(0) - 64;
    sum += aw_post(posted, NULL);
    sum += aw_wait(AW_SEC(1)) - 1;
    sum += aw_poll(NULL, 0, 0);
    sum += aw_run();
    sum += aw_stats_read(&all);
    sum += aw_next(&ns) - 1;
    for (int i = 0; i < 64; ++i)
        sum += aw_timer_disarm(timers[i]) - 1;
    sum += aw_quiet() - 1;
    for (int i = 0; i < 64; ++i)
        sum += aw_timer_delete(timers[i]);
    unsigned allocations = fault_calls(FAULT_ALLOCATION);
    fault_clear();
    ck_assert_int_eq(sum, 0);
    ck_assert_uint_eq(allocations, 0);
    ck_assert_int_eq(runs, 64);
}
END_TEST

START_TEST(stats_of_every_size)
{
    struct {
        struct aw_stats stats;
        char beyond[64];
    } out;
    struct aw_timer timer;
    int runs = 0;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, callback, &runs), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_dispatch(0), 1);
    const struct aw_stats all = stats();
    ck_assert_uint_eq(all.size, sizeof all);
    ck_assert_uint_eq(all.expirations, 1);
    EXPECT(aw_stats_read(NULL), -EINVAL);
    for (size_t size = 0; size <= sizeof out; ++size) {
        memset(&out, 0x5a, sizeof out);
        out.stats.size = size;
        EXPECT(aw_stats_read(&out.stats), size < sizeof(size_t) ? -EINVAL : 0);
        if (size < sizeof(size_t))
            continue;
        size_t filled = size < sizeof all ? size : sizeof all;
        ck_assert_uint_eq(out.stats.size, filled);
        ck_assert_mem_eq((char *)&out + sizeof(size_t), (const char *)&all + sizeof(size_t),
                         filled - sizeof(size_t));
        for (size_t i = filled; i < sizeof out; ++i)
            ck_assert_int_eq(((char *)&out)[i], 0x5a);
    }
}
END_TEST

/* Counts that the other tests do not look at: every field of a short program whose each step is known. */
START_TEST(stats_count_what_they_say)
{
    struct aw_timer timer;
    struct aw_guard guard;
    int runs = 0;
    EXPECT(fake_start(), 0);
    const struct aw_stats none = { .size = sizeof none };
    struct aw_stats all = stats();
    ck_assert_mem_eq(&all, &none, sizeof all);
    EXPECT(aw_timer_create(&timer, callback, &runs), 0);
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0); /* programmed */
    EXPECT(aw_guard_enter(&guard, AW_MS(5), 0), 0);                             /* programmed */
    fake_advance(AW_MS(5)); /* a signal; the guard; programmed: the nag */
    ck_assert(aw_guard_expired(&guard));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    fake_advance(AW_MS(6)); /* the nag: spurious, programmed; the timer: a signal */
    EXPECT(aw_post(posted, NULL), 0);
    fake_lose(AW_MS(34));
    EXPECT(aw_dispatch(0), 2);                 /* three periods missed; programmed */
    EXPECT(aw_timer_arm(timer, AW_SEC(1)), 0); /* avoided */
    fake_forge();                              /* spurious, dropped */
    all = stats();
    ck_assert_uint_eq(all.signals, 4);
    ck_assert_uint_eq(all.spurious, 2);
    ck_assert_uint_eq(all.dropped, 1);
    ck_assert_uint_eq(all.forwarded + all.chained + all.recoveries + all.thefts, 0);
    /* Less the call that looked for a running alarm: there is none before a POSIX timer. */
    ck_assert_uint_eq(all.programmed, fake.programmed - (fake_is_posix() ? 0 : 1));
    ck_assert_uint_eq(all.programmed, 5);
    ck_assert_uint_eq(all.avoided, 1);
    ck_assert_uint_eq(all.expirations, 1);
    ck_assert_uint_eq(all.overruns, 3);
    ck_assert_uint_eq(all.guards, 1);
    ck_assert_uint_eq(all.posts, 1);
    ck_assert_uint_eq(all.worst_lateness_ns, AW_MS(35));
    EXPECT(aw_shutdown(), 0);
    EXPECT(fake_start(), 0);
    all = stats();
    ck_assert_mem_eq(&all, &none, sizeof all);
}
END_TEST

static struct aw_timer parents;
static struct aw_guard parents_guard;
static int child_runs;

static void be_a_child(void)
{
    struct sigaction action;
    struct aw_timer timer;
    sigaction(fake_signo(), NULL, &action);
    ck_assert(action.sa_handler == SIG_DFL);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_guard_leave(&parents_guard), 0);
    expect_denied(-ENODEV);
    EXPECT(aw_post(posted, NULL), -ENODEV);
    fake = (struct fake_clock){
        .on = true, .now_ns = fake.now_ns, .alarm_ns = AW_FOREVER, .signo = SIGALRM, .code = SI_KERNEL
    };
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_arm(parents, AW_MS(1)), -ENOENT);
    EXPECT(aw_timer_create(&timer, callback, &child_runs), 0);
    EXPECT(aw_timer_arm(parents, AW_MS(1)), -ENOENT); /* the same record, another generation */
    EXPECT(aw_timer_arm(timer, AW_MS(1)), 0);
    EXPECT(aw_guard_leave(&parents_guard), 0);
    EXPECT(aw_guard_leave(&parents_guard), -ENOENT);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), 0);
    ck_assert_int_eq(child_runs, 1);
    EXPECT(aw_shutdown(), 0);
}

START_TEST(h18_forked_child_has_no_engine)
{
    int runs = 0;
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&parents, callback, &runs), 0);
    EXPECT(aw_timer_arm(parents, AW_MS(1)), 0);
    EXPECT(aw_guard_enter(&parents_guard, AW_MS(1), 0), 0);
    EXPECT(aw_wakeup_fd() >= 0, 1);
    ck_assert_int_eq(fake_forked(be_a_child), 0);
    fake_advance(AW_MS(2));
    EXPECT(aw_safepoint(), -ETIMEDOUT);
    EXPECT(aw_guard_leave(&parents_guard), -ETIMEDOUT);
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* The guard was entered by the parent; the child leaves it after it has an engine of its own. */
static void leave_late(void)
{
    fake.alarm_ns = AW_FOREVER;
    EXPECT(fake_start(), 0);
    EXPECT(aw_guard_leave(&parents_guard), 0);
    EXPECT(aw_shutdown(), 0);
}

START_TEST(h18_inherited_guard_in_the_childs_engine)
{
    EXPECT(fake_start(), 0);
    EXPECT(aw_guard_enter(&parents_guard, AW_MS(1), 0), 0);
    ck_assert_int_eq(fake_forked(leave_late), 0);
}
END_TEST

static void look_at_mask(void)
{
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, fake_signo()), 1);
}

START_TEST(h18_forked_child_gets_the_mask_back)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, fake_signo());
    sigprocmask(SIG_BLOCK, &set, NULL);
    EXPECT(fake_start(), 0);
    ck_assert_int_eq(fake_forked(look_at_mask), 0);
}
END_TEST

static void nothing(void)
{
}

START_TEST(fork_without_engine)
{
    ck_assert_int_eq(fake_forked(nothing), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_shutdown(), 0);
    ck_assert_int_eq(fake_forked(nothing), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

static int inside_result[4];

static int start_and_stop(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    inside_result[0] = fake_start();
    inside_result[1] = aw_shutdown();
    inside_result[2] = aw_wait(0);
    inside_result[3] = aw_run();
    return 0;
}

START_TEST(inside_a_callback)
{
    struct aw_timer timer;
    EXPECT(fake_start(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_timer_create(&timer, start_and_stop, NULL), 0);
    EXPECT(aw_timer_arm_at(timer, 0), 0);
    EXPECT(aw_dispatch(0), 1);
    ck_assert_int_eq(inside_result[0], -EBUSY);
    ck_assert_int_eq(inside_result[1], -EBUSY);
    ck_assert_int_eq(inside_result[2], -EDEADLK);
    ck_assert_int_eq(inside_result[3], -EDEADLK);
    EXPECT(aw_shutdown(), 1);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

START_TEST(inside_a_guard)
{
    struct aw_guard guard;
    EXPECT(fake_start(), 0);
    EXPECT(fake_start(), 0);
    EXPECT(aw_guard_enter(&guard, AW_SEC(1), 0), 0);
    EXPECT(aw_shutdown(), 1);
    EXPECT(aw_shutdown(), -EBUSY);
    EXPECT(aw_guard_leave(&guard), 0);
    EXPECT(aw_shutdown(), 0);
}
END_TEST

START_TEST(version)
{
    ck_assert_str_eq(aw_version(), AW_VERSION_STRING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_start");
    TCase *tc = tcase_create("engine_start");
    tcase_add_checked_fixture(tc, fake_begin, fake_end);
    tcase_add_test(tc, without_engine);
    tcase_add_test(tc, wrong_thread);
    tcase_add_test(tc, any_thread_may_own_it);
    tcase_add_test(tc, bad_options);
    tcase_add_test(tc, good_options);
    tcase_add_test(tc, callers_are_counted);
    tcase_add_test(tc, shutdown_gives_everything_back);
    tcase_add_test(tc, h11_shutdown_discards_what_is_pending);
    tcase_add_test(tc, h11_stale_signal_after_disarm);
    tcase_add_test(tc, h20_blocked_signal_is_unblocked_and_blocked_again);
    tcase_add_test(tc, old_handles_are_stale);
    tcase_add_test(tc, callers_memory_is_all_it_takes);
    tcase_add_test(tc, only_init_and_create_allocate);
    tcase_add_test(tc, stats_of_every_size);
    tcase_add_test(tc, stats_count_what_they_say);
    tcase_add_test(tc, h18_forked_child_has_no_engine);
    tcase_add_test(tc, h18_inherited_guard_in_the_childs_engine);
    tcase_add_test(tc, h18_forked_child_gets_the_mask_back);
    tcase_add_test(tc, fork_without_engine);
    tcase_add_test(tc, inside_a_callback);
    tcase_add_test(tc, inside_a_guard);
    tcase_add_test(tc, version);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
