/* SPDX-License-Identifier: MIT */
/*
 * sigprof_test.c: SIGPROF belongs to the program: whatever it has done with it before is called meanwhile
 * for signals that are not the profiler's and is back after the stop, and what it does with it meanwhile
 * stays. No signal of the profiler's kills the program, however it comes and whenever it is stopped.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_main.h"
#include "profile/sampler/state.h"
#include "signal_fixture.h"
#include "work.h"

static volatile sig_atomic_t handled;
static volatile sig_atomic_t handled_signo;
static volatile sig_atomic_t handled_value;
static volatile sig_atomic_t handled_code;

static void plain(int signo)
{
    handled_signo = signo;
    ++handled;
}

static void informed(int signo, siginfo_t *info, void *context)
{
    handled_signo = signo;
    handled_code = info->si_code;
    handled_value = info->si_value.sival_int;
    handled += context != NULL; /* Check takes a lock: nothing is asserted here */
}

static struct sigaction now(void)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(SIGPROF, NULL, &action), 0);
    return action;
}

static void install(const struct sigaction *action)
{
    ck_assert_int_eq(sigaction(SIGPROF, action, NULL), 0);
}

static void queue_value(int value)
{
    ck_assert_int_eq(sigqueue(getpid(), SIGPROF, (union sigval){ .sival_int = value }), 0);
}

/* --- What is found -------------------------------------------------------------------------------------- */

static struct sigaction found_of(int i)
{
    struct sigaction action = { .sa_flags = 0 };
    sigemptyset(&action.sa_mask);
    switch (i) {
    case 0:
        action.sa_handler = SIG_DFL;
        break;
    case 1:
        action.sa_handler = SIG_IGN;
        break;
    case 2:
        action.sa_handler = plain;
        action.sa_flags = SA_RESTART;
        sigaddset(&action.sa_mask, SIGUSR1);
        break;
    case 3:
        action.sa_sigaction = informed;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        break;
    case 4: /* the flag says nothing of a disposition that is no handler */
        action.sa_handler = SIG_IGN;
        action.sa_flags = SA_SIGINFO;
        break;
    default:
        action.sa_handler = SIG_DFL;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        break;
    }
    return action;
}
#define FOUND 6

START_TEST(what_was_found_is_given_back)
{
    struct sigaction found = found_of(_i);
    install(&found);
    found = now(); /* as the system tells it */
    for (unsigned round = 0; round < 3; ++round) {
        start_profile((enum aw_profile_clock)round, 1000);
        ck_assert_ptr_ne(now().sa_handler, found.sa_handler);
        burn_ms(10);
        if (round == 1)
            ck_assert_int_eq(aw_profile_pause(), 0);
        ck_assert_int_eq(aw_profile_stop(), 0);
        struct sigaction after = now();
        ck_assert_ptr_eq(after.sa_handler, found.sa_handler);
        ck_assert_int_eq(after.sa_flags, found.sa_flags);
        ck_assert_int_eq(sigismember(&after.sa_mask, SIGUSR1), sigismember(&found.sa_mask, SIGUSR1));
    }
}
END_TEST

/* While the profile runs, and while it is paused. */
START_TEST(signals_of_others_are_handed_on)
{
    struct sigaction found = found_of(_i);
    bool is_handler = _i == 2 || _i == 3;
    install(&found);
    start_profile(AW_PROFILE_CPU, 100);
    for (unsigned i = 1; i <= 6; ++i) {
        if (i == 4)
            ck_assert_int_eq(aw_profile_pause(), 0);
        if (i % 3 == 0)
            queue_value((int)i * 100);
        else if (i % 3 == 1)
            kill(getpid(), SIGPROF);
        else
            raise(SIGPROF);
        ck_assert_int_eq(handled, is_handler ? (int)i : 0);
        ck_assert_uint_eq(profile_stats().foreign, i);
        if (_i == 3 && i % 3 == 0) {
            ck_assert_int_eq(handled_value, (int)i * 100);
            ck_assert_int_eq(handled_code, SI_QUEUE);
        }
        if (is_handler)
            ck_assert_int_eq(handled_signo, SIGPROF);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().foreign, 6);
    if (is_handler) {
        raise(SIGPROF);
        ck_assert_int_eq(handled, 7);
    }
}
END_TEST

