/* SPDX-License-Identifier: MIT */
/*
 * signal_threads.c: threads that have no part in it. The kernel gives SIGALRM to whichever it likes: what it
 * means happens on the owner all the same, and the others' system calls, errno and flags stay as they are.
 * EINTR where no guard stands is counted, and has to be zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

/* ---- 14: who gets the signal ---- */

/* Which threads let SIGALRM through. */
struct pattern {
    bool owner_is_main;
    bool owner, main, spinners;
};

static const struct pattern patterns[] = {
    { true, true, true, true },    { true, true, true, false },   { true, false, false, true },
    { true, false, false, false }, { false, true, true, true },   { false, true, true, false },
    { false, true, false, true },  { false, true, false, false }, { false, false, true, false },
    { false, false, false, true },
};

#define N_PATTERNS ((int)(sizeof patterns / sizeof patterns[0]))

static int stop_spinning;
static unsigned spun_wrong;

static void *spin(void *arg)
{
    const struct pattern *pattern = arg;
    if (!pattern->spinners)
        block_signal(SIGALRM);
    errno = EXDEV;
    while (__atomic_load_n(&stop_spinning, __ATOMIC_RELAXED) == 0) {
        /* Its own safe points have nothing to do with it, and its errno stays. */
        int result = aw_safepoint();
        if ((result != 0 && result != -EPERM && result != -ENODEV) || errno != EXDEV)
            __atomic_fetch_add(&spun_wrong, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static pthread_t owner_thread;

struct ticks {
    unsigned runs, elsewhere;
};

static int count(struct aw_timer timer, void *arg)
{
    struct ticks *ticks = arg;
    (void)timer;
    ++ticks->runs;
    ticks->elsewhere += !pthread_equal(pthread_self(), owner_thread);
    return 0;
}

/* The kernel prefers the main thread; where that has one already and cannot run, another gets the next. */
static void wait_for_forwarded(void)
{
    uint64_t give_up = clock_ns() + AW_SEC(60);
    while (stats_now().forwarded == 0 && clock_ns() < give_up)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_gt(stats_now().forwarded, 0);
}

static void own(const struct pattern *pattern, int variant)
{
    struct ticks ticks = { 0, 0 };
    struct aw_timer timer;
    struct aw_guard guard;
    int ends[2];
    char byte;

    owner_thread = pthread_self();
    start_variant(variant);
    if (!pattern->owner)
        block_signal(SIGALRM);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(aw_timer_create(&timer, count, &ticks), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP), 0);
    while (ticks.runs < 20)
        ck_assert_int_ge(aw_wait(AW_SEC(60)), 1);
    if (pattern->owner) {
        uint64_t give_up = clock_ns() + AW_SEC(20);
        while (ticks.runs < 40 && clock_ns() < give_up)
            ck_assert_int_eq(aw_safepoint(), 0);
        ck_assert_uint_ge(ticks.runs, 40);
        for (unsigned i = 0; i < 5; ++i) {
            uint64_t start = clock_ns();
            ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(2), AW_GUARD_DEFAULT), 0);
            ck_assert_int_eq(read(ends[0], &byte, 1), -1);
            ck_assert_int_eq(errno, EINTR);
            ck_assert_uint_ge(clock_ns(), start + AW_MS(2));
            ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        }
    }
    if (variant_is_posix(variant))
        ck_assert_uint_eq(stats_now().forwarded, 0);
    else if (!pattern->owner_is_main && pattern->owner && pattern->main)
        wait_for_forwarded();
    ck_assert_uint_eq(ticks.elsewhere, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

struct owner {
    const struct pattern *pattern;
    int variant;
};

static void *own_in_thread(void *arg)
{
    const struct owner *owner = arg;
    own(owner->pattern, owner->variant);
    return NULL;
}

static void run_pattern(const struct pattern *pattern, int variant)
{
    struct owner owner = { pattern, variant };
    pthread_t spinners[2], thread;
    stop_spinning = 0;
    spun_wrong = 0;
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&spinners[i], NULL, spin, (void *)(uintptr_t)pattern), 0);
    if (pattern->owner_is_main) {
        own(pattern, variant);
    } else {
        if (!pattern->main)
            block_signal(SIGALRM);
        ck_assert_int_eq(pthread_create(&thread, NULL, own_in_thread, &owner), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    __atomic_store_n(&stop_spinning, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(spinners[i], NULL), 0);
    ck_assert_uint_eq(spun_wrong, 0);
}

START_TEST(h14_itimer_in_every_pattern)
{
    run_pattern(&patterns[_i], 0);
}
END_TEST

START_TEST(h14_posix_in_every_pattern)
{
    run_pattern(&patterns[_i], 1);
}
END_TEST

/* ---- 24: EINTR where no guard stands ---- */

static char scratch[] = "/tmp/aw-quiet-XXXXXX";
static char fifo_path[64], lock_path[64];

static void make_scratch(void)
{
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    snprintf(fifo_path, sizeof fifo_path, "%s/fifo", scratch);
    snprintf(lock_path, sizeof lock_path, "%s/lock", scratch);
    ck_assert_int_eq(mkfifo(fifo_path, 0600), 0);
    close(open(lock_path, O_RDWR | O_CREAT, 0600));
}

static void remove_scratch(void)
{
    unlink(fifo_path);
    unlink(lock_path);
    rmdir(scratch);
}

static int write_later(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

static int open_later(void *arg)
{
    (void)arg;
    return open(fifo_path, O_WRONLY) >= 0 ? 0 : 1;
}

static int just_end(void *arg)
{
    (void)arg;
    return 0;
}

#define BLOCKED_MS 60

/* Each blocks for a while and returns whether it came to its own end. */
static bool quiet_read(void)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = in_child(BLOCKED_MS, write_later, &ends[1]);
    bool quiet = read(ends[0], &byte, 1) == 1;
    expect_exit(pid, 0);
    close(ends[0]);
    close(ends[1]);
    return quiet;
}

static bool quiet_open(void)
{
    pid_t pid = in_child(BLOCKED_MS, open_later, NULL);
    int fd = open(fifo_path, O_RDONLY);
    if (fd < 0) { /* let the child go */
        fd = open(fifo_path, O_RDONLY | O_NONBLOCK);
        expect_exit(pid, 0);
        close(fd);
        return false;
    }
    expect_exit(pid, 0);
    close(fd);
    return true;
}

static bool quiet_flock(void)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int held = open(lock_path, O_RDWR);
        flock(held, LOCK_EX);
        write_later(&ready[1]);
        pass_ms(BLOCKED_MS);
        _exit(0);
    }
    int fd = open(lock_path, O_RDWR);
    bool quiet = read(ready[0], &byte, 1) == 1 && flock(fd, LOCK_EX) == 0;
    expect_exit(pid, 0);
    close(fd);
    close(ready[0]);
    close(ready[1]);
    return quiet;
}

