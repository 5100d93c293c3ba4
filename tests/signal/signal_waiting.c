/* SPDX-License-Identifier: MIT */
/*
 * signal_waiting.c: aw_signal_wait, aw_signal_pending and aw_pause: what they return, what goes on meanwhile,
 * and what they leave behind.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

static sigset_t set_of(int first, int second)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    if (second != 0)
        sigaddset(&set, second);
    return set;
}

static void queue_value(int signo, int value)
{
    const union sigval with = { .sival_int = value };
    ck_assert_int_eq(sigqueue(getpid(), signo, with), 0);
}

struct told {
    unsigned runs;
    uint64_t counted;
    int result;
};

static int note(const siginfo_t *info, uint64_t count, void *arg)
{
    struct told *told = arg;
    (void)info;
    ++told->runs;
    told->counted += count;
    return told->result;
}

static void watch(int signo, struct told *told)
{
    ck_assert_int_eq(aw_signal_watch(signo, note, told), 0);
}

static volatile unsigned handled;

static void handle(int signo)
{
    (void)signo;
    ++handled;
}

struct later {
    pid_t target;
    int signo;
    int value;
};

static int send_later(void *arg)
{
    const struct later *later = arg;
    const union sigval with = { .sival_int = later->value };
    return sigqueue(later->target, later->signo, with) == 0 ? 0 : 1;
}

static pid_t send_in_ms(uint64_t ms, int signo, int value)
{
    static struct later later;
    later = (struct later){ getpid(), signo, value };
    return in_child(ms, send_later, &later);
}

static int send_for_ever(void *arg)
{
    const struct later *later = arg;
    while (kill(later->target, later->signo) == 0)
        pass_ms(20);
    return 1;
}

/* Until it is killed. */
static pid_t send_again_and_again(int signo)
{
    static struct later later;
    later = (struct later){ getpid(), signo, 0 };
    return in_child(20, send_for_ever, &later);
}

static void shut_down(void)
{
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- what it returns ---- */

START_TEST(pending_before)
{
    sigset_t set = set_of(SIGUSR1, SIGRTMIN);
    siginfo_t info;
    start_variant(_i);
    block_signal(SIGUSR1);
    block_signal(SIGRTMIN);
    queue_value(SIGRTMIN, 1);
    raise(SIGUSR1);
    queue_value(SIGRTMIN, 2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
    ck_assert_int_eq(info.si_signo, SIGUSR1);
    ck_assert_int_eq(info.si_pid, getpid());
    ck_assert_int_eq(aw_signal_wait(&set, NULL, AW_FOREVER), SIGRTMIN);
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), SIGRTMIN);
    ck_assert_int_eq(info.si_value.sival_int, 2);
    ck_assert_int_eq(info.si_code, SI_QUEUE);
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -EAGAIN);
    shut_down();
}
END_TEST

START_TEST(comes_while_it_sleeps)
{
    sigset_t set = set_of(SIGUSR1, 0), mask;
    siginfo_t info;
    start_variant(_i);
    for (int i = 1; i <= 3; ++i) {
        block_signal(SIGUSR1);
        pid_t pid = send_in_ms(30, SIGUSR1, i);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
        ck_assert(info.si_value.sival_int == i && info.si_pid == pid);
        ck_assert(is_blocked(SIGUSR1));
        expect_exit(pid, 0);
        unblock_signal(SIGUSR1);
    }
    /* Not blocked: what comes while it waits does not reach the handler. */
    handle_signal(SIGUSR1, handle, 0);
    for (int i = 1; i <= 3; ++i) {
        pid_t pid = send_again_and_again(SIGUSR1);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
        kill(pid, SIGKILL);
        ck_assert_int_eq(info.si_pid, pid);
        expect_killed(pid, SIGKILL);
    }
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    for (int signo = 1; signo < 32; ++signo)
        ck_assert_int_eq(sigismember(&mask, signo), 0);
    shut_down();
}
END_TEST

