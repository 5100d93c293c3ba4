/* SPDX-License-Identifier: MIT */
/*
 * wheel_check.c: the invariant oracle. Walks every list and every record and says in a sentence what is
 * broken. For tests and debuggers; it trusts nothing that it reads, calls nothing and changes nothing.
 */
#include "levels.h"

/* What a walk over the lists found. */
struct tally {
    uint64_t linked;
    uint64_t dead;
    uint64_t deleted;
    uint64_t armed_unref;
};

static bool is_record(const struct aw_wheel *w, uint32_t index)
{
    return index - AWI_FIRST < w->used;
}

static bool is_in_list(const struct aw_wheel *w, uint32_t index, uint32_t list)
{
    return index == list || is_record(w, index);
}

static const char *check_time(const struct aw_wheel *w)
{
    if (w->shift < AWI_TICK_SHIFT_MIN || w->shift > AWI_TICK_SHIFT_MAX) {
        return "the tick is out of range";
    }
    if (w->target != awi_tick_down(w, w->now_ns)) {
        return "the target is not the tick of the latest time";
    }
    if (w->now > w->target) {
        return "wheel time is ahead of the latest time";
    }
    if (w->floor != (w->running ? w->target + 1 : w->now)) {
        return "the first tick that may be armed is wrong";
    }
    return NULL;
}

static const char *check_current(const struct aw_wheel *w)
{
    const struct awi_record *r;

    if (!w->running && (w->current != 0 || w->delayed != 0)) {
        return "a timer is current outside a dispatch";
    }
    if (w->current != 0 && (!is_record(w, w->current) || (w->record[w->current].meta & AWI_DELETED))) {
        return "the current timer does not exist";
    }
    if (w->delayed == 0) {
        return NULL;
    }
    if (w->delayed != w->current) {
        return "a timer other than the current one waits for the callback's return";
    }
    r = &w->record[w->delayed];
    if (awi_slot(r) != AWI_NONE || (r->meta & (AWI_ARMED | AWI_PERIODIC)) != AWI_PERIODIC) {
        return "the timer that waits for the callback's return is armed or not periodic";
    }
    return NULL;
}

static const char *check_bitmaps(const struct aw_wheel *w)
{
    for (uint32_t level = 0; level < AWI_LEVELS; level++) {
        if ((w->summary >> level & 1) != (w->bitmap[level] != 0)) {
            return "the summary disagrees with a level's bitmap";
        }
    }
    if (w->summary >> AWI_LEVELS != 0) {
        return "the summary names a level that does not exist";
    }
    for (uint32_t slot = 0; slot < AWI_SLOTS; slot++) {
        bool marked = w->bitmap[slot / AWI_LEVEL_SLOTS] >> slot % AWI_LEVEL_SLOTS & 1;

        if (marked == awi_empty(w, slot)) {
            return marked ? "an empty slot is marked in its bitmap"
                          : "a slot in use is not marked in its bitmap";
        }
    }
    return NULL;
}

/* The links of one list, both ways. A list that passes comes back to its head, so that later walks end. */
static const char *check_links(const struct aw_wheel *w, uint32_t list, uint64_t *linked)
{
    uint32_t index = list;

    do {
        uint32_t next = w->record[index].next;

        if (!is_in_list(w, next, list)) {
            return "a link leads out of its list";
        }
        if (w->record[next].prev != index) {
            return "a link forward has no link back";
        }
        index = next;
        *linked += index != list;
    } while (index != list);
    return NULL;
}

/* A slot that is in use: where it begins, and its minimum. */
static const char *check_slot_head(const struct aw_wheel *w, uint32_t slot)
{
    uint32_t level = slot / AWI_LEVEL_SLOTS;
    uint64_t length = UINT64_C(1) << level * AWI_LEVEL_BITS;
    uint64_t start = awi_near_tick(w, w->record[slot].meta);
    uint64_t differs = start ^ w->now;

    if (start % length != 0 || start / length % AWI_LEVEL_SLOTS != slot % AWI_LEVEL_SLOTS) {
        return "a slot's first tick is not its own";
    }
    if (differs >> (level + 1) * AWI_LEVEL_BITS != 0 || (level > 0 && differs / length == 0)) {
        return "a slot is in use whose ticks belong to another level";
    }
    if (awi_near_tick(w, w->record[slot].when) - start >= length) {
        return "a slot's minimum lies outside the slot";
    }
    return NULL;
}

