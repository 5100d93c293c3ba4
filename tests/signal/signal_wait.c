/* SPDX-License-Identifier: MIT */
/*
 * signal_wait.c: what ends a wait and what does not: a handler of the program's own, alone or at the same
 * moment as ours, a handler that ours passes a signal on to, and the two descriptors for foreign loops.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

static volatile unsigned foreign_runs;

static void note_foreign(int signo)
{
    (void)signo;
    ++foreign_runs;
}

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

/* What another process does to this one. */
struct deed {
    pid_t target;
    int signals[2];
    bool stopped; /* both while it is stopped, so that they arrive at the same moment */
};

static char state_of(pid_t pid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    close(fd);
    if (n <= 0)
        return '?';
    text[n] = '\0';
    const char *after = strrchr(text, ')');
    return after != NULL ? after[2] : '?';
}

static int do_deed(void *arg)
{
    const struct deed *deed = arg;
    while (state_of(deed->target) != 'S')
        usleep(1000);
    if (deed->stopped) {
        kill(deed->target, SIGSTOP);
        while (state_of(deed->target) != 'T')
            usleep(1000);
    }
    for (unsigned i = 0; i < 2; ++i) {
        if (deed->signals[i] != 0)
            kill(deed->target, deed->signals[i]);
    }
    if (deed->stopped)
        kill(deed->target, SIGCONT);
    return 0;
}

START_TEST(foreign_handler_ends_a_wait)
{
    struct deed deed = { getpid(), { SIGUSR1, 0 }, false };
    start_variant(_i);
    foreign_runs = 0;
    handle_signal(SIGUSR1, note_foreign, SA_RESTART);
    for (unsigned i = 1; i <= 3; ++i) {
        pid_t pid = in_child(10, do_deed, &deed);
        ck_assert_int_eq(i % 2 == 0 ? aw_wait(AW_SEC(60)) : aw_poll(NULL, 0, AW_SEC(60)), -EINTR);
        ck_assert_uint_eq(foreign_runs, i);
        expect_exit(pid, 0);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* At the same moment as a signal of ours that has nothing to say: lower than it, and higher. */
static void arrive_together(int variant, int other)
{
    struct deed deed = { getpid(), { variant_signo(variant), other }, true };
    unsigned runs = 0;
    struct aw_timer timer;

    start_variant(variant);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_SEC(3600)), 0);
    foreign_runs = 0;
    handle_signal(other, note_foreign, SA_RESTART);
    for (unsigned i = 1; i <= 3; ++i) {
        pid_t pid = in_child(10, do_deed, &deed);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), -EINTR);
        ck_assert_uint_eq(foreign_runs, i);
        expect_exit(pid, 0);
    }
    ck_assert_uint_eq(runs, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

START_TEST(foreign_handler_with_ours_lower)
{
    arrive_together(_i, SIGUSR1);
}
END_TEST

START_TEST(foreign_handler_with_ours_higher)
{
    arrive_together(_i, SIGURG);
}
END_TEST

START_TEST(foreign_handler_with_ours_realtime)
{
    arrive_together(_i, SIGRTMIN + 9);
}
END_TEST

/* With the alarm itself: neither the callback nor the handler is lost. */
START_TEST(foreign_handler_with_the_alarm)
{
    const int others[] = { SIGUSR1, SIGCHLD, SIGRTMIN + 9 };
    unsigned runs = 0;
    struct aw_timer timer;

    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    for (unsigned i = 0; i < 3; ++i) {
        struct deed deed = { getpid(), { others[i], 0 }, true };
        foreign_runs = runs = 0;
        handle_signal(others[i], note_foreign, SA_RESTART);
        pid_t pid = in_child(5, do_deed, &deed);
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(12)), 0);
        while (runs == 0 || foreign_runs == 0) {
            int result = aw_wait(AW_SEC(60));
            ck_assert_msg(result == -EINTR || result == 1, "aw_wait: %d", result);
        }
        handle_signal(others[i], SIG_DFL, 0);
        expect_exit(pid, 0);
        ck_assert_uint_eq(runs, 1);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The handler that was there first is not ours either. */
START_TEST(chained_handler_ends_a_wait)
{
    struct deed deed = { getpid(), { variant_signo(_i), 0 }, false };
    foreign_runs = 0;
    handle_signal(variant_signo(_i), note_foreign, SA_RESTART);
    start_variant(_i);
    pid_t pid = in_child(10, do_deed, &deed);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), -EINTR);
    ck_assert_uint_eq(foreign_runs, 1);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A signal of ours that nobody handles, and one that is ignored, end nothing. */
