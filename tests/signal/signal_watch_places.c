/* SPDX-License-Identifier: MIT */
/*
 * signal_watch_places.c: where a watched signal is heard: on other threads, in forked children, at all kinds
 * of safe points; and what the functions refuse there and elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "watching.h"

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

/*
 * Another thread may fork at any instant while SIGTERM is taken or given back. Here the owner does, before
 * and after each of its calls: the hooks are the same.
 */
int __real_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old);

#define NEVER UINT32_MAX
static unsigned instant, fork_at = NEVER;
static pid_t forked;

static int end_by_sigterm(void *arg)
{
    (void)arg;
    return raise(SIGTERM);
}

static void fork_if_it_is_time(int signo)
{
    if (fork_at != NEVER && signo == SIGTERM && instant++ == fork_at) {
        fork_at = NEVER;
        forked = in_child(0, end_by_sigterm, NULL);
    }
}

int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    fork_if_it_is_time(signo);
    int result = __real_sigaction(signo, action, old);
    fork_if_it_is_time(signo);
    return result;
}

static void take_and_give_back(int way, struct told *told)
{
    if (way == 0)
        watch(SIGTERM, told);
    else
        ck_assert_int_eq(way == 1 ? aw_signal_ignore(SIGTERM) : aw_signal_default(SIGTERM), 0);
    ck_assert_int_eq(aw_signal_unwatch(SIGTERM, NULL, NULL), 0);
}

START_TEST(h18_forked_while_a_signal_is_taken)
{
    struct told told = { 0 };
    handle_signal(SIGTERM, SIG_DFL, 0); /* Check has a handler there */
    start_variant(_i);
    for (int way = 0; way < 3; ++way) {
        unsigned at = 0;
        for (;; ++at) {
            instant = 0;
            forked = 0;
            fork_at = at;
            take_and_give_back(way, &told);
            fork_at = NEVER;
            if (forked == 0)
                break;
            int status = child_status(forked);
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
                          "way %d, forked at instant %u: status %#x", way, at, (unsigned)status);
        }
        ck_assert_uint_ge(at, 4);
    }
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

/* What a call waits for is the watcher's own doing: it comes a while after the watcher has run, or never. */
struct writer {
    struct told told;
    int ends[2];
    pid_t child;
};

static int put_byte(void *arg)
{
    return write(((const struct writer *)arg)->ends[1], "x", 1) == 1 ? 0 : 1;
}

static int note_and_write(const siginfo_t *info, uint64_t count, void *arg)
{
    struct writer *writer = arg;
    int result = note(info, count, &writer->told);
    if (result == 0)
        writer->child = in_child(50, put_byte, writer);
    return result;
}

static void watch_and_write(struct writer *writer)
{
    ck_assert_int_eq(pipe(writer->ends), 0);
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, note_and_write, writer), 0);
}

/* It blocks, the watcher runs while it does, and the call goes on. */
START_TEST(guarded_call_runs_the_watcher)
{
    struct writer writer = { .told = { 0 } };
    struct later later = { getpid(), SIGUSR1 };
    char byte;
    start_variant(_i);
    watch_and_write(&writer);
    for (unsigned i = 0; i < 4; ++i) {
        writer.told.runs = 0;
        writer.told.result = 0;
        ck_assert_int_eq(aw_signal_interrupt(SIGUSR1, i % 2 != 0), 0);
        pid_t pid = in_child(20, send_later, &later);
        ck_assert_int_eq(aw_read(writer.ends[0], &byte, 1, AW_SEC(60)), 1);
        ck_assert_uint_eq(writer.told.runs, 1);
        expect_exit(writer.child, 0);
        expect_exit(pid, 0);
        writer.told.result = -4;
        pid = in_child(20, send_later, &later);
        ck_assert_int_eq(aw_read(writer.ends[0], &byte, 1, AW_SEC(60)), -1);
        ck_assert_int_eq(errno, ECANCELED);
        ck_assert_uint_eq(writer.told.runs, 2);
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
    struct later later = { getpid(), SIGTERM };
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
    struct writer writer = { .told = { 0 } };
    struct later later = { getpid(), SIGUSR1 };
    start_variant(_i);
    watch_and_write(&writer);
    struct pollfd fd = { .fd = writer.ends[0], .events = POLLIN };
    pid_t pid = in_child(20, send_later, &later);
    ck_assert_int_eq(aw_poll(&fd, 1, AW_SEC(60)), 1);
    ck_assert_int_eq(fd.revents, POLLIN);
    ck_assert_uint_eq(writer.told.runs, 1);
    expect_exit(writer.child, 0);
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
    Suite *suite = suite_create("where watched signals are heard");
    TCase *threads = signal_case(suite, "threads");
    TCase *forks = signal_case(suite, "forks");
    TCase *points = signal_case(suite, "safe points");
    TCase *refused = signal_case(suite, "refused");

    tcase_add_loop_test(threads, delivered_to_another_thread, 0, VARIANTS);
    tcase_add_loop_test(threads, delivered_elsewhere_during_a_guarded_call, 0, VARIANTS);
    tcase_add_loop_test(threads, counted_on_three_threads, 0, SOURCES);
    tcase_add_loop_test(forks, h18_forked_child_has_the_old_dispositions, 0, VARIANTS);
    tcase_add_loop_test(forks, h18_forked_child_has_the_old_mask, 0, VARIANTS);
    tcase_add_loop_test(forks, h18_signal_right_after_fork, 0, SOURCES);
    tcase_add_loop_test(forks, h18_forked_while_a_signal_is_taken, 0, SOURCES);
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