static const char *check_in_slot(const struct aw_wheel *w, uint32_t slot, uint32_t index)
{
    const struct awi_record *r = &w->record[index];
    uint64_t tick = awi_near_tick(w, r->when);

    if (awi_slot(r) != slot) {
        return "a record names another slot than the one that it is linked in";
    }
    if (!(r->meta & AWI_ARMED)) {
        return NULL;
    }
    if (tick < awi_near_tick(w, w->record[slot].meta)) {
        return "a timer is due before its slot begins";
    }
    if (tick < awi_near_tick(w, w->record[slot].when)) {
        return "a timer is due before its slot's minimum";
    }
    return NULL;
}

static const char *check_far(const struct aw_wheel *w, uint32_t index)
{
    const struct awi_record *r = &w->record[index];

    if (awi_slot(r) != AWI_FAR) {
        return "a record in the far list names another list";
    }
    if ((r->meta & AWI_ARMED) && awi_far_tick(w, index) < w->far_min) {
        return "a far timer is due before the far list's minimum";
    }
    return NULL;
}

/* On the todo list a record still names where it was, and that slot began at this very tick. */
static const char *check_todo(const struct aw_wheel *w, uint32_t index)
{
    uint32_t slot = awi_slot(&w->record[index]);

    if (slot < AWI_SLOTS) {
        if (awi_near_tick(w, w->record[slot].meta) != w->now) {
            return "a record on the todo list comes from a slot that does not begin now";
        }
    } else if (slot != AWI_FAR && slot != AWI_OVERDUE) {
        return "a record on the todo list names no place to come from";
    }
    return NULL;
}

/* What holds of a record in any list. */
static const char *check_linked(const struct aw_wheel *w, uint32_t list, uint32_t index)
{
    const struct awi_record *r = &w->record[index];

    if ((r->meta & AWI_ARMED) && (r->meta & AWI_DELETED)) {
        return "a deleted timer is armed";
    }
    if ((r->meta & AWI_ARMED) && (r->meta & AWI_PERIODIC) && awi_slot(r) < AWI_SLOTS &&
        awi_tick_up(w, awi_schedule_ns(w, index)) != awi_near_tick(w, r->when)) {
        return "a periodic timer is linked at another tick than its schedule's";
    }
    if (list < AWI_SLOTS) {
        return check_in_slot(w, list, index);
    }
    if (list == AWI_FAR) {
        return check_far(w, index);
    }
    if (list == AWI_TODO) {
        return check_todo(w, index);
    }
    if (awi_slot(r) != AWI_OVERDUE) {
        return "a record in a list of overdue timers names another one";
    }
    return (r->meta & AWI_ARMED) && !(r->meta & AWI_PERIODIC) ? "an overdue timer is not periodic" : NULL;
}

static const char *check_lists(const struct aw_wheel *w, struct tally *tally)
{
    const char *broken = NULL;

    for (uint32_t list = 0; list < AWI_FIRST && broken == NULL; list++) {
        broken = check_links(w, list, &tally->linked);
        if (broken == NULL && list < AWI_SLOTS && !awi_empty(w, list)) {
            broken = check_slot_head(w, list);
        }
        for (uint32_t i = w->record[list].next; broken == NULL && i != list; i = w->record[i].next) {
            broken = check_linked(w, list, i);
        }
    }
    return broken;
}

static const char *check_times_of_lists(const struct aw_wheel *w)
{
    if (awi_empty(w, AWI_FAR) != (w->far_min == AWI_NEVER)) {
        return "the far list's minimum disagrees with its being empty";
    }
    if (awi_empty(w, AWI_OVERDUE) != (w->overdue_at == AWI_NEVER)) {
        return "the time of the overdue list disagrees with its being empty";
    }
    if (awi_empty(w, AWI_LATE) != (w->late_at == AWI_NEVER)) {
        return "the time of the late list disagrees with its being empty";
    }
    if (w->far_min < w->now) {
        return "wheel time has passed a far timer";
    }
    return NULL;
}

