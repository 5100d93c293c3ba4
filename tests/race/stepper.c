/* SPDX-License-Identifier: MIT */
/*
 * stepper.c: where a traced child stops, and what happens to it there. A clean run is stepped once, which
 * finds the boundaries; boundary k is then reached by a breakpoint and a count of its hits. Nothing here
 * knows what a piece does.
 */
#include "stepper.h"

#include "traced.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define MOST_BOUNDARIES 65536
#define TWICE_NS 60000u /* a nag comes 50 us after the expiry */

/* The text of the code under test: the linker makes these two for a section whose name is an identifier. */
extern const char __start_awtext[], __stop_awtext[];

/* And the fake kernel's system calls, which are no boundaries. */
extern const char __start_worldtext[], __stop_worldtext[];

static bool under_test(uintptr_t pc)
{
    return pc >= (uintptr_t)__start_awtext && pc < (uintptr_t)__stop_awtext;
}

/* The child is a fork: its text is ours, and can be read here. */
static bool at_system_call(uintptr_t pc)
{
    return ((const unsigned char *)pc)[0] == 0x0f && ((const unsigned char *)pc)[1] == 0x05 &&
           !(pc >= (uintptr_t)__start_worldtext && pc < (uintptr_t)__stop_worldtext);
}

/* Past the second mark: the phase is set, and its trap taken. */
static bool ended(uintptr_t pc)
{
    return race_page->phase == RACE_ENDED && ((const unsigned char *)pc)[-1] == 0xcc;
}

/* Hits so far of each address that was seen, libc's included: an open hash table. */
#define HITS_BITS 16
struct hits {
    uintptr_t address[1 << HITS_BITS];
    unsigned count[1 << HITS_BITS];
};

static unsigned *hits_of(struct hits *hits, uintptr_t pc)
{
    size_t i = (pc * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - HITS_BITS);

    for (size_t tries = 0; hits->address[i] != 0 && hits->address[i] != pc; tries++) {
        if (tries == 1 << HITS_BITS)
            abort();
        i = (i + 1) % (1 << HITS_BITS);
    }
    hits->address[i] = pc;
    return &hits->count[i];
}

/*
 * In memory of its own, so that recording maps no memory: the children would inherit it, and their accounts
 * of themselves in /proc differ from one to the next.
 */
static struct race_boundary boundaries[MOST_BOUNDARIES];

static void add_boundary(struct race_record *record, struct race_boundary boundary)
{
    if (record->count < MOST_BOUNDARIES)
        boundaries[record->count++] = boundary;
    else
        race_fail("the piece has more than %d boundaries", MOST_BOUNDARIES);
}

/*
 * Beyond the limit go the later rounds of loops: an instruction's first two executions are kept, all of
 * them, and of the next as many as there is room for, spread evenly. (Each execution passed over costs a
 * replay two stops.)
 */
#define LATEST_HIT 16

static void thin(struct race_record *record, size_t limit)
{
    size_t early = 0, rest = 0, kept = 0, seen = 0, room;

    record->found = record->count;
    if (record->count <= limit)
        return;
    for (size_t i = 0; i < record->count; i++) {
        early += boundaries[i].hit <= 2;
        rest += boundaries[i].hit > 2 && boundaries[i].hit <= LATEST_HIT;
    }
    room = early < limit ? limit - early : 0;
    for (size_t i = 0; i < record->count; i++) {
        bool keep = boundaries[i].hit <= 2;

        if (boundaries[i].hit > LATEST_HIT)
            continue;

        if (!keep) {
            keep = rest <= room || (seen + 1) * room / rest > seen * room / rest;
            seen++;
        }
        if (keep)
            boundaries[kept++] = boundaries[i];
    }
    record->count = kept;
}

/* Text that a thread beside may run, which nobody traces: a breakpoint there would kill it. */
static bool is_shared(const struct race_piece *piece, uintptr_t pc)
{
    const uintptr_t longest = 64;
    return (piece->flags & RACE_THREAD) != 0 && pc - (uintptr_t)syscall < longest;
}

enum race_end race_record(const struct race_piece *piece, struct race_record *record, size_t limit)
{
    static struct hits hits;
    struct run run;
    unsigned *last = NULL;
    uintptr_t at = 0;
    bool after_call = false, listed = false;
    enum stop stop = STOP_TRAP;
    enum race_end end = traced_start(&run, piece, true);

    *record = (struct race_record){ .boundaries = boundaries };
    if (end != RACE_GOOD)
        return end;
    memset(&hits, 0, sizeof hits);
    while (stop == STOP_TRAP || stop == STOP_SIGNAL) {
        if (stop == STOP_TRAP) {
            uintptr_t pc = traced_pc(&run);
            bool call = at_system_call(pc);

            if (ended(pc))
                break;
            last = hits_of(&hits, pc);
            ++*last;
            listed = under_test(pc) || ((call || after_call) && !is_shared(piece, pc));
            if (listed)
                add_boundary(record, (struct race_boundary){ pc, *last });
            at = pc;
            after_call = call;
        }
        stop = traced_resume(&run, true);
        /*
         * A signal was pending here, so the instruction was not executed: a child that runs freely goes
         * straight from the system call to the handler and meets this instruction once, when it comes back.
         */
        if (stop == STOP_SIGNAL && last != NULL && traced_pc(&run) == at) {
            --*last;
            record->count -= listed;
            last = NULL;
        }
    }
    /* Without an event the other thread goes last. */
    if (stop == STOP_TRAP && piece->flags & (RACE_SECOND | RACE_THREAD)) {
        traced_go();
    }
    thin(record, limit);
    return traced_finish(&run, stop);
}

