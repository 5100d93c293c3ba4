/* SPDX-License-Identifier: MIT */
/*
 * pieces_guard.c: hazards 1, 11 and 12: the alarm lands while a guard is entered or left, or between the
 * guard and the system call that it bounds. The interleavings of interest:
 *   - the guard is counted before its entry is written: the handler judges by what another guard left there;
 *   - the deadline passes before the alarm is programmed, or between programming it and saying so;
 *   - the guard expires while it is being left: it was late or it was not, but its flag must not outlive it,
 * nor fall on the guard that is entered there next;
 *   - an inner guard's leaving clears the flag that an outer one has raised just now;
 *   - the signal comes before the system-call instruction: the handler steps over it, or the nag finds the
 * call asleep.
 */
#include "scene.h"

#include <errno.h>
#include <unistd.h>

static int result, inner_result, bytes, error;
static int fds[2];
static uint64_t deadline_ns, outer_deadline_ns;

static struct aw_guard *guard(unsigned which)
{
    return scene_frame(which * 2048);
}

static void step(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    race_check(pipe(fds) == 0, "pipe");
}

static void restart(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_RESTART);
    race_check(pipe(fds) == 0, "pipe");
}

static void posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    race_check(pipe(fds) == 0, "pipe");
}

/* After all guards were left: peace, and a timer works. */
static void check_peace(void)
{
    scene_quiet();
    shot_arm(&far_shot, MS);
    shot_expect(&far_shot);
    scene_settle();
    race_check(far_shot.runs == 1, "far ran %u times", far_shot.runs);
}

/* Lets time pass to the guard's deadline, by the alarm; a safe point inside then says so, and none before
 * did. */
static void expect_expiry(uint64_t due_ns)
{
    if (race_page->now_ns < due_ns)
        race_check(scene_safepoint() == 0, "expired %lu ns early",
                   (unsigned long)(due_ns - race_page->now_ns));
    for (int alarms = 0; alarms < 50; alarms++) {
        race_advance_to(race_page->now_ns + ROUND_NS);
        if (race_page->now_ns >= due_ns && scene_safepoint() == -ETIMEDOUT)
            return;
        scene_sound();
        if (race_page->alarm_at_ns == 0)
            break;
        race_advance_to(race_page->alarm_at_ns);
    }
    race_fail("the guard did not expire");
}

/* Entering. */

static void enter(void)
{
    deadline_ns = race_page->now_ns + MS;
    result = aw_guard_enter(guard(0), MS, AW_GUARD_DEFAULT);
}

static void enter_coarse(void)
{
    deadline_ns = race_page->now_ns + MS;
    result = aw_guard_enter(guard(0), MS, AW_GUARD_COARSE);
}

static void check_enter(void)
{
    uint64_t lateness;

    race_check(result == 0, "aw_guard_enter returned %d", result);
    scene_sound();
    race_check(!aw_guard_expired(guard(0)) || race_page->now_ns >= deadline_ns, "expired early");
    race_outcome(aw_guard_expired(guard(0)) ? "expired in it" : "expired later");
    /* It was entered while the clock jumped, perhaps: then it is due a millisecond after that, or a tick of
     * the coarse clock. */
    expect_expiry(aw_guard_expired(guard(0))        ? deadline_ns
                  : race_page->now_ns < deadline_ns ? deadline_ns
                                                    : race_page->now_ns);
    lateness = aw_guard_lateness_ns(guard(0));
    race_check(lateness <= 60 * MS, "noticed %lu ns late", (unsigned long)lateness);
    race_check(aw_guard_leave(guard(0)) == -ETIMEDOUT, "left without -ETIMEDOUT");
    check_peace();
}

/* Entered where another guard expired before: its entry and its bit must be its own. */
static void expired_before(void)
{
    step();
    race_check(aw_guard_enter(guard(1), MS / 2, AW_GUARD_DEFAULT) == 0, "enter");
    race_advance_to(scene_begin_ns + MS / 2 + ROUND_NS);
    race_check(aw_guard_leave(guard(1)) == -ETIMEDOUT, "leave");
    race_page->jump_ns = race_page->now_ns + MS / 2;
}

static void enter_ten(void)
{
    deadline_ns = race_page->now_ns + 10 * MS;
    result = aw_guard_enter(guard(0), 10 * MS, AW_GUARD_DEFAULT);
}

