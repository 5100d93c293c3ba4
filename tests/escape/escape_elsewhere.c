/* SPDX-License-Identifier: MIT */
/*
 * escape_elsewhere.c: where an escape must not be made from, and waits: another thread, another stack, a
 * signal handler, the program's functions that libc calls back, modules that nobody allowed. And what
 * aw_guard_allow allows.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check_main.h"
#include "spin.h"

static void stop(void)
{
    ck_assert_int_eq(aw_guard_mark(), 0);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

/* ---- 14, 15: other threads, other stacks ---- */

static volatile sig_atomic_t threads_stop;
static volatile uint64_t turns[2];

static void *spin_beside(void *arg)
{
    volatile uint64_t *own = arg;
    while (!threads_stop)
        ++*own;
    return NULL;
}

START_TEST(h14_beside_threads_that_spin)
{
    pthread_t threads[2];
    volatile unsigned landings = 0;
    threads_stop = 0;
    start_variant(_i);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, spin_beside, (void *)&turns[i]), 0);
    for (volatile unsigned i = 0; i < 30; ++i) {
        struct aw_guard guard;
        AW_GUARD(&guard, AW_MS(1), AW_GUARD_ESCAPE) {
            if (i % 2 == 0)
                pthread_kill(threads[i / 2 % 2], variant_signo(_i));
            spin_to_the_escape();
        }
        AW_EXPIRED
        {
            ++landings;
        }
    }
    ck_assert_uint_eq(landings, 30);
    for (unsigned i = 0; i < 2; ++i) {
        uint64_t before = turns[i];
        while (turns[i] == before)
            pass_ms(1);
    }
    threads_stop = 1;
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    stop();
}
END_TEST

static ucontext_t main_context, coroutine;
static _Alignas(64) unsigned char coroutine_stack[128 * 1024];
static volatile int stages;

static void spin_in_coroutine(void)
{
    ++stages;
    spin_ms(6);
    ++stages;
}

static void guard_in_coroutine(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        ++stages;
        spin_ms(6);
        ++stages;
    }
    stages += 10;
}

static void make_coroutine(void (*fn)(void))
{
    stages = 0;
    ck_assert_int_eq(getcontext(&coroutine), 0);
    coroutine.uc_stack.ss_sp = coroutine_stack;
    coroutine.uc_stack.ss_size = sizeof coroutine_stack;
    coroutine.uc_link = &main_context;
    makecontext(&coroutine, fn, 0);
}

static void escape_after_a_coroutine(void)
{
    struct aw_guard guard;
    make_coroutine(spin_in_coroutine);
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        swapcontext(&main_context, &coroutine);
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

/* Not out of the coroutine; after it, at once. On a slow machine it may come before: then once more. */
START_TEST(h15_a_coroutine_inside_the_guard)
{
    start_variant(_i);
    for (int i = 0; i < 5; ++i) {
        do
            escape_after_a_coroutine();
        while (stages == 0);
        ck_assert_int_eq(stages, 2);
    }
    stop();
}
END_TEST

START_TEST(h15_a_guard_inside_a_coroutine)
{
    start_variant(_i);
    for (volatile int i = 0; i < 5; ++i) {
        make_coroutine(guard_in_coroutine);
        ck_assert_int_eq(swapcontext(&main_context, &coroutine), 0);
        ck_assert_int_eq(stages, 12);
        ck_assert_int_eq(aw_guard_mark(), 0);
    }
    stop();
}
END_TEST

static volatile sig_atomic_t handler_begun, handler_ended;

static void spin_in_handler(int signo)
{
    int saved_errno = errno;
    (void)signo;
    ++handler_begun;
    spin_ms(6);
    ++handler_ended;
    errno = saved_errno;
}

static void handle_on(bool alternate, int flags)
{
    static _Alignas(64) unsigned char memory[128 * 1024];
    const stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
    if (alternate)
        ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
    handle_signal(SIGUSR1, spin_in_handler, flags | (alternate ? SA_ONSTACK : 0));
}

static void escape_beneath_a_handler(timer_t timer)
{
    const struct itimerspec soon = { { 0, 0 }, { 0, 500000 } };
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        timer_settime(timer, 0, &soon, NULL);
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
}

/* A handler of the program's, on its own stack or on the same one: it is left to its end. */
START_TEST(h16_another_handler)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_t timer;
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    start_variant(_i);
    for (int kind = 0; kind < 4; ++kind) {
        handle_on(kind / 2 != 0, kind % 2 != 0 ? SA_NODEFER : 0);
        /* On a slow machine the handler may come after the landing: then once more. */
        for (handler_begun = 0; handler_begun < 3;) {
            escape_beneath_a_handler(timer);
            ck_assert_int_eq(handler_ended, handler_begun);
        }
        handler_begun = handler_ended = 0;
    }
    timer_delete(timer);
    stop();
}
END_TEST