static bool quiet_waitpid(void)
{
    pid_t pid = in_child(BLOCKED_MS, just_end, NULL);
    if (waitpid(pid, NULL, 0) == pid)
        return true;
    expect_exit(pid, 0);
    return false;
}

static bool (*const quiet_calls[])(void) = { quiet_read, quiet_open, quiet_flock, quiet_waitpid };
#define N_QUIET (sizeof quiet_calls / sizeof quiet_calls[0])

static int ring_once(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

/*
 * The alarm rings in the middle of the call; where it was late, once more: all of them have to be quiet.
 * Returns how many calls there were, or 0 if it never rang in one.
 */
static unsigned ring_in_the_middle(struct aw_timer timer, bool (*call)(void), unsigned *disturbed)
{
    for (unsigned calls = 1; calls <= 50; ++calls) {
        uint64_t signals = stats_now().signals;
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(10)), 0);
        *disturbed += !call();
        bool has_rung = stats_now().signals > signals;
        ck_assert_int_eq(aw_dispatch(0), 1);
        if (has_rung)
            return calls;
    }
    return 0;
}

/* One thread: the alarm rings in the middle of each call. */
START_TEST(h24_no_eintr_on_the_owner)
{
    struct aw_guard guard, inner;
    struct aw_timer timer;
    unsigned runs = 0, rings = 0, disturbed = 0;

    make_scratch();
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, ring_once, &runs), 0);
    for (unsigned round = 0; round < 2; ++round) {
        for (unsigned i = 0; i < N_QUIET; ++i) {
            unsigned calls = ring_in_the_middle(timer, quiet_calls[i], &disturbed);
            ck_assert_uint_gt(calls, 0);
            rings += calls;

            /* A guard that expired, and was told and left, is over; the alarm kept for another rings. */
            uint64_t expired = stats_now().guards;
            ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
            ck_assert_int_eq(aw_guard_enter(&inner, AW_MS(1), AW_GUARD_DEFAULT), 0);
            pass_until_expired(expired + 1);
            ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
            ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
            enter_and_leave_in_time(&inner, AW_MS(20));
            disturbed += !quiet_calls[i]();
            ck_assert_int_eq(aw_guard_leave(&guard), 0);
        }
    }
    remove_scratch();
    ck_assert_uint_eq(runs, rings);
    ck_assert_uint_eq(disturbed, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int call_poll(void)
{
    return poll(NULL, 0, 200);
}

static int call_nanosleep(void)
{
    const struct timespec span = { 0, 200000000 };
    return nanosleep(&span, NULL);
}

/* A slow machine may let the alarm ring before the call begins: then once more. */
static bool gets_eintr(struct aw_timer timer, int (*call)(void))
{
    for (unsigned i = 0; i < 50; ++i) {
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(10)), 0);
        bool interrupted = call() == -1 && errno == EINTR;
        ck_assert_int_eq(aw_dispatch(0), 1);
        if (interrupted)
            return true;
    }
    return false;
}