/* A watched one of the set, which had come before: it is returned, and its callback does not run. */
START_TEST(recorded_before)
{
    struct told told = { 0 }, other = { 0 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    start_variant(_i);
    watch(SIGUSR1, &told);
    watch(SIGUSR2, &other);
    for (unsigned i = 1; i <= 3; ++i) {
        if (!UNDER_TSAN) /* which merges what comes before it runs the handler, as it likes */
            queue_value(SIGUSR1, 4);
        queue_value(SIGUSR1, 5);
        raise(SIGUSR2);
        memset(&info, 0, sizeof info);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
        ck_assert_int_eq(info.si_value.sival_int, 5);
        ck_assert_uint_eq(told.runs, 0);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(1)), -EAGAIN);
        ck_assert_uint_eq(other.runs, i);
    }
    ck_assert_int_eq(aw_dispatch(0), 0);
    /* Afterwards it is watched as before. */
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(told.runs, 1);
    shut_down();
}
END_TEST

START_TEST(real_time_values_in_order)
{
    struct told told = { 0 };
    sigset_t set = set_of(SIGRTMIN, 0);
    siginfo_t info;
    start_variant(_i);
    for (unsigned round = 0; round < 2; ++round) {
        if (round == 0)
            block_signal(SIGRTMIN);
        else
            watch(SIGRTMIN, &told);
        for (int i = 0; i < 50; ++i)
            queue_value(SIGRTMIN, i);
        for (int i = 0; i < 50; ++i) {
            ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGRTMIN);
            ck_assert_int_eq(info.si_value.sival_int, i);
        }
        ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -EAGAIN);
        unblock_signal(SIGRTMIN);
    }
    ck_assert_uint_eq(told.runs, 0);
    shut_down();
}
END_TEST

/* Two kinds recorded, one waited for: the other stays, and is called back. */
START_TEST(out_of_the_middle_of_the_queue)
{
    struct told one = { 0 }, two = { 0 };
    sigset_t set = set_of(SIGRTMIN + 1, 0);
    siginfo_t info;
    start_variant(_i);
    watch(SIGRTMIN, &one);
    watch(SIGRTMIN + 1, &two);
    for (int i = 0; i < 300; ++i)
        queue_value(SIGRTMIN + i % 3 / 2, i);
    for (int i = 2; i < 300; i += 3) {
        ck_assert_int_eq(aw_signal_wait(&set, &info, 0), SIGRTMIN + 1);
        ck_assert_int_eq(info.si_value.sival_int, i);
    }
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -EAGAIN);
    while (aw_dispatch(0) > 0)
        continue;
    ck_assert_uint_eq(one.counted, 200);
    ck_assert_uint_eq(two.counted, 0);
    /* The places are free again, all of them. */
    for (int i = 0; i < 1024; ++i)
        queue_value(SIGRTMIN, i);
    struct aw_signal_state state = { .size = sizeof state };
    ck_assert_int_eq(aw_signal_query(SIGRTMIN, &state), 0);
    ck_assert_uint_eq(state.merged, 0);
    while (aw_dispatch(0) > 0)
        continue;
    ck_assert_uint_eq(one.counted, 200 + 1024);
    shut_down();
}
END_TEST

static uint32_t go_on;

static void *take_signals(void *arg)
{
    unblock_signal(*(const int *)arg);
    while (__atomic_load_n(&go_on, __ATOMIC_SEQ_CST) != 0)
        pass_ms(1);
    return NULL;
}

/* A handler on another thread gets it: the wait hears of it. */
START_TEST(comes_to_another_thread)
{
    struct told told = { 0 }, other = { 0 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    pthread_t thread;
    int signo = SIGUSR1;
    start_variant(_i);
    watch(SIGUSR1, &told);
    watch(SIGUSR2, &other);
    block_signal(signo);
    __atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_signals, &signo), 0);
    for (int i = 1; i <= 20; ++i) {
        const union sigval with = { .sival_int = i };
        ck_assert_int_eq(pthread_sigqueue(thread, signo, with), 0);
        if (i % 4 == 0)
            raise(SIGUSR2);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
        ck_assert_int_eq(info.si_value.sival_int, i);
    }
    __atomic_store_n(&go_on, 0, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(aw_dispatch(0) >= 0, 1);
    ck_assert_uint_eq(told.runs, 0);
    ck_assert_uint_eq(other.counted, 5);
    unblock_signal(signo);
    shut_down();
}
END_TEST

