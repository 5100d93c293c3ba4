/* SPDX-License-Identifier: MIT */
/* escapes.c: see escapes.h. */
#include "escapes.h"

#include <unwind.h>

#include "guard/escape.h"

volatile struct escapes_account did;
uint64_t escapes_begun_ns;

static uint64_t mask_before;

static uint64_t signal_mask(void)
{
    sigset_t now;
    uint64_t mask = 0;

    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int signo = 1; signo <= 64; signo++)
        mask |= (uint64_t)(sigismember(&now, signo) == 1) << (signo - 1);
    return mask;
}

static _Unwind_Reason_Code no_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    (void)arg;
    return _URC_END_OF_STACK;
}

/*
 * The unwinder of a static program sorts a table when it is first used: millions of instructions, which the
 * children are spared.
 */
__attribute__((constructor)) static void sort_table(void)
{
    _Unwind_Backtrace(no_frame, NULL);
}

static void first_guard(void)
{
    struct aw_guard guard;

    AW_GUARD(&guard, AW_FOREVER, AW_GUARD_ESCAPE) {
    }
}

/* malloc is part of this program's text, so that no escape would be made from the handler. */
void escapes_start(enum aw_alarm alarm, enum aw_interrupt interrupt)
{
    scene_start(alarm, interrupt);
    awi_escape_assume_dynamic = 1;
    first_guard();
    mask_before = signal_mask();
    escapes_begun_ns = race_page->now_ns;
    if (race_running->peer != NULL && race_running->peer->settle != NULL)
        race_running->peer->settle();
}

void escapes_step(void)
{
    escapes_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
}

void escapes_restart(void)
{
    escapes_start(AW_ALARM_ITIMER, AW_INTERRUPT_RESTART);
}

RACE_UNDER_TEST void compute(void)
{
    for (unsigned i = 0; i < 3; i++)
        did.rounds = did.rounds + 1;
}

bool escapes_expired_at(unsigned stage)
{
    return race_page->injected_ns >= escapes_begun_ns + MS && race_page->injected_stage == stage;
}

void escapes_check_rest(void)
{
    uint64_t mask = signal_mask();

    race_check(did.passed, "the guard was not left in order");
    race_check(mask == mask_before, "the mask is %#lx, and was %#lx", (unsigned long)mask,
               (unsigned long)mask_before);
    race_check(awi.shields == 0, "%u shields are left", (unsigned)awi.shields);
    race_check(did.outer_expired <= 1 && did.inner_expired <= 1, "AW_EXPIRED ran twice");
    race_check(did.outer_finished + did.outer_expired != 0, "neither finished nor expired");
    race_check(did.outer_expired + did.inner_expired == 0 || race_page->now_ns >= escapes_begun_ns + MS,
               "expired early");
    race_outcome(did.outer_expired == 0    ? did.inner_expired == 0 ? "in time" : "inner"
                 : did.outer_finished != 0 ? "reported"
                                           : "escaped");
    scene_quiet();
    scene_sound();
    shot_arm(&far_shot, MS);
    shot_expect(&far_shot);
    scene_settle();
    race_check(far_shot.runs == 1, "far ran %u times", far_shot.runs);
}
