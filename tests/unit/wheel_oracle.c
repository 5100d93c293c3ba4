/* SPDX-License-Identifier: MIT */
/*
 * wheel_oracle.c: that aw_wheel_check can fail. Each test case breaks one field of a sound wheel and expects
 * the sentence for it. Also that it passes on an interrupted dispatch and from inside callbacks.
 */
#include "wheel_fixture.h"

#include <string.h>

/*
 * The wheel that is broken: timers in two levels, a far one, an overdue periodic one, a dead, a deleted, an
 * idle and a free one, and an interrupted dispatch, so that each list but the late one has something in it.
 */
static struct aw_wheel *w;
static struct aw_timer near, next_to_near, level_one, far, overdue, dead, deleted, idle, todo, periodic;

static struct awi_record *record_of(struct aw_timer timer)
{
    return &w->record[(uint32_t)timer.id];
}

static uint32_t slot_of(struct aw_timer timer)
{
    return awi_slot(record_of(timer));
}

static void open_scene(void)
{
    struct aw_timer gone[2];

    w = wheel_open_at(AW_SEC(1000));
    timer_at(w, 1, AW_SEC(1001));
    todo = timer_at(w, 2, AW_SEC(1001));
    near = timer_at(w, 3, AW_SEC(1001) + 5 * TICK);
    next_to_near = timer_at(w, 3, AW_SEC(1001) + 5 * TICK);
    level_one = timer_at(w, 4, AW_SEC(3000));
    far = timer_at(w, 5, (UINT64_C(1) << 33) * TICK);
    dead = timer_at(w, 6, AW_SEC(4000));
    deleted = timer_at(w, 7, AW_SEC(5000));
    idle = timer_noting(w, 8);
    overdue = timer_noting(w, 9);
    periodic = timer_noting(w, 10);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, overdue, AW_SEC(999), AW_SEC(1), AW_MISSED_BURST), 0);
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, periodic, AW_SEC(1003), AW_SEC(1), AW_MISSED_SKIP), 0);
    ck_assert_int_eq(aw_wheel_timer_disarm(w, dead), 1);
    ck_assert_int_eq(aw_wheel_timer_delete(w, deleted), 0);
    ck_assert_int_eq(aw_wheel_timer_unref(w, level_one), 0);
    for (int i = 0; i < 2; i++) {
        gone[i] = timer_noting(w, 0);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(aw_wheel_timer_delete(w, gone[i]), 0);
    }
    wheel_sound(w);
    for (int i = 0; ran.count < 2 && i < 100; i++) {
        ck_assert_int_ge(aw_wheel_dispatch(w, AW_SEC(1001) + 2 * TICK, 1), 0);
        wheel_sound(w);
    }
    ck_assert_int_eq(ran.count, 2); /* the overdue one, and one of the two */
    ck_assert_int_eq(aw_wheel_timer_arm_every(w, overdue, AW_SEC(1000), AW_SEC(1), AW_MISSED_BURST), 0);
    ck_assert_uint_ne(w->record[AWI_TODO].next, AWI_TODO);
    ck_assert_uint_ne(w->overdue_at, AWI_NEVER);
    ck_assert_uint_eq(w->deleted, 1);
    ck_assert_uint_eq(w->dead, 2);
    ck_assert_uint_eq(w->free, 2);
}

static void expect(const char *sentence)
{
    const char *broken = aw_wheel_check(w);

    ck_assert_msg(broken != NULL, "not noticed: %s", sentence);
    ck_assert_str_eq(broken, sentence);
}

/* Breaks a field, expects the sentence, and mends it. */
#define BREAK(field, value, sentence)      \
    do {                                   \
        __typeof__(field) kept_ = (field); \
        (field) = (value);                 \
        expect(sentence);                  \
        (field) = kept_;                   \
        wheel_sound(w);                    \
    } while (0)

START_TEST(times)
{
    open_scene();
    BREAK(w->used, w->capacity + 1, "more records are in use than there is memory for");
    BREAK(w->shift, 9, "the tick is out of range");
    BREAK(w->shift, 25, "the tick is out of range");
    BREAK(w->target, w->target + 1, "the target is not the tick of the latest time");
    BREAK(w->now, w->target + 1, "wheel time is ahead of the latest time");
    BREAK(w->floor, w->floor + 1, "the first tick that may be armed is wrong");
    BREAK(w->running, true, "the first tick that may be armed is wrong");
    BREAK(w->far_min, AWI_NEVER, "a far timer is due before the far list's minimum");
    BREAK(w->far_min, w->now - 1, "wheel time has passed a far timer");
    BREAK(w->overdue_at, AWI_NEVER, "the time of the overdue list disagrees with its being empty");
    BREAK(w->late_at, 0, "the time of the late list disagrees with its being empty");
    ck_assert_int_eq(aw_wheel_timer_delete(w, far), 0);
    while (w->record[AWI_FAR].next != AWI_FAR) {
        awi_bury(w, w->record[AWI_FAR].next);
    }
    BREAK(w->far_min, w->now, "the far list's minimum disagrees with its being empty");
    wheel_close(w);
}
END_TEST

