/* SPDX-License-Identifier: MIT */
/*
 * itimer_table.c: the cases, how one is run, and when two outcomes are the same: the same results, the same
 * intervals, and values that tell of the same setting, once the time is added that passed on the timer's own
 * clock.
 */
#include "itimer_table.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/burn.h"
#include "signal_fixture.h"

enum call {
    SET,
    GET,
    ALARM
};

enum pointer {
    NONE,
    GOOD,
    BAD
};

/* The kinds that a case is run for. */
#define REAL (1u << ITIMER_REAL)
#define CPU (1u << ITIMER_VIRTUAL | 1u << ITIMER_PROF)
#define ALL (REAL | CPU)

#define TIME(sec, usec)                     \
    {                                       \
        .tv_sec = (sec), .tv_usec = (usec), \
    }
#define VALUE(sec, usec, interval_sec, interval_usec)                                  \
    {                                                                                  \
        .it_value = TIME(sec, usec), .it_interval = TIME(interval_sec, interval_usec), \
    }
#define STOP VALUE(0, 0, 0, 0)

static const struct row {
    const char *what;
    unsigned kinds;
    struct itimerval first; /* the timer is set to this, */
    unsigned burn_ms;       /* this much time passes on its clock, */
    bool is_held;           /* while its signal is blocked, or no safe point is reached; */
    enum call call;         /* and then this is called */
    enum pointer new_value;
    struct itimerval with;
    enum pointer old_value;
    unsigned seconds;
    int instead; /* of the timer: this many more */
} rows[] = {
    { "nothing runs", ALL, STOP, .call = GET, .old_value = GOOD },
    { "remaining", ALL, VALUE(10, 0, 0, 0), .call = GET, .old_value = GOOD },
    { "remaining, later", ALL, VALUE(10, 0, 3, 5), 50, .call = GET, .old_value = GOOD },
    { "interval", ALL, VALUE(5, 0, 7, 999999), .call = GET, .old_value = GOOD },
    { "interval alone", ALL, VALUE(0, 0, 5, 3), .call = GET, .old_value = GOOD },
    { "a microsecond of interval", ALL, VALUE(9, 999999, 0, 1), .call = GET, .old_value = GOOD },
    { "one shot ran out", ALL, VALUE(0, 5000, 0, 0), 50, .call = GET, .old_value = GOOD },
    { "next interval", ALL, VALUE(0, 5000, 8, 0), 50, .call = GET, .old_value = GOOD },
    { "periods are passed over", ALL, VALUE(0, 5000, 0, 5000), 80, .call = SET, .new_value = NONE },
    { "replaced", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(20, 0, 4, 0), GOOD },
    { "replaced, later", ALL, VALUE(10, 0, 3, 0), 50, .call = SET, GOOD, VALUE(20, 0, 4, 0), GOOD },
    { "replaced, old value unwanted", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(20, 0, 4, 0), NONE },
    { "stopped", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, STOP, GOOD },
    { "stopped, with an interval", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(0, 0, 2, 1), GOOD },
    { "stopped by NULL", ALL, VALUE(10, 0, 3, 0), .call = SET, NONE, STOP, GOOD },
    { "stopped by two NULLs", ALL, VALUE(10, 0, 3, 0), .call = SET, NONE, STOP, NONE },
    { "stopped, nothing ran", ALL, STOP, .call = SET, NONE, STOP, GOOD },
    { "stopped after it ran out", ALL, VALUE(0, 5000, 0, 0), 50, true, .call = SET, NONE, STOP, GOOD },
    { "set anew after it ran out", ALL, VALUE(0, 5000, 0, 0), 50, true, .call = SET, GOOD, VALUE(10, 0, 0, 0),
      GOOD },
    { "signal is pending, next interval", CPU, VALUE(0, 5000, 8, 0), 50, true, GET, .old_value = GOOD },
    { "32 bits of seconds", ALL, VALUE(4294967295, 0, 4294967295, 999999), .call = GET, .old_value = GOOD },
    { "the last second", ALL, VALUE(9000000000, 0, 9223372035, 999999), .call = GET, .old_value = GOOD },
    { "one second more", ALL, VALUE(9000000000, 0, 9223372036, 0), .call = GET, .old_value = GOOD },
    { "huge interval", ALL, VALUE(10, 0, LONG_MAX, 999999), .call = GET, .old_value = GOOD },
    { "huge", REAL, VALUE(LONG_MAX, 999999, LONG_MAX, 0), .call = GET, .old_value = GOOD },
    /* Linux tells a negative value for the first tick. */
    { "huge, later", ALL, VALUE(LONG_MAX, 0, 1, 0), 50, .call = GET, .old_value = GOOD },
    { "huge, replaced", ALL, VALUE(LONG_MAX, 0, LONG_MAX, 0), 50, .call = SET, NONE, STOP, GOOD },
    { "negative seconds", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(-1, 0, 0, 0), GOOD },
    { "most negative seconds", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(LONG_MIN, 0, 0, 0), GOOD },
    { "negative microseconds", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(1, -1, 0, 0), GOOD },
    { "a million microseconds", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(0, 1000000, 0, 0), GOOD },
    { "huge microseconds", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(0, LONG_MAX, 0, 0), GOOD },
    { "negative interval", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(1, 0, -1, 0), GOOD },
    { "negative microseconds in it", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(1, 0, 0, -1), GOOD },
    { "a million in it", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(1, 0, 0, 1000000), GOOD },
    { "bad interval, stopped", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(0, 0, 0, 1000000), GOOD },
    { "bad new pointer", ALL, VALUE(10, 0, 3, 0), .call = SET, BAD, STOP, GOOD },
    { "bad new and old pointers", ALL, VALUE(10, 0, 3, 0), .call = SET, BAD, STOP, BAD },
    { "bad old pointer: it is set", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(20, 0, 4, 0), BAD },
    { "bad old pointer: it is stopped", ALL, VALUE(10, 0, 3, 0), .call = SET, NONE, STOP, BAD },
    { "bad value, bad old pointer", ALL, VALUE(10, 0, 3, 0), .call = SET, GOOD, VALUE(-1, 0, 0, 0), BAD },
    { "get, bad pointer", ALL, VALUE(10, 0, 3, 0), .call = GET, .old_value = BAD },
    { "get, NULL", ALL, VALUE(10, 0, 3, 0), .call = GET, .old_value = NONE },
    { "no such timer", ALL, STOP, .call = SET, GOOD, VALUE(1, 0, 0, 0), GOOD, .instead = 7 },
    { "no such timer, NULL", ALL, STOP, .call = SET, NONE, STOP, GOOD, .instead = -7 },
    { "no such timer, bad value", ALL, STOP, .call = SET, GOOD, VALUE(-1, 0, 0, 0), GOOD, .instead = 7 },
    { "no such timer, bad pointer", ALL, STOP, .call = SET, BAD, STOP, NONE, .instead = 7 },
    { "no such timer, bad old pointer", ALL, STOP, .call = SET, NONE, STOP, BAD, .instead = INT_MAX - 7 },
    { "no such timer, get", ALL, STOP, .call = GET, .old_value = GOOD, .instead = 7 },
    { "no such timer, get, bad pointer", ALL, STOP, .call = GET, .old_value = BAD, .instead = -7 },
    { "alarm, nothing ran", REAL, STOP, .call = ALARM, .seconds = 5 },
    { "alarm off, nothing ran", REAL, STOP, .call = ALARM },
    { "alarm off", REAL, VALUE(7, 0, 0, 0), .call = ALARM },
    { "alarm replaced", REAL, VALUE(7, 0, 0, 0), .call = ALARM, .seconds = 20 },
    { "alarm ends an interval", REAL, VALUE(7, 0, 3, 0), .call = ALARM, .seconds = 20 },
    { "alarm rounds up", REAL, VALUE(7, 900000, 0, 0), .call = ALARM, .seconds = 1 },
    { "alarm rounds down", REAL, VALUE(7, 400000, 0, 0), .call = ALARM, .seconds = 1 },
    { "alarm, less than a second", REAL, VALUE(0, 900000, 0, 0), .call = ALARM },
    { "alarm, less than half of one", REAL, VALUE(0, 400000, 0, 0), .call = ALARM },
    { "alarm, one and a bit", REAL, VALUE(1, 400000, 0, 0), .call = ALARM },
    { "alarm ran out", REAL, VALUE(0, 5000, 0, 0), 50, .call = ALARM, .seconds = 30 },
    { "alarm ran out, pending", REAL, VALUE(0, 5000, 0, 0), 50, true, ALARM, .seconds = 30 },
    { "alarm, huge", REAL, STOP, .call = ALARM, .seconds = UINT_MAX },
    { "alarm, INT_MAX", REAL, STOP, .call = ALARM, .seconds = INT_MAX },
    { "alarm, was INT_MAX", REAL, VALUE(INT_MAX, 900000, 0, 0), .call = ALARM },
    { "alarm, was huge", REAL, VALUE(UINT_MAX, 0, 0, 0), .call = ALARM },
};
enum {
    ROWS = sizeof rows / sizeof rows[0],
    KINDS = 3
};

