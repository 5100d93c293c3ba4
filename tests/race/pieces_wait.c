/* SPDX-License-Identifier: MIT */
/*
 * pieces_wait.c: hazard 32: something comes just before the owner sleeps: the alarm, a handler that posts,
 * another thread that posts. The interleavings of interest:
 *   - after the last look at the flags and before the sleep: only blocked signals, let through by ppoll
 * itself, close it;
 *   - the poster has published and not yet looked at `sleeping`, the owner has set `sleeping` and not yet
 * looked at the queue: one of the two must see the other;
 *   - a poster is interrupted in the middle of its post by a handler that posts, too.
 * Sleeping costs fake time only, and fake time is exact: whoever sleeps after what should have woken it is
 * found out by the clock.
 */
#include "scene.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result, post_result, quit_result = 1;
static volatile unsigned posted_runs, handler_posted_runs;
static volatile uint64_t slept_at_event;
static volatile bool handler_ran;
static volatile uint32_t sleeps_at_event;
static int fds[2];

/* A timer in 1 ms, and a wait of 10 ms for it. */

static void near_armed(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    shot_arm(&near_shot, MS);
}

static void near_armed_posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    shot_arm(&near_shot, MS);
}

static void nothing_armed(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
}

static void wait_10ms(void)
{
    result = aw_wait(10 * MS);
}

static void check_wait(void)
{
    uint64_t last = near_shot.due_ns;

    if (race_page->injected_ns > last)
        last = race_page->injected_ns;
    race_check(result == 1 && near_shot.runs == 1, "returned %d, near ran %u times", result, near_shot.runs);
    race_check(near_shot.ran_ns <= last + TICK_NS + ROUND_NS, "overslept by %lu us",
               (unsigned long)(near_shot.ran_ns - last) / 1000);
    race_outcome(race_page->slept_ns == 0 ? "did not sleep" : "slept");
    scene_settle();
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
}

/* Nobody's alarm, or one that was kept lazily, does not end a wait, and does not lengthen it. */
static void lazily_armed(void)
{
    near_armed();
    race_check(aw_timer_disarm(near_shot.timer) == 1, "not disarmed");
}

static void check_timeout(void)
{
    uint64_t end = scene_begin_ns + 10 * MS;

    race_check(result == 0, "returned %d", result);
    race_check(race_page->now_ns >= end, "the wait was short by %lu ns",
               (unsigned long)(end - race_page->now_ns));
    if (race_page->injected_ns != 0)
        end = race_page->injected_ns + 10 * MS;
    race_check(race_page->now_ns <= end, "the wait was too long by %lu ns",
               (unsigned long)(race_page->now_ns - end));
    race_check(near_shot.runs == 0, "a disarmed timer ran");
    race_outcome("timed out");
}

/* poll(2) with a periodic timer beside it: the timer runs, and the poll goes on to its time-out. */
static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    near_shot.runs++;
    near_shot.ran_ns = race_page->now_ns;
    return 0;
}

static void pipe_and_timer_on(enum aw_alarm alarm)
{
    scene_start(alarm, AW_INTERRUPT_STEP);
    race_check(pipe(fds) == 0, "pipe");
    race_check(aw_timer_create(&near_shot.timer, count, NULL) == 0, "create");
    race_check(aw_timer_arm(near_shot.timer, MS) == 0, "arm");
    near_shot.due_ns = scene_begin_ns + MS;
}

static void pipe_and_timer(void)
{
    pipe_and_timer_on(AW_ALARM_ITIMER);
}

static void pipe_and_timer_posix(void)
{
    pipe_and_timer_on(AW_ALARM_POSIX);
}

static void poll_10ms(void)
{
    struct pollfd fd = { .fd = fds[0], .events = POLLIN };

    result = aw_poll(&fd, 1, 10 * MS);
}