START_TEST(bitmaps_and_slots)
{
    uint32_t slot;
    uint32_t level;

    open_scene();
    slot = slot_of(level_one);
    level = slot / AWI_LEVEL_SLOTS;
    BREAK(w->summary, 0, "the summary disagrees with a level's bitmap");
    BREAK(w->summary, w->summary | UINT32_C(1) << 6, "the summary names a level that does not exist");
    BREAK(w->bitmap[level], w->bitmap[level] & ~(UINT64_C(1) << slot % 64),
          w->bitmap[level] == UINT64_C(1) << slot % 64 ? "the summary disagrees with a level's bitmap"
                                                       : "a slot in use is not marked in its bitmap");
    BREAK(w->bitmap[level], w->bitmap[level] | UINT64_C(1) << (slot + 9) % 64,
          "an empty slot is marked in its bitmap");
    BREAK(w->record[slot].meta, w->record[slot].meta + 1, "a slot's first tick is not its own");
    BREAK(w->record[slot].when, w->record[slot].meta - 1, "a slot's minimum lies outside the slot");
    BREAK(w->record[slot].when, record_of(level_one)->when + 1, "a timer is due before its slot's minimum");
    BREAK(record_of(level_one)->when, w->record[slot].meta - 1, "a timer is due before its slot begins");
    BREAK(record_of(level_one)->meta, record_of(level_one)->meta ^ 1,
          "a record names another slot than the one that it is linked in");
    BREAK(record_of(todo)->meta, record_of(todo)->meta ^ 1,
          "a record on the todo list comes from a slot that does not begin now");
    BREAK(record_of(todo)->meta, (record_of(todo)->meta & ~AWI_SLOT_MASK) | AWI_NONE,
          "a record on the todo list names no place to come from");
    BREAK(record_of(far)->meta, record_of(far)->meta ^ 1, "a record in the far list names another list");
    BREAK(record_of(overdue)->meta, record_of(overdue)->meta ^ 1,
          "a record in a list of overdue timers names another one");
    BREAK(record_of(overdue)->meta, record_of(overdue)->meta & ~AWI_PERIODIC,
          "an overdue timer is not periodic");
    BREAK(w->rest[(uint32_t)periodic.id - AWI_FIRST], UINT32_MAX,
          "a periodic timer is linked at another tick than its schedule's");
    BREAK(w->now, w->now - (UINT64_C(1) << 12), "the first tick that may be armed is wrong");
    wheel_close(w);
}
END_TEST

START_TEST(a_slot_of_another_level)
{
    uint32_t slot;
    uint32_t level;

    open_scene();
    slot = slot_of(level_one);
    level = slot / AWI_LEVEL_SLOTS;
    ck_assert_int_eq(aw_wheel_dispatch(w, AW_SEC(1002), 0), 4); /* empties the todo list */
    w->now = awi_near_tick(w, w->record[slot].meta);
    w->now_ns = awi_tick_ns(w, w->now);
    w->target = w->now;
    w->floor = w->now;
    ck_assert_uint_gt(level, 0);
    expect("a slot is in use whose ticks belong to another level");
}
END_TEST

START_TEST(links)
{
    open_scene();
    BREAK(record_of(near)->next, w->capacity + AWI_FIRST, "a link leads out of its list");
    BREAK(record_of(near)->next, AWI_FAR, "a link leads out of its list");
    BREAK(record_of(near)->next, (uint32_t)far.id, "a link forward has no link back");
    BREAK(record_of(near)->prev, (uint32_t)far.id, "a link forward has no link back");
    BREAK(w->record[AWI_TODO].prev, (uint32_t)far.id, "a link forward has no link back");
    BREAK(record_of(next_to_near)->next, (uint32_t)near.id, "a link forward has no link back");
    wheel_close(w);
}
END_TEST

