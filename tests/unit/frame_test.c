/* SPDX-License-Identifier: MIT */
/* frame.c: which addresses lie in frames that were left; never sure across stacks. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "check_main.h"
#include "engine/frame.h"
#include "fake_clock.h"

/* Called from the frame in question: is `address` in a frame that was left, as seen from here? */
AWI_OUTLINE static bool gone(const void *address)
{
    return awi_frame_is_gone(address, AWI_HERE);
}

AWI_OUTLINE static uintptr_t address_in_a_frame_below(void)
{
    static volatile uintptr_t address; /* past the compiler, who would know better */
    volatile char inside[64];
    inside[0] = 0;
    address = (uintptr_t)&inside[0];
    return address;
}

START_TEST(own_stack)
{
    char here = 0;
    void *heap = malloc(16);
    static char data;
    awi_frame_learn();
    ck_assert(!gone(&here));
    ck_assert(awi_frame_is_gone((const void *)address_in_a_frame_below(), &here));
    ck_assert(!gone(heap));
    ck_assert(!gone(&data));
    ck_assert(!gone(NULL));
    ck_assert(!gone((const void *)UINTPTR_MAX));
    free(heap);
}
END_TEST

/* Far below what is mapped now: the main thread's stack grows, and so it counts. */
START_TEST(stack_that_has_not_grown_yet)
{
    char here = 0;
    struct rlimit limit;
    awi_frame_learn();
    getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= 4u << 20)
        ck_assert(awi_frame_is_gone((const void *)((uintptr_t)&here - (2u << 20)), &here));
}
END_TEST

static volatile bool ran;

static void on_another_stack(void)
{
    char there = 0;
    /* Neither is sure of the other. */
    ck_assert(!gone(&there));
    ck_assert(!awi_frame_is_gone(&there, AWI_HERE));
    ck_assert(!awi_frame_is_gone((const void *)(address_in_a_frame_below()), &there));
    ran = true;
}

START_TEST(h15_coroutine_stack)
{
    enum {
        SIZE = 1 << 16
    };
    char here = 0;
    static ucontext_t back, coroutine;
    char *stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(stack != MAP_FAILED);
    awi_frame_learn();
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = SIZE;
    coroutine.uc_link = &back;
    makecontext(&coroutine, on_another_stack, 0);
    swapcontext(&back, &coroutine);
    ck_assert(ran);
    ck_assert(!awi_frame_is_gone(stack + SIZE / 2, &here));
    munmap(stack, SIZE);
}
END_TEST

static void learn_there(void)
{
    char here = 0;
    awi_frame_learn();
    ck_assert(!gone(&here));
    ck_assert(awi_frame_is_gone((const void *)address_in_a_frame_below(), &here));
}

START_TEST(stack_of_another_thread)
{
    char here = 0;
    fake_elsewhere(learn_there);
    /* What was learned is that thread's. */
    ck_assert(!awi_frame_is_gone((const void *)address_in_a_frame_below(), &here));
}
END_TEST

START_TEST(stack_unknown)
{
    char here = 0;
    struct rlimit none, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    errno = 4711;
    awi_frame_learn();
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_int_eq(error, 4711);
    ck_assert(!awi_frame_is_gone((const void *)address_in_a_frame_below(), &here));
}
END_TEST

static struct awi_frame_record record;

AWI_OUTLINE static bool seen_from_below(void)
{
    return awi_frame_is_open(&record, AWI_HERE);
}

AWI_OUTLINE static void open_and_leave(void)
{
    struct awi_frame frame;
    awi_frame_open(&frame, &record);
    ck_assert(seen_from_below());
}

START_TEST(marks)
{
    struct awi_frame frame;
    awi_frame_learn();
    ck_assert(!seen_from_below());
    awi_frame_open(&frame, &record);
    ck_assert(seen_from_below());
    awi_frame_close(&frame, &record);
    ck_assert(!seen_from_below());
    open_and_leave(); /* as by longjmp: never closed */
    ck_assert(!awi_frame_is_open(&record, AWI_HERE));
}
END_TEST

/* A mark that was left, at an address where there is another one now. */
START_TEST(mark_overwritten)
{
    struct awi_frame frame;
    struct awi_frame_record first;
    awi_frame_learn();
    awi_frame_open(&frame, &record);
    first = record;
    awi_frame_open(&frame, &record);
    ck_assert(seen_from_below());
    record = first;
    ck_assert(!seen_from_below());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tc = tcase_create("frame");
    tcase_add_checked_fixture(tc, fake_begin, fake_end);
    tcase_add_test(tc, own_stack);
    tcase_add_test(tc, stack_that_has_not_grown_yet);
    tcase_add_test(tc, h15_coroutine_stack);
    tcase_add_test(tc, stack_of_another_thread);
    tcase_add_test(tc, stack_unknown);
    tcase_add_test(tc, marks);
    tcase_add_test(tc, mark_overwritten);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