/* ---- 16: callbacks ---- */

/* In a body that an escape may end nothing is asserted: Check is part of the program, and could be torn. */
static volatile int begun, ended;
static volatile bool went_wrong;

static void expect(bool holds)
{
    if (!holds)
        went_wrong = true;
}

static void call_for_a_while(void)
{
    ++begun;
    if (begun == 1)
        spin_ms(6);
    ++ended;
}

static int compare(const void *a, const void *b)
{
    call_for_a_while();
    return *(const int *)a - *(const int *)b;
}

static void by_qsort(void)
{
    int values[] = { 3, 1, 2, 5, 4 };
    qsort(values, sizeof values / sizeof *values, sizeof *values, compare);
    expect(values[4] == 5);
}

static void by_tsearch(void)
{
    static int values[] = { 2, 1, 3 };
    void *root = NULL;
    for (unsigned i = 0; i < 3; ++i)
        expect(tsearch(&values[i], &root, compare) != NULL);
    for (unsigned i = 0; i < 3; ++i)
        expect(tdelete(&values[i], &root, compare) != NULL);
}

static int look_at_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    (void)arg;
    call_for_a_while();
    return 0;
}

static void by_dl_iterate_phdr(void)
{
    expect(dl_iterate_phdr(look_at_module, NULL) == 0);
}

static ssize_t write_to_cookie(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    (void)bytes;
    call_for_a_while();
    return (ssize_t)n;
}

static void by_fopencookie(void)
{
    const cookie_io_functions_t functions = { .write = write_to_cookie };
    FILE *file = fopencookie(NULL, "w", functions);
    expect(file != NULL && fputs("some words", file) >= 0 && fclose(file) == 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void by_pthread_once(void)
{
    once = (pthread_once_t)PTHREAD_ONCE_INIT;
    pthread_once(&once, call_for_a_while);
}

static void (*const callers[])(void) = { by_qsort, by_tsearch, by_dl_iterate_phdr, by_fopencookie,
                                         by_pthread_once };
#define CALLERS (sizeof callers / sizeof *callers)

static void escape_after(void (*caller)(void))
{
    struct aw_guard guard;
    begun = ended = 0;
    went_wrong = false;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        caller();
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard) && !went_wrong);
}

/* The callback comes to its end, and so does its caller; then the escape. */
START_TEST(h16_callbacks_of_libc)
{
    start_variant(_i);
    for (unsigned i = 0; i < CALLERS; ++i) {
        do
            escape_after(callers[i]);
        while (begun == 0);
        ck_assert_int_eq(begun, ended);
    }
    pthread_once(&once, call_for_a_while); /* would wait for ever for one that was left */
    stop();
}
END_TEST

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_shielded(void)
{
    struct aw_guard guard;
    begun = ended = 0;
    AW_GUARD(&guard, AW_US(500), AW_GUARD_ESCAPE) {
        aw_shield();
        pthread_mutex_lock(&lock);
        ++begun;
        spin_ms(1);
        ++ended;
        pthread_mutex_unlock(&lock);
        aw_unshield();
        ck_abort_msg("aw_unshield returned");
    }
    ck_assert(aw_guard_expired(&guard));
}