START_TEST(records_and_counts)
{
    open_scene();
    BREAK(record_of(idle)->meta, record_of(idle)->meta | AWI_ARMED, "an armed timer is not linked");
    BREAK(record_of(idle)->meta, record_of(idle)->meta | AWI_DELETED,
          "a deleted timer is neither linked nor free");
    BREAK(record_of(idle)->meta, record_of(idle)->meta & ~AWI_GENERATION_MASK, "a timer has no generation");
    BREAK(record_of(idle)->meta, record_of(idle)->meta | AWI_GENERATION_MASK,
          "a generation is greater than the greatest that was handed out");
    BREAK(record_of(idle)->meta, record_of(idle)->meta | AWI_PERIODIC, "a period is out of range");
    BREAK(record_of(idle)->meta, (record_of(idle)->meta & ~AWI_SLOT_MASK) | AWI_TODO,
          "a record names a slot that does not exist");
    BREAK(record_of(idle)->meta, (record_of(idle)->meta & ~AWI_SLOT_MASK) | 3,
          "a record says that it is linked, and is in no list");
    BREAK(record_of(near)->meta, record_of(near)->meta | AWI_DELETED, "a deleted timer is armed");
    BREAK(w->interval[(uint32_t)periodic.id - AWI_FIRST], 0, "a period is out of range");
    BREAK(w->interval[(uint32_t)periodic.id - AWI_FIRST], AWI_PERIOD_LIMIT, "a period is out of range");
    BREAK(w->interval[(uint32_t)periodic.id - AWI_FIRST], UINT64_C(3) << AWI_MISSED_SHIFT | 1,
          "a periodic timer has no policy");
    BREAK(w->linked, w->linked + 1, "the count of linked records is wrong");
    BREAK(w->dead, w->dead + 1, "the count of dead records is wrong");
    BREAK(w->deleted, w->deleted + 1, "the count of deleted records is wrong");
    BREAK(w->armed_unref, 0, "the count of armed timers that are unref'd is wrong");
    wheel_close(w);
}
END_TEST

START_TEST(free_records)
{
    open_scene();
    BREAK(w->record[w->free_head].meta, w->record[w->free_head].meta & ~AWI_DELETED,
          "a handle names a free record");
    BREAK(w->record[w->free_head].meta, w->record[w->free_head].meta & ~AWI_GENERATION_MASK,
          "the free list holds a record that is not free");
    BREAK(w->free_head, 0, "the free list holds a record that is not free");
    BREAK(w->free_head, (uint32_t)idle.id, "the free list holds a record that is not free");
    BREAK(w->free_tail, w->free_head, "the free list does not end where it should");
    BREAK(w->free, 1, "the free list does not end where it should");
    BREAK(w->live, w->live + 1, "a record is neither in use nor free nor retired");
    BREAK(w->retired, 1, "a record is neither in use nor free nor retired");
    wheel_close(w);
}
END_TEST

START_TEST(the_current_timer)
{
    open_scene();
    BREAK(w->current, (uint32_t)idle.id, "a timer is current outside a dispatch");
    BREAK(w->delayed, (uint32_t)idle.id, "a timer is current outside a dispatch");
    w->running = true;
    w->floor = w->target + 1;
    wheel_sound(w);
    BREAK(w->current, w->free_head, "the current timer does not exist");
    BREAK(w->current, AWI_FIRST + w->used, "the current timer does not exist");
    BREAK(w->delayed, (uint32_t)idle.id,
          "a timer other than the current one waits for the callback's return");
    w->current = (uint32_t)idle.id;
    BREAK(w->delayed, (uint32_t)idle.id,
          "the timer that waits for the callback's return is armed or not periodic");
    w->current = 0;
    w->running = false;
    w->floor = w->now;
    wheel_close(w);
}
END_TEST

/* Random bytes anywhere in a record or in the wheel's own fields: the oracle ends, and never crashes. */
START_TEST(noise)
{
    uint32_t random = 12345;

    open_scene();
    for (int i = 0; i < 200000; i++) {
        unsigned char *fields = (unsigned char *)&w->now;
        size_t reach = offsetof(struct aw_wheel, running) - offsetof(struct aw_wheel, now);
        unsigned char *at;
        unsigned char kept;

        random = random * 1664525 + 1013904223;
        if (i % 4 == 0) {
            at = fields + (random >> 8) % reach;
        } else {
            at = (unsigned char *)w->record + (random >> 8) % ((AWI_FIRST + w->used) * sizeof(*w->record));
        }
        kept = *at;
        *at = (unsigned char)random;
        (void)aw_wheel_check(w);
        *at = kept;
    }
    wheel_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        times,
        bitmaps_and_slots,
        a_slot_of_another_level,
        links,
        records_and_counts,
        free_records,
        the_current_timer,
        noise,
    };

    return RUN_TESTS("wheel_oracle", tests);
}