/* And samples go on being taken between them, which are not handed on. */
START_TEST(samples_are_not_handed_on)
{
    struct sigaction found = found_of(3);
    install(&found);
    start_profile((enum aw_profile_clock)_i, 1000);
    uint64_t sent = 0;
    while (profile_stats().samples < 20) {
        queue_value(1);
        ++sent;
        burn_ms(2);
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_int_eq((int)sent, handled);
    ck_assert_uint_eq(profile_stats().foreign, sent);
}
END_TEST

/* A timer of the program's own that uses SIGPROF. */
START_TEST(a_timer_of_the_program_goes_on)
{
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
    struct itimerspec spec = { { 0, 5000000 }, { 0, 5000000 } };
    struct sigaction found = found_of(3);
    install(&found);
    event.sigev_value.sival_int = 4711;
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(timer_settime(timer, 0, &spec, NULL), 0);
    burn_until_samples(20);
    for (uint64_t until = clock_ns() + AW_SEC(30); handled < 5 && clock_ns() < until;)
        pass_ms(5);
    timer_delete(timer);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_int_ge(handled, 5);
    ck_assert_int_eq(handled_value, 4711);
    ck_assert_uint_eq(profile_stats().foreign, (uint64_t)handled);
}
END_TEST

/* To oneself anything may be sent. */
static void forge_timer(void *value)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGPROF;
    info.si_code = SI_TIMER;
    info.si_value.sival_ptr = value;
    ck_assert_int_eq((int)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &info), 0);
}

/* What a signal says of itself may be made up: a timer's that names memory of any kind. */
START_TEST(forged_signals_do_no_harm)
{
    struct sigaction found = found_of(2);
    install(&found);
    start_profile(AW_PROFILE_WALL, 1000);
    burn_until_samples(5);
    for (int i = 0; i < 2000; ++i) {
        uintptr_t value = (uintptr_t)(i < 1000 ? 0 : 0x10000) + (uintptr_t)i % 1000;
        forge_timer((void *)(i < 1500 ? value : (uintptr_t)&value + (uintptr_t)i * 4096));
    }
    burn_until_samples(profile_stats().samples + 5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().threads, 1);
}
END_TEST

/*
 * The kernel may deliver a signal of a timer that was deleted. One of an earlier profile, or of another
 * thread's place, counts nothing; one of this thread's own does.
 */
START_TEST(late_signals_count_nothing)
{
    struct sigaction found = found_of(2);
    install(&found);
    start_profile(AW_PROFILE_USER, 1);
    void *older = (void *)awi_timer_value(0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_USER, 1);
    uint64_t before = profile_stats().samples;
    for (uint32_t i = 0; i < 10; ++i) {
        forge_timer(older);
        forge_timer((void *)awi_timer_value(1 + i * 100)); /* nobody's, and beyond the last */
    }
    ck_assert_uint_le(profile_stats().samples, before + 1); /* its own of a second */
    forge_timer((void *)awi_timer_value(0));
    forge_timer((void *)awi_timer_value(0));
    ck_assert_uint_ge(profile_stats().samples, before + 2);
    ck_assert_uint_eq(profile_stats().foreign, 0);
    ck_assert_int_eq(handled, 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().threads, 1);
}
END_TEST

/* --- What the program does meanwhile -------------------------------------------------------------------- */

START_TEST(a_handler_installed_meanwhile_stays)
{
    struct sigaction own = found_of(2);
    start_profile((enum aw_profile_clock)_i, 1000);
    burn_until_samples(5);
    install(&own);
    burn_ms(30); /* now it gets our timers' signals */
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_ptr_eq(now().sa_handler, plain);
    /* None of ours comes any more. */
    int before = handled;
    burn_ms(30);
    ck_assert_int_eq(handled, before);
    ck_assert_int_eq(kill(getpid(), SIGPROF), 0);
    ck_assert_int_eq(handled, before + 1);
}
END_TEST

static struct sigaction displaced;

static void chain(int signo, siginfo_t *info, void *context)
{
    ++handled;
    if ((displaced.sa_flags & SA_SIGINFO) != 0)
        displaced.sa_sigaction(signo, info, context);
}

