/* SPDX-License-Identifier: MIT */
/*
 * signal_burn.c: guards on processor time, on real clocks: they count what the thread, or the process in user
 * mode, burns, and nothing else; they nest with all other guards; what they take of the process comes back.
 * Lower bounds are strict by the guard's own clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "engine/burn.h"
#include "engine/disposition.h"
#include "engine/pending.h"
#include "signal_fixture.h"

#define KERNEL_TICK_NS AW_MS(10) /* at most: 100 Hz */

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

static uint64_t burnt_ns(unsigned how)
{
    return how == AW_GUARD_CPU ? cpu_ns() : awi_burn_now(AW_GUARD_USER);
}

/* In user mode, as far as it can: few system calls. */
static void burn_once(void)
{
    for (volatile unsigned i = 0; i < 20000; ++i)
        continue;
}

static void burn(uint64_t ns)
{
    uint64_t until = cpu_ns() + ns;
    while (cpu_ns() < until)
        burn_once();
}

/* Burns until these guards have expired; nobody is told. */
static void burn_until_expired(uint64_t guards)
{
    while ((AWI_LOAD(awi.expired) & guards) != guards)
        burn_once();
}

/* ---- a second thread that burns ---- */

static atomic_uint busy; /* no bool: gcc 12 with -fsanitize=bool takes the load out of the loop */

static void *be_busy(void *unused)
{
    unblock_signal(SIGVTALRM); /* whoever has started it may have blocked it */
    while (busy != 0)
        burn_once();
    return unused;
}

static pthread_t start_busy_thread(void)
{
    pthread_t thread;
    busy = 1;
    ck_assert_int_eq(pthread_create(&thread, NULL, be_busy, NULL), 0);
    return thread;
}

static void stop_busy_thread(pthread_t thread)
{
    busy = 0;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- whose time counts ---- */

static void report(const char *what, uint64_t burnt, uint64_t passed)
{
    printf("variant %s: fired after %.3f ms of its own time, %.1f ms passed\n", what,
           (double)burnt / (double)AW_MS(1), (double)passed / (double)AW_MS(1));
}

static void work_that_spins(void)
{
    while (aw_safepoint() == 0)
        burn_once();
}

static void work_that_sleeps(void)
{
    const struct timespec doze = { 0, 2000000 };
    while (aw_safepoint() == 0) {
        nanosleep(&doze, NULL);
        for (uint64_t until = cpu_ns() + AW_MS(3); cpu_ns() < until && aw_safepoint() == 0;)
            burn_once();
    }
}

static void bound_by_100_ms(const char *what, void (*work)(void))
{
    struct aw_guard guard;
    uint64_t start = clock_ns(), before = cpu_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(100), AW_GUARD_CPU), 0);
    uint64_t entered = cpu_ns();
    work();
    uint64_t burnt = cpu_ns();
    ck_assert_uint_ge(burnt - before, AW_MS(100));
    ck_assert_uint_le(aw_guard_lateness_ns(&guard), burnt - before - AW_MS(100));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    report(what, burnt - entered, clock_ns() - start);
    /* The kernel looks once a tick; what is beyond that is for machines that lose ticks. */
    ck_assert_uint_lt(burnt - entered, AW_SEC(10));
}

START_TEST(cpu_guard_beside_a_busy_thread)
{
    char what[32];
    start_variant(_i);
    pthread_t thread = start_busy_thread();
    snprintf(what, sizeof what, "%d, spinning", _i);
    bound_by_100_ms(what, work_that_spins);
    snprintf(what, sizeof what, "%d, sleeping", _i);
    bound_by_100_ms(what, work_that_sleeps);
    stop_busy_thread(thread);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A virtual machine may take what it was kept from for the thread's own time: then it returns false. */
static bool let_time_pass(void)
{
    struct aw_guard guard;
    uint64_t before = cpu_ns();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(50), AW_GUARD_CPU), 0);
    pass_ms(150); /* the other thread's time, and its alone */
    int dispatched = aw_dispatch(0);
    int left = aw_guard_leave(&guard);
    if (cpu_ns() - before >= AW_MS(50))
        return false;
    ck_assert_int_eq(dispatched, 0);
    ck_assert_int_eq(left, 0);
    return true;
}

