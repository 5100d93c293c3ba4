/* SPDX-License-Identifier: MIT */
/*
 * Guarded calls while time passes in them. The kernel is played by functions in libc's place, on the fake
 * clock: the portable way to make the calls goes through them.
 */
#include <time.h>

#include "io_fixture.h"

/* ---- the kernel, played ---- */

/* What a blocking call does: time passes, signals come; then it returns. */
struct act {
    uint64_t pass_ns;
    long result; /* or minus an error */
    void (*meanwhile)(void);
};

static struct play {
    const struct act *acts;
    unsigned left;
    unsigned calls;
    size_t asked[8]; /* bytes, by the first of the calls */
    struct timespec until;
} play;

#define PLAY(...)                                                                          \
    do {                                                                                   \
        static const struct act acts_[] = { __VA_ARGS__ };                                 \
        play = (struct play){ acts_, sizeof acts_ / sizeof acts_[0], 0, { 0 }, { 0, 0 } }; \
    } while (0)

static long act(void)
{
    const struct act *now = play.acts++;
    --play.left;
    fake_advance(now->pass_ns);
    if (now->meanwhile != NULL)
        now->meanwhile();
    if (now->result >= 0)
        return now->result;
    errno = (int)-now->result;
    return -1;
}

static long act_of(size_t n)
{
    if (play.calls < sizeof play.asked / sizeof play.asked[0])
        play.asked[play.calls] = n;
    ++play.calls;
    return act();
}

ssize_t __real_read(int fd, void *buffer, size_t n);
ssize_t __wrap_read(int fd, void *buffer, size_t n);
ssize_t __wrap_read(int fd, void *buffer, size_t n)
{
    return play.left == 0 ? __real_read(fd, buffer, n) : act_of(n);
}

ssize_t __real_write(int fd, const void *buffer, size_t n);
ssize_t __wrap_write(int fd, const void *buffer, size_t n);
ssize_t __wrap_write(int fd, const void *buffer, size_t n)
{
    return play.left == 0 ? __real_write(fd, buffer, n) : act_of(n);
}

int __real_clock_nanosleep(clockid_t id, int flags, const struct timespec *span, struct timespec *rest);
int __wrap_clock_nanosleep(clockid_t id, int flags, const struct timespec *span, struct timespec *rest);
int __wrap_clock_nanosleep(clockid_t id, int flags, const struct timespec *span, struct timespec *rest)
{
    if (play.left == 0)
        return __real_clock_nanosleep(id, flags, span, rest);
    ck_assert_int_eq(id, CLOCK_MONOTONIC);
    ck_assert_int_eq(flags, TIMER_ABSTIME);
    ck_assert_ptr_null(rest);
    play.until = *span;
    ++play.calls;
    errno = 4711;
    return act() < 0 ? errno : 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    if (play.left == 0)
        return __real_close(fd);
    ++play.calls;
    ck_assert_int_eq(__real_close(fd), 0);
    return (int)act();
}

/* ---- calls ---- */

/* Signals of others, and ours too early, end the sleep and not the call: it has the time that is left. */
START_TEST(goes_on_with_the_time_that_is_left)
{
    char byte;
    start(1);
    PLAY({ AW_MS(30), -EINTR, NULL }, { AW_MS(30), -EINTR, NULL }, { AW_MS(40) - 1, -EINTR, NULL },
         { 1, -EINTR, NULL }, { 0, 1, NULL });
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)));
    ck_assert_uint_eq(play.calls, 4);
    ck_assert_uint_eq(fake.now_ns, FAKE_START_NS + AW_MS(100));
    PLAY({ AW_MS(30), -EINTR, NULL }, { AW_MS(60), -EINTR, NULL }, { AW_MS(5), 1, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), 1);
    ck_assert_uint_eq(play.calls, 3);
    PLAY({ AW_SEC(3600), -EINTR, NULL }, { AW_SEC(3600), 1, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_FOREVER), 1);
    ck_assert_uint_eq(play.calls, 2);
}
END_TEST

/* A result that comes late is a result, and so is an error of the call's own. */
START_TEST(results_beat_the_time)
{
    char byte;
    start(1);
    PLAY({ AW_MS(200), 1, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), 1);
    PLAY({ AW_MS(200), 0, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), 0);
    PLAY({ AW_MS(200), -EIO, NULL });
    FAILS(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), EIO);
    PLAY({ AW_MS(50), -ETIMEDOUT, NULL });
    FAILS(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), ETIMEDOUT); /* the connection's own */
}
END_TEST

/* The alarm is programmed for the call, and nags while the call does not notice. */
START_TEST(the_call_has_an_alarm)
{
    char byte;
    start(1);
    PLAY({ AW_MS(101), -EINTR, NULL });
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)));
    ck_assert_uint_ge(fake.rings, 15);
    ck_assert_uint_le(fake.rings, 21);
    uint64_t rings = fake.rings;
    fake_advance(AW_SEC(10));
    ck_assert_uint_le(fake.rings, rings + 1); /* over and done with */
    ck_assert_uint_eq(awi_pending, 0);
}
END_TEST