static void check_poll(void)
{
    uint64_t end = scene_begin_ns + 10 * MS;
    uint64_t last = near_shot.due_ns;

    if (race_page->injected_ns > last)
        last = race_page->injected_ns;
    race_check(result == 0, "returned %d", result);
    race_check(race_page->now_ns >= end, "the poll was short");
    /* Late by 60 ms, its own time-out may come first; the timer then runs at the next safe point. */
    scene_safepoint();
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
    race_check(near_shot.ran_ns <= last + TICK_NS + ROUND_NS, "ran %lu us late",
               (unsigned long)(near_shot.ran_ns - last) / 1000);
    race_outcome("timed out");
}

/* A handler that is not alarmwheel's posts, at every boundary of a wait of 50 ms with nothing armed. */

static int posted(void *arg)
{
    (void)arg;
    posted_runs++;
    return 0;
}

static int handler_posted(void *arg)
{
    (void)arg;
    handler_posted_runs++;
    return 0;
}

static void on_usr1_post(int signo)
{
    (void)signo;
    handler_ran = true;
    slept_at_event = race_page->slept_ns;
    post_result = aw_post(handler_posted, NULL);
}

static void on_usr1_quit(int signo)
{
    (void)signo;
    handler_ran = true;
    slept_at_event = race_page->slept_ns;
    quit_result = aw_quit(7);
}

