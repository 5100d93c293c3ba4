/* SPDX-License-Identifier: MIT */
/* varied.c: see varied.h. Compiled with -O2 whatever the build. */
#include "varied.h"

#include <dlfcn.h>
#include <math.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define ALONE __attribute__((noinline))
#define STAYS() __asm__ volatile("" ::: "memory")

static volatile uint64_t sink;
static uint32_t numbers[512];

static uint32_t next_number(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort(void)
{
    for (unsigned i = 0; i < 512; i++)
        numbers[i] = next_number();
    qsort(numbers, 512, sizeof numbers[0], by_value);
}

static void print(void)
{
    char text[256];
    for (unsigned i = 0; i < 60; i++)
        sink += (uint64_t)snprintf(text, sizeof text, "%s %d %.12g %#x %-20s|", "text", (int)i, i * 1.7, i,
                                   "left");
}

static void allocate(void)
{
    void *blocks[64];
    for (unsigned i = 0; i < 64; i++)
        blocks[i] = malloc(16 + next_number() % 5000);
    for (unsigned i = 0; i < 64; i++)
        free(blocks[(i * 37) % 64]);
}

/* A leaf without a frame, and one that is small enough to have no push. */
ALONE static uint64_t leaf(uint64_t x)
{
    for (unsigned i = 0; i < 300; i++)
        x = x * 2862933555777941757u + 3037000493u;
    return x;
}

ALONE static uint64_t recurse(unsigned depth, uint64_t x)
{
    x = depth > 0 ? recurse(depth - 1, x + depth) : leaf(x);
    STAYS();
    return x + 1;
}

/* Its length is known at run time: a frame found by its frame pointer. */
ALONE static uint64_t array(unsigned bytes)
{
    char *room = __builtin_alloca(bytes);
    memset(room, (int)bytes, bytes);
    STAYS();
    return leaf((uint64_t)room[bytes / 2]);
}

/* A stack that is realigned. */
ALONE static uint64_t aligned(uint64_t x)
{
    _Alignas(64) volatile char room[128];
    for (unsigned i = 0; i < sizeof room; i++)
        room[i] = (char)(x >> (i % 8));
    return leaf((uint64_t)room[5]) + (uint64_t)room[3];
}

ALONE static uint64_t variadic(unsigned count, ...)
{
    va_list list;
    uint64_t sum = 0;
    va_start(list, count);
    for (unsigned i = 0; i < count; i++)
        sum += va_arg(list, uint64_t);
    va_end(list);
    return leaf(sum);
}

/* More values than registers: all of them are saved, the frame pointer's too. */
ALONE static uint64_t crowded(uint64_t *v)
{
    uint64_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
    for (unsigned i = 0; i < 40; i++) {
        a += b ^ (c << 3);
        b += c ^ (d >> 5);
        c += d ^ (e << 7);
        d += e ^ (f >> 11);
        e += f ^ (g << 13);
        f += g ^ (h >> 17);
        g += h ^ (a << 19);
        h += leaf(a) ^ (b >> 23);
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

ALONE static void copy(void)
{
    static char from[65536];
    static char to[65536];
    for (unsigned i = 0; i < 8; i++) {
        memcpy(to, from, sizeof to);
        memmove(to + 1, to, sizeof to - 1);
        sink += strlen(to) + (to[5] == 0);
    }
}

static void look_at_clocks(void)
{
    struct timespec now;
    for (unsigned i = 0; i < 400; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        if (i % 8 == 0)
            sink += (uint64_t)getppid();
    }
}

static void match(void)
{
    regex_t expression;
    if (regcomp(&expression, "^(a|b)*[c-f]+(x{2,4}|y)$", REG_EXTENDED) != 0)
        return;
    sink += (uint64_t)regexec(&expression, "ababababcdefcdefxxx", 0, NULL, 0);
    regfree(&expression);
}

static void calculate(void)
{
    double sum = 0;
    for (unsigned i = 1; i < 300; i++)
        sum += sin(i) * pow(i, 0.7) + strtod("3.14159265358979", NULL);
    sink += (uint64_t)sum;
}

/* Interrupted inside another handler: the walk crosses two signal frames. */
static void on_user_signal(int signo)
{
    (void)signo;
    sink += recurse(5, 1);
}

static void be_signalled(void)
{
    static bool is_installed;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_user_signal;
    if (!is_installed && sigaction(SIGUSR2, &action, NULL) == 0)
        is_installed = true;
    for (unsigned i = 0; i < 20; i++)
        raise(SIGUSR2);
}

static ucontext_t here;
static ucontext_t there;

static void on_another_stack(void)
{
    sink += recurse(12, 7);
}

static void change_stacks(void)
{
    static char stack[65536];
    for (unsigned i = 0; i < 30; i++) {
        if (getcontext(&there) != 0)
            return;
        there.uc_stack.ss_sp = stack;
        there.uc_stack.ss_size = sizeof stack;
        there.uc_link = &here;
        makecontext(&there, on_another_stack, 0);
        swapcontext(&here, &there);
    }
}

/* Lazily bound, so that the loader's resolver is on the stack; never replaced by another: see reload.c. */
static void load(const char *path)
{
    void *module = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (module == NULL)
        return;
    uint64_t (*enter)(uint64_t) = (uint64_t(*)(uint64_t))(uintptr_t)dlsym(module, "module_enter");
    for (unsigned j = 0; enter != NULL && j < 200; j++)
        sink += enter(j);
    dlclose(module);
}

void varied_run(const char *module)
{
    uint64_t values[8] = { 1, 2, 3, 4, 5, 6, 7, next_number() };
    sort();
    print();
    allocate();
    for (unsigned i = 0; i < 60; i++) {
        sink += recurse(i, i);
        sink += array(100 + i * 7);
        sink += aligned(i);
        sink += variadic(3, (uint64_t)i, (uint64_t)2, (uint64_t)3);
    }
    sink += crowded(values);
    copy();
    look_at_clocks();
    match();
    calculate();
    be_signalled();
    change_stacks();
    load(module);
}
