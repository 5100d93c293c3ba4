/* SPDX-License-Identifier: MIT */
/*
 * loops.c: alarmwheel inside a loop of somebody else, through aw_wakeup_fd alone. Each wake-up is waited for
 * by whoever caused it: one that is missed is seen as a time-out of the other side. The calls in which the
 * loop sleeps are counted: it neither polls nor spins.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_main.h"
#include "loops.h"
#include "signal_fixture.h"
#include "sleeps.h"

#ifdef WAKEUP_EVENTS
#define IS_EDGE_TRIGGERED ((WAKEUP_EVENTS & EPOLLET) != 0)
#else
#define IS_EDGE_TRIGGERED false
#endif

#define MISSED_S 20 /* nobody waits longer for an answer */

static int own[2]; /* the loop's own pipe: what comes is on_own's business; 'q' ends the loop */
static int answers[2];
static int result; /* the last of aw_dispatch */
static bool ends_the_loop;
static unsigned wakeups, others; /* callbacks of the loop */
static void (*own_work)(void);

/* Where a callback that leaves the dispatch lands. */
static jmp_buf landing;
static volatile unsigned landings;

static void dispatch(void)
{
    if (setjmp(landing) != 0) {
        ++landings;
        if (!IS_EDGE_TRIGGERED)
            return; /* the loop comes back by itself */
    }
    result = aw_dispatch(0);
}

void on_wakeup(void)
{
    ++wakeups;
    dispatch();
    if (result < 0 && ends_the_loop)
        loop_stop();
}

void on_own(void)
{
    char what;
    ++others;
    ck_assert_int_eq(read(own[0], &what, 1), 1);
    if (what == 'q')
        loop_stop();
    else
        own_work();
}

static void attach(void)
{
    ck_assert_int_eq(pipe(own), 0);
    ck_assert_int_eq(pipe(answers), 0);
    ends_the_loop = true;
    loop_open(aw_wakeup_fd(), own[0]);
    wakeups = others = 0;
    sleeps_forget();
}

static void open_loop(int variant)
{
    start_variant(variant);
    attach();
}

static void close_loop(void)
{
    loop_close();
    ck_assert_int_eq(aw_shutdown(), 0);
    for (int i = 0; i < 2; ++i) {
        close(own[i]);
        close(answers[i]);
    }
}

static void tell(int fd, char what)
{
    ck_assert_int_eq(write(fd, &what, 1), 1);
}

static void answer(void)
{
    tell(answers[1], 'a');
}

/* For the other side, which is not the owner: false if nothing comes. */
static bool is_answered(void)
{
    struct pollfd fd = { .fd = answers[0], .events = POLLIN };
    char what;
    int ready;
    do
        ready = poll(&fd, 1, MISSED_S * 1000);
    while (ready < 0 && errno == EINTR);
    return ready == 1 && read(answers[0], &what, 1) == 1;
}

/*
 * The other side causes `rounds` wake-ups, one after the other, and waits for the answer of each. Whatever
 * comes of it, the loop is ended.
 */
static unsigned rounds, answered;
static void (*cause)(void);

static void drive(void)
{
    for (answered = 0; answered < rounds; ++answered) {
        cause();
        if (!is_answered())
            break;
    }
    tell(own[1], 'q');
}

static void *drive_in_thread(void *arg)
{
    drive();
    return arg;
}

static int drive_in_process(void *arg)
{
    (void)arg;
    drive();
    return answered == rounds ? 0 : 1;
}

/* A few more while it starts; spinning would be thousands. */
static void expect_no_spinning(unsigned signals)
{
    struct aw_stats stats = stats_now();
    uint64_t causes = others + signals + stats.signals + stats.posts + stats.expirations;
    ck_assert_msg(sleeps_count() <= loop_sleeps_each * causes + 20, "%u sleeps for %ju causes, %u wake-ups",
                  sleeps_count(), (uintmax_t)causes, wakeups);
    ck_assert_msg(sleeps_bounded() == 0, "%u sleeps with a time-out", sleeps_bounded());
}