static void check_enter_fresh(void)
{
    race_check(result == 0, "aw_guard_enter returned %d", result);
    if (race_page->now_ns < deadline_ns) {
        race_check(!aw_guard_expired(guard(0)), "it inherited an expiry");
        race_check(aw_safepoint() == 0, "it inherited a report");
        race_check(aw_guard_leave(guard(0)) == 0, "left as expired");
        race_outcome("in time");
    } else {
        result = aw_guard_leave(guard(0));
        race_check(result == 0 || result == -ETIMEDOUT, "aw_guard_leave returned %d", result);
        race_outcome("late");
    }
    check_peace();
}

/* Leaving, within an outer guard. */

static void two_entered(void)
{
    step();
    outer_deadline_ns = scene_begin_ns + 5 * MS;
    deadline_ns = scene_begin_ns + MS;
    race_check(aw_guard_enter(guard(0), 5 * MS, AW_GUARD_DEFAULT) == 0, "enter");
    race_check(aw_guard_enter(guard(1), MS, AW_GUARD_DEFAULT) == 0, "enter");
}

static void leave_inner(void)
{
    inner_result = aw_guard_leave(guard(1));
}

static void check_leave_inner(void)
{
    if (inner_result == -ETIMEDOUT)
        race_check(race_page->now_ns >= deadline_ns, "expired early");
    else
        race_check(inner_result == 0 ||
                       (inner_result == -ECANCELED && race_page->now_ns >= outer_deadline_ns),
                   "aw_guard_leave returned %d", inner_result);
    race_outcome(inner_result == 0 ? "in time" : inner_result == -ETIMEDOUT ? "late" : "cancelled");
    race_check(aw_guard_mark() == 1, "%d guards are entered", aw_guard_mark());
    scene_sound();
    expect_expiry(outer_deadline_ns);
    race_check(aw_guard_leave(guard(0)) == -ETIMEDOUT, "the outer guard was left without -ETIMEDOUT");
    check_peace();
}

/* Both expire at the boundary: whatever the inner one's leaving clears, the outer one is reported. */
static void two_close(void)
{
    step();
    outer_deadline_ns = scene_begin_ns + MS + MS / 2;
    deadline_ns = scene_begin_ns + MS;
    race_check(aw_guard_enter(guard(0), MS + MS / 2, AW_GUARD_DEFAULT) == 0, "enter");
    race_check(aw_guard_enter(guard(1), MS, AW_GUARD_DEFAULT) == 0, "enter");
    race_advance_to(scene_begin_ns + MS + ROUND_NS);
    race_check(aw_guard_expired(guard(1)), "not expired");
}

/* One guard, left when it has expired, and again when it has not. */
static void one_entered(void)
{
    step();
    deadline_ns = scene_begin_ns + MS;
    race_check(aw_guard_enter(guard(0), MS, AW_GUARD_DEFAULT) == 0, "enter");
}

static void one_expired_restart(void)
{
    restart();
    deadline_ns = scene_begin_ns + MS;
    race_check(aw_guard_enter(guard(0), MS, AW_GUARD_DEFAULT) == 0, "enter");
    race_advance_to(deadline_ns + ROUND_NS);
}

static void leave(void)
{
    result = aw_guard_leave(guard(0));
}

static void check_leave(void)
{
    if (result == -ETIMEDOUT)
        race_check(race_page->now_ns >= deadline_ns, "expired early");
    else
        race_check(result == 0, "aw_guard_leave returned %d", result);
    race_outcome(result == 0 ? "in time" : "late");
    check_peace();
}

/* A safe point that reports the guard, while the next guard around it expires. */
static void safepoint(void)
{
    result = aw_safepoint();
}

static void check_safepoint(void)
{
    race_check(result == -ETIMEDOUT, "the safe point returned %d", result);
    race_check(aw_guard_leave(guard(1)) == -ETIMEDOUT, "the inner guard was left without -ETIMEDOUT");
    expect_expiry(outer_deadline_ns);
    race_outcome("reported");
    race_check(aw_guard_leave(guard(0)) == -ETIMEDOUT, "the outer guard was left without -ETIMEDOUT");
    check_peace();
}

/* A plain blocking read inside: it ends with EINTR, whichever instruction the alarm lands on. */

static void read_one(void)
{
    char byte;

    race_sleep_begins();
    errno = 0;
    bytes = (int)read(fds[0], &byte, 1);
    error = errno;
    race_sleep_ends();
}