struct outcome {
    int first;
    int64_t result;
    struct itimerval old;   /* a pattern where nothing was stored */
    struct itimerval after; /* of what getitimer says in the end */
    bool ran;               /* handler or callback, by the end */
    /* On the clock of the kind: before and after the first setting, the call, and the last look. */
    uint64_t at[6];
};

/* In memory that the child with libc's shares. */
static struct outcome (*libcs)[KINDS];

/* ---- the two that are compared ---- */

struct side {
    clockid_t clocks[KINDS];
    int (*set)(int which, const struct itimerval *value, struct itimerval *old);
    int (*get)(int which, struct itimerval *value);
    int64_t (*alarm)(unsigned seconds);
    void (*hold)(int which);    /* no signal, no safe point, */
    void (*release)(int which); /* until here */
    void (*look)(void);         /* while time passes */
    bool (*has_rung)(int which);
};

/* The kernel's PROF counts ticks, as VIRTUAL does on either side, and ours all nanoseconds. */
#define PROF_CLOCK ((clockid_t)(~0u << 3))
#define CLOCKS(prof)                                                                                \
    {                                                                                               \
        [ITIMER_REAL] = CLOCK_MONOTONIC, [ITIMER_VIRTUAL] = AWI_USER_CLOCK, [ITIMER_PROF] = (prof), \
    }