START_TEST(guard_expires_meanwhile)
{
    char byte;
    struct aw_guard guard;
    start(1);
    EXPECT(aw_guard_enter(&guard, AW_MS(40), AW_GUARD_DEFAULT), 0);
    PLAY({ AW_MS(39), -EINTR, NULL }, { AW_MS(2), -EINTR, NULL }, { 0, 1, NULL });
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)));
    ck_assert_uint_eq(play.calls, 2);
    ck_assert(aw_guard_expired(&guard));
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    PLAY({ AW_MS(100), -EINTR, NULL }, { 0, 1, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_MS(200)), 1);
}
END_TEST

static int posted_answer;

static int posted(void *arg)
{
    (void)arg;
    ++runs;
    return posted_answer;
}

static void post_it(void)
{
    EXPECT(aw_post(posted, NULL), 0);
}

START_TEST(timers_and_posts_run_meanwhile)
{
    char byte;
    int result = 0;
    struct aw_timer timer;
    start(1);
    EXPECT(aw_timer_create(&timer, answer, &result), 0);
    EXPECT(aw_timer_arm_every(timer, AW_MS(10), AW_MS(10), AW_MISSED_SKIP), 0);
    PLAY({ AW_MS(15), -EINTR, NULL }, { AW_MS(10), -EINTR, NULL }, { 0, -EINTR, post_it }, { 0, 1, NULL });
    EXPECT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), 1);
    ck_assert_int_eq(runs, 3);
    ck_assert_uint_eq(play.calls, 4);
    posted_answer = -EIO;
    PLAY({ 0, -EINTR, post_it }, { 0, 1, NULL });
    FAILS(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)), ECANCELED);
    ck_assert_int_eq(runs, 4);
    EXPECT(aw_timer_disarm(timer), 1);
}
END_TEST

