/* SPDX-License-Identifier: MIT */
/*
 * pieces_escape_calls.c: hazards 2, 16 and 30: what else is going on inside a guard that escapes when the
 * alarm lands: a guarded call whose result is taken under a shield, a full read or write between two of its
 * parts, a plain call that sleeps, a change of the library's own structures, a callback, a handler of
 * somebody else.
 */
#include "escapes.h"
#include "peers.h"

#include <errno.h>
#include <unistd.h>

static volatile int descriptor = -1;
static volatile unsigned began, ended; /* of a callback, or of another's handler */
static void (*within)(void);

/* A guard around `within`. */
RACE_UNDER_TEST static void in_guard(void)
{
    struct aw_guard guard;

    race_sleep_begins();
    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE) {
        race_page->stage = WITHIN;
        within();
        race_page->stage = BEHIND;
        did.outer_finished = 1;
    }
    AW_EXPIRED
    {
        did.outer_expired++;
    }
    race_page->stage = OUTSIDE;
    race_sleep_ends();
    did.passed = true;
}

/* The guarded open of the documentation: its result is taken under a shield. */

RACE_UNDER_TEST static void open_shielded(void)
{
    struct aw_guard guard;

    race_sleep_begins();
    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE) {
        aw_shield();
        descriptor = (int)race_running->peer->call(AW_FOREVER);
        aw_unshield();
        race_page->stage = WITHIN;
        compute();
        race_page->stage = BEHIND;
        did.outer_finished = 1;
    }
    AW_EXPIRED
    {
        did.outer_expired++;
    }
    race_page->stage = OUTSIDE;
    race_sleep_ends();
    did.passed = true;
}

static void check_open(void)
{
    race_running->peer->account(descriptor, race_page->readied);
    race_check(descriptor >= 0 || did.outer_expired == 1, "no descriptor, and not expired");
    if (escapes_expired_at(WITHIN))
        race_check(did.outer_finished == 0 && did.outer_expired == 1, "not escaped at once");
    escapes_check_rest();
    race_outcome(descriptor < 0 ? "timed out" : did.outer_expired == 0 ? "granted" : "granted, and expired");
}

/* Without a shield: nobody comes, and the guard ends what sleeps in it, plain or guarded. */

static void read_plainly(void)
{
    char byte;

    did.returned = (int)read(peer_fds[0], &byte, 1);
}

static void read_guarded(void)
{
    char byte;

    did.returned = (int)aw_read(peer_fds[0], &byte, 1, AW_FOREVER);
}

/* A full read or write: *done says how far it came, wherever the escape is made. */
static void call_it(void)
{
    did.returned = (int)race_running->peer->call(AW_FOREVER);
}

static void wait_in_it(void)
{
    did.returned = aw_wait(10 * MS);
}

static void plain_step(void)
{
    escapes_step();
    within = read_plainly;
}

static void plain_restart(void)
{
    escapes_restart();
    within = read_plainly;
}

static void guarded_step(void)
{
    escapes_step();
    within = read_guarded;
}

static void guarded_restart(void)
{
    escapes_restart();
    within = read_guarded;
}

static void full_step(void)
{
    escapes_step();
    within = call_it;
}

static void full_restart(void)
{
    escapes_restart();
    within = call_it;
}

static void check_full(void)
{
    race_running->peer->account(did.returned, race_page->readied);
    race_check(did.returned >= 0, "the escape that the call put off was not made");
    escapes_check_rest();
    race_outcome(did.outer_finished == 0 ? "escaped" : did.outer_expired != 0 ? "done, and expired" : "done");
}

static void waits(void)
{
    escapes_step();
    within = wait_in_it;
}

static void check_sleep(void)
{
    race_check(did.outer_expired == 1 && did.outer_finished == 0, "not escaped from where it slept");
    escapes_check_rest();
}

/* The library in the middle of its changes: it is not left, and the wheel stays whole. */

static int count_run(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return 0;
}

RACE_UNDER_TEST static void change_timers(void)
{
    struct aw_timer timer;

    if (aw_timer_create(&timer, count_run, NULL) != 0)
        return;
    aw_timer_arm(timer, 4 * MS);
    aw_timer_arm(timer, 3 * MS);
    aw_timer_arm(near_shot.timer, 2 * MS);
    aw_timer_disarm(timer);
    aw_timer_delete(timer);
}

static void changes(void)
{
    escapes_step();
    within = change_timers;
}

static void check_changes(void)
{
    scene_sound();
    scene_settle();
    escapes_check_rest();
}

/* A callback that runs inside the guard comes to its end, and the dispatch, too. */

RACE_UNDER_TEST static int callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    began++;
    compute();
    ended++;
    return 0;
}

static void dispatch(void)
{
    did.returned = aw_dispatch(0);
}