static bool poke(const struct run *run, uintptr_t address, bool trap)
{
    long word;

    memcpy(&word, (const void *)address, sizeof word);
    if (trap)
        word = (long)(((unsigned long)word & ~0xfful) | 0xccul);
    return ptrace(PTRACE_POKETEXT, run->traced, (void *)address, (void *)word) == 0;
}

static bool set_program_counter(const struct run *run, uintptr_t pc)
{
    return ptrace(PTRACE_POKEUSER, run->traced, offsetof(struct user_regs_struct, rip), (void *)pc) == 0;
}

/*
 * Runs to the next hit of the breakpoint, which is removed there: the child stands before the instruction.
 * Signals on the way are delivered. False: the child ended, or passed its second mark.
 */
static bool run_to(struct run *run, uintptr_t address, enum stop *stop)
{
    if (!poke(run, address, true)) {
        *stop = STOP_HANG;
        return false;
    }
    while ((*stop = traced_resume(run, false)) == STOP_SIGNAL)
        continue;
    if (*stop == STOP_EXIT || *stop == STOP_HANG)
        return false;
    if (!poke(run, address, false)) {
        *stop = STOP_HANG;
        return false;
    }
    if (race_page->phase == RACE_ENDED || traced_pc(run) != address + 1)
        return false;
    return set_program_counter(run, address);
}

/* Steps off the instruction; a signal that comes instead is delivered, and its handler entered. */
static bool step_off(struct run *run, enum stop *stop)
{
    while ((*stop = traced_resume(run, true)) == STOP_SIGNAL)
        continue;
    return *stop == STOP_TRAP && !ended(traced_pc(run));
}

/*
 * At a stop that a trap caused the tracer may put another signal in the trap's place; if that is blocked, the
 * kernel leaves it pending. So it arrives exactly as a timer's signal between two instructions does.
 */
static void inject_signal(struct run *run, int signo, int code)
{
    siginfo_t info = race_siginfo(signo, code);

    if (ptrace(PTRACE_SETSIGINFO, run->traced, NULL, &info) != 0)
        race_fail("PTRACE_SETSIGINFO: errno %d", errno);
    run->forward = signo;
}

static void happen(struct run *run, const struct race_event *event)
{
    uint64_t to = event->late ? race_page->late_ns : race_page->jump_ns;
    bool due;
    int signo;

    if (event->jump && to > race_page->now_ns)
        race_page->now_ns = to;
    race_page->injected_ns = race_page->last_ns = race_page->now_ns;
    race_page->injected_asleep = race_page->in_sleep;
    race_page->injected_sleeps = race_page->sleeps;
    race_page->injected_stage = race_page->stage;
    if (run->piece->flags & (RACE_THREAD | RACE_SECOND)) {
        traced_other_thread(run);
        return;
    }
    traced_ready(run, false);
    due = race_page->alarm_at_ns != 0 && race_page->alarm_at_ns <= race_page->now_ns;
    race_page->injected_due = due;
    if (run->piece->flags & RACE_ONLY_ARMED && !due)
        return;
    if (event->both && due)
        traced_send_alarm(run);
    else if (event->jump && due)
        race_page->alarm_at_ns = 0;
    signo = run->piece->signo != 0 ? run->piece->signo : race_alarm_signo();
    inject_signal(run, signo, event->code == SI_KERNEL ? race_alarm_code() : event->code);
}

/* No boundary: the event happens when it has fallen asleep. */
static enum race_end run_to_sleep(struct run *run, const struct race_event *event)
{
    enum stop stop;
    enum race_end end;

    run->asleep = event;
    while ((stop = traced_resume(run, false)) == STOP_SIGNAL)
        continue;
    end = traced_finish(run, stop);
    return end == RACE_GOOD && run->asleep != NULL ? RACE_MISSED : end;
}

enum race_end race_replay(const struct race_piece *piece, const struct race_event *event,
                          const struct race_boundary *boundary)
{
    struct run run;
    enum stop stop = STOP_TRAP;
    enum race_end end = traced_start(&run, piece, false);

    if (end != RACE_GOOD)
        return end;
    if (event->asleep)
        return run_to_sleep(&run, event);
    for (unsigned hit = 1;; hit++) {
        if (!run_to(&run, boundary->address, &stop)) {
            end = traced_finish(&run, stop);
            return end == RACE_BAD ? RACE_BAD : RACE_MISSED;
        }
        if (hit == boundary->hit)
            break;
        if (!step_off(&run, &stop)) {
            end = traced_finish(&run, stop);
            return end == RACE_BAD ? RACE_BAD : RACE_MISSED;
        }
    }
    happen(&run, event);
    /* The handler ran and returned here; now what it programmed goes off as well, if it is as near as a nag.
     */
    if (event->twice && run.forward != 0) {
        if (run_to(&run, boundary->address, &stop) && race_page->alarm_at_ns != 0 &&
            race_page->alarm_at_ns <= race_page->now_ns + TWICE_NS) {
            if (race_page->alarm_at_ns > race_page->now_ns)
                race_page->now_ns = race_page->alarm_at_ns;
            race_page->alarm_at_ns = 0;
            race_page->last_ns = race_page->now_ns;
            inject_signal(&run, race_alarm_signo(), race_alarm_code());
        }
        if (stop == STOP_EXIT || stop == STOP_HANG || race_page->phase == RACE_ENDED)
            return traced_finish(&run, stop);
    }
    while ((stop = traced_resume(&run, false)) == STOP_SIGNAL)
        continue;
    return traced_finish(&run, stop);
}