START_TEST(time_that_passes_does_not_count)
{
    unsigned tries = 0;
    start_variant(_i);
    pthread_t thread = start_busy_thread();
    while (!let_time_pass() && ++tries < 100)
        continue;
    stop_busy_thread(thread);
    ck_assert_uint_lt(tries, 100); /* it hardly computes */
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The process's time: the owner sleeps, another thread burns, and gets the signal. */
START_TEST(h14_user_guard_fires_for_another_thread)
{
    struct aw_guard guard;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    start_variant(_i);
    uint64_t before = burnt_ns(AW_GUARD_USER);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(30), AW_GUARD_USER), 0);
    block_signal(SIGVTALRM); /* before anybody burns */
    pthread_t thread = start_busy_thread();
    ck_assert_int_eq(read(ends[0], &byte, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_uint_ge(burnt_ns(AW_GUARD_USER), before + AW_MS(30));
    unblock_signal(SIGVTALRM);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    stop_busy_thread(thread);
    ck_assert_uint_gt(stats_now().forwarded, 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Never early by the clock that the kernel keeps by ticks; beside other processes that may run ahead. */
START_TEST(user_guard)
{
    struct aw_guard guard;
    char what[32];
    start_variant(_i);
    uint64_t start = clock_ns(), before = cpu_ns(), user_before = burnt_ns(AW_GUARD_USER);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(100), AW_GUARD_USER), 0);
    work_that_spins();
    uint64_t burnt = cpu_ns();
    ck_assert_uint_ge(burnt_ns(AW_GUARD_USER), user_before + AW_MS(100));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    snprintf(what, sizeof what, "%d, user time", _i);
    report(what, burnt - before, clock_ns() - start);
    ck_assert_uint_lt(burnt - before, AW_SEC(10));
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- with other guards, callbacks, calls ---- */

#define DEEP 3
static const unsigned kinds[] = { AW_GUARD_DEFAULT, AW_GUARD_CPU, AW_GUARD_USER };

/* All three clocks in all orders, and on each every set of guards that expire. */
static void expire_set(const unsigned how[DEEP], unsigned set)
{
    struct aw_guard guards[DEEP];
    unsigned outermost = (unsigned)__builtin_ctz(set);
    for (unsigned i = 0; i < DEEP; ++i) {
        uint64_t timeout = (set >> i & 1) != 0 ? AW_MS(2) : AW_SEC(3600);
        ck_assert_int_eq(aw_guard_enter(&guards[i], timeout, how[i]), 0);
    }
    burn_until_expired(set);
    ck_assert_uint_eq(AWI_LOAD(awi.expired), set);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    for (unsigned i = DEEP; i-- != 0;) {
        bool itself = (set >> i & 1) != 0;
        bool around = (set & ((1u << i) - 1)) != 0;
        ck_assert_ptr_eq(aw_guard_fired(&guards[i]), itself || around ? &guards[outermost] : NULL);
        ck_assert_int_eq(aw_guard_leave(&guards[i]), itself ? -ETIMEDOUT : around ? -ECANCELED : 0);
    }
    ck_assert_int_eq(aw_safepoint(), 0);
}

START_TEST(h12_every_set_on_every_clock)
{
    start_variant(_i);
    for (unsigned order = 0; order < 27; ++order) {
        const unsigned how[DEEP] = { kinds[order % 3], kinds[order / 3 % 3], kinds[order / 9] };
        for (unsigned set = 1; set < 1u << DEEP; ++set)
            expire_set(how, set);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Three deadlines on one clock: the timer goes on to the next, whatever the order. */
START_TEST(one_after_the_other)
{
    static const unsigned orders[6][DEEP] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                              { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };
    start_variant(_i);
    for (unsigned order = 0; order < 6; ++order) {
        struct aw_guard guards[DEEP];
        uint64_t before = cpu_ns();
        for (unsigned i = 0; i < DEEP; ++i)
            ck_assert_int_eq(aw_guard_enter(&guards[i], AW_MS(15) * orders[order][i], AW_GUARD_CPU), 0);
        for (unsigned turn = 1; turn <= DEEP; ++turn) {
            unsigned i = 0;
            while (orders[order][i] != turn)
                ++i;
            burn_until_expired(UINT64_C(1) << i);
            ck_assert_uint_ge(cpu_ns(), before + AW_MS(15) * turn);
            ck_assert(aw_guard_expired(&guards[DEEP - 1])); /* no nag looks at the clock */
        }
        for (unsigned i = DEEP; i-- != 0;)
            ck_assert_int_eq(aw_guard_leave(&guards[i]), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* It fires while the program computes; the next call that blocks is interrupted all the same. */
START_TEST(blocked_after_its_time_is_burnt)
{
    struct aw_guard guard;
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    start_variant(_i);
    for (unsigned i = 0; i < 10; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), i % 2 != 0 ? AW_GUARD_USER : AW_GUARD_CPU), 0);
        burn_until_expired(1);
        ck_assert_int_eq(read(ends[0], &byte, 1), -1);
        ck_assert_int_eq(errno, EINTR);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int bounded_callback(struct aw_timer timer, void *arg)
{
    struct aw_guard guard;
    (void)timer;
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_CPU), 0);
    work_that_spins();
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ++*(unsigned *)arg;
    return 0;
}

START_TEST(h30_inside_a_callback)
{
    struct aw_timer timer;
    struct aw_guard outer;
    unsigned runs = 0;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, bounded_callback, &runs), 0);
    ck_assert_int_eq(aw_guard_enter(&outer, AW_MS(1), AW_GUARD_CPU), 0);
    ck_assert_int_eq(aw_timer_arm(timer, 0), 0);
    while (runs == 0)
        ck_assert_int_le(aw_dispatch(0), 1);
    ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    for (unsigned i = 2; i <= 4; ++i) {
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(1)), 0);
        ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
        ck_assert_uint_eq(runs, i);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int count_tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

/* Both timers and the alarm use one handler: nobody's signal is lost for another's. */
START_TEST(h29_beside_periodic_timers)
{
    struct aw_timer timer;
    unsigned ticks = 0, expired = 0;
    uint64_t missed;
    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, count_tick, &ticks), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_BURST), 0);
    uint64_t start = clock_ns();
    for (unsigned i = 0; i < 40; ++i) {
        struct aw_guard guard;
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(3), i % 2 != 0 ? AW_GUARD_USER : AW_GUARD_CPU), 0);
        work_that_spins();
        expired += aw_guard_leave(&guard) == -ETIMEDOUT;
    }
    ck_assert_uint_eq(expired, 40);
    uint64_t due = (clock_ns() - start) / AW_MS(1);
    while (ticks + 1 < due)
        ck_assert_int_ge(aw_dispatch(0), 0);
    ck_assert_int_eq(aw_timer_overrun(timer, &missed), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- a foreign handler of SIGVTALRM ---- */

static volatile unsigned foreign_runs;

static void count_foreign(int signo)
{
    (void)signo;
    ++foreign_runs;
}

static bool is_foreign_handler(void)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(SIGVTALRM, NULL, &action), 0);
    return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == count_foreign;
}

