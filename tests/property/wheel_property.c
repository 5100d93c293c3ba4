/* SPDX-License-Identifier: MIT */
/*
 * wheel_property.c: random programs on a wheel and on the model of model.h, side by side; hazards 22 and 33.
 * A program is a few thousand operations on one wheel: create, arm, re-arm, disarm, delete, advance, and
 * callbacks that do the same, enter dispatch, or stop it. Any difference is printed with the seed.
 *
 * AW_SEED=n chooses the programs, AW_OPERATIONS=n how many operations to do in all, AW_PROGRAM=n runs that
 * one only (with the seed, what a failure prints).
 */
#include "check_main.h"
#include "model.h"
#include "wheel/wheel_internal.h"
#include "wheel/wheel_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    OPERATIONS = 20000000,
    PROGRAM_OPERATIONS = 20000,
    STALE = 16,
    DRAIN = 20,
    CHECK_EVERY = 64
};

/* The state of the one program that runs. */
static struct {
    struct aw_wheel *wheel;
    struct model model;
    uint64_t random;
    uint64_t seed;
    uint64_t program;
    uint64_t operations;
    uint64_t callbacks;
    struct aw_timer stale[STALE]; /* handles of deleted timers */
    unsigned stale_next;
    unsigned most;     /* timers that it may have at a time */
    unsigned capacity; /* in memory of its own; 0: it grows */
    bool tame;         /* only arms what is not armed: then every wake-up is exact */
} run;

static void report(const char *what)
{
    ck_abort_msg("AW_SEED=%" PRIu64 " AW_PROGRAM=%" PRIu64 ", operation %" PRIu64 ": %s", run.seed,
                 run.program, run.operations, what);
}

/* Not ck_assert: Check writes to a file for each of those. */
static void must(bool good, const char *what)
{
    if (!good) {
        report(what);
    }
}

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = run.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(next_random() % n);
}

/* A number of at most `bits` bits, whose length is as likely as any other. */
static uint64_t random_bits(unsigned bits)
{
    unsigned length = below(bits + 1);

    return length == 0 ? 0 : next_random() >> (64 - length);
}

static uint64_t random_delay(void)
{
    unsigned shift = run.model.shift;

    switch (below(8)) {
    case 0:
        return below(3);
    case 1:
        return random_bits(shift + 6);
    case 2:
        return (uint64_t)below(200) << shift; /* whole ticks */
    case 3:
        return random_bits(shift + 37 < 60 ? shift + 37 : 60);
    default:
        return random_bits(shift + 20);
    }
}

static uint64_t random_deadline(void)
{
    uint64_t now = run.model.now_ns;
    uint64_t away = random_delay();

    if (below(8) == 0) {
        return away > now ? 0 : now - away;
    }
    return now + away;
}

static unsigned random_timer(void)
{
    unsigned i = below(MODEL_TIMERS);

    for (unsigned k = 0; k < MODEL_TIMERS && run.model.timer[i].handle.id == 0; k++) {
        i = (i + 1) % MODEL_TIMERS;
    }
    return i;
}

static int on_timer(struct aw_timer timer, void *arg);

static void do_create(void)
{
    struct aw_timer handle;
    unsigned i = below(MODEL_TIMERS);
    int result;

    if (run.model.count >= run.most) {
        return;
    }
    while (run.model.timer[i].handle.id != 0) {
        i = (i + 1) % MODEL_TIMERS;
    }
    result = aw_wheel_timer_create(run.wheel, &handle, on_timer, &run.model.timer[i]);
    if (run.capacity != 0 && run.model.count == run.capacity) {
        must(result == -ENOMEM, "create in a full wheel did not say so");
        return;
    }
    must(result == 0, "create failed");
    for (unsigned k = 0; k < MODEL_TIMERS; k++) {
        must(run.model.timer[k].handle.id != handle.id, "a handle was given out twice");
    }
    model_created(&run.model, i, handle);
}

static void do_delete(unsigned i)
{
    struct aw_timer handle = run.model.timer[i].handle;

    must(aw_wheel_timer_delete(run.wheel, handle) == 0, "delete failed");
    model_deleted(&run.model, i);
    run.stale[run.stale_next++ % STALE] = handle;
}

static void do_arm(unsigned i)
{
    struct model *m = &run.model;
    struct aw_timer handle = m->timer[i].handle;
    uint64_t time;

    switch (below(4)) {
    case 0:
        time = random_delay();
        must(aw_wheel_timer_arm(run.wheel, handle, m->now_ns, time) == 0, "arm failed");
        model_arm(m, i, m->now_ns, time);
        break;
    case 1:
        must(aw_wheel_timer_again(run.wheel, handle, m->now_ns) == model_again(m, i, m->now_ns), "again");
        break;
    default:
        time = random_deadline();
        must(aw_wheel_timer_arm_at(run.wheel, handle, time) == 0, "arm_at failed");
        model_arm_at(m, i, time);
        break;
    }
}

