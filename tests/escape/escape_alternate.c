/* SPDX-License-Identifier: MIT */
/*
 * escape_alternate.c: handlers of the program's on an alternate stack that lies where stack pointers mislead:
 * an array in a frame around the guard, or above the owner's own stack, where a coroutine's may lie as well.
 * While they run guards expire, calls block, callbacks and functions of the library are under way; nothing of
 * that is over because of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <alarmwheel/io.h>
#include <alarmwheel/wheel.h>

#include "check_main.h"
#include "spin.h"

#define STACK_BYTES (128u * 1024u)

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- in a frame ---- */

static volatile uint64_t spin_to_ns;
static volatile unsigned handler_runs;

/* Its nearest deadline passes while it runs. */
static void spin_in_handler(int signo)
{
    int saved_errno = errno;
    (void)signo;
    ++handler_runs;
    while (clock_ns() < spin_to_ns)
        spin_a_while();
    errno = saved_errno;
}

static void interrupt_oneself(uint64_t for_ns)
{
    spin_to_ns = clock_ns() + for_ns;
    raise(SIGUSR1);
}

/* Runs fn inside a frame that holds the alternate stack. */
__attribute__((noinline)) static void with_stack_in_frame(void (*fn)(int variant), int variant)
{
    _Alignas(64) unsigned char memory[STACK_BYTES];
    const stack_t alternate = { .ss_sp = memory, .ss_size = sizeof memory },
                  none = { .ss_flags = SS_DISABLE };
    ck_assert_int_eq(sigaltstack(&alternate, NULL), 0);
    handle_signal(SIGUSR1, spin_in_handler, SA_ONSTACK | SA_RESTART);
    handler_runs = 0;
    fn(variant);
    ck_assert_int_eq(sigaltstack(&none, NULL), 0);
}

static int write_byte(void *arg)
{
    return write(*(const int *)arg, "x", 1) == 1 ? 0 : 1;
}

/* The alarm comes in the handler, above the call that blocks. Should it be lost, a byte ends the call. */
static void read_below_a_handler(int variant)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    const struct itimerspec soon = { { 0, 0 }, { 0, 4000000 } };
    timer_t timer;
    int ends[2];
    char byte;
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    start_variant(variant);
    for (volatile int i = 0; i < 5; ++i) {
        pid_t pid = in_child(20000, write_byte, &ends[1]);
        uint64_t start = clock_ns();
        spin_to_ns = start + AW_MS(14);
        ck_assert_int_eq(timer_settime(timer, 0, &soon, NULL), 0);
        ck_assert_int_eq(aw_read(ends[0], &byte, 1, AW_MS(8)), -1);
        ck_assert_int_eq(errno, ETIMEDOUT);
        ck_assert_uint_ge(clock_ns(), start + AW_MS(8));
        kill(pid, SIGKILL);
        expect_killed(pid, SIGKILL);
    }
    ck_assert_uint_gt(handler_runs, 0);
    timer_delete(timer);
    stop();
}

START_TEST(h03_h15_a_guarded_call)
{
    with_stack_in_frame(read_below_a_handler, _i);
}
END_TEST

/* The guard expires in the handler, and escapes after it. On a slow machine before it: then once more. */
static void escape_after_a_handler(int variant)
{
    start_variant(variant);
    while (handler_runs < 3) {
        struct aw_guard guard;
        AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE) {
            interrupt_oneself(AW_MS(8));
            spin_to_the_escape();
        }
        ck_assert(aw_guard_expired(&guard));
    }
    stop();
}

START_TEST(h15_an_escape)
{
    with_stack_in_frame(escape_after_a_handler, _i);
}
END_TEST

static int hide_the_guard(void *arg)
{
    interrupt_oneself(AW_MS(8));
    *(volatile int *)arg = aw_safepoint();
    return 0;
}

/* A guard that expires in the handler is still hidden by the callback that the handler interrupts. */
static void hide_while_a_handler_runs(int variant)
{
    static volatile int inside;
    start_variant(variant);
    inside = 1;
    do {
        struct aw_guard guard;
        ck_assert_int_eq(aw_guard_enter(&guard, AW_MS(4), AW_GUARD_DEFAULT), 0);
        ck_assert_int_eq(aw_post(hide_the_guard, (void *)&inside), 0);
        aw_safepoint();
        spin_ms(5);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    } while (inside == 1); /* so slow a machine that it had expired before the callback was to run */
    ck_assert_int_eq(inside, 0);
    while (aw_safepoint() > 0)
        continue;
    stop();
}