static bool itimer_runs(void)
{
    struct itimerval value;
    ck_assert_int_eq(getitimer(ITIMER_VIRTUAL, &value), 0);
    return value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0;
}

static void expect_given_back(void)
{
    ck_assert(is_foreign_handler());
    ck_assert(!itimer_runs());
    ck_assert(is_blocked(SIGVTALRM));
}

/* ---- escapes ---- */

static int spin_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        burn_once();
    return 0;
}

/* Out of computation that asks nobody; what was taken is back when AW_EXPIRED runs. The flags: a constant. */
#define ESCAPE(how, timeout)                                       \
    do {                                                           \
        struct aw_guard guard_;                                    \
        volatile uint64_t before_ = burnt_ns(how);                 \
        volatile bool escaped_ = false;                            \
        AW_GUARD(&guard_, timeout, AW_GUARD_ESCAPE | (how)) {      \
            spin_for_ever(NULL);                                   \
        }                                                          \
        AW_EXPIRED                                                 \
        {                                                          \
            escaped_ = true;                                       \
            ck_assert_int_eq(aw_guard_error(&guard_), 0);          \
            ck_assert_uint_ge(burnt_ns(how), before_ + (timeout)); \
            expect_given_back();                                   \
        }                                                          \
        ck_assert(escaped_);                                       \
    } while (0)

