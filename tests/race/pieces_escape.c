/* SPDX-License-Identifier: MIT */
/*
 * pieces_escape.c: hazards 12, 16, 17, 29 to 31 and 34: the alarm lands anywhere in the life of a guard that
 * escapes. The interleavings of interest:
 *   - the guard is entered, and the place to land is not set, or not said to be its own yet;
 *   - it is left, and the handler still knows it;
 *   - the landing of one escape, and the expiry of the guard around it;
 *   - the shield is lowered after the handler has put an escape off;
 *   - a clean-up is registered and not counted yet, or runs when the next escape comes;
 *   - the library is in the middle of a change.
 * What the body does is under test itself, so that the alarm lands on each of its instructions: there the
 * escape happens at once.
 */
#include "escapes.h"

#include <errno.h>

static uint64_t outer_ns, inner_ns; /* time-outs */
static unsigned outer_flags, inner_flags;

/* One guard: entered, and left in time, late, or by an escape. */

RACE_UNDER_TEST static void one_guard(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE) {
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
    did.passed = true;
    race_check(aw_guard_fired(&guard) == (did.outer_expired != 0 ? &guard : NULL),
               "not it, but another has fired");
    race_check(did.outer_expired == 0 || aw_guard_lateness_ns(&guard) <= 60 * MS, "lateness");
}

RACE_UNDER_TEST static void one_guard_nomask(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE | AW_GUARD_NOMASK) {
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
    did.passed = true;
}

static int fn(void *arg)
{
    (void)arg;
    race_page->stage = WITHIN;
    compute();
    race_page->stage = BEHIND;
    did.outer_finished = 1;
    return 17;
}

static void one_call(void)
{
    struct aw_guard guard;

    did.returned = aw_guard_call(&guard, MS, AW_GUARD_ESCAPE, fn, NULL);
    race_page->stage = OUTSIDE;
    did.passed = true;
    if (did.returned == -ETIMEDOUT)
        did.outer_expired++;
    else
        race_check(did.returned == 17, "aw_guard_call returned %d", did.returned);
}

static void posix(void)
{
    escapes_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
}

/* Of its own text the escape is made at once. */
static void check_one(void)
{
    if (escapes_expired_at(WITHIN))
        race_check(did.outer_finished == 0 && did.outer_expired == 1, "not escaped at once");
    escapes_check_rest();
}

/* Two guards with clean-ups: one of the outer guard's, two of the inner's, and one that is forgotten. */

static void (*within_clean_up)(void);

RACE_UNDER_TEST static void clean_up(void *arg)
{
    unsigned which = (unsigned)(uintptr_t)arg;

    did.runs[which]++;
    if (which == 2 && within_clean_up != NULL)
        within_clean_up();
    if (did.logged < MOST_LOGGED) {
        did.log[did.logged] = which;
        did.logged = did.logged + 1;
    }
}

static int clean_up_on_expiry(struct aw_guard *guard, unsigned which)
{
    int slot = aw_guard_on_expiry(guard, clean_up, (void *)(uintptr_t)which);

    did.registered |= 1u << which;
    return slot;
}

/* In AW_EXPIRED: what the body had registered has run, if the body was cut short. */
static void expect_cleaned(unsigned first, unsigned last, bool finished)
{
    for (unsigned i = first; i <= last; i++) {
        bool was_registered = (did.registered >> i & 1) != 0;

        race_check(finished || !was_registered || did.runs[i] == 1, "clean-up %u ran %u times", i,
                   did.runs[i]);
    }
    race_check(!did.forgotten || did.runs[3] == 0, "a clean-up that was forgotten ran");
}

static void (*within)(void) = compute;

RACE_UNDER_TEST static void inner_guard(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, inner_ns, inner_flags) {
        int slot;

        clean_up_on_expiry(&guard, 1);
        slot = clean_up_on_expiry(&guard, 3);
        clean_up_on_expiry(&guard, 2);
        race_page->stage = WITHIN;
        within();
        race_page->stage = BEHIND;
        did.inner_finished = 1;
        did.registered &= ~8u;
        aw_guard_forget(&guard, slot);
        did.forgotten = true;
    }
    AW_EXPIRED
    {
        expect_cleaned(1, 3, did.inner_finished != 0);
        did.inner_expired++;
    }
    did.registered &= 1u;
}

RACE_UNDER_TEST static void two_guards(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, outer_ns, outer_flags) {
        race_page->stage = BEFORE;
        clean_up_on_expiry(&guard, 0);
        inner_guard();
        race_page->stage = BEHIND;
        did.outer_finished = 1;
    }
    AW_EXPIRED
    {
        expect_cleaned(0, 0, did.outer_finished != 0);
        expect_cleaned(1, 3, did.inner_finished != 0);
        did.outer_expired++;
    }
    race_page->stage = OUTSIDE;
    did.passed = true;
}

static void two(uint64_t outer_after_ns, uint64_t inner_after_ns)
{
    escapes_step();
    outer_flags = inner_flags = AW_GUARD_ESCAPE;
    outer_ns = outer_after_ns;
    inner_ns = inner_after_ns;
}

static void outer_first(void)
{
    two(MS, 5 * MS);
}

static void inner_first(void)
{
    two(5 * MS, MS);
}

static void both_at_once(void)
{
    two(MS + MS / 2, MS);
}

/* The same where the clean run has an escape in it: what comes at its landing? */
static void pass_time(void)
{
    compute();
    for (unsigned alarms = 0; alarms < 5 && race_page->alarm_at_ns != 0; alarms++)
        race_advance_to(race_page->alarm_at_ns > race_page->now_ns ? race_page->alarm_at_ns
                                                                   : race_page->now_ns);
    race_fail("the guard expired, the alarm came, and no escape was made");
}