static void *raise_there(void *arg)
{
    pass_ms(30);
    ck_assert_int_eq(pthread_kill(*(const pthread_t *)arg, SIGUSR1), 0);
    return NULL;
}

/* To a thread, which the kernel calls SI_TKILL: recorded, pending, or come while it sleeps, it is one. */
START_TEST(one_si_code_on_every_way)
{
    struct told told = { 0 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    pthread_t thread, self = pthread_self();
    start_variant(_i);
    for (unsigned way = 0; way < 3; ++way) {
        if (way == 0)
            watch(SIGUSR1, &told);
        else
            block_signal(SIGUSR1);
        if (way < 2)
            ck_assert_int_eq(pthread_kill(self, SIGUSR1), 0);
        else
            ck_assert_int_eq(pthread_create(&thread, NULL, raise_there, &self), 0);
        memset(&info, 0x55, sizeof info);
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
        ck_assert_msg(info.si_code == SI_USER, "way %u: %d", way, info.si_code);
        ck_assert_int_eq(info.si_pid, getpid());
        if (way == 0)
            ck_assert_int_eq(aw_signal_unwatch(SIGUSR1, NULL, NULL), 0);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    shut_down();
}
END_TEST

START_TEST(child_that_ended)
{
    sigset_t set = set_of(SIGCHLD, 0);
    siginfo_t info;
    start_variant(_i);
    block_signal(SIGCHLD);
    pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGCHLD);
    ck_assert(info.si_code == CLD_EXITED && info.si_pid == pid && info.si_status == 9);
    expect_exit(pid, 9);
    shut_down();
}
END_TEST

/* ---- the time-out ---- */

START_TEST(never_early)
{
    static const uint64_t spans_ns[] = { 1, 999, AW_US(1), AW_US(100), AW_MS(1), AW_MS(7), AW_MS(23) };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    start_variant(_i);
    for (size_t i = 0; i < sizeof spans_ns / sizeof spans_ns[0]; ++i) {
        uint64_t start = clock_ns();
        errno = 4711;
        ck_assert_int_eq(aw_signal_wait(&set, &info, spans_ns[i]), -EAGAIN);
        ck_assert_uint_ge(clock_ns(), start + spans_ns[i]);
        ck_assert_int_eq(errno, 4711);
    }
    shut_down();
}
END_TEST

static bool has_raised;

static int raise_late(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    pass_ms(20);
    has_raised = true;
    return raise(SIGUSR1);
}

/* When the time is over it looks once more: -EAGAIN means that none is pending. */
START_TEST(comes_with_the_time_out)
{
    sigset_t set = set_of(SIGUSR1, 0);
    struct aw_timer timer;
    siginfo_t info;
    int result;
    has_raised = false;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, raise_late, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
    do /* on a slow machine the time may be over before the callback is called */
        result = aw_signal_wait(&set, &info, AW_MS(15));
    while (result == -EAGAIN && !has_raised);
    ck_assert_int_eq(result, SIGUSR1);
    ck_assert_int_eq(info.si_signo, SIGUSR1);
    shut_down();
}
END_TEST

/* ---- what goes on meanwhile ---- */

static unsigned ticks;
static int tick_result;

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++ticks;
    return tick_result;
}

static struct aw_timer ticking(uint64_t period_ms)
{
    struct aw_timer timer;
    ticks = 0;
    tick_result = 0;
    ck_assert_int_eq(aw_timer_create(&timer, tick, NULL), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(period_ms), AW_MS(period_ms), AW_MISSED_SKIP), 0);
    return timer;
}