/* Both are due: the call times out, and the callback is left for the next safe point. */
START_TEST(time_out_keeps_callbacks)
{
    char byte;
    int result = -EIO;
    struct aw_timer timer;
    start(1);
    EXPECT(aw_timer_create(&timer, answer, &result), 0);
    EXPECT(aw_timer_arm(timer, AW_MS(99)), 0);
    PLAY({ AW_MS(101), -EINTR, NULL }, { 0, 1, NULL });
    TIMES_OUT(aw_read(pipe_ends[0], &byte, 1, AW_MS(100)));
    ck_assert_int_eq(runs, 0);
    EXPECT(aw_safepoint(), -EIO);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static pid_t forked;

static int fork_in_callback(void *arg)
{
    (void)arg;
    forked = fork();
    return 0;
}

static void post_fork(void)
{
    EXPECT(aw_post(fork_in_callback, NULL), 0);
}

/* A callback forks: the child comes out of the call, too, and has no engine. */
START_TEST(fork_inside_the_call)
{
    char byte;
    int status;
    start(1);
    PLAY({ 0, -EINTR, post_fork }, { 0, 1, NULL });
    errno = 4711;
    ssize_t result = aw_read(pipe_ends[0], &byte, 1, AW_SEC(1));
    if (forked == 0)
        _exit(result == -1 && errno == ENODEV && !aw_timed_out() && play.calls == 1 ? 0 : 1);
    ck_assert_int_eq(result, 1);
    ck_assert_int_eq(errno, 4711);
    ck_assert_int_eq(waitpid(forked, &status, 0), forked);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- sleeping ---- */

START_TEST(sleeps)
{
    start(1);
    PLAY({ AW_MS(30), -EINTR, NULL }, { AW_MS(70), 0, NULL }, { 0, 0, NULL });
    EXPECT(aw_sleep_until(FAKE_START_NS + AW_MS(100)), 0);
    ck_assert_uint_eq(play.calls, 2);
    ck_assert_int_eq(play.until.tv_sec, 1000);
    ck_assert_int_eq(play.until.tv_nsec, AW_MS(100) + 12345);
    PLAY({ 0, 0, NULL }, { 0, 0, NULL });
    EXPECT(aw_sleep_until(0), 0);
    EXPECT(aw_sleep_until(fake.now_ns), 0);
    PLAY({ AW_MS(1) - 1, 0, NULL }, { 1, 0, NULL }); /* a kernel that wakes early */
    EXPECT(aw_sleep_until(fake.now_ns + AW_MS(1)), 0);
    ck_assert_uint_eq(play.calls, 2);
    PLAY({ 0, -EFAULT, NULL });
    FAILS(aw_sleep_until(fake.now_ns + AW_MS(1)), EFAULT);
}
END_TEST

/* Further than any clock goes: the seconds are as many as time_t is sure to hold, again and again. */
START_TEST(sleeps_for_ever)
{
    const uint64_t deadlines[] = { AW_FOREVER, AW_FOREVER - 1, AW_SEC((uint64_t)INT32_MAX + 1), INT64_MAX };
    struct aw_guard guard;
    start(1);
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; ++i) {
        EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
        PLAY({ AW_MS(5), 0, NULL }, { AW_MS(6), -EINTR, NULL }, { 0, 0, NULL });
        TIMES_OUT(aw_sleep_until(deadlines[i]));
        ck_assert_uint_eq(play.calls, 2);
        ck_assert_int_eq(play.until.tv_sec, INT32_MAX);
        EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
    }
}
END_TEST

/* ---- close ---- */

START_TEST(close_is_made_once)
{
    struct aw_guard guard;
    start(1);
    PLAY({ AW_MS(10), -EIO, NULL }, { 0, 0, NULL });
    FAILS(aw_close(pipe_ends[0], AW_SEC(1)), EIO);
    ck_assert_uint_eq(play.calls, 1);
    PLAY({ AW_MS(10), -EINTR, NULL }, { 0, 0, NULL });
    TIMES_OUT(aw_close(pipe_ends[1], AW_MS(5)));
    ck_assert_uint_eq(play.calls, 1);
    ck_assert(!is_open(pipe_ends[0]) && !is_open(pipe_ends[1]));
    ck_assert_int_eq(pipe(pipe_ends), 0);
    PLAY({ AW_MS(10), -EINTR, NULL }, { 0, 0, NULL }); /* a signal of somebody else's: closed it is */
    EXPECT(aw_close(pipe_ends[0], AW_SEC(1)), 0);
    ck_assert_uint_eq(play.calls, 1);
    EXPECT(aw_guard_enter(&guard, AW_MS(10), AW_GUARD_DEFAULT), 0);
    PLAY({ AW_MS(11), -EINTR, NULL }, { 0, 0, NULL });
    TIMES_OUT(aw_close(pipe_ends[1], AW_FOREVER));
    ck_assert_uint_eq(play.calls, 1);
    EXPECT(aw_guard_leave(&guard), -ETIMEDOUT);
}
END_TEST

/* ---- full reads and writes ---- */

/* One time-out for all of them, and *done is right on every way out. */
START_TEST(full_in_pieces)
{
    char bytes[10];
    size_t done = 99;
    start(1);
    PLAY({ AW_MS(40), 3, NULL }, { AW_MS(40), 4, NULL }, { AW_MS(40), 3, NULL });
    EXPECT(aw_read_full(pipe_ends[0], bytes, 10, &done, AW_MS(100)), 10);
    ck_assert_uint_eq(done, 10);
    ck_assert_uint_eq(play.asked[0], 10);
    ck_assert_uint_eq(play.asked[1], 7);
    ck_assert_uint_eq(play.asked[2], 3);
    PLAY({ AW_MS(40), 3, NULL }, { AW_MS(60) - 1, -EINTR, NULL }, { 1, -EINTR, NULL }, { 0, 1, NULL });
    TIMES_OUT(aw_write_full(pipe_ends[1], bytes, 10, &done, AW_MS(100)));
    ck_assert_uint_eq(done, 3);
    ck_assert_uint_eq(play.calls, 3);
    PLAY({ AW_MS(101), 9, NULL }, { 0, 1, NULL }); /* late, and not lost; there is no time for another */
    TIMES_OUT(aw_read_full(pipe_ends[0], bytes, 10, &done, AW_MS(100)));
    ck_assert_uint_eq(done, 9);
    ck_assert_uint_eq(play.calls, 1);
    PLAY({ 0, 2, NULL }, { 0, -EIO, NULL }, { 0, 1, NULL });
    FAILS(aw_write_full(pipe_ends[1], bytes, 10, &done, AW_FOREVER), EIO);
    ck_assert_uint_eq(done, 2);
    ck_assert_uint_eq(play.calls, 2);
    PLAY({ 0, 2, NULL }, { 0, 0, NULL }, { 0, 1, NULL });
    EXPECT(aw_write_full(pipe_ends[1], bytes, 10, &done, AW_FOREVER), 2);
    ck_assert_uint_eq(done, 2);
    posted_answer = -EIO;
    PLAY({ 0, 2, NULL }, { 0, -EINTR, post_it }, { 0, 1, NULL });
    FAILS(aw_read_full(pipe_ends[0], bytes, 10, &done, AW_FOREVER), ECANCELED);
    ck_assert_uint_eq(done, 2);
    ck_assert_uint_eq(play.calls, 2);
}
END_TEST

/* What was not played in a test that failed is not for the next. */
static void end(void)
{
    play.left = 0;
    fake_end();
}

int main(void)
{
    Suite *suite = suite_create("guarded calls that block");
    TCase *tcase = tcase_create("blocked");
    tcase_add_checked_fixture(tcase, fake_begin, end);
    tcase_add_test(tcase, goes_on_with_the_time_that_is_left);
    tcase_add_test(tcase, results_beat_the_time);
    tcase_add_test(tcase, the_call_has_an_alarm);
    tcase_add_test(tcase, guard_expires_meanwhile);
    tcase_add_test(tcase, timers_and_posts_run_meanwhile);
    tcase_add_test(tcase, time_out_keeps_callbacks);
    tcase_add_test(tcase, fork_inside_the_call);
    tcase_add_test(tcase, sleeps);
    tcase_add_test(tcase, sleeps_for_ever);
    tcase_add_test(tcase, close_is_made_once);
    tcase_add_test(tcase, full_in_pieces);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