static volatile sig_atomic_t runs;

static void count_signal(int signo)
{
    (void)signo;
    ++runs;
}

static const int signals[KINDS] = {
    [ITIMER_REAL] = SIGALRM, [ITIMER_VIRTUAL] = SIGVTALRM, [ITIMER_PROF] = SIGPROF
};

/* Through pointers that the compiler does not see through: it knows which values are out of range. */
static int libc_set(int which, const struct itimerval *value, struct itimerval *old)
{
    return setitimer((__itimer_which_t)which, value, old) == 0 ? 0 : -errno;
}

static int libc_get(int which, struct itimerval *value)
{
    return getitimer((__itimer_which_t)which, value) == 0 ? 0 : -errno;
}

static int64_t libc_alarm(unsigned seconds)
{
    return alarm(seconds);
}

static void libc_hold(int which)
{
    block_signal(signals[which]);
}

static void libc_release(int which)
{
    unblock_signal(signals[which]);
}

static void libc_look(void)
{
}

/* Until the signal is there the kernel says that time is left; and it may be late. */
static bool libc_has_rung(int which)
{
    sigset_t pending;
    sigpending(&pending);
    return runs != 0 || sigismember(&pending, signals[which]) == 1;
}

static const struct side libc = { CLOCKS(PROF_CLOCK), libc_set,     libc_get,  libc_alarm,
                                  libc_hold,          libc_release, libc_look, libc_has_rung };

static int count_callback(int id, uint64_t expirations, void *arg)
{
    (void)id;
    (void)arg;
    ck_assert_uint_ge(expirations, 1);
    ++runs;
    return 0;
}

static int64_t our_alarm(unsigned seconds)
{
    return aw_alarm(seconds);
}

