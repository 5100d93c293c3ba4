/* SPDX-License-Identifier: MIT */
/*
 * pieces_child.c: aw_child_wait at every instruction, through the stub (_step) and through libc (_restart):
 *   - the child stays (h01): the wait ends at its deadline;
 *   - it ends as the alarm comes (h02): its status is delivered, or it is still to be waited for;
 *   - a watched signal, a timer, a post comes (h32): it is seen at once, and its callback's value comes out;
 *   - a guard around it expires (h12).
 */
#include "peers.h"
#include "scene.h"

#include <alarmwheel/child.h>
#include <alarmwheel/signal.h>

#include <errno.h>
#include <pthread.h>

/* What callbacks say here. */
#define SAID (-7)

static long result;
static uint64_t deadline_ns;
static volatile unsigned runs;

static bool has_stub(void)
{
    return awi_engine.interrupt == AW_INTERRUPT_STEP;
}

/* Through libc a call is interrupted by a nag, perhaps the second. */
#define NAGS_NS (has_stub() ? 0 : 100 * US)

static void step(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    race_running->peer->settle();
}

static void restart(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_RESTART);
    race_running->peer->settle();
}

static void posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    race_running->peer->settle();
}

static void wait_for(uint64_t timeout_ns)
{
    race_sleep_begins();
    result = race_running->peer->call(timeout_ns);
    race_sleep_ends();
}

static void wait_1ms(void)
{
    deadline_ns = race_page->now_ns + MS;
    wait_for(MS);
}

/* Nothing of the wait is left, and a timer works. */
static void check_rest(void)
{
    scene_quiet();
    scene_sound();
    shot_arm(&far_shot, MS);
    shot_expect(&far_shot);
    scene_settle();
    race_check(far_shot.runs == 1, "far ran %u times", far_shot.runs);
}

static void check_timed_out(void)
{
    race_check(result == -ETIMEDOUT, "returned %ld", result);
    race_check(race_page->now_ns >= deadline_ns, "timed out %lu ns early",
               (unsigned long)(deadline_ns - race_page->now_ns));
}

static void check_end(void)
{
    uint64_t since = race_page->now_ns - race_page->last_ns;

    if (race_page->injected_due)
        race_check(since <= NAGS_NS, "ended %lu ns later", (unsigned long)since);
}

/* The child stays. */
static void check_never(void)
{
    check_timed_out();
    check_end();
    race_running->peer->account(result, false);
    race_outcome(race_page->injected_ns == race_page->now_ns ? "timed out by it" : "timed out");
    check_rest();
}

/* It ends at the boundary. */
static void check_ready(void)
{
    if (result != 0)
        check_timed_out();
    race_running->peer->account(result, race_page->readied);
    race_outcome(result == 0 ? "delivered" : "timed out");
    check_rest();
}

/* A guard around it, and no time-out of its own. */

static void wait_in_guard(void)
{
    struct aw_guard *guard = scene_frame(0);

    deadline_ns = race_page->now_ns + MS;
    race_check(aw_guard_enter(guard, MS, AW_GUARD_DEFAULT) == 0, "enter");
    wait_for(AW_FOREVER);
    race_check(aw_guard_leave(guard) == -ETIMEDOUT, "left without -ETIMEDOUT");
}

/* A timer runs at the boundary, and what it says comes out. */

static void timer_step(void)
{
    step();
    near_shot.result = SAID;
    shot_arm(&near_shot, MS);
}

static void timer_restart(void)
{
    restart();
    near_shot.result = SAID;
    shot_arm(&near_shot, MS);
}

static void wait_5ms(void)
{
    deadline_ns = race_page->now_ns + 5 * MS;
    wait_for(5 * MS);
}

static void check_timer(void)
{
    uint64_t last = near_shot.due_ns;

    if (race_page->injected_ns > last)
        last = race_page->injected_ns;
    race_check(result == SAID && near_shot.runs == 1, "returned %ld, near ran %u times", result,
               near_shot.runs);
    race_check(race_page->now_ns <= last + TICK_NS + ROUND_NS + NAGS_NS, "ended late");
    race_running->peer->account(result, false);
    race_outcome(near_shot.ran_ns == race_page->injected_ns ? "ran at once" : "ran later");
    check_rest();
}

/* A watched signal, likewise. It may come when the wait is over: then it is seen at the next safe point. */