static void do_arm_every(unsigned i)
{
    uint64_t first = random_deadline();
    uint64_t period = 1 + random_delay();
    enum aw_missed missed = (enum aw_missed)below(3);

    must(aw_wheel_timer_arm_every(run.wheel, run.model.timer[i].handle, first, period, missed) == 0,
         "arm_every failed");
    model_arm_every(&run.model, i, first, period, missed);
}

static void do_ask(unsigned i)
{
    const struct model_timer *t = &run.model.timer[i];
    uint64_t now = run.model.now_ns + random_bits(run.model.shift + 2);
    uint64_t answer = 1;
    int result = aw_wheel_timer_remaining(run.wheel, t->handle, now, &answer);

    must(result == (t->armed ? 0 : -ESRCH), "remaining disagrees about being armed");
    must(!t->armed || answer == model_remaining(&run.model, i, now), "remaining");
    must(aw_wheel_timer_overrun(run.wheel, t->handle, &answer) == 0, "overrun failed");
    must(answer == (run.model.current == i ? run.model.expected_missed : 0), "overrun");
}

static void do_stale(void)
{
    struct aw_timer stale = run.stale[below(STALE)];
    uint64_t answer;

    if (below(2) == 0) {
        stale.id += UINT64_C(1) << 32; /* what the record's next timer will be called, or is by now */
        for (unsigned k = 0; k < MODEL_TIMERS; k++) {
            if (run.model.timer[k].handle.id == stale.id) {
                return;
            }
        }
    }
    must(aw_wheel_timer_arm_at(run.wheel, stale, 1) == -ENOENT &&
             aw_wheel_timer_arm(run.wheel, stale, 1, 1) == -ENOENT &&
             aw_wheel_timer_again(run.wheel, stale, 1) == -ENOENT &&
             aw_wheel_timer_arm_every(run.wheel, stale, 1, 1, AW_MISSED_SKIP) == -ENOENT &&
             aw_wheel_timer_disarm(run.wheel, stale) == -ENOENT &&
             aw_wheel_timer_delete(run.wheel, stale) == -ENOENT &&
             aw_wheel_timer_unref(run.wheel, stale) == -ENOENT &&
             aw_wheel_timer_overrun(run.wheel, stale, &answer) == -ENOENT &&
             aw_wheel_timer_remaining(run.wheel, stale, 1, &answer) == -ENOENT,
         "a stale handle was accepted");
}

static void check_next(void)
{
    uint64_t next;
    uint64_t earliest = model_earliest(&run.model);
    int result = aw_wheel_next(run.wheel, &next);

    must(result == (run.model.armed_all > 0), "next disagrees about a timer being armed");
    if (earliest == UINT64_MAX) {
        must(next == AW_FOREVER, "next without a timer");
        return;
    }
    must(next <= model_tick_ns(&run.model, earliest), "the wake-up is too late");
    must(!run.tame || run.model.running || next == model_tick_ns(&run.model, earliest),
         "the wake-up is too early");
}

/* The exact question: what stands in front of the earliest living timer is cleared away. */
static void do_settle(void)
{
    uint64_t earliest = model_earliest(&run.model);
    uint64_t next = awi_wheel_settle(run.wheel);
    const struct aw_wheel *w = run.wheel;

    must(next <= model_tick_ns(&run.model, earliest), "the settled wake-up is too late");
    if (w->late_at == AWI_NEVER && w->overdue_at == AWI_NEVER && w->record[AWI_TODO].next == AWI_TODO) {
        must(next == model_tick_ns(&run.model, earliest), "the settled wake-up is too early");
    }
}

/* The refresh for which somebody must see to it first that its deadline is covered. */
static void do_again(unsigned i)
{
    struct model *m = &run.model;
    struct aw_timer handle = m->timer[i].handle;
    uint64_t deadline = m->now_ns + m->timer[i].interval;
    uint64_t covered = m->now_ns + random_delay();
    uint64_t answer;
    int result = awi_wheel_again(run.wheel, handle, m->now_ns, covered, &answer);

    if (!m->timer[i].has_interval) {
        must(result == -EINVAL, "again without a delay");
        return;
    }
    must(answer == deadline, "the deadline of again");
    must(result == (deadline < covered), "again disagrees about being covered");
    if (result == 0) {
        model_again(m, i, m->now_ns);
    }
}