/* It calls what it displaced, which is ours; and the next start finds it. */
START_TEST(a_handler_that_chains_to_ours)
{
    struct sigaction own = { .sa_flags = SA_SIGINFO | SA_RESTART };
    own.sa_sigaction = chain;
    sigemptyset(&own.sa_mask);
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(sigaction(SIGPROF, &own, &displaced), 0);
    burn_until_samples(5); /* they come through it */
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_ptr_eq((void *)(uintptr_t)now().sa_sigaction, (void *)(uintptr_t)chain);
    raise(SIGPROF); /* ours does nothing */

    for (unsigned i = 0; i < 3; ++i) {
        start_profile(AW_PROFILE_CPU, 1000);
        burn_until_samples(5);
        int before = handled;
        raise(SIGPROF); /* ours, its, ours again: and no further */
        ck_assert_int_ge(handled, before + 1);
        ck_assert_int_le(handled, before + 2);
        raise(SIGPROF);
        ck_assert_int_eq(aw_profile_stop(), 0);
        ck_assert_ptr_eq((void *)(uintptr_t)now().sa_sigaction, (void *)(uintptr_t)chain);
    }
}
END_TEST

/* It ignores it meanwhile: no samples, no harm, and it stays ignored. */
START_TEST(ignored_meanwhile)
{
    struct sigaction ignore = found_of(1);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(5);
    install(&ignore);
    uint64_t before = profile_stats().samples;
    burn_ms(30);
    ck_assert_uint_eq(profile_stats().samples, before);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_ptr_eq(now().sa_handler, SIG_IGN);
}
END_TEST

/* --- The interrupted program ---------------------------------------------------------------------------- */

START_TEST(errno_is_kept)
{
    struct aw_profile_options options = options_of((enum aw_profile_clock)_i, 10000);
    options.max_bytes = 64 * 1024;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    for (unsigned value = 1; profile_stats().samples + profile_stats().lost < 30; ++value) {
        errno = (int)(value % 4000);
        uint64_t until = cpu_ns() + AW_MS(10);
        while (cpu_ns() < until)
            ck_assert_int_eq(errno, (int)(value % 4000));
    }
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

static void spoil(int signo)
{
    (void)signo;
    errno = 4711;
}

START_TEST(errno_is_kept_where_a_handler_would_spoil_it)
{
    handle_signal(SIGPROF, spoil, SA_RESTART);
    start_profile(AW_PROFILE_CPU, 100);
    errno = 17;
    kill(getpid(), SIGPROF);
    ck_assert_int_eq(errno, 17);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().foreign, 1);
}
END_TEST

static int write_one(void *end)
{
    return write(*(const int *)end, "x", 1) == 1 ? 0 : 1;
}

/* Samples of a read that blocks for 300 ms. */
static uint64_t samples_of_read(int ends[2])
{
    char byte = 0;
    pid_t writer = in_child(300, write_one, &ends[1]);
    uint64_t before = profile_stats().samples;
    ck_assert_int_eq((int)read(ends[0], &byte, 1), 1);
    uint64_t samples = profile_stats().samples - before;
    ck_assert_int_eq(byte, 'x');
    expect_exit(writer, 0);
    return samples;
}

/* Calls that block are restarted; those that no handler restarts see nothing in CPU mode (below). */
START_TEST(a_blocking_read_goes_on)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    start_profile(AW_PROFILE_WALL, 1000);
    /* It was interrupted; less often, where this process stands still meanwhile. */
    for (uint64_t began = clock_ns(); samples_of_read(ends) < 20;)
        ck_assert_uint_lt(clock_ns() - began, AW_SEC(60));
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