START_TEST(escapes_on_every_clock)
{
    struct aw_guard outer, inner;
    handle_signal(SIGVTALRM, count_foreign, 0);
    block_signal(SIGVTALRM);
    start_variant(_i);
    for (volatile unsigned i = 0; i < 3; ++i) {
        ESCAPE(AW_GUARD_CPU, AW_MS(10));
        ESCAPE(AW_GUARD_USER, AW_MS(10));
    }
    for (unsigned i = 1; i < 3; ++i) {
        /* An inner one that a cooperative one around it has out, and one that runs out itself. */
        ck_assert_int_eq(aw_guard_enter(&outer, AW_MS(10), kinds[i]), 0);
        ck_assert_int_eq(
            aw_guard_call(&inner, AW_SEC(3600), AW_GUARD_ESCAPE | kinds[3 - i], spin_for_ever, NULL),
            -ECANCELED);
        ck_assert_ptr_eq(aw_guard_fired(&inner), &outer);
        ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
        ck_assert_int_eq(
            aw_guard_call(&inner, AW_MS(10), AW_GUARD_ESCAPE | kinds[3 - i], spin_for_ever, NULL),
            -ETIMEDOUT);
        expect_given_back();
    }
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

/* ---- the handler comes in while the program sets the timer ---- */

int __real_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

static void (*before_setting)(void);
static void (*after_looking)(void);
static unsigned looks;

static void run_once(void (**fn)(void))
{
    void (*run)(void) = *fn;
    *fn = NULL;
    if (run != NULL)
        run();
}

int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    run_once(&before_setting);
    return __real_timer_settime(timer, flags, value, old);
}

/* The second look: the first is that of entering. */
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int result = __real_clock_gettime(id, now);
    if (id == CLOCK_THREAD_CPUTIME_ID && after_looking != NULL && ++looks == 2)
        run_once(&after_looking);
    return result;
}

/* The guard's time is burnt, and the alarm's signal has the handler look. */
static void overtake(void)
{
    void (*kept)(void) = after_looking;
    after_looking = NULL;
    burn(AW_MS(4));
    ck_assert_int_eq(raise(awi_disposition_signo()), 0);
    after_looking = kept;
}

/* False where the outer guard's time was over as well by then: that shows nothing. */
static bool overtake_in(void (**window)(void))
{
    struct aw_guard outer, inner;
    uint64_t before = cpu_ns();
    ck_assert_int_eq(aw_guard_enter(&outer, AW_MS(60), AW_GUARD_CPU), 0);
    looks = 0;
    *window = overtake;
    ck_assert_int_eq(aw_guard_enter(&inner, AW_MS(2), AW_GUARD_CPU), 0);
    ck_assert_ptr_null(before_setting);
    ck_assert_ptr_null(after_looking);
    uint64_t expired = AWI_LOAD(awi.expired);
    bool is_over = aw_guard_expired(&inner); /* so no nag looks at the clock */
    bool counts = cpu_ns() - before < AW_MS(60);
    ck_assert(!counts || (expired == 2 && is_over));
    /* The timer goes on to the outer one. */
    while (AWI_LOAD(awi.expired) != 3 && cpu_ns() < before + AW_SEC(5))
        burn_once();
    ck_assert_uint_eq(AWI_LOAD(awi.expired), 3);
    ck_assert_uint_ge(cpu_ns(), before + AW_MS(60));
    ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&outer), -ETIMEDOUT);
    return counts;
}