static const char *check_interval(const struct aw_wheel *w, uint32_t index)
{
    uint64_t interval = w->interval[index - AWI_FIRST];

    if (!(w->record[index].meta & AWI_PERIODIC)) {
        return NULL;
    }
    if ((interval & ~(UINT64_C(3) << AWI_MISSED_SHIFT)) - 1 >= AWI_PERIOD_LIMIT - 1) {
        return "a period is out of range";
    }
    return interval >> AWI_MISSED_SHIFT > AW_MISSED_DELAY ? "a periodic timer has no policy" : NULL;
}

/* Each record by itself, wherever it is. */
static const char *check_record(const struct aw_wheel *w, uint32_t index, struct tally *tally)
{
    uint32_t meta = w->record[index].meta;
    uint32_t slot = meta & AWI_SLOT_MASK;
    bool armed = meta & AWI_ARMED;

    if (slot == AWI_FREE) {
        return meta & AWI_DELETED ? NULL : "a handle names a free record";
    }
    if (meta >> AWI_GENERATION_SHIFT == 0 && !(meta & AWI_DELETED)) {
        return "a timer has no generation";
    }
    if (!(meta & AWI_DELETED) && meta >> AWI_GENERATION_SHIFT > w->max_generation) {
        return "a generation is greater than the greatest that was handed out";
    }
    if (slot == AWI_NONE) {
        return armed                ? "an armed timer is not linked"
               : meta & AWI_DELETED ? "a deleted timer is neither linked nor free"
                                    : check_interval(w, index);
    }
    if (slot > AWI_OVERDUE) {
        return "a record names a slot that does not exist";
    }
    tally->linked++;
    tally->dead += !armed;
    tally->deleted += (meta & AWI_DELETED) != 0;
    tally->armed_unref += armed && (meta & AWI_UNREF);
    return check_interval(w, index);
}

static const char *check_records(const struct aw_wheel *w, uint64_t linked)
{
    struct tally tally = { 0 };
    const char *broken = NULL;

    for (uint32_t i = 0; i < w->used && broken == NULL; i++) {
        broken = check_record(w, AWI_FIRST + i, &tally);
    }
    if (broken != NULL) {
        return broken;
    }
    if (tally.linked != linked) {
        return "a record says that it is linked, and is in no list";
    }
    if (w->linked != linked) {
        return "the count of linked records is wrong";
    }
    if (w->dead != tally.dead) {
        return "the count of dead records is wrong";
    }
    if (w->deleted != tally.deleted) {
        return "the count of deleted records is wrong";
    }
    return w->armed_unref != tally.armed_unref ? "the count of armed timers that are unref'd is wrong" : NULL;
}

static const char *check_free(const struct aw_wheel *w)
{
    uint32_t index = w->free_head;
    uint32_t last = 0;

    for (uint32_t i = 0; i < w->free; i++) {
        if (!is_record(w, index) || awi_slot(&w->record[index]) != AWI_FREE ||
            w->record[index].meta >> AWI_GENERATION_SHIFT == 0) {
            return "the free list holds a record that is not free";
        }
        last = index;
        index = w->record[index].next;
    }
    if (w->free > 0 && (index != 0 || last != w->free_tail)) {
        return "the free list does not end where it should";
    }
    if ((uint64_t)w->live + w->deleted + w->free + w->retired != w->used) {
        return "a record is neither in use nor free nor retired";
    }
    return NULL;
}

const char *aw_wheel_check(const struct aw_wheel *wheel)
{
    struct tally tally = { 0 };
    const char *broken;

    if (wheel == NULL) {
        return "there is no wheel";
    }
    if (wheel->used > wheel->capacity || wheel->capacity > AWI_CAPACITY_LIMIT) {
        return "more records are in use than there is memory for";
    }
    broken = check_time(wheel);
    if (broken == NULL) {
        broken = check_current(wheel);
    }
    if (broken == NULL) {
        broken = check_bitmaps(wheel);
    }
    if (broken == NULL) {
        broken = check_lists(wheel, &tally);
    }
    if (broken == NULL) {
        broken = check_times_of_lists(wheel);
    }
    if (broken == NULL) {
        broken = check_records(wheel, tally.linked);
    }
    return broken == NULL ? check_free(wheel) : broken;
}
