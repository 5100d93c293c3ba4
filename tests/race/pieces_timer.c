/* SPDX-License-Identifier: MIT */
/*
 * pieces_timer.c: hazards 4, 5 and 22: the alarm lands in the middle of a timer call or of a dispatch.
 *
 * What can go wrong in arm, and shows here as a timer that runs late or never:
 *   - the alarm is programmed before the need is published: the handler finds nothing due, and the one shot
 * is spent;
 *   - the need is published after `armed_at`, or armed_at says more than the alarm holds: a later need seems
 * covered;
 *   - the flag of a need that fell due in the middle is cleared with the old one.
 * In disarm and delete: the next timer loses its alarm, or the handler acts on a wheel that is half changed.
 */
#include "scene.h"

static int result;

/* One far timer keeps the alarm armed for a second from now. */
static void far_armed(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    shot_arm(&far_shot, 1000 * MS);
}

static void far_armed_posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    shot_arm(&far_shot, 1000 * MS);
}

static void nothing_armed(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
}

/* The clean end of most pieces: each timer that is armed runs in time, and only those. */
static void settle_two(struct shot *a, struct shot *b)
{
    bool at_once = false;

    race_check(result == 0, "returned %d", result);
    if (a != NULL) {
        shot_expect(a);
        at_once = a->last_ns <= race_page->now_ns;
    }
    if (b != NULL)
        shot_expect(b);
    scene_settle();
    race_check(near_shot.runs == (&near_shot == a || &near_shot == b), "near ran %u times", near_shot.runs);
    race_check(next_shot.runs == (&next_shot == a || &next_shot == b), "next ran %u times", next_shot.runs);
    race_check(far_shot.runs == (&far_shot == a || &far_shot == b), "far ran %u times", far_shot.runs);
    race_outcome(at_once ? "due at its end" : "due later");
}

static void arm(void)
{
    near_shot.due_ns = race_page->now_ns + MS;
    result = aw_timer_arm(near_shot.timer, MS);
}

static void check_arm(void)
{
    settle_two(&near_shot, &far_shot);
}

static void check_arm_alone(void)
{
    settle_two(&near_shot, NULL);
}

static void arm_at(void)
{
    near_shot.due_ns = scene_begin_ns + MS;
    result = aw_timer_arm_at(near_shot.timer, scene_begin_ns + MS);
}

/* A periodic timer keeps to the schedule that its first call fixed, whatever came between; five runs, then it
 * stops. */
static uint64_t scheduled_ns;

static int count_five(struct aw_timer timer, void *arg)
{
    uint64_t missed = 0;

    (void)arg;
    race_check(aw_timer_overrun(timer, &missed) == 0, "no overrun to read");
    near_shot.runs += (unsigned)missed + 1;
    race_check(race_page->now_ns >= scene_begin_ns + near_shot.runs * MS, "period %u came early",
               near_shot.runs);
    if (scheduled_ns != 0)
        race_check(race_page->now_ns <= scheduled_ns + near_shot.runs * MS + TICK_NS + ROUND_NS,
                   "period %u came late", near_shot.runs);
    return near_shot.runs >= 5 ? aw_timer_disarm(timer) - 1 : 0;
}

static void periodic_made(void)
{
    far_armed();
    race_check(aw_timer_create(&near_shot.timer, count_five, NULL) == 0, "a timer was not created");
}

static void arm_every(void)
{
    result = aw_timer_arm_every(near_shot.timer, MS, MS, AW_MISSED_SKIP);
}

static void check_arm_every(void)
{
    uint64_t remaining = 0;

    race_check(result == 0, "returned %d", result);
    race_check(aw_timer_remaining(near_shot.timer, &remaining) == 0, "not armed");
    if (remaining != 0)
        scheduled_ns = race_page->now_ns + remaining - MS;
    near_shot.last_ns = 0;
    shot_expect(&far_shot);
    scene_settle();
    race_check(near_shot.runs >= 5, "%u periods", near_shot.runs);
    race_check(far_shot.runs == 1, "far ran %u times", far_shot.runs);
    race_outcome(remaining == 0 ? "due at its end" : "due later");
}

/* A refresh, from the coarse clock: later than before, so the alarm stays, and comes for nobody. */
static void near_armed(void)
{
    nothing_armed();
    shot_arm(&near_shot, MS);
    shot_arm(&next_shot, 3 * MS);
}

static void again(void)
{
    near_shot.due_ns = race_page->now_ns + MS;
    result = aw_timer_again(near_shot.timer);
}

static void check_again(void)
{
    settle_two(&near_shot, &next_shot);
}

static void rearm_later(void)
{
    near_shot.due_ns = race_page->now_ns + 5 * MS;
    result = aw_timer_arm(near_shot.timer, 5 * MS);
}

/* Disarmed before its callback could run, so it never runs, even if its time came in the middle; the other
 * one is on time. */
static void disarm(void)
{
    result = aw_timer_disarm(near_shot.timer) - 1;
}

static void check_gone(void)
{
    settle_two(&next_shot, NULL);
}

static void delete (void)
{
    result = aw_timer_delete(near_shot.timer);
}