static void read_bounded(void)
{
    deadline_ns = race_page->now_ns + MS;
    result = aw_guard_enter(guard(0), MS, AW_GUARD_DEFAULT);
    read_one();
    inner_result = aw_guard_leave(guard(0));
}

static void check_read(void)
{
    race_check(result == 0, "aw_guard_enter returned %d", result);
    race_check(bytes == -1 && error == EINTR, "read returned %d, errno %d", bytes, error);
    race_check(inner_result == -ETIMEDOUT, "aw_guard_leave returned %d", inner_result);
    race_check(race_page->now_ns >= deadline_ns, "interrupted early");
    race_outcome("interrupted");
    check_peace();
}

/* Two guards around it, and two reads: the inner one ends the first, the outer one the second. */
static void read_twice(void)
{
    outer_deadline_ns = race_page->now_ns + 3 * MS;
    result = aw_guard_enter(guard(0), 3 * MS, AW_GUARD_DEFAULT);
    deadline_ns = race_page->now_ns + MS;
    if (aw_guard_enter(guard(1), MS, AW_GUARD_DEFAULT) != 0)
        result = -1;
    read_one();
    inner_result = aw_guard_leave(guard(1));
    race_check(bytes == -1 && error == EINTR, "the first read returned %d, errno %d", bytes, error);
    read_one();
}

static void check_read_twice(void)
{
    race_check(result == 0, "aw_guard_enter failed");
    race_check(inner_result == -ETIMEDOUT ||
                   (inner_result == -ECANCELED && race_page->injected_ns >= outer_deadline_ns),
               "the inner aw_guard_leave returned %d", inner_result);
    race_check(bytes == -1 && error == EINTR, "the second read returned %d, errno %d", bytes, error);
    race_check(race_page->now_ns >= outer_deadline_ns, "interrupted early");
    race_check(aw_guard_leave(guard(0)) == -ETIMEDOUT, "the outer guard was left without -ETIMEDOUT");
    race_outcome("interrupted");
    check_peace();
}

/* What is read is not lost: a byte that is there comes out, expired or not, or stays in the pipe after an
 * EINTR. */
static void byte_waits(void)
{
    one_entered();
    race_check(write(fds[1], "x", 1) == 1, "write");
}

static void read_byte(void)
{
    char byte;

    bytes = (int)read(fds[0], &byte, 1);
    error = errno;
}

static void check_byte(void)
{
    char byte = 0;

    race_check(bytes == 1 || (bytes == -1 && error == EINTR && race_page->now_ns >= deadline_ns),
               "read returned %d, errno %d", bytes, error);
    result = aw_guard_leave(guard(0));
    race_check(result == 0 || result == -ETIMEDOUT, "aw_guard_leave returned %d", result);
    race_check(bytes == 1 || (read(fds[0], &byte, 1) == 1 && byte == 'x'), "the byte is lost");
    race_outcome(bytes == 1 ? "read" : "left there");
    check_peace();
}

const struct race_piece guard_pieces[] = {
    { .name = "h01_guard_enter", .setup = step, .run = enter, .check = check_enter },
    { .name = "h01_guard_coarse", .setup = step, .run = enter_coarse, .check = check_enter },
    { .name = "h12_guard_fresh", .setup = expired_before, .run = enter_ten, .check = check_enter_fresh },
    { .name = "h12_leave_inner", .setup = two_entered, .run = leave_inner, .check = check_leave_inner },
    { .name = "h12_leave_both", .setup = two_close, .run = leave_inner, .check = check_leave_inner },
    { .name = "h11_leave", .setup = one_entered, .run = leave, .check = check_leave },
    { .name = "h11_leave_restart", .setup = one_expired_restart, .run = leave, .check = check_leave },
    { .name = "h12_safepoint", .setup = two_close, .run = safepoint, .check = check_safepoint },
    { .name = "h01_read_step",
      .setup = step,
      .run = read_bounded,
      .check = check_read,
      .flags = RACE_SLEEPS },
    { .name = "h01_read_restart",
      .setup = restart,
      .run = read_bounded,
      .check = check_read,
      .flags = RACE_SLEEPS },
    { .name = "h01_read_posix",
      .setup = posix,
      .run = read_bounded,
      .check = check_read,
      .flags = RACE_SLEEPS },
    { .name = "h12_read_twice",
      .setup = step,
      .run = read_twice,
      .check = check_read_twice,
      .flags = RACE_SLEEPS },
    { .name = "h02_read_byte", .setup = byte_waits, .run = read_byte, .check = check_byte },
    { .name = NULL },
};
