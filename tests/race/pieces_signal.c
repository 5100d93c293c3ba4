/* SPDX-License-Identifier: MIT */
/*
 * pieces_signal.c: hazard 32 for watched signals: one comes at every instruction of what waits, and is seen
 * at once: its callback runs, or aw_signal_wait returns it, without a moment of sleep in between. On the
 * owner's thread and on another one, through the stub (_step) and through libc (_restart). What is judged is
 * the fake clock at the callback: it moves only in a sleep.
 */
#include "scene.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <alarmwheel/io.h>

static int result;
static long call_result;
static uint64_t end_ns; /* of the wait, by its time-out */
static uint64_t ran_ns, counted;
static unsigned runs;
static siginfo_t info;
static int fds[2];

static int on_signal(const siginfo_t *last, uint64_t count, void *arg)
{
    (void)arg;
    race_check(last->si_signo == SIGUSR1, "a callback for signal %d", last->si_signo);
    runs++;
    counted += count;
    ran_ns = race_page->now_ns;
    return 0;
}

static void watch(void)
{
    race_check(aw_signal_watch(SIGUSR1, on_signal, NULL) == 0, "aw_signal_watch");
}

static void step(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    watch();
}

static void step_posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    watch();
}

static void restart(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_RESTART);
    watch();
}

/* Through libc a call is interrupted by a nag, perhaps the second. */
static uint64_t late_ns(void)
{
    return awi_engine.interrupt == AW_INTERRUPT_STEP ? 0 : 100 * US;
}

/* Without an event the other thread sends when the piece is over. */
static bool was_sent(void)
{
    return race_page->injected_ns != 0 || race_page->done;
}

/* After a safe point: it has run once, and no sleep lay between. */
static void check_seen(uint64_t late)
{
    scene_safepoint();
    race_check(runs == was_sent() && counted == runs, "ran %u times, for %u", runs, (unsigned)counted);
    if (race_page->injected_ns != 0)
        race_check(ran_ns <= race_page->injected_ns + late, "seen %lu us late",
                   (unsigned long)(ran_ns - race_page->injected_ns) / 1000);
    race_check(aw_signal_pending(&(sigset_t){ 0 }) == 0, "something is left");
}

/* Did it come before the wait's time was over? */
static bool came_in_time(void)
{
    return race_page->injected_ns != 0 && race_page->injected_ns < end_ns;
}

/* ---- aw_wait, aw_poll, aw_pause ---- */

static void wait_50ms(void)
{
    end_ns = race_page->now_ns + 50 * MS;
    result = aw_wait(50 * MS);
}

static void check_wait(void)
{
    race_check(result == (came_in_time() ? 1 : 0) || (!came_in_time() && result == 1), "returned %d", result);
    race_outcome(result == 1 ? "ran in the wait" : "came after the wait");
    check_seen(0);
}

static void pipe_step(void)
{
    step();
    race_check(pipe(fds) == 0, "pipe");
}

static void poll_50ms(void)
{
    struct pollfd fd = { .fd = fds[0], .events = POLLIN };

    end_ns = race_page->now_ns + 50 * MS;
    result = aw_poll(&fd, 1, 50 * MS);
}

static void check_poll(void)
{
    race_check(result == 0, "returned %d", result);
    race_check(race_page->now_ns >= end_ns, "the poll was short");
    race_outcome(runs != 0 ? "ran in the poll" : "came after it");
    race_check(runs != 0 || !came_in_time(), "the poll slept through it");
    check_seen(0);
}

/* A timer ends it where no signal does. */
static void pausing(void)
{
    step();
    near_shot.result = -7;
    shot_arm(&near_shot, 50 * MS);
}

static void pause_once(void)
{
    end_ns = near_shot.due_ns;
    result = aw_pause();
}

static void check_pause(void)
{
    race_check(result == 0 || (result == -7 && !came_in_time()), "returned %d", result);
    race_outcome(result == 0 ? "ended by it" : "ended by the timer");
    near_shot.result = 0;
    check_seen(0);
}

/* ---- aw_signal_wait ---- */

static int wait_for(int signo, uint64_t timeout_ns)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signo);
    end_ns = race_page->now_ns + timeout_ns;
    race_sleep_begins();
    int value = aw_signal_wait(&set, &info, timeout_ns);
    race_sleep_ends();
    return value;
}

/* For the signal itself: recorded before the set is blocked, pending after, and awake or asleep. */
static void wait_for_it(void)
{
    result = wait_for(SIGUSR1, 10 * MS);
}

static void check_taken(uint64_t late)
{
    if (came_in_time()) {
        race_check(result == SIGUSR1 && info.si_signo == SIGUSR1, "returned %d", result);
        race_check(race_page->now_ns <= race_page->injected_ns + late, "%lu us late",
                   (unsigned long)(race_page->now_ns - race_page->injected_ns) / 1000);
    }
    race_check(result == SIGUSR1 || result == -EAGAIN, "returned %d", result);
    race_outcome(result == SIGUSR1 ? "returned" : "came after it");
    scene_safepoint();
    race_check(runs == (was_sent() && result != SIGUSR1), "the callback ran %u times", runs);
    scene_quiet();
}

