/* SPDX-License-Identifier: MIT */
/*
 * toy_pieces.c: the race checker's self-test: three pieces over the toy, which must pass, and must be caught
 * on its broken copies.
 */
#include "race.h"
#include "toy.h"

#include <errno.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static int ran;
static uint64_t begun_ns, ran_ns;
static int fds[2];
static int result, error;

static void fire(void)
{
    ran++;
    ran_ns = race_page->now_ns;
}

static void setup(void)
{
    toy_start(fire);
    begun_ns = race_page->now_ns;
    race_page->jump_ns = begun_ns + 2 * MS;
    race_page->late_ns = begun_ns + 100 * MS;
}

static void arm(void)
{
    toy_arm(MS);
}

static void check_arm(void)
{
    uint64_t bound = race_page->now_ns;

    for (int i = 0; i < 10 && ran == 0; i++) {
        race_deliver();
        toy_run();
        if (ran == 0) {
            race_check(race_page->alarm_at_ns != 0, "armed, but no alarm will go off");
            race_advance_to(race_page->alarm_at_ns);
        }
    }
    race_check(ran == 1, "ran %d times", ran);
    race_check(ran_ns >= begun_ns + MS, "early");
    race_outcome(ran_ns == bound ? "at once" : "by its alarm");
}

static void setup_wait(void)
{
    setup();
    toy_arm(MS);
}

static void wait_for_it(void)
{
    toy_wait(10 * MS);
}

static void check_wait(void)
{
    uint64_t due_ns = begun_ns + MS;

    race_check(ran == 1, "ran %d times", ran);
    if (race_page->injected_ns > due_ns)
        due_ns = race_page->injected_ns;
    race_check(ran_ns >= begun_ns + MS, "early");
    race_check(ran_ns <= due_ns, "overslept by %lu us", (unsigned long)(ran_ns - due_ns) / 1000);
    race_outcome(race_page->slept_ns == 0 ? "did not sleep" : "slept");
}

static void setup_read(void)
{
    setup();
    if (pipe(fds) != 0)
        race_fail("pipe");
}

static void read_bounded(void)
{
    race_sleep_begins();
    errno = 0;
    result = toy_read(fds[0], MS);
    error = errno;
    race_sleep_ends();
}

static void check_read(void)
{
    race_check(result == -1 && error == EINTR, "read: %d, errno %d", result, error);
    race_check(race_page->now_ns >= begun_ns + MS, "early");
    race_outcome("interrupted");
}

static const struct race_piece pieces[] = {
    { .name = "toy_arm", .setup = setup, .run = arm, .check = check_arm },
    { .name = "toy_wait", .setup = setup_wait, .run = wait_for_it, .check = check_wait },
    { .name = "toy_read",
      .setup = setup_read,
      .run = read_bounded,
      .check = check_read,
      .flags = RACE_SLEEPS },
    { .name = NULL },
};

const struct race_piece *const race_pieces[] = { pieces, NULL };
