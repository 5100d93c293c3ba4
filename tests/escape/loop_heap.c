/* SPDX-License-Identifier: MIT */
/*
 * loop_heap.c: loops that live on the heap: malloc, realloc and free at random; the same below a signal
 * handler with SA_NODEFER; and qsort, which takes memory from the heap and calls the program back.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loops.h"

/* ---- malloc ---- */

#define BLOCKS 128u

static struct block {
    unsigned char *bytes;
    uint32_t size;
    unsigned char mark;
} blocks[BLOCKS];

/* The block whose pointer cannot be relied on just now, and one more; 0: none. */
static volatile unsigned in_the_middle;
static const char *volatile torn;

static uint32_t drawn_size(void)
{
    uint32_t draw = loop_random();
    if (draw % 256 == 0)
        return 200000; /* the kernel's, straight */
    if (draw % 16 == 0)
        return 4096 + draw / 16 % 30000;
    return 16 + draw / 16 % 1000;
}

/* Both ends, so that most of the time is spent in the allocator. */
static void mark_block(struct block *block, uint32_t size)
{
    block->size = size;
    block->mark = (unsigned char)loop_random();
    memset(block->bytes, block->mark, 16);
    memset(block->bytes + size - 16, block->mark, 16);
}

static bool is_marked(const struct block *block, uint32_t size)
{
    for (uint32_t i = 0; i < 16; ++i) {
        if (block->bytes[i] != block->mark ||
            (size == block->size && block->bytes[size - 1 - i] != block->mark))
            return false;
    }
    return true;
}

static void malloc_turn(void)
{
    unsigned which = loop_random() % BLOCKS;
    struct block *block = &blocks[which];
    uint32_t size = drawn_size();
    if (block->bytes != NULL && !is_marked(block, block->size))
        torn = "a block of the heap was overwritten";
    in_the_middle = which + 1;
    LOOP_ORDER();
    if (block->bytes == NULL) {
        block->bytes = malloc(size);
    } else if (size % 2 == 0) {
        free(block->bytes);
        block->bytes = NULL;
    } else {
        unsigned char *moved = realloc(block->bytes, size);
        block->bytes = moved;
        if (moved != NULL && size >= 32 && !is_marked(block, size))
            torn = "realloc lost a block's bytes";
    }
    if (block->bytes != NULL)
        mark_block(block, size);
    LOOP_ORDER();
    in_the_middle = 0;
}

/* A block that was being taken or given back may be either: it is forgotten. */
static const char *malloc_landed(bool last)
{
    if (in_the_middle != 0)
        blocks[in_the_middle - 1].bytes = NULL;
    in_the_middle = 0;
    for (unsigned i = 0; last && i < BLOCKS; ++i) {
        if (blocks[i].bytes != NULL && !is_marked(&blocks[i], blocks[i].size))
            torn = "a block of the heap was overwritten";
        free(blocks[i].bytes);
        blocks[i].bytes = NULL;
    }
    return torn;
}

const struct escape_loop loop_malloc = { .name = "malloc",
                                         .about = "malloc, realloc and free of 16 bytes to 200 kB",
                                         .turn = malloc_turn,
                                         .landed = malloc_landed };

/* ---- a handler with SA_NODEFER above the same ---- */

static void compute_in_handler(int signo)
{
    int saved_errno = errno;
    (void)signo;
    ++loop_inside;
    loop_compute_for(4000);
    --loop_inside;
    errno = saved_errno;
}

static void nodefer_begin(void)
{
    const struct itimerspec often = { { 0, 90000 }, { 0, 90000 } };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct sigaction action;
    timer_t timer;

    memset(&action, 0, sizeof action);
    action.sa_handler = compute_in_handler;
    action.sa_flags = SA_NODEFER | SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &often, NULL) != 0)
        abort();
}

const struct escape_loop loop_nodefer = {
    .name = "nodefer",
    .about = "the same, interrupted every 90 us by a handler with SA_NODEFER",
    .begin = nodefer_begin,
    .turn = malloc_turn,
    .landed = malloc_landed,
    .calls_back = true
};

/* ---- qsort ---- */

#define ITEMS 600u /* more than glibc keeps on the stack */

static uint64_t items[ITEMS];
static size_t heap_at_first;
static bool is_first = true;

static int compare(const void *a, const void *b)
{
    uint64_t left, right;
    ++loop_inside;
    LOOP_ORDER();
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    int result = (left > right) - (left < right);
    LOOP_ORDER();
    --loop_inside;
    return result;
}

static void qsort_turn(void)
{
    for (unsigned i = 0; i < ITEMS; ++i)
        items[i] = (uint64_t)loop_random() << 32 | i;
    qsort(items, ITEMS, sizeof *items, compare);
    for (unsigned i = 1; i < ITEMS; ++i) {
        if (items[i - 1] >= items[i])
            torn = "qsort did not sort";
    }
}

static size_t heap_in_use(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

/* From the first landing on: the unwinder may set up something of its own there. */
static const char *qsort_landed(bool last)
{
    size_t now = heap_in_use();
    (void)last;
    if (is_first) {
        heap_at_first = now;
        is_first = false;
    }
    if (now > heap_at_first + sizeof items)
        torn = "qsort leaked its memory";
    return torn;
}

static void qsort_begin(void)
{
    for (unsigned i = 0; i < 3; ++i)
        qsort_turn();
}

const struct escape_loop loop_qsort = { .name = "qsort",
                                        .about = "qsort with the program's own comparator",
                                        .begin = qsort_begin,
                                        .turn = qsort_turn,
                                        .landed = qsort_landed,
                                        .calls_back = true };