/* The kernel never restarts these after a handler: as the documentation says. */
START_TEST(h24_poll_and_nanosleep_do_get_eintr)
{
    unsigned runs = 0;
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, ring_once, &runs), 0);
    ck_assert(gets_eintr(timer, call_poll));
    ck_assert(gets_eintr(timer, call_nanosleep));

    /* What was cancelled can be kept away from them. */
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(100)), 0);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    ck_assert_int_eq(aw_quiet(), 1);
    ck_assert_int_eq(poll(NULL, 0, 150), 0);
    ck_assert_int_eq(aw_quiet(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int rearm(struct aw_timer timer, void *arg)
{
    ++*(unsigned *)arg;
    return aw_timer_arm(timer, AW_MS(10));
}

static int stop_worker;
static unsigned worker_expired;

/* Timers, and guards that expire and nag: 2 ms of nagging every 4 ms. */
static void *work(void *arg)
{
    unsigned runs = 0;
    struct aw_timer timer;
    struct aw_guard guard;

    start_variant(*(const int *)arg);
    ck_assert_int_eq(aw_timer_create(&timer, rearm, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(10)), 0);
    while (__atomic_load_n(&stop_worker, __ATOMIC_RELAXED) == 0) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(1), AW_GUARD_DEFAULT), 0);
        spin_until(clock_ns() + AW_MS(3));
        /* The signal may have gone to the other thread, and that thread may be slow to pass it on. */
        uint64_t give_up = clock_ns() + AW_SEC(20);
        while (aw_safepoint() == 0 && clock_ns() < give_up)
            continue;
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        __atomic_fetch_add(&worker_expired, 1, __ATOMIC_RELAXED);
        ck_assert_int_ge(aw_wait(AW_MS(1)), 0);
    }
    ck_assert_uint_gt(runs, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    return NULL;
}

/* Variant 0 and 1: stepping over the call leaves every other thread alone. */
START_TEST(h24_no_eintr_beside_a_worker)
{
    pthread_t worker;
    unsigned disturbed = 0;
    int variant = _i;

    if (under_valgrind())
        return; /* one thread at a time, and the worker spins */
    make_scratch();
    stop_worker = 0;
    worker_expired = 0;
    ck_assert_int_eq(pthread_create(&worker, NULL, work, &variant), 0);
    while (__atomic_load_n(&worker_expired, __ATOMIC_RELAXED) == 0)
        pass_ms(1);
    for (unsigned round = 0; round < 2; ++round) {
        for (unsigned i = 0; i < N_QUIET; ++i)
            disturbed += !quiet_calls[i]();
    }
    for (uint64_t give_up = clock_ns() + AW_SEC(60); clock_ns() < give_up; pass_ms(1)) {
        if (__atomic_load_n(&worker_expired, __ATOMIC_RELAXED) > 10)
            break;
    }
    __atomic_store_n(&stop_worker, 1, __ATOMIC_RELAXED);
    ck_assert_int_eq(pthread_join(worker, NULL), 0);
    remove_scratch();
    ck_assert_uint_gt(worker_expired, 10);
    ck_assert_uint_eq(disturbed, 0);
}
END_TEST

/* With SA_RESTART dropped other threads may see EINTR, but only while a guard nags: afterwards it is back. */
START_TEST(restart_comes_back)
{
    struct aw_guard guard;
    struct sigaction now;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    start_variant(2 + _i);
    for (unsigned i = 0; i < 20; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(1), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(read(ends[0], &byte, 1), -1);
        ck_assert_int_eq(sigaction(variant_signo(_i), NULL, &now), 0);
        ck_assert_int_eq(now.sa_flags & SA_RESTART, 0);
        if (i % 2 == 0)
            ck_assert(aw_guard_expired(&guard));
        else
            ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        ck_assert_int_eq(sigaction(variant_signo(_i), NULL, &now), 0);
        ck_assert_int_ne(now.sa_flags & SA_RESTART, 0);
        if (i % 2 == 0)
            ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads and EINTR");
    TCase *threads = signal_case(suite, "threads");
    TCase *quiet = signal_case(suite, "EINTR");

    tcase_add_loop_test(threads, h14_itimer_in_every_pattern, 0, N_PATTERNS);
    tcase_add_loop_test(threads, h14_posix_in_every_pattern, 0, N_PATTERNS);
    tcase_add_loop_test(quiet, h24_no_eintr_on_the_owner, 0, VARIANTS);
    tcase_add_loop_test(quiet, h24_poll_and_nanosleep_do_get_eintr, 0, SOURCES);
    tcase_add_loop_test(quiet, h24_no_eintr_beside_a_worker, 0, SOURCES);
    tcase_add_loop_test(quiet, restart_comes_back, 0, SOURCES);
    return run_suite(suite);
}