/* A lock of the program's own is its own to shield. */
START_TEST(h16_a_shielded_lock)
{
    start_variant(_i);
    for (int i = 0; i < 20; ++i) {
        do
            lock_shielded();
        while (begun == 0);
        ck_assert_int_eq(ended, 1);
        ck_assert_int_eq(pthread_mutex_trylock(&lock), 0);
        pthread_mutex_unlock(&lock);
    }
    stop();
}
END_TEST

/* ---- aw_guard_allow ---- */

struct module {
    void *handle;
    void (*spin)(volatile int *stages, uint64_t rounds);
};

static struct module open_module(const char *path)
{
    struct module module = { .handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
    ck_assert_msg(module.handle != NULL, "%s", dlerror());
    *(void **)&module.spin = dlsym(module.handle, "module_spin");
    ck_assert_ptr_nonnull(*(void **)&module.spin);
    return module;
}

static bool lands_within(const struct module *module, uint64_t rounds)
{
    volatile int reached = 0;
    struct aw_guard guard;
    AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
        module->spin(&reached, rounds);
        spin_to_the_escape();
    }
    ck_assert(aw_guard_expired(&guard));
    return reached == 1;
}

START_TEST(a_module_must_be_allowed)
{
    const uint64_t some = 20000000, many = 100 * some;
    struct module module = open_module(MODULE);
    start_variant(_i);
    for (int i = 0; i < 3; ++i)
        ck_assert(!lands_within(&module, some));
    ck_assert_int_eq(aw_guard_allow(*(void **)&module.spin), 0);
    while (!lands_within(&module, many))
        continue;
    ck_assert_int_eq(aw_guard_allow(*(void **)&module.spin), 0);
    while (!lands_within(&module, many))
        continue;
    stop();
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char buffer[4096];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ck_assert(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) != 0;) {
        ck_assert_int_gt(n, 0);
        ck_assert_int_eq(write(out, buffer, (size_t)n), n);
    }
    close(in);
    close(out);
}

START_TEST(allow_says_why_not)
{
    char folder[] = "/tmp/aw-modules-XXXXXX", path[64];
    int local = 0;
    void *loader = dlsym(RTLD_DEFAULT, "__tls_get_addr");
    ck_assert_int_eq(aw_guard_allow(&local), -ENODEV);
    start_variant(_i);
    ck_assert_int_eq(aw_guard_allow(NULL), -EINVAL);
    ck_assert_int_eq(aw_guard_allow(&local), -EINVAL);
    ck_assert_int_eq(aw_guard_allow(dlsym(RTLD_DEFAULT, "qsort")), -EPERM);
    if (loader != NULL)
        ck_assert_int_eq(aw_guard_allow(loader), -EPERM);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (unsigned i = 0; i < 17; ++i) {
        snprintf(path, sizeof path, "%s/%u.so", folder, i);
        copy_file(MODULE, path);
        struct module module = open_module(path);
        ck_assert_int_eq(aw_guard_allow(*(void **)&module.spin), i < 16 ? 0 : -ENOSPC);
        unlink(path);
    }
    rmdir(folder);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_elsewhere");
    TCase *elsewhere = signal_case(suite, "elsewhere");
    TCase *callbacks = signal_case(suite, "callbacks");
    TCase *modules = signal_case(suite, "modules");

    tcase_add_loop_test(elsewhere, h14_beside_threads_that_spin, 0, VARIANTS);
    tcase_add_loop_test(elsewhere, h15_a_coroutine_inside_the_guard, 0, VARIANTS);
    tcase_add_loop_test(elsewhere, h15_a_guard_inside_a_coroutine, 0, VARIANTS);
    tcase_add_loop_test(elsewhere, h16_another_handler, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h16_callbacks_of_libc, 0, VARIANTS);
    tcase_add_loop_test(callbacks, h16_a_shielded_lock, 0, VARIANTS);
    tcase_add_loop_test(modules, a_module_must_be_allowed, 0, VARIANTS);
    tcase_add_loop_test(modules, allow_says_why_not, 0, SOURCES);
    return run_suite(suite);
}