static void run_driven(unsigned count)
{
    pthread_t driver;
    rounds = scaled(count);
    ck_assert_int_eq(pthread_create(&driver, NULL, drive_in_thread, NULL), 0);
    loop_run();
    ck_assert_int_eq(pthread_join(driver, NULL), 0);
    ck_assert_msg(answered == rounds, "wake-up %u was missed", answered);
    expect_no_spinning(0);
}

/* Posts. */

static int answer_post(void *arg)
{
    (void)arg;
    answer();
    return 0;
}

static void post(void)
{
    while (aw_post(answer_post, NULL) != 0)
        continue;
}

START_TEST(h32_a_post_from_a_thread_wakes_the_loop)
{
    open_loop(_i);
    cause = post;
    run_driven(5000);
    close_loop();
}
END_TEST

static void nothing(void)
{
}

START_TEST(what_was_pending_before_the_descriptor_is_seen)
{
    start_variant(_i);
    ck_assert_int_eq(aw_post(answer_post, NULL), 0);
    attach();
    cause = nothing;
    run_driven(1);
    close_loop();
}
END_TEST

/* Timers. */

static struct aw_timer timer;
static uint64_t armed_ns, delay_ns;

static int answer_timer(struct aw_timer which, void *arg)
{
    (void)which;
    (void)arg;
    ck_assert_uint_ge(clock_ns(), armed_ns + delay_ns);
    answer();
    return 0;
}

/* In the loop's own callback. The alarm comes before, while and after the loop goes to sleep. */
static void arm_soon(void)
{
    static unsigned n;
    delay_ns = AW_US(n % 300);
    ++n;
    armed_ns = clock_ns();
    ck_assert_int_eq(aw_timer_arm(timer, delay_ns), 0);
}

static void touch_own(void)
{
    tell(own[1], 't');
}

START_TEST(h01_a_timer_armed_in_a_callback_of_the_loop_wakes_it)
{
    open_loop(_i);
    ck_assert_int_eq(aw_timer_create(&timer, answer_timer, NULL), 0);
    own_work = arm_soon;
    cause = touch_own;
    run_driven(3000);
    close_loop();
}
END_TEST

static int arm_the_next(struct aw_timer which, void *arg)
{
    unsigned *left = arg;
    if (--*left == 0)
        return -ECANCELED;
    return aw_timer_arm(which, AW_US(*left % 300));
}