START_TEST(timers_and_watchers_go_on)
{
    struct told told = { 0 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    start_variant(_i);
    ticking(2);
    watch(SIGUSR2, &told);
    block_signal(SIGUSR1);
    pid_t other = send_in_ms(20, SIGUSR2, 0);
    expect_exit(send_in_ms(0, SIGUSR2, 0), 0);
    uint64_t give_up = clock_ns() + AW_SEC(60);
    do { /* again where the machine stood still for most of it */
        uint64_t start = clock_ns();
        ticks = 0;
        ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(300)), -EAGAIN);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(300));
    } while (ticks < 3 && clock_ns() < give_up);
    ck_assert_uint_ge(ticks, 3);
    ck_assert_uint_ge(told.counted, 1);
    expect_exit(other, 0);
    pid_t pid = send_in_ms(20, SIGUSR1, 3);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
    ck_assert_int_eq(info.si_value.sival_int, 3);
    expect_exit(pid, 0);
    shut_down();
}
END_TEST

/* A handler of the program's own neither ends nor lengthens it. */
START_TEST(foreign_handlers_run)
{
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    start_variant(_i);
    handled = 0;
    handle_signal(SIGUSR2, handle, 0);
    uint64_t start = clock_ns();
    pid_t pid = send_in_ms(5, SIGUSR2, 0);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(50)), -EAGAIN);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(50));
    expect_exit(pid, 0);
    ck_assert_uint_eq(handled, 1);
    shut_down();
}
END_TEST

START_TEST(negative_value_of_a_callback)
{
    struct told told = { .result = -33 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    start_variant(_i);
    block_signal(SIGUSR1);
    struct aw_timer timer = ticking(5);
    tick_result = -ENOTTY;
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -ENOTTY);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    watch(SIGUSR2, &told);
    raise(SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -33);
    pid_t pid = send_in_ms(20, SIGUSR2, 0);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -33);
    expect_exit(pid, 0);
    /* One that looks like its own. */
    told.result = -EINTR;
    raise(SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -EINTR);
    told.result = -EAGAIN;
    raise(SIGUSR2);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -EAGAIN);
    ck_assert_uint_lt(clock_ns(), start + AW_SEC(50));
    raise(SIGUSR1);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
    ck_assert(is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
    shut_down();
}
END_TEST

/* One that looks like a time-out, where there is none, or one that is not over. */
START_TEST(callback_that_says_timed_out)
{
    struct told told = { .result = -ETIMEDOUT };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    struct aw_guard guard;
    start_variant(_i);
    watch(SIGUSR2, &told);
    raise(SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_FOREVER), -ETIMEDOUT);
    pid_t pid = send_in_ms(20, SIGUSR2, 0);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -ETIMEDOUT);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
    raise(SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_uint_eq(told.runs, 3);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(1)), -EAGAIN);
    shut_down();
}
END_TEST

static int change_mask(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    block_signal(SIGHUP);
    unblock_signal(SIGTERM);
    return 0;
}

/* It opens what it has blocked itself, and no more. */
START_TEST(mask_changed_by_a_callback)
{
    sigset_t set = set_of(SIGUSR1, SIGRTMIN);
    siginfo_t info;
    start_variant(_i);
    block_signal(SIGTERM);
    block_signal(SIGRTMIN);
    ck_assert_int_eq(aw_signal_watch(SIGUSR2, change_mask, NULL), 0);
    raise(SIGUSR2);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(1)), -EAGAIN);
    ck_assert(is_blocked(SIGHUP) && !is_blocked(SIGTERM));
    ck_assert(!is_blocked(SIGUSR1) && is_blocked(SIGRTMIN));
    shut_down();
}
END_TEST