START_TEST(no_call_is_interrupted_in_processor_time)
{
    struct worker worker = { .is_registered = true };
    start_profile(AW_PROFILE_CPU, 10000);
    start_worker(&worker);
    for (unsigned i = 0; i < 100; ++i) {
        struct timespec span = { 0, 2000000 };
        ck_assert_int_eq(nanosleep(&span, NULL), 0);
        ck_assert_int_eq(poll(NULL, 0, 1), 0);
    }
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

static volatile uintptr_t handler_stack;

static void note_stack(int signo)
{
    handler_stack = (uintptr_t)__builtin_frame_address(0);
    (void)signo;
}

/*
 * The handler runs on the alternate stack, and is content with SIGSTKSZ of old, of which the kernel's own
 * frame takes its part: a page before it may not be touched.
 */
START_TEST(an_alternate_stack_is_used_and_suffices)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 8192;
#ifdef _SC_MINSIGSTKSZ
    size_t least = (size_t)sysconf(_SC_MINSIGSTKSZ);
    bytes += least > 2048 ? least - 2048 : 0; /* wide registers */
#endif
    bytes = (bytes + page - 1) / page * page;
#if defined(__SANITIZE_ADDRESS__)
    bytes += 16 * page;
#endif
    char *memory = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory, page, PROT_NONE), 0);
    stack_t stack = { .ss_sp = memory + page, .ss_size = bytes };
    stack_t before;
    ck_assert_int_eq(sigaltstack(&stack, &before), 0);
    handle_signal(SIGPROF, note_stack, SA_ONSTACK);
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    options.max_depth = 256;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    burn_until_samples(20);
    raise(SIGPROF); /* handed on, on the same stack */
    ck_assert_uint_ge(handler_stack, (uintptr_t)memory + page);
    ck_assert_uint_lt(handler_stack, (uintptr_t)memory + page + bytes);
    ck_assert_int_eq(aw_profile_stop(), 0);
    /* Stacks are seen through to the end all the same. */
    struct aw_profile *profile = take();
    uint64_t deep = 0;
    for (size_t i = 0; i < profile->samples_count; ++i)
        deep += profile->samples[i].depth >= 4 ? profile->samples[i].count : 0;
    ck_assert_uint_ge(deep, 10);
    aw_profile_free(profile);
    ck_assert_int_eq(sigaltstack(&before, NULL), 0);
    munmap(memory, bytes + page);
}
END_TEST

/* --- Stop ----------------------------------------------------------------------------------------------- */

static atomic_int stage;

static void *hold_back(void *arg)
{
    (void)arg;
    block_signal(SIGPROF);
    while (atomic_load(&stage) == 0)
        burn_ms(5); /* its timer's signal is pending by now */
    while (atomic_load(&stage) == 1)
        sched_yield();
    unblock_signal(SIGPROF);
    burn_ms(5);
    return NULL;
}

/* A signal that is pending in a thread that blocks it would kill the program when it is unblocked. */
START_TEST(pending_signals_do_not_kill_after_the_stop)
{
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_back, NULL), 0);
    start_profile((enum aw_profile_clock)_i, 1000);
    block_signal(SIGPROF);
    burn_ms(60);
    atomic_store(&stage, 1);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_ptr_eq(now().sa_handler, SIG_DFL);
    unblock_signal(SIGPROF);
    atomic_store(&stage, 2);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

/* The same with the interval timer, whose signal is pending for the process. */
START_TEST(a_pending_signal_of_the_interval_timer_does_not_kill)
{
    for (unsigned i = 0; i < 20; ++i) {
        start_profile(AW_PROFILE_CPU, 10000);
        block_signal(SIGPROF);
        burn_ms(8);
        ck_assert_int_eq(aw_profile_stop(), 0);
        unblock_signal(SIGPROF);
    }
}
END_TEST

/*
 * A profile of before does not haunt the next one: its signals are pending in a thread that had another
 * slot.
 */
START_TEST(pending_signals_of_an_older_profile_count_nothing)
{
    pthread_t threads[2];
    struct sigaction ours;
    start_profile(AW_PROFILE_CPU, 1);
    ours = now();
    ck_assert_int_eq(aw_profile_stop(), 0);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_back, NULL), 0);
    start_profile(AW_PROFILE_CPU, 10000);
    burn_ms(60);
    atomic_store(&stage, 1);
    /* Replaced and put back: the stop does not discard what is pending. */
    struct sigaction other = found_of(2);
    install(&other);
    ck_assert_int_eq(aw_profile_stop(), 0);
    start_profile(AW_PROFILE_CPU, 1);
    atomic_store(&stage, 2);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_le(profile_stats().samples, 1);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_ptr_nonnull(ours.sa_sigaction);
}
END_TEST