START_TEST(h01_a_timer_armed_in_a_callback_of_a_timer_wakes_it)
{
    unsigned left = scaled(3000);
    open_loop(_i);
    ck_assert_int_eq(aw_timer_create(&timer, arm_the_next, &left), 0);
    ck_assert_int_eq(aw_timer_arm(timer, 0), 0);
    loop_run();
    ck_assert_int_eq(result, -ECANCELED);
    ck_assert_uint_eq(left, 0);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

#define MANY 5000
static unsigned ran, ran_when_touched;

static int count(struct aw_timer which, void *arg)
{
    (void)which;
    (void)arg;
    if (++ran == 1)
        touch_own();
    return ran == MANY ? -ECANCELED : 0;
}

static void look(void)
{
    ran_when_touched = ran;
}

/* A budget is spent: the descriptor stays readable, and the loop comes round to its own in between. */
START_TEST(h22_many_due_at_once_leave_the_loop_its_turns)
{
    static struct aw_timer many[MANY];
    open_loop(_i);
    own_work = look;
    ran = ran_when_touched = 0;
    for (unsigned i = 0; i < MANY; ++i) {
        ck_assert_int_eq(aw_timer_create(&many[i], count, NULL), 0);
        ck_assert_int_eq(aw_timer_arm(many[i], AW_MS(20)), 0);
    }
    pass_ms(40);
    loop_run();
    ck_assert_uint_eq(ran, MANY);
    ck_assert_uint_gt(ran_when_touched, 0);
    ck_assert_uint_lt(ran_when_touched, MANY);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

static int refuse(struct aw_timer which, void *arg)
{
    unsigned *calls = arg;
    (void)which;
    ++*calls;
    return -ENOTSUP;
}

static int stop(struct aw_timer which, void *arg)
{
    (void)which;
    (void)arg;
    loop_stop();
    return 0;
}

/* A negative value ends the dispatch, and what is left is due still. */
START_TEST(a_loop_that_goes_on_after_a_negative_value_runs_what_is_left)
{
    unsigned calls = 0;
    struct aw_timer refusing[10];
    open_loop(_i);
    ends_the_loop = false;
    for (int i = 0; i < 10; ++i) {
        ck_assert_int_eq(aw_timer_create(&refusing[i], refuse, &calls), 0);
        ck_assert_int_eq(aw_timer_arm(refusing[i], AW_MS(1)), 0);
    }
    ck_assert_int_eq(aw_timer_create(&timer, stop, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(30)), 0);
    loop_run();
    ck_assert_uint_eq(calls, 10);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

static int leave(struct aw_timer unused, void *arg)
{
    (void)unused;
    (void)arg;
    longjmp(landing, 1);
}

static int leave_at_once(void *arg)
{
    (void)arg;
    longjmp(landing, 1);
}

/* The dispatch never ended, and nobody but the loop will ask for the next one. */
START_TEST(h22_callbacks_left_by_longjmp_leave_the_loop_awake)
{
    struct aw_timer leaving[3];
    open_loop(_i);
    landings = 0;
    for (unsigned i = 0; i < 3; ++i) {
        ck_assert_int_eq(aw_timer_create(&leaving[i], leave, NULL), 0);
        ck_assert_int_eq(aw_timer_arm(leaving[i], AW_MS(1 + 10 * i)), 0);
    }
    ck_assert_int_eq(aw_post(leave_at_once, NULL), 0);
    ck_assert_int_eq(aw_timer_create(&timer, stop, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(60)), 0);
    loop_run();
    ck_assert_uint_eq(landings, 4);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

static void wait_a_little(void)
{
    ck_assert_int_ge(aw_wait(AW_MS(2)), 0);
}

/* It dispatches, and drains the descriptor: what comes after it is seen nevertheless. */
START_TEST(a_wait_inside_a_callback_of_the_loop_takes_nothing_from_it)
{
    open_loop(_i);
    ck_assert_int_eq(aw_timer_create(&timer, stop, NULL), 0);
    own_work = wait_a_little;
    cause = post;
    touch_own();
    touch_own();
    run_driven(200);
    ck_assert_uint_eq(others, 3);
    close_loop();
}
END_TEST

/* Guards. */

START_TEST(a_guard_around_the_loop_ends_it)
{
    struct aw_guard guard;
    uint64_t begin = clock_ns();
    open_loop(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(50), AW_GUARD_DEFAULT), 0);
    loop_run();
    ck_assert_uint_ge(clock_ns(), begin + AW_MS(50));
    ck_assert_int_eq(result, -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

/* Nothing is due. */

/* The alarm stays set for 200 ms from now, where the next that is due is at 400 ms. */
static void leave_an_alarm_over(void)
{
    ck_assert_int_eq(aw_timer_create(&timer, stop, NULL), 0);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(200)), 0);
    ck_assert_int_eq(aw_timer_disarm(timer), 1);
    ck_assert_int_eq(aw_timer_arm(timer, AW_MS(400)), 0);
}

START_TEST(h10_nothing_due_is_no_wake_up)
{
    open_loop(_i);
    leave_an_alarm_over();
    unsigned alarms = aw_quiet() == 1 ? 1 : 2; /* 2: the machine is slow, and that one has rung already */
    loop_run();
    ck_assert_uint_le(wakeups, alarms);
    ck_assert_uint_le(stats_now().signals, alarms);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

START_TEST(h07_a_left_over_alarm_costs_one_wake_up)
{
    open_loop(_i);
    leave_an_alarm_over();
    loop_run();
    ck_assert_uint_le(wakeups, 2);
    expect_no_spinning(0);
    close_loop();
}
END_TEST

/* Signals. */

static pid_t test_pid;
static uint64_t received;

static int answer_signal(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)arg;
    received += count;
    answer();
    return 0;
}

static void send_signal(void)
{
    kill(test_pid, SIGUSR1);
}

START_TEST(h01_a_signal_from_another_process_wakes_the_loop)
{
    open_loop(_i);
    rounds = scaled(3000);
    cause = send_signal;
    test_pid = getpid();
    received = 0;
    ck_assert_int_eq(aw_signal_watch(SIGUSR1, answer_signal, NULL), 0);
    pid_t child = in_child(0, drive_in_process, NULL);
    loop_run();
    expect_exit(child, 0);
    ck_assert_uint_eq(received, rounds);
    expect_no_spinning(rounds);
    close_loop();
}
END_TEST

#define BURST 5000u

static int take(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)arg;
    received += count;
    if (received == BURST)
        answer();
    return 0;
}

/* As many as the kernel queues; those that it refuses are sent again. */
static void send_burst(void)
{
    for (unsigned i = 0; i < BURST; ++i)
        while (sigqueue(test_pid, SIGRTMIN + 1, (union sigval){ .sival_int = (int)i }) != 0)
            pass_ms(1);
}

START_TEST(a_burst_of_real_time_signals_is_counted_to_the_last)
{
    open_loop(_i);
    rounds = 1;
    cause = send_burst;
    test_pid = getpid();
    received = 0;
    ck_assert_int_eq(aw_signal_watch(SIGRTMIN + 1, take, NULL), 0);
    pid_t child = in_child(0, drive_in_process, NULL);
    loop_run();
    expect_exit(child, 0);
    ck_assert_uint_eq(received, BURST);
    expect_no_spinning(BURST);
    close_loop();
}
END_TEST

static int interrupt(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)info;
    (void)count;
    (void)arg;
    return -EINTR;
}

START_TEST(a_negative_value_of_a_signals_callback_ends_the_loop)
{
    open_loop(_i);
    ck_assert_int_eq(aw_signal_watch(SIGTERM, interrupt, NULL), 0);
    own_work = nothing;
    touch_own();
    ck_assert_int_eq(raise(SIGTERM), 0);
    loop_run();
    ck_assert_int_eq(result, -EINTR);
    expect_no_spinning(1);
    close_loop();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("loops");
    TCase *tcase = signal_case(suite, "loops");
    tcase_add_loop_test(tcase, h32_a_post_from_a_thread_wakes_the_loop, 0, SOURCES);
    tcase_add_loop_test(tcase, what_was_pending_before_the_descriptor_is_seen, 0, SOURCES);
    tcase_add_loop_test(tcase, h01_a_timer_armed_in_a_callback_of_the_loop_wakes_it, 0, SOURCES);
    tcase_add_loop_test(tcase, h01_a_timer_armed_in_a_callback_of_a_timer_wakes_it, 0, SOURCES);
    tcase_add_loop_test(tcase, h22_many_due_at_once_leave_the_loop_its_turns, 0, SOURCES);
    tcase_add_loop_test(tcase, a_loop_that_goes_on_after_a_negative_value_runs_what_is_left, 0, SOURCES);
    tcase_add_loop_test(tcase, h22_callbacks_left_by_longjmp_leave_the_loop_awake, 0, SOURCES);
    tcase_add_loop_test(tcase, a_wait_inside_a_callback_of_the_loop_takes_nothing_from_it, 0, SOURCES);
    tcase_add_loop_test(tcase, a_guard_around_the_loop_ends_it, 0, VARIANTS);
    tcase_add_loop_test(tcase, h10_nothing_due_is_no_wake_up, 0, SOURCES);
    tcase_add_loop_test(tcase, h07_a_left_over_alarm_costs_one_wake_up, 0, SOURCES);
    tcase_add_loop_test(tcase, h01_a_signal_from_another_process_wakes_the_loop, 0, SOURCES);
    tcase_add_loop_test(tcase, a_burst_of_real_time_signals_is_counted_to_the_last, 0, SOURCES);
    tcase_add_loop_test(tcase, a_negative_value_of_a_signals_callback_ends_the_loop, 0, SOURCES);
    return suite;
}

int main(void)
{
    return run_suite(suite());
}