static void check_all(void)
{
    const char *broken = aw_wheel_check(run.wheel);

    must(broken == NULL, broken);
    must(aw_wheel_armed(run.wheel) == run.model.armed, "the count of armed timers");
    must(aw_wheel_timers(run.wheel) == run.model.count, "the count of timers");
}

/* Anything but to move the clock: for the program, and for its callbacks. */
static void change_something(void)
{
    unsigned i = random_timer();

    run.operations++;
    if (run.model.timer[i].handle.id == 0) {
        do_create();
        return;
    }
    switch (below(run.tame ? 12 : 24)) {
    case 0:
    case 1:
    case 2:
        do_create();
        break;
    case 3:
    case 4:
        if (!run.tame || !(run.model.timer[i].armed || run.model.current == i)) {
            do_arm_every(i);
        }
        break;
    case 5:
        do_ask(i);
        break;
    case 6:
        check_next();
        break;
    case 7:
        do_stale();
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        if (!run.tame || !(run.model.timer[i].armed || run.model.current == i)) {
            do_arm(i);
        }
        break;
    case 12:
    case 13:
        do_delete(i);
        break;
    case 14:
        if (below(8) == 0) {
            must(aw_wheel_timer_unref(run.wheel, run.model.timer[i].handle) == 0, "unref failed");
            model_unref(&run.model, i);
        }
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        must(aw_wheel_timer_disarm(run.wheel, run.model.timer[i].handle) == model_disarm(&run.model, i),
             "disarm disagrees about being armed");
        break;
    case 19:
        if (run.model.running) {
            do_again(i);
        } else {
            do_settle();
        }
        break;
    case 20:
        do_again(i);
        break;
    default:
        do_arm(i);
        break;
    }
}

static int on_timer(struct aw_timer timer, void *arg)
{
    struct model *m = &run.model;
    unsigned i = (unsigned)((struct model_timer *)arg - m->timer);
    const char *wrong = model_runs(m, i);
    int result = 0;

    run.callbacks++;
    must(wrong == NULL, wrong);
    must(timer.id == m->timer[i].handle.id, "the callback got another handle");
    do_ask(i);
    if (below(2) == 0) {
        for (unsigned k = below(5); k > 0; k--) {
            change_something();
        }
        if (!run.tame && below(4) == 0 && m->current == i) {
            /* The timer itself, which a random choice rarely hits. */
            switch (below(4)) {
            case 0:
                do_delete(i);
                break;
            case 1:
                must(aw_wheel_timer_disarm(run.wheel, timer) == model_disarm(m, i),
                     "disarm of the current timer");
                break;
            case 2:
                do_arm_every(i);
                break;
            default:
                must(aw_wheel_timer_arm_at(run.wheel, timer, m->now_ns) == 0, "arm_at in the callback");
                model_arm_at(m, i, m->now_ns);
                break;
            }
        }
        if (below(16) == 0) {
            must(aw_wheel_dispatch(run.wheel, UINT64_MAX, 0) == -EDEADLK, "dispatch inside a callback");
            must(aw_wheel_destroy(run.wheel) == -EBUSY, "destroy inside a callback");
            check_all();
        }
    }
    if (!run.tame && below(32) == 0) {
        result = -1 - (int)below(100);
    }
    model_ran(m, i);
    return result;
}

static uint64_t random_advance(void)
{
    struct model *m = &run.model;
    uint64_t next;

    switch (below(16)) {
    case 0:
        return m->now_ns;
    case 1:
        return m->now_ns / 2; /* counts as the latest time */
    case 2:
    case 3:
    case 4:
    case 5:
        return aw_wheel_next(run.wheel, &next) == 1 && next < UINT64_C(1) << 62 ? next : m->now_ns;
    case 6:
        return aw_wheel_next(run.wheel, &next) == 1 && next < UINT64_C(1) << 62 && next > 0 ? next - 1
                                                                                            : m->now_ns;
    case 7:
        return m->now_ns + (below(8) == 0 ? random_bits(m->shift + 34) : random_bits(m->shift + 20));
    case 8:
    case 9:
        return m->now_ns + random_bits(m->shift + 13);
    default:
        return m->now_ns + random_bits(m->shift + 7);
    }
}

