/* SPDX-License-Identifier: MIT */
/*
 * scene.c: see scene.h. Lateness is exact here, because time passes only by the fake alarm: an alarm that was
 * lost shows as a timer that runs at somebody else's time, or never.
 */
#include "scene.h"

#include <errno.h>

uint64_t scene_begin_ns;
struct shot near_shot, next_shot, far_shot;

static struct shot *shots[16];
static unsigned shots_made;

static int fire(struct aw_timer timer, void *arg)
{
    struct shot *shot = arg;

    race_check(timer.id == shot->timer.id, "a callback with a stranger's handle");
    shot->runs++;
    shot->ran_ns = race_page->now_ns;
    race_check(shot->ran_ns >= shot->due_ns, "ran %lu ns early",
               (unsigned long)(shot->due_ns - shot->ran_ns));
    return shot->result;
}

void shot_create(struct shot *shot)
{
    race_check(aw_timer_create(&shot->timer, fire, shot) == 0, "a timer was not created");
    shots[shots_made++] = shot;
}

void shot_arm(struct shot *shot, uint64_t delay_ns)
{
    shot->due_ns = race_page->now_ns + delay_ns;
    race_check(aw_timer_arm(shot->timer, delay_ns) == 0, "a timer was not armed");
}

void shot_expect(struct shot *shot)
{
    uint64_t remaining = 0;

    if (shot->runs != 0)
        return;
    race_check(aw_timer_remaining(shot->timer, &remaining) == 0, "a timer that was armed says it is not");
    shot->last_ns = race_page->now_ns + remaining;
}

void scene_start(enum aw_alarm alarm, enum aw_interrupt interrupt)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;

    options.alarm = alarm;
    options.interrupt = interrupt;
    options.capacity = 8;
    race_check(aw_init(&options) == 0, "aw_init failed");
    shot_create(&near_shot);
    shot_create(&next_shot);
    shot_create(&far_shot);
    scene_begin_ns = race_page->now_ns;
    race_page->jump_ns = scene_begin_ns + 2 * MS;
    race_page->late_ns = scene_begin_ns + 60 * MS;
}

void scene_sound(void)
{
    const char *wrong = aw_wheel_check(awi_engine.wheel);
    uint64_t need;

    race_check(wrong == NULL, "the wheel: %s", wrong);
    /* What the library believes of the alarm is what it is: then a later need is compared with the truth. */
    race_check(awi.armed_at == AW_FOREVER || race_page->alarm_at_ns != 0,
               "taken for armed, but no alarm will come");
    race_check(awi.armed_at == AW_FOREVER || race_page->alarm_at_ns <= awi.armed_at + ROUND_NS ||
                   race_page->alarm_at_ns <= race_page->now_ns + ROUND_NS,
               "the alarm comes %lu ns later than the library believes",
               (unsigned long)(race_page->alarm_at_ns - awi.armed_at));
    if (awi_pending != 0 || aw_next(&need) != 1)
        return;
    if (need < race_page->now_ns)
        need = race_page->now_ns;
    race_check(race_page->alarm_at_ns != 0, "something is armed, no flag is up, and no alarm will come");
    race_check(race_page->alarm_at_ns <= need + ROUND_NS, "the alarm comes %lu ns after the next need",
               (unsigned long)(race_page->alarm_at_ns - need));
}

int scene_safepoint(void)
{
    int result = aw_safepoint();

    race_check(result == 0 || result == -ETIMEDOUT, "a safe point returned %d", result);
    for (unsigned i = 0; i < shots_made; i++) {
        uint64_t now = race_page->now_ns;
        uint64_t last = shots[i]->last_ns;

        race_check(last == 0 || shots[i]->runs != 0 || now <= last + TICK_NS + ROUND_NS,
                   "not run %lu ns after its time", (unsigned long)(now - last));
    }
    return result;
}

void scene_settle(void)
{
    for (unsigned rounds = 0; rounds < 200; rounds++) {
        race_advance_to(race_page->now_ns + ROUND_NS / 2);
        scene_sound();
        scene_safepoint();
        scene_sound();
        if (aw_wheel_armed(awi_engine.wheel) == 0)
            return;
        if (race_page->failure[0] != '\0' || race_page->alarm_at_ns == 0)
            return;
        if (awi_pending == 0)
            race_advance_to(race_page->alarm_at_ns);
    }
    race_fail("time passes, and it never comes to rest");
}

void scene_quiet(void)
{
    struct sigaction now;

    race_check(aw_guard_mark() == 0, "%d guards are left", aw_guard_mark());
    race_check(aw_safepoint() == 0, "a safe point still reports a guard");
    race_advance_to(race_page->now_ns + 20 * MS);
    race_check(awi_pending == 0, "flags %#x are left", (unsigned)awi_pending);
    race_check(aw_safepoint() == 0, "a safe point reports a guard that was left");
    race_check(race_page->alarm_at_ns == 0, "the alarm goes on for nobody");
    sigaction(race_alarm_signo(), NULL, &now);
    race_check(now.sa_flags & SA_RESTART, "SA_RESTART was not restored");
}

void *scene_frame(size_t offset)
{
    return race_frame + offset;
}