static void with_escape(void)
{
    inner_first();
    within = pass_time;
    race_page->jump_ns = escapes_begun_ns + 6 * MS;
}

/* ... when a clean-up has a guard of its own, which expires, too? */
RACE_UNDER_TEST static void guard_in_clean_up(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE) {
        aw_guard_on_expiry(&guard, clean_up, (void *)(uintptr_t)4);
        pass_time();
    }
    AW_EXPIRED
    {
        race_check(did.runs[4] <= 1, "the clean-up of a clean-up ran %u times", did.runs[4]);
    }
}

static void with_nested_escape(void)
{
    with_escape();
    within_clean_up = guard_in_clean_up;
}

/* ... where the inner guard lies in a frame that the jump has left? */
static void with_dead_frame(void)
{
    outer_first();
    within = pass_time;
}

static void cooperative_outside(void)
{
    both_at_once();
    outer_flags = AW_GUARD_DEFAULT;
}

static void cooperative_inside(void)
{
    both_at_once();
    inner_flags = AW_GUARD_DEFAULT;
}

/* In the order in which they were not registered, each once. */
static void check_clean_ups(void)
{
    static const unsigned rank[] = { 0, 1, 3, 2, 4 };

    for (unsigned i = 0; i < 5; i++)
        race_check(did.runs[i] <= 1, "clean-up %u ran %u times", i, did.runs[i]);
    for (unsigned i = 1; i < did.logged; i++)
        race_check(rank[did.log[i]] < rank[did.log[i - 1]], "clean-up %u ran after %u", did.log[i],
                   did.log[i - 1]);
    race_check(did.outer_expired + did.inner_expired != 0 || did.logged == 0, "cleaned up in time");
}

static void check_two(void)
{
    bool outer_due = race_page->injected_ns >= escapes_begun_ns + outer_ns;
    bool inner_due = race_page->injected_ns >= escapes_begun_ns + inner_ns;

    if (race_page->injected_stage == WITHIN && within == compute) {
        if (outer_due && outer_flags & AW_GUARD_ESCAPE)
            race_check(did.outer_expired == 1 && did.outer_finished + did.inner_expired == 0,
                       "not escaped to the outer guard");
        else if ((outer_due || inner_due) && inner_flags & AW_GUARD_ESCAPE)
            race_check(did.inner_expired == 1 && did.outer_finished == 1 &&
                           did.outer_expired == (outer_due ? 1 : 0),
                       "not escaped to the inner guard");
        race_check(!(outer_due || inner_due) || did.inner_finished == 0, "not escaped at once");
    }
    /* In the landing, and behind it. */
    if (race_page->injected_stage == WITHIN && within == pass_time && outer_due)
        race_check(did.outer_expired == 1 && did.outer_finished == 0, "not escaped at once");
    check_clean_ups();
    escapes_check_rest();
}

/* Under a shield nothing is cut short; lowering it makes the escape. */

RACE_UNDER_TEST static void shielded(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, MS, AW_GUARD_ESCAPE) {
        aw_shield();
        race_page->stage = WITHIN;
        compute();
        did.inner_finished = 1;
        did.returned = aw_unshield();
        race_page->stage = BEHIND;
        did.outer_finished = 1;
    }
    AW_EXPIRED
    {
        did.outer_expired++;
    }
    race_page->stage = OUTSIDE;
    did.passed = true;
}

static void check_shielded(void)
{
    if (escapes_expired_at(WITHIN)) {
        race_check(did.rounds == 3 && did.inner_finished == 1, "escaped through a shield");
        race_check(did.outer_finished == 0 && did.outer_expired == 1,
                   "not escaped as the shield was lowered");
    }
    check_one();
}

const struct race_piece escape_pieces[] = {
    { .name = "h16_escape", .setup = escapes_step, .run = one_guard, .check = check_one },
    { .name = "h16_escape_posix",
      .setup = posix,
      .run = one_guard,
      .check = check_one,
      .flags = RACE_ALARM_ONLY },
    { .name = "h17_escape_nomask",
      .setup = escapes_step,
      .run = one_guard_nomask,
      .check = check_one,
      .flags = RACE_ALARM_ONLY },
    { .name = "h16_escape_call", .setup = escapes_step, .run = one_call, .check = check_one },
    { .name = "h12_escape_outer", .setup = outer_first, .run = two_guards, .check = check_two },
    { .name = "h12_escape_inner",
      .setup = inner_first,
      .run = two_guards,
      .check = check_two,
      .flags = RACE_ALARM_ONLY },
    { .name = "h12_escape_both", .setup = both_at_once, .run = two_guards, .check = check_two },
    { .name = "h34_escape_landing", .setup = with_escape, .run = two_guards, .check = check_two },
    { .name = "h34_escape_nested",
      .setup = with_nested_escape,
      .run = two_guards,
      .check = check_two,
      .flags = RACE_ALARM_ONLY },
    { .name = "h34_escape_dead_frame",
      .setup = with_dead_frame,
      .run = two_guards,
      .check = check_two,
      .flags = RACE_ALARM_ONLY },
    { .name = "h31_escape_in_plain", .setup = cooperative_outside, .run = two_guards, .check = check_two },
    { .name = "h31_plain_in_escape",
      .setup = cooperative_inside,
      .run = two_guards,
      .check = check_two,
      .flags = RACE_ALARM_ONLY },
    { .name = "h16_escape_shield", .setup = escapes_step, .run = shielded, .check = check_shielded },
    { .name = NULL },
};