START_TEST(h04_overtaken_by_the_handler)
{
    unsigned tries = 0;
    start_variant(_i);
    while (!overtake_in(&before_setting) && ++tries < 100)
        continue;
    while (!overtake_in(&after_looking) && ++tries < 100)
        continue;
    ck_assert_uint_lt(tries, 100);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- what it costs, and what stays behind ---- */

static unsigned posix_timers(void)
{
    char line[256];
    unsigned n = 0;
    FILE *file = fopen("/proc/self/timers", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strncmp(line, "ID:", 3) == 0;
    ck_assert_int_eq(fclose(file), 0);
    return n;
}

START_TEST(cpu_timer_is_kept_lazily)
{
    struct aw_guard guard;
    unsigned count = scaled(5000), before = posix_timers();
    start_variant(_i);
    ck_assert_uint_eq(posix_timers(), before + (variant_is_posix(_i) ? 1 : 0));
    for (unsigned i = 0; i < count; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(1000), AW_GUARD_CPU), 0);
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
    }
    ck_assert_uint_le(stats_now().programmed, 2);
    ck_assert_uint_ge(stats_now().avoided, count - 1);
    ck_assert_uint_eq(posix_timers(), before + (variant_is_posix(_i) ? 2 : 1));
    ck_assert_int_eq(aw_shutdown(), 0);
    ck_assert_uint_eq(posix_timers(), before);
}
END_TEST

/* A timer that was kept for a guard that is gone disturbs the guards after it as little as nobody. */
START_TEST(h07_left_over_timer)
{
    struct aw_guard guard;
    start_variant(_i);
    for (unsigned i = 0; i < 5; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_CPU), 0);
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
        uint64_t before = cpu_ns();
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(40), AW_GUARD_CPU), 0);
        work_that_spins();
        ck_assert_uint_ge(cpu_ns() - before, AW_MS(40));
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The timer's signal is lost: the next call with a clock notices, and the next guard sets the timer anew. */
START_TEST(h08_signal_lost)
{
    struct aw_guard guard;
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_CPU), 0);
    struct sigaction ours;
    ck_assert_int_eq(sigaction(variant_signo(_i), NULL, &ours), 0);
    handle_signal(variant_signo(_i), SIG_IGN, 0);
    burn(AW_MS(5) + 5 * KERNEL_TICK_NS);
    ck_assert_int_eq(sigaction(variant_signo(_i), &ours, NULL), 0);
    ck_assert_int_eq(aw_dispatch(0), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_CPU), 0);
    work_that_spins();
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(h09_nothing_and_for_ever)
{
    struct aw_guard guard;
    start_variant(_i);
    for (unsigned i = 1; i < 3; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, 0, kinds[i]), 0);
        work_that_spins();
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        const uint64_t forever[] = { AW_FOREVER, AW_FOREVER - 1, AW_FOREVER / 2, AW_SEC(1) << 20 };
        for (unsigned f = 0; f < sizeof forever / sizeof forever[0]; ++f) {
            ck_assert_int_eq(aw_guard_enter(&guard, forever[f], kinds[i]), 0);
            burn(2 * KERNEL_TICK_NS);
            ck_assert_int_eq(aw_dispatch(0), 0);
            ck_assert_int_eq(aw_guard_leave(&guard), 0);
        }
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- SIGVTALRM is taken and given back ---- */

/* Valgrind cannot put the frame of a handler within ours where the stack has not been yet. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile unsigned char deep[1 << 16];
    for (size_t i = sizeof deep; i-- != 0;)
        deep[i] = 0;
}

START_TEST(h21_sigvtalrm_is_shared_and_given_back)
{
    struct aw_guard outer, inner;
    grow_stack();
    handle_signal(SIGVTALRM, count_foreign, 0);
    block_signal(SIGVTALRM);
    start_variant(_i);
    foreign_runs = 0;
    for (unsigned i = 1; i <= 3; ++i) {
        ck_assert_int_eq(aw_guard_enter(&outer, AW_SEC(100), AW_GUARD_USER), 0);
        ck_assert_int_eq(aw_guard_enter(&inner, AW_MS(5), AW_GUARD_USER), 0);
        ck_assert(!is_foreign_handler());
        ck_assert(!is_blocked(SIGVTALRM));
        ck_assert_int_eq(kill(getpid(), SIGVTALRM), 0);
        ck_assert_uint_eq(foreign_runs, i); /* who sent it by hand meant the handler that was there */
        work_that_spins();
        ck_assert_int_eq(aw_guard_leave(&inner), -ETIMEDOUT);
        ck_assert(!is_foreign_handler());
        ck_assert_int_eq(aw_guard_leave(&outer), 0);
        expect_given_back();
        ck_assert_uint_eq(foreign_runs, i);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