static void check_own(void)
{
    check_taken(0);
}

/* For another: the callback runs, and the wait goes on to its end. */
static void wait_for_another(void)
{
    result = wait_for(SIGUSR2, 10 * MS);
}

static void check_another(void)
{
    race_check(result == -EAGAIN, "returned %d", result);
    race_check(race_page->now_ns >= end_ns, "the wait was short");
    race_outcome(runs != 0 ? "ran in the wait" : "came after it");
    race_check(runs != 0 || !came_in_time(), "the wait slept through it");
    check_seen(late_ns());
    scene_quiet();
}

/* ---- a guarded call ---- */

static void pipe_restart(void)
{
    restart();
    race_check(pipe(fds) == 0, "pipe");
}

static void read_10ms(void)
{
    char byte;

    end_ns = race_page->now_ns + 10 * MS;
    race_sleep_begins();
    call_result = aw_read(fds[0], &byte, 1, 10 * MS);
    race_sleep_ends();
}

static void check_read(void)
{
    race_check(call_result == -1 && errno == ETIMEDOUT && aw_timed_out(), "returned %ld", call_result);
    race_check(race_page->now_ns >= end_ns, "the call was short");
    race_outcome(runs != 0 ? "ran in the call" : "came after it");
    race_check(runs != 0 || !came_in_time(), "the call slept through it");
    check_seen(late_ns());
    scene_quiet();
}

/* ---- the handler runs on another thread ---- */

static void *raise_at_go(void *arg)
{
    (void)arg;
    race_page->tid = (uint32_t)syscall(SYS_gettid);
    race_await_go();
    raise(SIGUSR1);
    race_done();
    for (;;)
        pause();
    return NULL;
}

/* It takes that signal alone, and has its mask from the start: the tracer's breakpoints are for the other. */
static void start_thread(void *(*body)(void *))
{
    sigset_t others, old;
    pthread_t thread;

    sigfillset(&others);
    sigdelset(&others, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &others, &old);
    race_check(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void thread_step(void)
{
    step();
    start_thread(raise_at_go);
}

static void thread_restart(void)
{
    restart();
    start_thread(raise_at_go);
}

static void await_other(void)
{
    while (!race_page->done)
        usleep(100);
}

static void check_thread_wait(void)
{
    await_other();
    check_wait();
}

static void check_thread_own(void)
{
    await_other();
    check_taken(late_ns());
}

/* And the other way round: the handler stands at the boundary, and the owner goes to sleep. */
static void *raise_traced(void *arg)
{
    (void)arg;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    race_page->tid = (uint32_t)syscall(SYS_gettid);
    race_mark(RACE_RUNNING);
    raise(SIGUSR1);
    race_mark(RACE_ENDED);
    race_done();
    for (;;)
        pause();
    return NULL;
}

static void traced_raiser(void)
{
    step();
    race_page->real_sleep = 1;
    start_thread(raise_traced);
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
    race_check(result == 1 && runs == 1 && counted == 1, "returned %d, ran %u times", result, runs);
}

#define SIGNAL(title, before, what, after, more)                                                       \
    {                                                                                                  \
        .name = title, .setup = before, .run = what, .check = after, .flags = (more), .signo = SIGUSR1 \
    }
#define THREAD(title, before, what, after, more)                                     \
    {                                                                                \
        .name = title, .setup = before, .run = what, .check = after, .flags = (more) \
    }

const struct race_piece signal_pieces[] = {
    SIGNAL("h32_signal_wait", step, wait_50ms, check_wait, 0),
    SIGNAL("h32_signal_wait_posix", step_posix, wait_50ms, check_wait, 0),
    SIGNAL("h32_signal_poll", pipe_step, poll_50ms, check_poll, 0),
    SIGNAL("h32_signal_pause", pausing, pause_once, check_pause, 0),
    SIGNAL("h32_signal_own_step", step, wait_for_it, check_own, RACE_SLEEPS),
    SIGNAL("h32_signal_own_restart", restart, wait_for_it, check_own, RACE_SLEEPS),
    SIGNAL("h32_signal_another_step", step, wait_for_another, check_another, RACE_SLEEPS),
    SIGNAL("h32_signal_another_restart", restart, wait_for_another, check_another, RACE_SLEEPS),
    SIGNAL("h32_signal_read_step", pipe_step, read_10ms, check_read, RACE_SLEEPS),
    SIGNAL("h32_signal_read_restart", pipe_restart, read_10ms, check_read, RACE_SLEEPS),
    THREAD("h32_signal_thread_wait", thread_step, wait_50ms, check_thread_wait, RACE_THREAD),
    THREAD("h32_signal_thread_own_step", thread_step, wait_for_it, check_thread_own,
           RACE_SLEEPS | RACE_THREAD),
    THREAD("h32_signal_thread_own_restart", thread_restart, wait_for_it, check_thread_own,
           RACE_SLEEPS | RACE_THREAD),
    THREAD("h32_signal_wakes", traced_raiser, wait_at_go, check_woken, RACE_SECOND),
    { .name = NULL },
};