START_TEST(guards_end_it)
{
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    struct aw_guard outer, guard;
    start_variant(_i);
    for (unsigned i = 0; i < 3; ++i) {
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_guard_enter(&outer, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_signal_wait(&set, &info, i == 0 ? AW_FOREVER : AW_SEC(60)), -ETIMEDOUT);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(10));
        ck_assert(!is_blocked(SIGUSR1));
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&outer), 0);
    }
    /* Its own time-out comes first. */
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(60), AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_MS(5)), -EAGAIN);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    shut_down();
}
END_TEST

/* An escape leaves it: the mask of before is in force, and it works again. */
START_TEST(escaping_guards_leave_it)
{
    struct told told = { 0 };
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    struct aw_guard guard;
    volatile unsigned expired = 0;
    start_variant(_i);
    watch(SIGUSR1, &told);
    for (volatile unsigned i = 0; i < 3; ++i) {
        AW_GUARD(&guard, AW_MS(10), AW_GUARD_ESCAPE) {
            aw_signal_wait(&set, &info, AW_FOREVER);
            ck_abort_msg("it returned");
        }
        AW_EXPIRED
        {
            ++expired;
        }
        ck_assert(!is_blocked(SIGUSR1));
        raise(SIGUSR1);
        ck_assert_int_eq(aw_dispatch(0), 1);
        ck_assert_uint_eq(told.runs, i + 1);
    }
    ck_assert_uint_eq(expired, 3);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_SEC(60)), SIGUSR1);
    shut_down();
}
END_TEST

static sigjmp_buf back;

static int jump(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    siglongjmp(back, 1);
}

/* A callback leaves it by a jump: what it waited for is called back again. */
START_TEST(longjmp_leaves_it)
{
    static struct told told;
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    told = (struct told){ 0 };
    start_variant(_i);
    watch(SIGUSR1, &told);
    ck_assert_int_eq(aw_signal_watch(SIGUSR2, jump, NULL), 0);
    raise(SIGUSR2);
    if (sigsetjmp(back, 1) == 0) {
        aw_signal_wait(&set, &info, AW_SEC(60));
        ck_abort_msg("it returned");
    }
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_uint_eq(told.runs, 1);
    shut_down();
}
END_TEST

/* Deep in the stack, where what runs later writes little. */
__attribute__((noinline)) static int deep(size_t bytes, int (*fn)(void))
{
    volatile char *room = __builtin_alloca(bytes);
    room[0] = 1;
    int result = fn();
    return result + (room[0] != 1);
}

static int wait_and_never_return(void)
{
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    raise(SIGUSR2);
    aw_signal_wait(&set, &info, AW_SEC(60));
    ck_abort_msg("it returned");
    return 0;
}

static int dispatch_here(void)
{
    return aw_dispatch(0);
}

/* The engine ends before anybody finds out that the wait is over: the next one knows nothing of it. */
START_TEST(longjmp_and_a_new_engine)
{
    static struct told told;
    told = (struct told){ 0 };
    start_variant(_i);
    ck_assert_int_eq(aw_signal_watch(SIGUSR2, jump, NULL), 0);
    if (sigsetjmp(back, 1) == 0)
        deep(128 << 10, wait_and_never_return);
    shut_down();
    start_variant(_i);
    watch(SIGUSR1, &told);
    raise(SIGUSR1);
    ck_assert_int_eq(deep(256 << 10, dispatch_here), 1);
    ck_assert_uint_eq(told.runs, 1);
    shut_down();
}
END_TEST

static int raise_and_dispatch(void)
{
    raise(SIGUSR1);
    return aw_dispatch(0);
}

/*
 * The frame of the wait is whole still, and lies above: the dispatch that was left with it tells that it is
 * gone.
 */
START_TEST(longjmp_and_a_dispatch_from_further_down)
{
    static struct told told;
    told = (struct told){ 0 };
    start_variant(_i);
    watch(SIGUSR1, &told);
    ck_assert_int_eq(aw_signal_watch(SIGUSR2, jump, NULL), 0);
    if (sigsetjmp(back, 1) == 0)
        wait_and_never_return();
    ck_assert_int_eq(aw_safepoint(), 0); /* where the jump lands: finds that the dispatch was left */
    ck_assert_int_eq(deep(256 << 10, raise_and_dispatch), 1);
    ck_assert_uint_eq(told.runs, 1);
    shut_down();
}
END_TEST