START_TEST(h30_a_callback)
{
    with_stack_in_frame(hide_while_a_handler_runs, _i);
}
END_TEST

static volatile bool has_struck;

static void note_strike(const struct aw_guard *guard, void *arg)
{
    (void)guard;
    (void)arg;
    has_struck = true;
}

static uint64_t grace_ns;

/* In a child: on a machine that stands still for a grace period the kernel's timer kills it. */
static int exceed_a_hard_limit(void *arg)
{
    struct aw_guard guard;
    start_variant(*(const int *)arg);
    if (aw_guard_enter(&guard, AW_MS(4), AW_GUARD_DEFAULT) != 0 ||
        aw_guard_hard_limit(&guard, grace_ns, note_strike, NULL) != 0)
        return 1;
    interrupt_oneself(AW_MS(8) + grace_ns);
    aw_guard_leave(&guard);
    return has_struck ? 0 : 2;
}

static void limit_while_a_handler_runs(int variant)
{
    int status;
    grace_ns = AW_MS(60);
    while (status = child_status(in_child(0, exceed_a_hard_limit, &variant)), WIFSIGNALED(status)) {
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
        grace_ns *= 4;
        ck_assert_uint_lt(grace_ns, AW_SEC(20));
    }
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(h15_a_hard_limit)
{
    with_stack_in_frame(limit_while_a_handler_runs, _i);
}
END_TEST

static volatile unsigned cleaned[3];
static volatile bool has_registered;

static void count_clean_up(void *arg)
{
    ++*(volatile unsigned *)arg;
}

/* The handler that makes this escape is on the alternate stack, above the landing that runs the clean-ups. */
static void escape_in_a_clean_up(void *arg)
{
    struct aw_guard guard;
    count_clean_up(arg);
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

static void register_three(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        aw_shield();
        has_registered = true;
        (void)aw_guard_on_expiry(&guard, count_clean_up, (void *)&cleaned[0]);
        (void)aw_guard_on_expiry(&guard, count_clean_up, (void *)&cleaned[1]);
        (void)aw_guard_on_expiry(&guard, escape_in_a_clean_up, (void *)&cleaned[2]);
        (void)aw_unshield();
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

static void clean_up_with_an_escape(int variant)
{
    start_variant(variant);
    for (unsigned round = 1; round <= 3; ++round) {
        has_registered = false;
        do
            register_three();
        while (!has_registered);
        for (unsigned i = 0; i < 3; ++i)
            ck_assert_uint_eq(cleaned[i], round);
    }
    stop();
}

START_TEST(h34_clean_ups_around_an_escape)
{
    for (unsigned i = 0; i < 3; ++i)
        cleaned[i] = 0;
    with_stack_in_frame(clean_up_with_an_escape, _i);
}
END_TEST

/* ---- above the stack ---- */

static volatile int posted, begun, ended, results;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void post_in_handler(int signo)
{
    (void)signo;
    posted = aw_post(nothing, NULL);
}

/* A wheel of the program's own is being dispatched around it: that is not to be left in the middle. */
static int post_from_a_handler(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    ++begun;
    raise(SIGUSR1);
    spin_ms(8);
    ++ended;
    return 0;
}

static void dispatch_a_wheel(struct aw_wheel *wheel, struct aw_timer timer)
{
    struct aw_guard guard;
    results += aw_wheel_timer_arm(wheel, timer, 0, 1000) < 0;
    AW_GUARD(&guard, AW_MS(4), AW_GUARD_ESCAPE) {
        (void)aw_wheel_dispatch(wheel, AW_SEC(1), 0);
        spin_to_the_escape();
    }
}

static void *own_an_engine(void *memory)
{
    const struct aw_wheel_options options = { .size = sizeof options };
    const stack_t alternate = { .ss_sp = memory, .ss_size = STACK_BYTES }, none = { .ss_flags = SS_DISABLE };
    struct aw_wheel *wheel;
    struct aw_timer timer;
    results = sigaltstack(&alternate, NULL) + aw_init(NULL);
    results += aw_wheel_create(&wheel, &options);
    results += aw_wheel_timer_create(wheel, &timer, post_from_a_handler, NULL);
    /* On a slow machine the escape may come before the callback: then once more. */
    while (results == 0 && begun == 0)
        dispatch_a_wheel(wheel, timer);
    aw_wheel_destroy(wheel);
    results += aw_safepoint() < 0;
    results += aw_shutdown() != 0;
    results += sigaltstack(&none, NULL);
    return NULL;
}

/* The handler calls the library from another stack: what it has interrupted is still under way. */
START_TEST(h16_a_function_of_the_library_below_a_handler)
{
    const size_t stack_bytes = 8 * STACK_BYTES, gap = 64u * 1024u;
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *memory = mmap(NULL, stack_bytes + gap + STACK_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory + stack_bytes, gap, PROT_NONE), 0);
    handle_signal(SIGUSR1, post_in_handler, SA_ONSTACK);
    begun = ended = 0;
    posted = -1;
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, memory, stack_bytes), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, own_an_engine, memory + stack_bytes + gap), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(results, 0);
    ck_assert_int_eq(posted, 0);
    ck_assert_int_gt(begun, 0);
    ck_assert_int_eq(ended, begun);
    pthread_attr_destroy(&attributes);
    munmap(memory, stack_bytes + gap + STACK_BYTES);
}
END_TEST