static void our_hold(int which)
{
    (void)which;
}

static void our_release(int which)
{
    (void)which;
    pass_ms(1); /* a tick of the engine's */
    ck_assert_int_ge(aw_dispatch(0), 0);
}

static void our_look(void)
{
    ck_assert_int_eq(aw_safepoint(), 0);
}

/* Ours needs no signal: it reads the clock. */
static bool our_has_rung(int which)
{
    (void)which;
    return true;
}

static const struct side ours = { CLOCKS(CLOCK_PROCESS_CPUTIME_ID),
                                  aw_setitimer,
                                  aw_getitimer,
                                  our_alarm,
                                  our_hold,
                                  our_release,
                                  our_look,
                                  our_has_rung };

/* ---- one case ---- */

static uint64_t now_of(const struct side *side, int which)
{
    struct timespec now;
    clock_gettime(side->clocks[which], &now);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

static uint64_t ns_of(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * AW_SEC(1) + (uint64_t)tv.tv_usec * AW_US(1);
}

static bool is_set(struct timeval tv)
{
    return tv.tv_sec != 0 || tv.tv_usec != 0;
}

/* So long, and until a signal that is due by then has come. */
static void burn(const struct side *side, int which, const struct row *row)
{
    const struct timeval first = row->first.it_value;
    bool rings = is_set(first) && ns_of(first) < AW_MS(row->burn_ms);
    uint64_t until = now_of(side, which) + AW_MS(row->burn_ms), give_up = clock_ns() + AW_SEC(60);
    while (now_of(side, which) < until || (rings && !side->has_rung(which) && clock_ns() < give_up)) {
        for (volatile unsigned i = 0; i < 20000; ++i)
            continue;
        if (!row->is_held)
            side->look();
    }
}

static struct itimerval *place(enum pointer pointer, struct itimerval *good)
{
    static void *bad;
    if (bad == NULL)
        bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pointer == NONE ? NULL : pointer == GOOD ? good : bad;
}

static void run_row(const struct side *side, const struct row *row, int which, struct outcome *out)
{
    struct itimerval with = row->with;
    int called = row->instead != 0 ? row->instead : which;
    memset(out, 0, sizeof *out);
    memset(&out->old, 0x55, sizeof out->old);
    runs = 0;
    if (row->is_held)
        side->hold(which);
    out->at[0] = now_of(side, which);
    out->first = side->set(which, &row->first, NULL);
    out->at[1] = now_of(side, which);
    burn(side, which, row);
    out->at[2] = now_of(side, which);
    if (row->call == SET)
        out->result = side->set(called, place(row->new_value, &with), place(row->old_value, &out->old));
    else if (row->call == GET)
        out->result = side->get(called, place(row->old_value, &out->old));
    else
        out->result = side->alarm(row->seconds);
    out->at[3] = now_of(side, which);
    out->at[4] = now_of(side, which);
    int got = side->get(which, &out->after);
    out->at[5] = now_of(side, which);
    side->release(which);
    out->ran = runs != 0;
    if (side->set(which, NULL, NULL) != 0 || got != 0)
        out->first = -ENOTRECOVERABLE;
}

/* alarm's rounding is told by its result only if little time passes: until then. */
static void run(const struct side *side, const struct row *row, int which, struct outcome *out)
{
    do
        run_row(side, row, which, out);
    while (row->call == ALARM && row->burn_ms == 0 && out->at[3] - out->at[0] > AW_MS(300));
}

/* ---- the same? ---- */

/* What the timer was set to, as far as that can be told from what was left later. */
struct range {
    uint64_t low_ns, high_ns;
};

/* The longest end where CLOCK_MONOTONIC does: they have a deadline in common, not a setting. */
static struct range origin(int which, struct timeval left, const uint64_t *set, const uint64_t *seen)
{
    static const uint64_t boot[2] = { 0, 0 };
    if (which == ITIMER_REAL && left.tv_sec > 9200000000)
        set = boot;
    return (struct range){ ns_of(left) + (seen[0] - set[1]), ns_of(left) + AW_US(1) + (seen[1] - set[0]) };
}

/* Processor time is counted by ticks: two of 100 Hz, either way. */
static bool meet(int which, struct range a, struct range b)
{
    uint64_t slack = which == ITIMER_REAL ? 0 : AW_MS(20);
    return a.low_ns <= b.high_ns + slack && b.low_ns <= a.high_ns + slack;
}

static bool same_times(int which, const struct itimerval *a, const struct itimerval *b, struct range origin_a,
                       struct range origin_b)
{
    if (memcmp(&a->it_interval, &b->it_interval, sizeof a->it_interval) != 0)
        return false;
    if (!is_set(a->it_value) || !is_set(b->it_value))
        return is_set(a->it_value) == is_set(b->it_value);
    return meet(which, origin_a, origin_b);
}

static bool was_stored(const struct itimerval *value)
{
    struct itimerval pattern;
    memset(&pattern, 0x55, sizeof pattern);
    return memcmp(value, &pattern, sizeof pattern) != 0;
}

static const char *difference(const struct row *row, int which, const struct outcome *libcs_out,
                              const struct outcome *ours_out)
{
    const struct outcome *a = libcs_out, *b = ours_out;
    if (a->first != 0 || b->first != 0)
        return "the timer cannot be set";
    if (a->result != b->result)
        return "other result";
    if (was_stored(&a->old) != was_stored(&b->old))
        return "one has stored an old value, and one has not";
    if (was_stored(&a->old) &&
        !same_times(which, &a->old, &b->old, origin(which, a->old.it_value, a->at, a->at + 2),
                    origin(which, b->old.it_value, b->at, b->at + 2)))
        return "other old value";
    /* What the call has set counts from the call, what it has not, from the first setting. */
    bool is_new = a->result >= 0 && row->call != GET;
    const uint64_t *from_a = is_new ? a->at + 2 : a->at, *from_b = is_new ? b->at + 2 : b->at;
    if (!same_times(which, &a->after, &b->after, origin(which, a->after.it_value, from_a, a->at + 4),
                    origin(which, b->after.it_value, from_b, b->at + 4)))
        return "other value afterwards";
    if (a->ran != b->ran)
        return a->ran ? "the callback did not run" : "the callback ran";
    return NULL;
}

/* ---- all of them ---- */

static bool applies(int row, int which)
{
    return (rows[row].kinds >> which & 1) != 0;
}

void itimer_table_begin(void)
{
    libcs = mmap(NULL, sizeof(struct outcome[ROWS][KINDS]), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(libcs != MAP_FAILED);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        for (int which = 0; which < KINDS; ++which)
            handle_signal(signals[which], count_signal, SA_RESTART);
        for (int row = 0; row < ROWS; ++row)
            for (int which = 0; which < KINDS; ++which)
                if (applies(row, which))
                    run(&libc, &rows[row], which, &libcs[row][which]);
        _exit(0);
    }
    expect_exit(pid, 0);
}

void itimer_table_compare(void)
{
    static const char *const names[KINDS] = { "REAL", "VIRTUAL", "PROF" };
    struct outcome out;
    unsigned compared = 0;
    for (int which = 0; which < KINDS; ++which)
        ck_assert_int_eq(aw_itimer_callback(which, count_callback, NULL), 0);
    for (int row = 0; row < ROWS; ++row)
        for (int which = 0; which < KINDS; ++which) {
            if (!applies(row, which))
                continue;
            run(&ours, &rows[row], which, &out);
            const struct outcome *theirs = &libcs[row][which];
            const char *how = difference(&rows[row], which, theirs, &out);
            ck_assert_msg(how == NULL, "%s, ITIMER_%s: %s (%lld and %lld, %lld.%06ld and %lld.%06ld)",
                          rows[row].what, names[which], how, (long long)theirs->result, (long long)out.result,
                          (long long)theirs->after.it_value.tv_sec, (long)theirs->after.it_value.tv_usec,
                          (long long)out.after.it_value.tv_sec, (long)out.after.it_value.tv_usec);
            ++compared;
        }
    ck_assert_uint_gt(compared, 150);
    munmap(libcs, sizeof(struct outcome[ROWS][KINDS]));
}