/* One that was pending behind the mask waits for its own handler. */
START_TEST(h20_sigvtalrm_pending)
{
    struct aw_guard guard;
    handle_signal(SIGVTALRM, count_foreign, 0);
    block_signal(SIGVTALRM);
    start_variant(_i);
    foreign_runs = 0;
    ck_assert_int_eq(raise(SIGVTALRM), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(100), AW_GUARD_USER), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_uint_eq(foreign_runs, 0);
    unblock_signal(SIGVTALRM);
    ck_assert_uint_eq(foreign_runs, 1);
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

/* The timer has rung, or is about to, when the guard is left, and SIG_DFL would end the process. */
START_TEST(h11_left_just_in_time)
{
    struct aw_guard guard;
    start_variant(_i);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
    for (unsigned i = 0; i < 10; ++i) {
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_USER), 0);
        block_signal(SIGVTALRM);
        burn(AW_MS(5) + 3 * KERNEL_TICK_NS);
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
        unblock_signal(SIGVTALRM);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(busy_where_the_timer_runs)
{
    const struct itimerval later = { { 0, 0 }, { 1000, 0 } }, stop = { { 0, 0 }, { 0, 0 } };
    struct aw_guard guard;
    handle_signal(SIGVTALRM, count_foreign, 0);
    start_variant(_i);
    ck_assert_int_eq(setitimer(ITIMER_VIRTUAL, &later, NULL), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_USER), -EBUSY);
    ck_assert_int_eq(aw_guard_error(&guard), -EBUSY);
    ck_assert_int_eq(aw_guard_leave(&guard), -ENOENT);
    ck_assert(itimer_runs());
    ck_assert(is_foreign_handler());
    ck_assert_int_eq(setitimer(ITIMER_VIRTUAL, &stop, NULL), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_USER), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

/* The program replaces our handler inside the guard: it keeps its own. */
START_TEST(h21_a_later_handler_stays)
{
    struct aw_guard guard;
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(100), AW_GUARD_USER), 0);
    handle_signal(SIGVTALRM, count_foreign, 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert(is_foreign_handler());
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

/* ---- left otherwise ---- */

static jmp_buf out;

__attribute__((noinline)) static void enter_and_jump(void)
{
    struct aw_guard guards[2];
    ck_assert_int_eq(aw_guard_enter(&guards[0], AW_SEC(100), AW_GUARD_USER), 0);
    ck_assert_int_eq(aw_guard_enter(&guards[1], AW_MS(5), AW_GUARD_CPU), 0);
    longjmp(out, 1);
}

START_TEST(h13_left_by_longjmp)
{
    struct aw_guard guard;
    handle_signal(SIGVTALRM, count_foreign, 0);
    block_signal(SIGVTALRM);
    start_variant(_i);
    if (setjmp(out) == 0)
        enter_and_jump();
    ck_assert(!is_foreign_handler());
    ck_assert_int_eq(aw_guard_mark(), 0); /* which looks for dead frames */
    expect_given_back();
    ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(3600), AW_GUARD_DEFAULT), 0);
    burn(AW_MS(5) + 3 * KERNEL_TICK_NS); /* what the guard of before was due for */
    ck_assert_int_eq(aw_dispatch(0), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

START_TEST(rewound_and_entered_again)
{
    struct aw_guard guard;
    start_variant(_i);
    for (unsigned i = 0; i < 4; ++i) {
        int mark = aw_guard_mark();
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_USER), 0);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_CPU), 0); /* anew */
        work_that_spins();
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_USER), 0);
        work_that_spins();
        ck_assert_int_eq(aw_guard_rewind(mark), 1);
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
        ck_assert(!itimer_runs());
        ck_assert_int_eq(aw_safepoint(), 0);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The child has no guards, no timers, and the dispositions of before; its own engine starts afresh. */