static ucontext_t thread_context, coroutine;
static int coroutine_ends[2], variant_of_thread, told_by_dispatch, read_error;
static ssize_t read_result;

static int write_late(void *arg)
{
    (void)arg;
    return write(coroutine_ends[1], "x", 1) == 1 ? 0 : 1;
}

static void block_in_a_coroutine(void)
{
    char byte;
    read_result = read(coroutine_ends[0], &byte, 1);
    read_error = errno;
    told_by_dispatch = aw_dispatch(0);
}

/* The guard is entered on the thread's own stack, below the coroutine's. */
static void *guard_a_coroutine(void *memory)
{
    struct aw_guard guard;
    start_variant(variant_of_thread);
    results = getcontext(&coroutine);
    coroutine.uc_stack = (stack_t){ .ss_sp = memory, .ss_size = STACK_BYTES };
    coroutine.uc_link = &thread_context;
    makecontext(&coroutine, block_in_a_coroutine, 0);
    pid_t pid = in_child(20000, write_late, NULL);
    results += aw_guard_enter(&guard, AW_MS(5), AW_GUARD_DEFAULT) != 0;
    results += swapcontext(&thread_context, &coroutine);
    results += aw_guard_leave(&guard) != -ETIMEDOUT;
    results += aw_shutdown() != 0;
    kill(pid, SIGKILL);
    expect_killed(pid, SIGKILL);
    return NULL;
}

/* Stacks that were mapped one right above the other are one mapping to the kernel. */
START_TEST(h15_a_coroutine_right_above)
{
    const size_t stack_bytes = 8 * STACK_BYTES;
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *memory =
        mmap(NULL, stack_bytes + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(pipe2(coroutine_ends, O_CLOEXEC), 0);
    variant_of_thread = _i;
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, memory, stack_bytes), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, guard_a_coroutine, memory + stack_bytes), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(read_result, -1);
    ck_assert_int_eq(read_error, EINTR);
    ck_assert_int_eq(told_by_dispatch, -ETIMEDOUT);
    ck_assert_int_eq(results, 0);
    pthread_attr_destroy(&attributes);
    munmap(memory, stack_bytes + STACK_BYTES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_alternate");
    TCase *in_a_frame = signal_case(suite, "in a frame");
    TCase *above = signal_case(suite, "above the stack");

    tcase_add_loop_test(in_a_frame, h03_h15_a_guarded_call, 0, VARIANTS);
    tcase_add_loop_test(in_a_frame, h15_an_escape, 0, VARIANTS);
    tcase_add_loop_test(in_a_frame, h30_a_callback, 0, VARIANTS);
    tcase_add_loop_test(in_a_frame, h15_a_hard_limit, 0, VARIANTS);
    tcase_add_loop_test(in_a_frame, h34_clean_ups_around_an_escape, 0, VARIANTS);
    tcase_add_loop_test(above, h15_a_coroutine_right_above, 0, VARIANTS);
    tcase_add_test(above, h16_a_function_of_the_library_below_a_handler);
    return run_suite(suite);
}
