/* SPDX-License-Identifier: MIT */
/*
 * calls_test.c: the public functions, each in every state and with arguments that it must refuse; what is
 * refused changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"
#include "work.h"

#define EXPECT(call, result)            \
    do {                                \
        errno = 4711;                   \
        ck_assert_int_eq(call, result); \
        ck_assert_int_eq(errno, 4711);  \
    } while (0)

static bool is_default(void)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(SIGPROF, NULL, &now), 0);
    return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
}

/* --- Options -------------------------------------------------------------------------------------------- */

#define KIB ((size_t)1024)

static const struct {
    struct aw_profile_options options;
    int result;
} starts[] = {
#define SIZE sizeof(struct aw_profile_options)
    { { .size = SIZE }, -EINVAL }, /* no rate */
    { { .hz = 100 }, -EINVAL },    /* no size */
    { { .size = SIZE - 1, .hz = 100 }, -EINVAL },
    { { .size = SIZE + 1, .hz = 100 }, -EINVAL },
    { { .size = SIZE, .hz = 10001 }, -EINVAL },
    { { .size = SIZE, .hz = UINT_MAX }, -EINVAL },
    { { .size = SIZE, .hz = 100, .clock = AW_PROFILE_WALL + 1 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .clock = (enum aw_profile_clock) - 1 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_depth = 257 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_depth = UINT_MAX }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_bytes = 1 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_bytes = 64 * KIB - 1 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_bytes = 1024 * 1024 * KIB + 1 }, -EINVAL },
    { { .size = SIZE, .hz = 100, .max_bytes = SIZE_MAX }, -EINVAL },
    { { .size = SIZE, .hz = 1 }, 0 },
    { { .size = SIZE, .hz = 10000 }, 0 },
    { { .size = SIZE, .hz = 100, .clock = AW_PROFILE_USER }, 0 },
    { { .size = SIZE, .hz = 100, .clock = AW_PROFILE_WALL }, 0 },
    { { .size = SIZE, .hz = 100, .max_depth = 1 }, 0 },
    { { .size = SIZE, .hz = 100, .max_depth = 256 }, 0 },
    { { .size = SIZE, .hz = 100, .max_bytes = 64 * KIB }, 0 },
    { { .size = SIZE, .hz = 100, .max_bytes = 64 * KIB + 13 }, 0 },
    { { .size = SIZE, .hz = 100, .max_bytes = 1024 * 1024 * KIB }, 0 },
};
enum {
    STARTS = sizeof starts / sizeof starts[0]
};

START_TEST(options_are_checked)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    EXPECT(aw_profile_start(&starts[_i].options), starts[_i].result);
    if (starts[_i].result != 0) {
        ck_assert(is_default());
        EXPECT(aw_profile_stop(), -ENODEV);
        EXPECT(aw_profile_stats_read(&stats), -ENODEV);
        return;
    }
    ck_assert(!is_default());
    EXPECT(aw_profile_stats_read(&stats), 0);
    ck_assert_uint_eq(stats.requested_hz, starts[_i].options.hz);
    ck_assert_uint_ge(stats.bytes,
                      starts[_i].options.max_bytes != 0 ? starts[_i].options.max_bytes : 1024 * KIB);
    EXPECT(aw_profile_stop(), 0);
    ck_assert(is_default());
}
END_TEST

START_TEST(no_options_are_the_defaults)
{
    EXPECT(aw_profile_start(NULL), 0);
    struct aw_profile_stats stats = profile_stats();
    ck_assert_uint_eq(stats.requested_hz, 100);
    ck_assert_uint_ge(stats.bytes, 1024 * KIB);
    ck_assert_uint_le(stats.bytes, 2048 * KIB);
    ck_assert_uint_eq(stats.threads, 1);
    ck_assert_uint_eq(stats.size, sizeof stats);
    EXPECT(aw_profile_stop(), 0);
}
END_TEST

/* --- States --------------------------------------------------------------------------------------------- */

START_TEST(nothing_works_before_a_start)
{
    struct aw_profile *profile = NULL;
    struct aw_profile_stats stats = { .size = sizeof stats };
    EXPECT(aw_profile_pause(), -ENODEV);
    EXPECT(aw_profile_resume(), -ENODEV);
    EXPECT(aw_profile_stop(), -ENODEV);
    EXPECT(aw_profile_snapshot(&profile), -ENODEV);
    ck_assert_ptr_null(profile);
    EXPECT(aw_profile_stats_read(&stats), -ENODEV);
    EXPECT(aw_profile_write(NULL, STDERR_FILENO, AW_PROFILE_TEXT), -ENODEV);
    aw_profile_free(NULL);
    ck_assert(is_default());
}
END_TEST