static int in_the_child(void *guards)
{
    struct aw_guard *inherited = guards, guard;
    if (!is_foreign_handler() || itimer_runs() || !is_blocked(SIGVTALRM) || posix_timers() != 0)
        return 1;
    burn(AW_MS(5) + 3 * KERNEL_TICK_NS);
    if (aw_guard_leave(&inherited[1]) != 0 || aw_guard_leave(&inherited[0]) != 0)
        return 2;
    if (aw_init(NULL) != 0)
        return 3;
    for (unsigned i = 1; i < 3; ++i) {
        if (aw_guard_enter(&guard, AW_MS(5), kinds[i]) != 0)
            return 4;
        work_that_spins();
        if (aw_guard_leave(&guard) != -ETIMEDOUT)
            return 5;
    }
    return aw_shutdown() != 0 || !is_foreign_handler() ? 6 : 0;
}

START_TEST(h18_fork_inside)
{
    struct aw_guard guards[2];
    handle_signal(SIGVTALRM, count_foreign, 0);
    block_signal(SIGVTALRM);
    start_variant(_i);
    ck_assert_int_eq(aw_guard_enter(&guards[0], AW_MS(5), AW_GUARD_CPU), 0);
    ck_assert_int_eq(aw_guard_enter(&guards[1], AW_MS(5), AW_GUARD_USER), 0);
    pid_t pid = in_child(0, in_the_child, guards);
    burn_until_expired(3);
    ck_assert_int_eq(aw_guard_leave(&guards[1]), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guards[0]), -ETIMEDOUT);
    expect_exit(pid, 0);
    expect_given_back();
    ck_assert_int_eq(aw_shutdown(), 0);
    handle_signal(SIGVTALRM, SIG_DFL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("burn");
    TCase *clocks = signal_case(suite, "clocks");
    TCase *nested = signal_case(suite, "nested");
    TCase *timers = signal_case(suite, "timers");
    TCase *sigvtalrm = signal_case(suite, "sigvtalrm");

    tcase_add_loop_test(clocks, cpu_guard_beside_a_busy_thread, 0, VARIANTS);
    tcase_add_loop_test(clocks, time_that_passes_does_not_count, 0, VARIANTS);
    tcase_add_loop_test(clocks, h14_user_guard_fires_for_another_thread, 0, VARIANTS);
    tcase_add_loop_test(clocks, user_guard, 0, VARIANTS);
    tcase_add_loop_test(nested, h12_every_set_on_every_clock, 0, VARIANTS);
    tcase_add_loop_test(nested, one_after_the_other, 0, VARIANTS);
    tcase_add_loop_test(nested, blocked_after_its_time_is_burnt, 0, VARIANTS);
    tcase_add_loop_test(nested, h30_inside_a_callback, 0, VARIANTS);
    tcase_add_loop_test(nested, h29_beside_periodic_timers, 0, VARIANTS);
    tcase_add_loop_test(nested, escapes_on_every_clock, 0, VARIANTS);
    tcase_add_loop_test(timers, h04_overtaken_by_the_handler, 0, VARIANTS);
    tcase_add_loop_test(timers, cpu_timer_is_kept_lazily, 0, VARIANTS);
    tcase_add_loop_test(timers, h07_left_over_timer, 0, VARIANTS);
    tcase_add_loop_test(timers, h08_signal_lost, 0, VARIANTS);
    tcase_add_loop_test(timers, h09_nothing_and_for_ever, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h21_sigvtalrm_is_shared_and_given_back, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h20_sigvtalrm_pending, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h11_left_just_in_time, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, busy_where_the_timer_runs, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h21_a_later_handler_stays, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h13_left_by_longjmp, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, rewound_and_entered_again, 0, VARIANTS);
    tcase_add_loop_test(sigvtalrm, h18_fork_inside, 0, VARIANTS);
    return run_suite(suite);
}