START_TEST(nobodys_signals_end_nothing)
{
    struct deed deed = { getpid(), { variant_signo(_i), SIGCHLD }, true };
    start_variant(_i);
    uint64_t start = clock_ns();
    pid_t pid = in_child(10, do_deed, &deed);
    ck_assert_int_eq(aw_wait(AW_MS(100)), 0);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(100));
    expect_exit(pid, 0);
    ck_assert_uint_ge(stats_now().dropped, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* With the alarm's signal blocked by the program the wait's own time-out serves. */
START_TEST(wait_with_the_signal_blocked)
{
    unsigned runs = 0;
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    block_signal(variant_signo(_i));
    for (unsigned i = 1; i <= 3; ++i) {
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(5)), 0);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(5));
    }
    ck_assert(is_blocked(variant_signo(_i)));
    unblock_signal(variant_signo(_i));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- descriptors ---- */

struct writer {
    unsigned runs;
    int fd;
};

/* What the call waits for comes with the third run alone. */
static int count_and_write(struct aw_timer timer, void *arg)
{
    struct writer *writer = arg;
    (void)timer;
    if (++writer->runs == 3)
        ck_assert_int_eq(write(writer->fd, "x", 1), 1);
    return 0;
}

START_TEST(poll_dispatches_and_goes_on)
{
    struct aw_timer timer;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct writer writer = { 0, ends[1] };
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count_and_write, &writer), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(2), AW_MS(2), AW_MISSED_SKIP), 0);
    struct pollfd fd = { .fd = ends[0], .events = POLLIN };
    ck_assert_int_eq(aw_poll(&fd, 1, AW_SEC(60)), 1);
    ck_assert_int_eq(fd.revents, POLLIN);
    ck_assert_uint_ge(writer.runs, 3);
    ck_assert_int_eq(aw_poll(&fd, 1, 0), 1);
    char byte;
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    uint64_t start = clock_ns();
    ck_assert_int_eq(aw_poll(&fd, 1, AW_MS(20)), 0);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(20));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A loop that is not ours, with no time-out at all. */
START_TEST(foreign_loop_on_the_wakeup_descriptor)
{
    unsigned runs = 0;
    struct aw_timer timer;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(3), AW_MS(3), AW_MISSED_SKIP), 0);
    struct pollfd fd = { .fd = aw_wakeup_fd(), .events = POLLIN };
    ck_assert_int_ge(fd.fd, 0);
    for (unsigned i = 0; i < 20; ++i) {
        int ready;
        do
            ready = poll(&fd, 1, 60000);
        while (ready < 0 && errno == EINTR);
        ck_assert_int_eq(ready, 1);
        ck_assert_int_ge(aw_dispatch(0), 0);
        ck_assert_uint_eq(runs, i + 1);
    }
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_int_eq(fcntl(fd.fd, F_GETFD), -1);
}
END_TEST

START_TEST(signal_numbers_on_a_descriptor)
{
    unsigned runs = 0;
    struct aw_timer timer;
    int ends[2];
    unsigned char byte = 0;
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    start_variant(_i);
    ck_assert_int_eq(aw_set_wakeup_fd(ends[1]), -ENOENT);
    ck_assert_int_eq(aw_timer_create(&timer, count, &runs), 0);
    /* A dispatch may see by the clock that the timer is due before the signal comes: then that is no news. */
    for (unsigned i = 0; i < 1000 && byte == 0; ++i) {
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ssize_t got = read(ends[0], &byte, 1);
        ck_assert(got == 1 || errno == EAGAIN);
    }
    ck_assert_int_eq(byte, variant_signo(_i));
    ck_assert_int_eq(aw_set_wakeup_fd(-1), ends[1]);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("waits");
    TCase *ends = signal_case(suite, "what ends a wait");
    TCase *descriptors = signal_case(suite, "descriptors");

    tcase_add_loop_test(ends, foreign_handler_ends_a_wait, 0, SOURCES);
    tcase_add_loop_test(ends, foreign_handler_with_ours_lower, 0, SOURCES);
    tcase_add_loop_test(ends, foreign_handler_with_ours_higher, 0, SOURCES);
    tcase_add_loop_test(ends, foreign_handler_with_ours_realtime, 0, SOURCES);
    tcase_add_loop_test(ends, foreign_handler_with_the_alarm, 0, SOURCES);
    tcase_add_loop_test(ends, chained_handler_ends_a_wait, 0, SOURCES);
    tcase_add_loop_test(ends, nobodys_signals_end_nothing, 0, SOURCES);
    tcase_add_loop_test(ends, wait_with_the_signal_blocked, 0, SOURCES);
    tcase_add_loop_test(descriptors, poll_dispatches_and_goes_on, 0, SOURCES);
    tcase_add_loop_test(descriptors, foreign_loop_on_the_wakeup_descriptor, 0, SOURCES);
    tcase_add_loop_test(descriptors, signal_numbers_on_a_descriptor, 0, SOURCES);
    return run_suite(suite);
}