static void dispatches(void)
{
    struct aw_timer timer;

    escapes_step();
    within = dispatch;
    race_check(aw_timer_create(&timer, callback, NULL) == 0, "create");
    race_check(aw_timer_arm(timer, MS / 4) == 0, "arm");
    race_advance_to(escapes_begun_ns + MS / 2);
    race_page->jump_ns = escapes_begun_ns + 3 * MS;
}

static void check_dispatched(void)
{
    race_check(began == ended, "a callback was torn");
    race_check(did.outer_finished == 0 || began == 1, "the callback ran %u times", began);
    escapes_check_rest();
    race_check(began == 1 && ended == 1, "the callback ran %u times", began);
}

/* Another's handler comes to its end; the safe point behind it makes the escape. */

RACE_UNDER_TEST static void on_foreign(int signo)
{
    (void)signo;
    began++;
    compute();
    ended++;
}

RACE_UNDER_TEST static void compute_and_look(void)
{
    compute();
    race_page->stage = BEFORE;
    did.returned = aw_safepoint();
}

static void foreign(void)
{
    struct sigaction action = { .sa_handler = on_foreign, .sa_flags = SA_RESTART | SA_NODEFER };

    escapes_step();
    within = compute_and_look;
    race_check(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static void check_foreign(void)
{
    race_check(began == ended && began == (race_page->injected_ns != 0),
               "the handler began %u times, ended %u", began, ended);
    if (escapes_expired_at(WITHIN))
        race_check(did.outer_finished == 0 && did.outer_expired == 1, "the safe point did not escape");
    escapes_check_rest();
}

const struct race_piece escape_call_pieces[] = {
    { .name = "h02_escape_open_step",
      .setup = escapes_step,
      .run = open_shielded,
      .check = check_open,
      .peer = &peer_fifo,
      .flags = RACE_SLEEPS | RACE_READY },
    { .name = "h02_escape_open_restart",
      .setup = escapes_restart,
      .run = open_shielded,
      .check = check_open,
      .peer = &peer_fifo,
      .flags = RACE_SLEEPS | RACE_READY },
    { .name = "h01_escape_open_step",
      .setup = escapes_step,
      .run = open_shielded,
      .check = check_open,
      .peer = &peer_fifo,
      .flags = RACE_SLEEPS | RACE_ALARM_ONLY },
    { .name = "h01_escape_open_restart",
      .setup = escapes_restart,
      .run = open_shielded,
      .check = check_open,
      .peer = &peer_fifo,
      .flags = RACE_SLEEPS | RACE_ALARM_ONLY },
    { .name = "h01_escape_plain_step",
      .setup = plain_step,
      .run = in_guard,
      .check = check_sleep,
      .peer = &peer_pipe,
      .flags = RACE_SLEEPS },
    { .name = "h01_escape_plain_restart",
      .setup = plain_restart,
      .run = in_guard,
      .check = check_sleep,
      .peer = &peer_pipe,
      .flags = RACE_SLEEPS | RACE_ALARM_ONLY },
    { .name = "h01_escape_read_step",
      .setup = guarded_step,
      .run = in_guard,
      .check = check_sleep,
      .peer = &peer_pipe,
      .flags = RACE_SLEEPS | RACE_ALARM_ONLY },
    { .name = "h01_escape_read_restart",
      .setup = guarded_restart,
      .run = in_guard,
      .check = check_sleep,
      .peer = &peer_pipe,
      .flags = RACE_SLEEPS | RACE_ALARM_ONLY },
    { .name = "h02_escape_read_full_step",
      .setup = full_step,
      .run = in_guard,
      .check = check_full,
      .peer = &peer_parts,
      .flags = RACE_SLEEPS | RACE_READY | RACE_ALARM_ONLY },
    { .name = "h02_escape_read_full_restart",
      .setup = full_restart,
      .run = in_guard,
      .check = check_full,
      .peer = &peer_parts,
      .flags = RACE_SLEEPS | RACE_READY | RACE_ALARM_ONLY },
    { .name = "h02_escape_write_full_step",
      .setup = full_step,
      .run = in_guard,
      .check = check_full,
      .peer = &peer_room,
      .flags = RACE_SLEEPS | RACE_READY | RACE_ALARM_ONLY },
    { .name = "h02_escape_write_full_restart",
      .setup = full_restart,
      .run = in_guard,
      .check = check_full,
      .peer = &peer_room,
      .flags = RACE_SLEEPS | RACE_READY | RACE_ALARM_ONLY },
    { .name = "h17_escape_wait",
      .setup = waits,
      .run = in_guard,
      .check = check_sleep,
      .flags = RACE_ALARM_ONLY },
    { .name = "h16_escape_timers", .setup = changes, .run = in_guard, .check = check_changes },
    { .name = "h30_escape_dispatch", .setup = dispatches, .run = in_guard, .check = check_dispatched },
    { .name = "h16_escape_foreign",
      .setup = foreign,
      .run = in_guard,
      .check = check_foreign,
      .signo = SIGUSR1,
      .flags = RACE_BOTH },
    { .name = NULL },
};