START_TEST(states_follow_each_other)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 100);
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT(aw_profile_start(&options), 0);
        EXPECT(aw_profile_start(&options), -EBUSY);
        EXPECT(aw_profile_start(NULL), -EBUSY);
        EXPECT(aw_profile_resume(), -EALREADY);
        EXPECT(aw_profile_pause(), 0);
        EXPECT(aw_profile_pause(), -EALREADY);
        EXPECT(aw_profile_start(&options), -EBUSY);
        EXPECT(aw_profile_resume(), 0);
        EXPECT(aw_profile_resume(), -EALREADY);
        if (round == 1)
            EXPECT(aw_profile_pause(), 0);
        EXPECT(aw_profile_stop(), 0);
        EXPECT(aw_profile_stop(), -ENODEV);
        EXPECT(aw_profile_pause(), -ENODEV);
        EXPECT(aw_profile_resume(), -ENODEV);
    }
    /* A wrong call while it runs is refused as such, and does not stop it. */
    EXPECT(aw_profile_start(&options), 0);
    options.hz = 0;
    ck_assert_int_lt(aw_profile_start(&options), 0);
    burn_until_samples(2);
    EXPECT(aw_profile_stop(), 0);
}
END_TEST

START_TEST(a_stopped_profile_is_taken_once)
{
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    EXPECT(aw_profile_stop(), 0);
    struct aw_profile_stats before = profile_stats();
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_count(profile), before.samples + before.lost);
    ck_assert_uint_ge(before.samples, 3);
    aw_profile_free(profile);
    expect_no_profile();
    EXPECT(aw_profile_write(NULL, STDERR_FILENO, AW_PROFILE_TEXT), -ENODEV);
    /* The numbers stay, but for the memory. */
    struct aw_profile_stats after = profile_stats();
    ck_assert_uint_eq(after.samples, before.samples);
    ck_assert_uint_eq(after.time_ns, before.time_ns);
    ck_assert_uint_eq(after.elapsed_ns, before.elapsed_ns);
}
END_TEST

START_TEST(a_start_discards_what_was_not_taken)
{
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    EXPECT(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_CPU, 1);
    ck_assert_uint_eq(profile_stats().requested_hz, 1);
    ck_assert_uint_lt(profile_stats().time_ns, AW_SEC(1));
    EXPECT(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_count(profile), profile_stats().samples);
    aw_profile_free(profile);
    expect_no_profile();
}
END_TEST

/* --- The rest ------------------------------------------------------------------------------------------- */

START_TEST(snapshots_and_stats_are_checked)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    start_profile(AW_PROFILE_CPU, 100);
    EXPECT(aw_profile_snapshot(NULL), -EINVAL);
    EXPECT(aw_profile_stats_read(NULL), -EINVAL);
    static const size_t sizes[] = { 0, 1, sizeof stats - 1, sizeof stats + 1, SIZE_MAX };
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        stats = (struct aw_profile_stats){ .size = sizes[i], .samples = 99 };
        EXPECT(aw_profile_stats_read(&stats), -EINVAL);
        ck_assert_uint_eq(stats.samples, 99);
    }
    EXPECT(aw_profile_stop(), 0);
}
END_TEST

START_TEST(labels_are_checked)
{
    EXPECT(aw_profile_label_pop(), -ENOENT);
    EXPECT(aw_profile_label_push(NULL, NULL), -EINVAL);
    EXPECT(aw_profile_label_push(NULL, "value"), -EINVAL);
    EXPECT(aw_profile_label_push("key", NULL), -EINVAL);
    EXPECT(aw_profile_label_push("", "value"), -EINVAL);
    EXPECT(aw_profile_label_pop(), -ENOENT);
    EXPECT(aw_profile_label_push("key", ""), 0);
    EXPECT(aw_profile_label_push("key", "value"), 0);
    EXPECT(aw_profile_label_pop(), 0);
    EXPECT(aw_profile_label_pop(), 0);
    EXPECT(aw_profile_label_pop(), -ENOENT);
}
END_TEST