/* The slab grows: the wheel moves to other memory, which the handler must not notice. */
static void slab_full(void)
{
    static struct shot fill[5];

    near_armed();
    for (unsigned i = 0; i < 5; i++)
        shot_create(&fill[i]);
}

static void create(void)
{
    struct aw_timer ninth;

    result = aw_timer_create(&ninth, count_five, NULL);
}

static void check_create(void)
{
    settle_two(&near_shot, &next_shot);
}

/* near is due and flagged; next falls due while the dispatch runs: it belongs to this dispatch or to the next
 * safe point. */
static void near_due(void)
{
    near_armed();
    next_shot.due_ns = scene_begin_ns + 3 * MS / 2;
    race_check(aw_timer_arm_at(next_shot.timer, scene_begin_ns + 3 * MS / 2) == 0, "not armed");
    race_advance_to(scene_begin_ns + MS + 2 * TICK_NS);
    race_check(awi_pending != 0, "the alarm raised no flag");
}

static void dispatch(void)
{
    result = aw_dispatch(0);
}

static void check_dispatch(void)
{
    race_check(result >= 1, "ran %d callbacks", result);
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
    race_outcome(next_shot.runs != 0 ? "next ran with it" : "next ran later");
    if (next_shot.runs == 0)
        shot_expect(&next_shot);
    scene_settle();
    race_check(near_shot.runs == 1 && next_shot.runs == 1, "near ran %u, next %u times", near_shot.runs,
               next_shot.runs);
}

/* The same with a callback that arms, moves, disarms and deletes: itself and others. */
static struct shot chained;

static int hostile(struct aw_timer timer, void *arg)
{
    (void)arg;
    near_shot.runs++;
    next_shot.due_ns = race_page->now_ns;
    race_check(aw_timer_arm(next_shot.timer, 0) == 0, "arm in a callback");
    shot_arm(&chained, MS / 2);
    race_check(aw_timer_disarm(far_shot.timer) == 1, "disarm in a callback");
    race_check(aw_timer_delete(timer) == 0, "delete in its own callback");
    return 0;
}

static void hostile_due(void)
{
    nothing_armed();
    shot_create(&chained);
    race_check(aw_timer_delete(near_shot.timer) == 0, "delete");
    race_check(aw_timer_create(&near_shot.timer, hostile, NULL) == 0, "create");
    race_check(aw_timer_arm(near_shot.timer, MS) == 0, "arm");
    shot_arm(&far_shot, MS + MS / 2);
    race_advance_to(scene_begin_ns + MS + 2 * TICK_NS);
}

static void check_hostile(void)
{
    race_check(result >= 1, "ran %d callbacks", result);
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
    scene_sound();
    race_outcome(next_shot.runs != 0 ? "next ran with it" : "next ran later");
    scene_settle();
    race_check(next_shot.runs == 1 && chained.runs == 1, "next ran %u, the last %u times", next_shot.runs,
               chained.runs);
    race_check(far_shot.runs == 0, "a disarmed timer ran");
}

/* A spent budget leaves a due timer, and the flag up. */
static void dispatch_one(void)
{
    result = aw_dispatch(1);
}

static void check_dispatch_one(void)
{
    race_check(result >= 0, "returned %d", result);
    race_outcome(near_shot.runs != 0 ? "one ran" : "none yet");
    scene_settle();
    race_check(near_shot.runs == 1 && next_shot.runs == 1, "near ran %u, next %u times", near_shot.runs,
               next_shot.runs);
}

/* Takes back the alarm of a timer that was disarmed: the next one's must stand. */
static void near_disarmed(void)
{
    near_armed();
    race_check(aw_timer_disarm(near_shot.timer) == 1, "not disarmed");
}

static void quiet(void)
{
    result = aw_quiet();
    result = result > 0 ? 0 : result;
}

const struct race_piece timer_pieces[] = {
    { .name = "h04_arm", .setup = far_armed, .run = arm, .check = check_arm },
    { .name = "h04_arm_first", .setup = nothing_armed, .run = arm, .check = check_arm_alone },
    { .name = "h04_arm_posix", .setup = far_armed_posix, .run = arm, .check = check_arm },
    { .name = "h04_arm_at", .setup = far_armed, .run = arm_at, .check = check_arm },
    { .name = "h04_arm_every", .setup = periodic_made, .run = arm_every, .check = check_arm_every },
    { .name = "h05_again", .setup = near_armed, .run = again, .check = check_again },
    { .name = "h05_rearm_later", .setup = near_armed, .run = rearm_later, .check = check_again },
    { .name = "h05_disarm", .setup = near_armed, .run = disarm, .check = check_gone },
    { .name = "h05_delete", .setup = near_armed, .run = delete, .check = check_gone },
    { .name = "h05_create", .setup = slab_full, .run = create, .check = check_create },
    { .name = "h22_dispatch", .setup = near_due, .run = dispatch, .check = check_dispatch },
    { .name = "h22_dispatch_hostile", .setup = hostile_due, .run = dispatch, .check = check_hostile },
    { .name = "h22_dispatch_budget", .setup = near_due, .run = dispatch_one, .check = check_dispatch_one },
    { .name = "h10_quiet", .setup = near_disarmed, .run = quiet, .check = check_gone },
    { .name = NULL },
};