/* ---- what is refused ---- */

static int wait_inside(const siginfo_t *info, uint64_t count, void *arg)
{
    sigset_t set = set_of(SIGUSR2, 0);
    siginfo_t other;
    (void)info;
    (void)count;
    *(int *)arg = aw_signal_wait(&set, &other, AW_SEC(60));
    ck_assert_int_eq(aw_pause(), -EDEADLK);
    return 0;
}

START_TEST(refused)
{
    sigset_t set = set_of(SIGUSR1, 0), none;
    siginfo_t info;
    int inside = 0;
    ck_assert_int_eq(aw_signal_wait(&set, &info, 0), -ENODEV);
    start_variant(_i);
    sigemptyset(&none);
    ck_assert_int_eq(aw_signal_wait(NULL, &info, 0), -EINVAL);
    ck_assert_int_eq(aw_signal_wait(&none, &info, 0), -EINVAL);
    sigaddset(&set, variant_signo(_i));
    ck_assert_int_eq(aw_signal_wait(&set, &info, AW_FOREVER), -EINVAL);
    ck_assert(!is_blocked(SIGUSR1));
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, wait_inside, &inside), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(inside, -EDEADLK);
    shut_down();
}
END_TEST

/* ---- aw_signal_pending ---- */

START_TEST(pending_ones)
{
    struct told told = { 0 };
    sigset_t set;
    start_variant(_i);
    ck_assert_int_eq(aw_signal_pending(&set), 0);
    ck_assert_int_eq(sigismember(&set, SIGUSR1), 0);
    watch(SIGUSR1, &told);
    watch(SIGRTMIN, &told);
    watch(SIGRTMAX, &told);
    block_signal(SIGHUP);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGHUP);
    queue_value(SIGRTMIN, 1);
    queue_value(SIGRTMAX, 1);
    errno = 4711;
    ck_assert_int_eq(aw_signal_pending(&set), 4);
    ck_assert_int_eq(errno, 4711);
    for (int signo = 1; signo <= SIGRTMAX; ++signo) {
        bool expected = signo == SIGUSR1 || signo == SIGHUP || signo == SIGRTMIN || signo == SIGRTMAX;
        ck_assert_int_eq(sigismember(&set, signo) == 1, expected);
    }
    /* One that is recorded and pending is one. */
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(aw_signal_pending(&set), 4);
    ck_assert_int_eq(aw_dispatch(0), 3);
    ck_assert_int_eq(aw_signal_pending(&set), 2);
    signal(SIGHUP, SIG_IGN);
    unblock_signal(SIGHUP);
    unblock_signal(SIGUSR1);
    ck_assert_int_eq(aw_signal_pending(&set), 1);
    ck_assert_int_eq(aw_dispatch(0), 1);
    ck_assert_int_eq(aw_signal_pending(&set), 0);
    ck_assert_int_eq(aw_signal_pending(NULL), -EINVAL);
    shut_down();
}
END_TEST

/* ---- aw_pause ---- */

START_TEST(pause_ends_after_a_watched_one)
{
    struct told told = { 0 };
    struct aw_timer timer;
    start_variant(_i);
    watch(SIGUSR1, &told);
    timer = ticking(2);
    for (unsigned i = 1; i <= 3; ++i) {
        unsigned before = ticks;
        pid_t pid = send_in_ms(50, SIGUSR1, 0);
        ck_assert_int_eq(aw_pause(), 0);
        ck_assert_uint_eq(told.runs, i);
        ck_assert_uint_gt(ticks, before);
        expect_exit(pid, 0);
    }
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    /* One that had come and is not handled yet is handled now. */
    raise(SIGUSR1);
    ck_assert_int_eq(aw_pause(), 0);
    ck_assert_uint_eq(told.runs, 4);
    shut_down();
}
END_TEST