START_TEST(registering_says_what_was)
{
    EXPECT(aw_profile_thread_unregister(), -ENOENT);
    EXPECT(aw_profile_thread_register(NULL), 0);
    EXPECT(aw_profile_thread_register("again"), 0); /* nothing samples it yet */
    EXPECT(aw_profile_thread_unregister(), 0);
    EXPECT(aw_profile_thread_unregister(), -ENOENT);
    start_profile(AW_PROFILE_CPU, 100);
    EXPECT(aw_profile_thread_register(NULL), 1); /* the start has found it */
    EXPECT(aw_profile_thread_register("a name of more than fifteen bytes"), 1);
    EXPECT(aw_profile_thread_unregister(), 0);
    EXPECT(aw_profile_thread_unregister(), -ENOENT);
    EXPECT(aw_profile_thread_register(""), 0);
    EXPECT(aw_profile_thread_register(NULL), 1);
    EXPECT(aw_profile_stop(), 0);
    EXPECT(aw_profile_thread_unregister(), 0);
    EXPECT(aw_profile_thread_unregister(), -ENOENT);
}
END_TEST

/* --- Writing -------------------------------------------------------------------------------------------- */

static int closed_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

/* Of a running profile, and of a taken one. */
START_TEST(writing_is_checked)
{
    enum aw_profile_format format = (enum aw_profile_format)_i;
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    for (unsigned round = 0; round < 2; ++round) {
        struct aw_profile *profile = round == 0 ? NULL : take();
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(full, 0);
        EXPECT(aw_profile_write(profile, -1, format), -EINVAL);
        EXPECT(aw_profile_write(profile, INT_MIN, format), -EINVAL);
        EXPECT(aw_profile_write(profile, closed_descriptor(), format), -EBADF);
        EXPECT(aw_profile_write(profile, full, format), -ENOSPC);
        EXPECT(aw_profile_write(profile, full, (enum aw_profile_format)(AW_PROFILE_TEXT + 1)), -EINVAL);
        EXPECT(aw_profile_write(profile, full, (enum aw_profile_format) - 1), -EINVAL);
        close(full);

        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        EXPECT(aw_profile_write(profile, null, format), 0); /* it is as it was */
        EXPECT(aw_profile_write(profile, null, format), 0);
        close(null);
        aw_profile_free(profile);
    }
    EXPECT(aw_profile_stop(), 0);
}
END_TEST

/* A reader that has gone, and one that does not read. */
START_TEST(pipes_are_met)
{
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    EXPECT(aw_profile_stop(), 0);
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    EXPECT(aw_profile_write(NULL, ends[1], AW_PROFILE_FOLDED), -EPIPE);
    close(ends[1]);
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], "x", 1) == 1)
        continue;
    EXPECT(aw_profile_write(NULL, ends[1], AW_PROFILE_TEXT), -EAGAIN);
    close(ends[0]);
    close(ends[1]);
    /* Nothing of it is gone. */
    uint64_t samples = profile_stats().samples;
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_count(profile), samples);
    aw_profile_free(profile);
}
END_TEST

/* Written while it goes on: what was counted is not taken by it. */
START_TEST(writing_takes_nothing)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(5);
    EXPECT(aw_profile_write(NULL, null, AW_PROFILE_PPROF), 0);
    EXPECT(aw_profile_stop(), 0);
    EXPECT(aw_profile_write(NULL, null, AW_PROFILE_PPROF), 0);
    struct aw_profile_stats stats = profile_stats();
    struct aw_profile *profile = take();
    ck_assert_uint_eq(awi_profile_count(profile), stats.samples + stats.lost);
    ck_assert_uint_eq(awi_profile_time(profile), stats.time_ns);
    aw_profile_free(profile);
    close(null);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile calls");
    TCase *options = signal_case(suite, "options");
    tcase_add_loop_test(options, options_are_checked, 0, STARTS);
    tcase_add_test(options, no_options_are_the_defaults);
    TCase *states = signal_case(suite, "states");
    tcase_add_test(states, nothing_works_before_a_start);
    tcase_add_test(states, states_follow_each_other);
    tcase_add_test(states, a_stopped_profile_is_taken_once);
    tcase_add_test(states, a_start_discards_what_was_not_taken);
    TCase *rest = signal_case(suite, "the rest");
    tcase_add_test(rest, snapshots_and_stats_are_checked);
    tcase_add_test(rest, labels_are_checked);
    tcase_add_test(rest, registering_says_what_was);
    TCase *writing = signal_case(suite, "writing");
    tcase_add_loop_test(writing, writing_is_checked, 0, AW_PROFILE_TEXT + 1);
    tcase_add_test(writing, pipes_are_met);
    tcase_add_test(writing, writing_takes_nothing);
    return run_suite(suite);
}