static int on_watched(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)arg;
    race_check(info->si_signo == SIGUSR1 && count == 1, "signal %d, count %lu", info->si_signo,
               (unsigned long)count);
    runs++;
    return SAID;
}

static void watch(void)
{
    race_check(aw_signal_watch(SIGUSR1, on_watched, NULL) == 0, "aw_signal_watch");
}

static void watch_step(void)
{
    step();
    watch();
}

static void watch_restart(void)
{
    restart();
    watch();
}

static void check_watched(void)
{
    bool came = race_page->injected_ns != 0;

    if (result == SAID) {
        race_check(runs == 1 && came, "ran %u times", runs);
        race_check(race_page->now_ns <= race_page->injected_ns + NAGS_NS, "seen %lu ns later",
                   (unsigned long)(race_page->now_ns - race_page->injected_ns));
        race_outcome("seen at once");
    } else {
        check_timed_out();
        race_check(!came || race_page->injected_ns >= deadline_ns, "a signal came, and the wait slept on");
        race_check(aw_safepoint() == (came ? SAID : 0) && runs == came, "ran %u times after it", runs);
        race_outcome(came ? "came after the wait" : "timed out");
    }
    race_running->peer->account(result, false);
    check_rest();
}

/* Another thread posts. */

static int posted(void *arg)
{
    (void)arg;
    runs++;
    return SAID;
}

static void *poster(void *arg)
{
    (void)arg;
    race_await_go();
    race_check(aw_post(posted, NULL) == 0, "aw_post");
    race_done();
    return NULL;
}

static void start_poster(void)
{
    pthread_t thread;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    race_check(pthread_create(&thread, NULL, poster, NULL) == 0, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void poster_step(void)
{
    step();
    start_poster();
}

static void poster_restart(void)
{
    restart();
    start_poster();
}

static void check_posted(void)
{
    if (result == SAID) {
        race_check(runs == 1, "ran %u times", runs);
        if (has_stub() && race_page->injected_ns != 0)
            race_check(race_page->now_ns == race_page->injected_ns, "it took a nag");
        race_outcome("seen at once");
    } else {
        check_timed_out();
        race_check(race_page->injected_ns == 0 || race_page->injected_ns >= deadline_ns,
                   "posted, and the wait slept on");
        race_outcome("posted later");
    }
}

#define PIECE(title, before, what, after, more)                                              \
    {                                                                                        \
        .name = title, .setup = before, .run = what, .check = after, .peer = &(peer_waited), \
        .flags = RACE_SLEEPS | (more)                                                        \
    }
#define BOTH(title, before, what, after, more)              \
    PIECE(title "_step", before##_step, what, after, more), \
        PIECE(title "_restart", before##_restart, what, after, more)

const struct race_piece child_pieces[] = {
    PIECE("h01_aw_child_wait_step", step, wait_1ms, check_never, 0),
    PIECE("h01_aw_child_wait_restart", restart, wait_1ms, check_never, 0),
    PIECE("h02_aw_child_wait_step", step, wait_1ms, check_ready, RACE_READY),
    PIECE("h02_aw_child_wait_restart", restart, wait_1ms, check_ready, RACE_READY),
    PIECE("h01_aw_child_wait_posix", posix, wait_1ms, check_never, RACE_ALARM_ONLY),
    PIECE("h02_aw_child_wait_posix", posix, wait_1ms, check_ready, RACE_READY | RACE_ALARM_ONLY),
    PIECE("h12_child_guard_step", step, wait_in_guard, check_never, RACE_ALARM_ONLY),
    PIECE("h12_child_guard_restart", restart, wait_in_guard, check_never, RACE_ALARM_ONLY),
    BOTH("h32_child_timer", timer, wait_5ms, check_timer, RACE_ALARM_ONLY),
    { .name = "h32_child_signal_step",
      .setup = watch_step,
      .run = wait_5ms,
      .check = check_watched,
      .peer = &peer_waited,
      .flags = RACE_SLEEPS,
      .signo = SIGUSR1 },
    { .name = "h32_child_signal_restart",
      .setup = watch_restart,
      .run = wait_5ms,
      .check = check_watched,
      .peer = &peer_waited,
      .flags = RACE_SLEEPS,
      .signo = SIGUSR1 },
    BOTH("h32_child_post", poster, wait_1ms, check_posted, RACE_THREAD),
    { .name = NULL },
};