START_TEST(five_hundred_cycles_with_busy_threads)
{
    struct worker workers[3] = { { .is_registered = true }, { .is_registered = true }, { .name = NULL } };
    unsigned cycles = scaled(500);
    uint64_t samples = 0;
    for (unsigned i = 0; i < 3; ++i)
        start_worker(&workers[i]);
    for (unsigned i = 0; i < cycles; ++i) {
        start_profile((enum aw_profile_clock)(i % 3), 10000);
        for (unsigned spin = 0; spin < i % 50 * 1000; ++spin)
            atomic_load(&stage);
        if (i % 25 == 0)
            pass_ms(10);
        ck_assert_int_eq(aw_profile_stop(), 0);
        ck_assert_ptr_eq(now().sa_handler, SIG_DFL);
        samples += profile_stats().samples;
        ck_assert_uint_eq(profile_stats().threads, 4);
    }
    for (unsigned i = 0; i < 3; ++i)
        stop_worker(&workers[i]);
    ck_assert_uint_gt(samples, 0);
}
END_TEST

static void *control(void *arg)
{
    (void)arg;
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 5000);
    for (unsigned i = 0; atomic_load(&stage) == 0; ++i) {
        struct aw_profile *profile = NULL;
        struct aw_profile_stats stats = { .size = sizeof stats };
        switch (i % 7) {
        case 0:
            aw_profile_start(&options);
            break;
        case 1:
            aw_profile_pause();
            break;
        case 2:
            aw_profile_thread_register("controls");
            break;
        case 3:
            aw_profile_resume();
            break;
        case 4:
            aw_profile_stats_read(&stats);
            break;
        case 5:
            if (aw_profile_snapshot(&profile) == 0)
                aw_profile_free(profile);
            break;
        default:
            if (i % 3 == 0)
                aw_profile_stop();
            else
                aw_profile_thread_unregister();
            break;
        }
    }
    return NULL;
}

/* All functions from all threads at once: whatever they return, the program goes on. */
START_TEST(everybody_controls_it)
{
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, control, NULL), 0);
    pass_ms(2000);
    atomic_store(&stage, 1);
    for (unsigned i = 0; i < 4; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    aw_profile_stop();
    ck_assert_ptr_eq(now().sa_handler, SIG_DFL);
    start_profile(AW_PROFILE_CPU, 1000);
    burn_until_samples(3);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile SIGPROF");
    TCase *found = signal_case(suite, "what is found");
    tcase_add_loop_test(found, what_was_found_is_given_back, 0, FOUND);
    tcase_add_loop_test(found, signals_of_others_are_handed_on, 0, FOUND);
    tcase_add_loop_test(found, samples_are_not_handed_on, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(found, a_timer_of_the_program_goes_on);
    tcase_add_test(found, forged_signals_do_no_harm);
    tcase_add_test(found, late_signals_count_nothing);
    TCase *meanwhile = signal_case(suite, "meanwhile");
    tcase_add_loop_test(meanwhile, a_handler_installed_meanwhile_stays, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(meanwhile, a_handler_that_chains_to_ours);
    tcase_add_test(meanwhile, ignored_meanwhile);
    TCase *program = signal_case(suite, "the interrupted program");
    tcase_add_loop_test(program, errno_is_kept, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(program, errno_is_kept_where_a_handler_would_spoil_it);
    tcase_add_test(program, a_blocking_read_goes_on);
    tcase_add_test(program, no_call_is_interrupted_in_processor_time);
    tcase_add_test(program, an_alternate_stack_is_used_and_suffices);
    TCase *stop = signal_case(suite, "stop");
    tcase_add_loop_test(stop, pending_signals_do_not_kill_after_the_stop, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(stop, a_pending_signal_of_the_interval_timer_does_not_kill);
    tcase_add_test(stop, pending_signals_of_an_older_profile_count_nothing);
    tcase_add_test(stop, five_hundred_cycles_with_busy_threads);
    tcase_add_test(stop, everybody_controls_it);
    return run_suite(suite);
}