START_TEST(pause_ends_after_a_foreign_one)
{
    start_variant(_i);
    handled = 0;
    handle_signal(SIGUSR2, handle, SA_RESTART);
    pid_t pid = send_again_and_again(SIGUSR2);
    ck_assert_int_eq(aw_pause(), -EINTR);
    kill(pid, SIGKILL);
    ck_assert_uint_ge(handled, 1);
    expect_killed(pid, SIGKILL);
    shut_down();
}
END_TEST

static int posted(void *arg)
{
    ++*(unsigned *)arg;
    return 0;
}

START_TEST(pause_runs_posts_and_minds_guards)
{
    struct aw_guard guard;
    unsigned posts = 0;
    start_variant(_i);
    struct aw_timer timer = ticking(2);
    uint64_t give_up = clock_ns() + AW_SEC(60);
    do { /* again where the machine stood still for most of it */
        uint64_t start = clock_ns();
        posts = 0;
        ticks = 0;
        ck_assert_int_eq(aw_post(posted, &posts), 0);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(300), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_pause(), -ETIMEDOUT);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(300));
        ck_assert_uint_eq(posts, 1);
    } while (ticks < 2 && clock_ns() < give_up);
    ck_assert_uint_ge(ticks, 2);
    tick_result = -8;
    ck_assert_int_eq(aw_pause(), -8);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    volatile bool expired = false;
    AW_GUARD(&guard, AW_MS(10), AW_GUARD_ESCAPE) {
        aw_pause();
        ck_abort_msg("it returned");
    }
    AW_EXPIRED
    {
        expired = true;
    }
    ck_assert(expired);
    shut_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("waiting for signals");
    TCase *returned = signal_case(suite, "returned");
    TCase *meanwhile = signal_case(suite, "meanwhile");
    TCase *others = signal_case(suite, "pending and pause");

    tcase_add_loop_test(returned, pending_before, 0, VARIANTS);
    tcase_add_loop_test(returned, comes_while_it_sleeps, 0, VARIANTS);
    tcase_add_loop_test(returned, recorded_before, 0, VARIANTS);
    tcase_add_loop_test(returned, real_time_values_in_order, 0, VARIANTS);
    tcase_add_loop_test(returned, out_of_the_middle_of_the_queue, 0, VARIANTS);
    if (!UNDER_TSAN) /* which may hold a signal back in a thread that only sleeps */
        tcase_add_loop_test(returned, comes_to_another_thread, 0, VARIANTS);
    tcase_add_loop_test(returned, one_si_code_on_every_way, 0, VARIANTS);
    tcase_add_loop_test(returned, child_that_ended, 0, VARIANTS);
    tcase_add_loop_test(returned, never_early, 0, VARIANTS);
    tcase_add_loop_test(returned, comes_with_the_time_out, 0, VARIANTS);
    tcase_add_loop_test(returned, refused, 0, SOURCES);
    tcase_add_loop_test(meanwhile, timers_and_watchers_go_on, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, foreign_handlers_run, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, negative_value_of_a_callback, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, callback_that_says_timed_out, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, mask_changed_by_a_callback, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, guards_end_it, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, escaping_guards_leave_it, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, longjmp_leaves_it, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, longjmp_and_a_new_engine, 0, VARIANTS);
    tcase_add_loop_test(meanwhile, longjmp_and_a_dispatch_from_further_down, 0, VARIANTS);
    tcase_add_loop_test(others, pending_ones, 0, VARIANTS);
    tcase_add_loop_test(others, pause_ends_after_a_watched_one, 0, VARIANTS);
    tcase_add_loop_test(others, pause_ends_after_a_foreign_one, 0, VARIANTS);
    tcase_add_loop_test(others, pause_runs_posts_and_minds_guards, 0, VARIANTS);
    return run_suite(suite);
}