/* One dispatch; returns whether it came to the end of what was due. */
static bool do_dispatch(uint64_t now_ns, unsigned budget)
{
    struct model *m = &run.model;
    uint64_t before = run.callbacks;
    const char *wrong;
    uint64_t next;
    bool complete;
    int result;

    run.operations++;
    model_dispatch_begins(m, now_ns);
    result = aw_wheel_dispatch(run.wheel, now_ns, budget);
    complete = result >= 0 && budget == 0;
    wrong = model_dispatch_ends(m, run.wheel->now, complete);
    must(wrong == NULL, wrong);
    must(result < 0 || (uint64_t)result == run.callbacks - before, "dispatch counts its callbacks wrong");
    must(budget == 0 || run.callbacks - before <= budget, "the budget was exceeded");
    check_next();
    if (aw_wheel_next(run.wheel, &next) == 0) {
        return true;
    }
    must(!complete || next > m->now_ns, "a wake-up is wanted again for what was done");
    return next > m->now_ns;
}

static void do_advance(void)
{
    unsigned budget = run.tame || below(3) > 0 ? 0 : 1 + below(6);

    do_dispatch(random_advance(), budget);
    if (budget > 0 && below(2) == 0) {
        for (unsigned k = 0; k < DRAIN && !do_dispatch(run.model.now_ns, budget); k++) {
            continue;
        }
    }
}

static uint64_t random_start(unsigned shift)
{
    static const uint64_t ticks[] = { 0, UINT64_C(1) << 32, UINT64_C(1) << 36, UINT64_C(3) << 36 };
    uint64_t tick = ticks[below(4)];
    uint64_t before = random_bits(24);

    if (tick == 0) {
        return below(2) == 0 ? 0 : random_bits(shift + 8);
    }
    return ((tick - before) << shift) + random_bits(shift);
}

static void *make_wheel(void)
{
    static const unsigned shifts[] = { 10, 14, 17, 24 };
    unsigned shift = shifts[below(4)];
    struct aw_wheel_options options = { .size = sizeof(options), .tick_ns = UINT64_C(1) << shift };
    void *memory = NULL;

    options.start_ns = random_start(shift);
    if (below(4) == 0) {
        options.generation = AWI_GENERATION_MAX - below(4);
    }
    run.tame = below(6) == 0;
    run.most = 1 + below(MODEL_TIMERS);
    run.capacity = 0;
    if (below(3) == 0) {
        run.capacity = 1 + below(MODEL_TIMERS);
        options.memory_bytes = aw_wheel_bytes(run.capacity);
        memory = aligned_alloc(64, (options.memory_bytes + 63) / 64 * 64);
        must(memory != NULL, "out of memory");
        memset(memory, 0xa5, options.memory_bytes);
        options.memory = memory;
    }
    options.capacity = run.capacity == 0 ? 1 + below(8) : run.capacity;
    must(aw_wheel_create(&run.wheel, &options) == 0, "aw_wheel_create failed");
    must(aw_wheel_capacity(run.wheel) == options.capacity, "the capacity");
    model_init(&run.model, shift, options.start_ns);
    return memory;
}

static void run_program(uint64_t seed, uint64_t program)
{
    uint64_t end = run.operations + PROGRAM_OPERATIONS;
    void *memory;

    run.seed = seed;
    run.program = program;
    run.random = (seed ^ program << 32) * UINT64_C(0xd1342543de82ef95);
    memset(run.stale, 0, sizeof(run.stale));
    memory = make_wheel();
    while (run.operations < end && run.model.now_ns < UINT64_C(1) << 62) {
        if (below(5) == 0) {
            do_advance();
        } else {
            change_something();
        }
        if (run.operations % CHECK_EVERY == 0) {
            check_all();
        }
    }
    check_all();
    must(aw_wheel_destroy(run.wheel) == 0, "destroy");
    free(memory);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);

    return value == NULL ? otherwise : strtoull(value, NULL, 0);
}

START_TEST(wheel_agrees_with_the_model)
{
    uint64_t seed = from_environment("AW_SEED", (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid());
    uint64_t operations = from_environment("AW_OPERATIONS", OPERATIONS);
    uint64_t only = from_environment("AW_PROGRAM", UINT64_MAX);
    uint64_t programs = 0;

    printf("AW_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    if (only != UINT64_MAX) {
        run_program(seed, only);
        return;
    }
    while (run.operations < operations) {
        run_program(seed, programs++);
    }
    printf("%" PRIu64 " operations, %" PRIu64 " callbacks, %" PRIu64 " programs\n", run.operations,
           run.callbacks, programs);
    fflush(stdout);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wheel_property");
    TCase *tcase = tcase_create("model");

    tcase_add_test(tcase, wheel_agrees_with_the_model);
    tcase_set_timeout(tcase, 1800); /* CTest has a limit before */
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