static void handle_usr1(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };

    race_check(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static void poster(void)
{
    nothing_armed();
    handle_usr1(on_usr1_post);
}

static void wait_50ms(void)
{
    result = aw_wait(50 * MS);
}

static void check_handler_post(void)
{
    race_check(result == 1 || result == 0 || result == -EINTR, "returned %d", result);
    if (race_page->injected_ns != 0) {
        race_check(handler_ran, "the handler did not run");
        race_check(post_result == 0, "aw_post returned %d", post_result);
        race_check(race_page->slept_ns == slept_at_event, "slept on for %lu us after the post",
                   (unsigned long)(race_page->slept_ns - slept_at_event) / 1000);
        scene_safepoint();
        race_check(handler_posted_runs == 1, "ran %u times", handler_posted_runs);
    }
    race_outcome(result == 1   ? "ran in the wait"
                 : result == 0 ? "came after the wait"
                               : "ran after an EINTR");
}

/*
 * A handler that only sets a variable: a signal that comes in the sleep ends the wait, with -EINTR or
 * otherwise; the wait does not sleep on. A lazily kept alarm goes off in the middle, so the two may come
 * together, and the kernel then chooses which goes first. (What comes while the wait is awake goes unnoticed,
 * as with poll(2) before it sleeps: such a handler posts.)
 */
static void on_foreign(int signo)
{
    (void)signo;
    handler_ran = true;
    slept_at_event = race_page->slept_ns;
    sleeps_at_event = race_page->sleeps;
}

static void lazily_armed_and_handlers(void)
{
    struct sigaction action = { .sa_handler = on_foreign };

    lazily_armed();
    race_check(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static void check_interrupted(void)
{
    race_check(result == 0 || result == -EINTR, "returned %d", result);
    if (race_page->injected_ns != 0) {
        /* It came in a sleep, or was pending when one began. */
        bool in_sleep = race_page->injected_asleep || sleeps_at_event != race_page->injected_sleeps;

        race_check(handler_ran, "the handler did not run");
        race_check(!in_sleep || race_page->slept_ns == slept_at_event,
                   "the wait sleeps on for %lu us after a handler ran in it",
                   (unsigned long)(race_page->slept_ns - slept_at_event) / 1000);
    }
    race_outcome(result == -EINTR                        ? "EINTR"
                 : race_page->slept_ns != slept_at_event ? "came before the sleep"
                                                         : "came after it");
}

/* Another thread posts while the owner stands at the boundary. */

static void *post_at_go(void *arg)
{
    (void)arg;
    race_page->tid = (uint32_t)syscall(SYS_gettid);
    race_await_go();
    slept_at_event = race_page->slept_ns;
    post_result = aw_post(posted, NULL);
    race_done();
    for (;;)
        pause();
    return NULL;
}

/* The second thread takes no signals but those meant for it: the kernel would give it the alarm. */
static void start_thread(void *(*main)(void *))
{
    sigset_t all, old;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    race_check(pthread_create(&thread, NULL, main, NULL) == 0, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void thread_poster(void)
{
    nothing_armed();
    start_thread(post_at_go);
}

/* Exiting would take the other thread along. */
static void await_other(void)
{
    while (!race_page->done)
        usleep(100);
}

static void check_thread_post(void)
{
    await_other();
    race_check(result == 1 || result == 0, "returned %d", result);
    race_check(post_result == 0, "aw_post returned %d", post_result);
    race_check(race_page->slept_ns == slept_at_event, "slept on for %lu us after the post",
               (unsigned long)(race_page->slept_ns - slept_at_event) / 1000);
    scene_safepoint();
    race_check(posted_runs == 1, "ran %u times", posted_runs);
    race_outcome(result == 1 ? "ran in the wait" : "came after the wait");
}

/*
 * The other way round: the poster stands at the boundary, and the owner goes into its wait as far as it can;
 * if it falls asleep there, for real, the rest of the post must wake it.
 */
static void *post_traced(void *arg)
{
    (void)arg;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    race_page->tid = (uint32_t)syscall(SYS_gettid);
    race_mark(RACE_RUNNING);
    post_result = aw_post(posted, NULL);
    race_mark(RACE_ENDED);
    race_done();
    for (;;)
        pause();
    return NULL;
}

static void traced_poster(void)
{
    nothing_armed();
    race_page->real_sleep = 1;
    start_thread(post_traced);
}

static void wait_at_go(void)
{
    race_await_go();
    result = aw_wait(AW_FOREVER);
    race_outcome("woken");
}

static void check_woken(void)
{
    await_other();
    race_check(result == 1 && posted_runs == 1, "returned %d, ran %u times", result, posted_runs);
}

/* A post that is interrupted by a handler that posts as well: both run, once. */

static void post(void)
{
    result = aw_post(posted, NULL);
}

static void check_both_posts(void)
{
    race_check(result == 0 && post_result == 0, "aw_post returned %d and %d", result, post_result);
    race_check(awi_pending != 0, "no flag is up");
    scene_safepoint();
    race_check(posted_runs == 1, "ran %u times", posted_runs);
    race_check(handler_posted_runs == (race_page->injected_ns != 0), "the handler's ran %u times",
               handler_posted_runs);
    race_outcome("both ran");
}

/* The alarm in the middle of a post: timer and post both run at the next safe point. */
static void check_post(void)
{
    race_check(result == 0, "aw_post returned %d", result);
    shot_expect(&near_shot);
    scene_settle();
    race_check(posted_runs == 1 && near_shot.runs == 1, "the post ran %u, near %u times", posted_runs,
               near_shot.runs);
    race_outcome("both ran");
}

/* A dispatch takes from the queue while a handler posts: now or at the next safe point, never lost. */
static void posted_once(void)
{
    poster();
    race_check(aw_post(posted, NULL) == 0, "post");
}

static void dispatch(void)
{
    result = aw_dispatch(0);
}

static void check_dispatch_post(void)
{
    race_check(result >= 1 && posted_runs == 1, "returned %d, ran %u times", result, posted_runs);
    race_outcome(handler_posted_runs == 1 ? "ran with it" : "ran later");
    scene_safepoint();
    race_check(handler_posted_runs == (race_page->injected_ns != 0), "the handler's ran %u times",
               handler_posted_runs);
}

/* A handler calls aw_quit at every boundary of aw_run; a timer ends the run in any case. Where it was told 0,
 * the run ends for it. */
static void quitter(void)
{
    near_armed();
    handle_usr1(on_usr1_quit);
}

static void run(void)
{
    result = aw_run();
}

static void check_run(void)
{
    if (quit_result == 0)
        race_check(result == 7 || (result == 0 && near_shot.runs == 1),
                   "aw_quit was accepted, aw_run returned %d", result);
    else
        race_check(result == 0 && near_shot.runs == 1, "aw_run returned %d, near ran %u times", result,
                   near_shot.runs);
    race_check(race_page->slept_ns == slept_at_event || result == 0, "slept on after aw_quit");
    race_outcome(result == 7 ? "quit" : quit_result == 0 ? "ended by itself" : "quit was refused");
    /* A quit that came when the run was over must not end the next one. */
    near_shot.runs = 0;
    shot_arm(&near_shot, MS);
    race_check(aw_run() == 0 && near_shot.runs == 1, "the next run was ended by the last one's quit");
}

/* The descriptor for a foreign loop: readable whenever a flag is up, from the moment that it is handed out.
 */
static int fd;

static void check_readable(void)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    race_check(awi_pending == 0 || poll(&poll_fd, 1, 0) == 1,
               "a flag is up, and the descriptor is not readable");
}

static void make_fd(void)
{
    fd = aw_wakeup_fd();
}

static void check_made(void)
{
    race_check(fd >= 0, "aw_wakeup_fd returned %d", fd);
    check_readable();
    race_outcome(awi_pending != 0 ? "readable" : "made");
    shot_expect(&near_shot);
    scene_settle();
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
}

static void near_due_with_fd(void)
{
    near_armed();
    make_fd();
    shot_arm(&next_shot, MS + MS / 2);
    race_advance_to(scene_begin_ns + MS + 2 * TICK_NS);
    check_readable();
}

static void check_drained(void)
{
    race_check(result >= 1, "returned %d", result);
    check_readable();
    race_outcome(awi_pending != 0 ? "readable" : "drained");
    if (next_shot.runs == 0)
        shot_expect(&next_shot);
    scene_settle();
    race_check(near_shot.runs == 1 && next_shot.runs == 1, "near ran %u, next %u times", near_shot.runs,
               next_shot.runs);
}

const struct race_piece wait_pieces[] = {
    { .name = "h32_wait", .setup = near_armed, .run = wait_10ms, .check = check_wait },
    { .name = "h32_wait_posix", .setup = near_armed_posix, .run = wait_10ms, .check = check_wait },
    { .name = "h07_wait_lazy", .setup = lazily_armed, .run = wait_10ms, .check = check_timeout },
    { .name = "h32_poll", .setup = pipe_and_timer, .run = poll_10ms, .check = check_poll },
    { .name = "h32_poll_posix",
      .setup = pipe_and_timer_posix,
      .run = poll_10ms,
      .check = check_poll,
      .flags = RACE_ALARM_ONLY },
    { .name = "h32_wait_handler",
      .setup = poster,
      .run = wait_50ms,
      .check = check_handler_post,
      .signo = SIGUSR1 },
    /* The kernel delivers the lower number first: SIGUSR1 before SIGALRM, SIGTERM after it. */
    { .name = "h32_wait_foreign",
      .setup = lazily_armed_and_handlers,
      .run = wait_10ms,
      .check = check_interrupted,
      .flags = RACE_BOTH,
      .signo = SIGTERM },
    { .name = "h32_wait_foreign_first",
      .setup = lazily_armed_and_handlers,
      .run = wait_10ms,
      .check = check_interrupted,
      .flags = RACE_BOTH,
      .signo = SIGUSR1 },
    { .name = "h32_wait_thread",
      .setup = thread_poster,
      .run = wait_50ms,
      .check = check_thread_post,
      .flags = RACE_THREAD },
    { .name = "h32_post_wakes",
      .setup = traced_poster,
      .run = wait_at_go,
      .check = check_woken,
      .flags = RACE_SECOND },
    { .name = "h32_post", .setup = near_armed, .run = post, .check = check_post },
    { .name = "h32_post_handler", .setup = poster, .run = post, .check = check_both_posts, .signo = SIGUSR1 },
    { .name = "h32_dispatch_handler",
      .setup = posted_once,
      .run = dispatch,
      .check = check_dispatch_post,
      .signo = SIGUSR1 },
    { .name = "h32_run_quit", .setup = quitter, .run = run, .check = check_run, .signo = SIGUSR1 },
    { .name = "h32_wakeup_fd", .setup = near_armed, .run = make_fd, .check = check_made },
    { .name = "h32_dispatch_fd", .setup = near_due_with_fd, .run = dispatch, .check = check_drained },
    { .name = NULL },
};
