/* SPDX-License-Identifier: MIT */
/*
 * pieces_engine.c: hazards 11 and 21: the alarm lands while the engine starts or stops. Here the kernel sends
 * only what was armed: a program that has set no alarm gets none.
 *
 * A foreign alarm that runs at aw_init reaches its handler exactly once, whether it goes off before our
 * handler stands, while the signal is blocked, between reading what is left of it and stopping it, or later
 * under our management. A shutdown is survived with SIG_DFL beneath, whatever is pending. Nothing comes after
 * it.
 */
#include "scene.h"

#include <sys/time.h>

static int result;
static volatile unsigned foreign_runs;
static volatile uint64_t foreign_ran_ns;
static uint64_t foreign_due_ns;

static void on_foreign(int signo)
{
    (void)signo;
    foreign_runs++;
    foreign_ran_ns = race_page->now_ns;
    race_check(race_page->now_ns >= foreign_due_ns, "the foreign alarm came early");
}

static void clocks(void)
{
    scene_begin_ns = race_page->now_ns;
    race_page->jump_ns = scene_begin_ns + 2 * MS;
    race_page->late_ns = scene_begin_ns + 60 * MS;
}

static void foreign_alarm(uint64_t us)
{
    struct sigaction action = { .sa_handler = on_foreign, .sa_flags = SA_RESTART };
    struct itimerval value = { { 0, 0 }, { 0, (suseconds_t)us } };

    clocks();
    race_check(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    race_check(setitimer(ITIMER_REAL, &value, NULL) == 0, "setitimer");
    foreign_due_ns = scene_begin_ns + us * US;
}

static void (*disposition(void))(int)
{
    struct sigaction now;

    sigaction(race_alarm_signo(), NULL, &now);
    return now.sa_flags & SA_SIGINFO ? NULL : now.sa_handler;
}

static bool is_blocked(void)
{
    sigset_t mask;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, race_alarm_signo()) == 1;
}

/* aw_init over an alarm that runs. */

static void foreign_in_1ms(void)
{
    foreign_alarm(1000);
}

static void init(void)
{
    result = aw_init(NULL);
}

static void check_init(void)
{
    uint64_t last = foreign_due_ns;

    race_check(result == 0, "aw_init returned %d", result);
    race_check(!is_blocked(), "left blocked");
    race_outcome(foreign_runs != 0 ? "came within" : "came later");
    /* The clock may have jumped between reading what is left of it and reading the clock: then it is that
     * much later. */
    if (race_page->injected_ns != 0)
        last = race_page->injected_ns + MS;
    for (int i = 0; i < 10 && foreign_runs == 0 && race_page->alarm_at_ns != 0; i++) {
        race_advance_to(race_page->alarm_at_ns);
        aw_safepoint();
    }
    race_check(foreign_runs == 1, "the foreign alarm came %u times", foreign_runs);
    race_check(foreign_runs == 0 || foreign_ran_ns <= last + ROUND_NS, "the foreign alarm came late");
    /* The engine works ... */
    shot_create(&near_shot);
    shot_arm(&near_shot, MS);
    shot_expect(&near_shot);
    scene_settle();
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
    /* ... and goes. */
    race_check(aw_shutdown() == 0, "aw_shutdown");
    race_check(disposition() == on_foreign, "the foreign handler was not given back");
    race_advance_to(race_page->now_ns + 100 * MS);
    race_check(foreign_runs == 1, "the foreign alarm came %u times", foreign_runs);
}

/* aw_init over a handler without an alarm: a signal of kill(2) reaches it at every boundary. */
static void foreign_handler(void)
{
    foreign_alarm(0);
}

static void check_stray_init(void)
{
    race_check(result == 0, "aw_init returned %d", result);
    race_check(foreign_runs == (race_page->injected_ns != 0), "the handler ran %u times for one signal",
               foreign_runs);
    race_check(aw_shutdown() == 0, "aw_shutdown");
    race_check(disposition() == on_foreign, "the foreign handler was not given back");
    race_outcome("passed on");
}

/* aw_shutdown with a timer armed. */

static void near_armed(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    shot_arm(&near_shot, MS);
}

/* The same with a real-time signal of a POSIX timer. */
static void near_armed_posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    shot_arm(&near_shot, MS);
}

static void stop(void)
{
    result = aw_shutdown();
}

static void check_shutdown(void)
{
    race_check(result == 0, "aw_shutdown returned %d", result);
    race_check(disposition() == SIG_DFL, "SIG_DFL was not given back");
    race_check(!is_blocked(), "left blocked");
    race_check(race_page->alarm_at_ns == 0, "an alarm was left armed");
    race_check(near_shot.runs == 0, "a timer ran");
    race_check(aw_safepoint() == 0, "a flag was left");
    race_check(aw_init(NULL) == 0 && aw_shutdown() == 0, "it does not start again");
    race_outcome("survived");
}

/* A foreign alarm that is not due yet goes on, and reaches the handler that is given back. */

static void near_and_foreign(void)
{
    foreign_alarm(5000);
    near_armed();
}

static void check_foreign_goes_on(void)
{
    race_check(result == 0, "aw_shutdown returned %d", result);
    race_check(disposition() == on_foreign, "the foreign handler was not given back");
    race_check(near_shot.runs == 0, "a timer ran");
    race_outcome(foreign_runs != 0 ? "came within" : "came later");
    race_advance_to(race_page->now_ns + 100 * MS);
    race_check(foreign_runs == 1, "the foreign alarm came %u times", foreign_runs);
}

#define KERNEL (RACE_ONLY_ARMED | RACE_NO_STRAY)

const struct race_piece engine_pieces[] = {
    { .name = "h21_init", .setup = foreign_in_1ms, .run = init, .check = check_init, .flags = KERNEL },
    { .name = "h21_init_stray",
      .setup = foreign_handler,
      .run = init,
      .check = check_stray_init,
      .signo = SIGALRM },
    { .name = "h11_shutdown", .setup = near_armed, .run = stop, .check = check_shutdown, .flags = KERNEL },
    { .name = "h11_shutdown_posix",
      .setup = near_armed_posix,
      .run = stop,
      .check = check_shutdown,
      .flags = KERNEL },
    { .name = "h21_shutdown",
      .setup = near_and_foreign,
      .run = stop,
      .check = check_foreign_goes_on,
      .flags = KERNEL },
    { .name = NULL },
};
