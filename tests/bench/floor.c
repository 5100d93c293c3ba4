/* SPDX-License-Identifier: MIT */
/*
 * floor.c: the floor under every wheel that re-links: take a 64-byte node out of a doubly linked list and put
 * it at the head of another. No deadline is compared, nothing ever expires; the list is chosen as a wheel of
 * 512 slots of 67 ms would.
 */
#include "peer_begin.h"

#include "bench.h"

#define PEER_IS_FLOOR 1
#define LISTS 512u
#define SLOT_SHIFT 26

typedef uint64_t native;
typedef struct node *name;

struct node {
    struct node *prev;
    struct node *next;
    uint64_t when_ns;
    void *fn;
    void *arg;
    uint64_t rest[3];
};
_Static_assert(sizeof(struct node) == 64, "the floor's nodes are one cache line");

static struct node *nodes;
static struct node heads[LISTS];

static native impl_native(uint64_t delay_ns)
{
    return delay_ns;
}

static inline void link_node(struct node *node, native delay)
{
    const uint64_t when_ns = peer_now_ns + delay;
    struct node *head = &heads[(when_ns >> SLOT_SHIFT) % LISTS];
    node->when_ns = when_ns;
    node->prev = head;
    node->next = head->next;
    head->next->prev = node;
    head->next = node;
}

static inline name impl_name(uint32_t index)
{
    return &nodes[index];
}

static const char *impl_open(uint32_t timers)
{
    nodes = aligned_alloc(64, timers * sizeof *nodes);
    if (nodes == NULL)
        return "out of memory";
    for (uint32_t i = 0; i < LISTS; i++)
        heads[i].prev = heads[i].next = &heads[i];
    return NULL;
}

static void impl_close(uint32_t timers)
{
    (void)timers;
    free(nodes);
}

static inline void impl_start(name timer, native delay)
{
    link_node(timer, delay);
}

static inline void impl_rearm(name timer, native delay)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    link_node(timer, delay);
}

static inline void impl_refresh(name timer, native delay)
{
    impl_rearm(timer, delay);
}

static inline void impl_dispatch(void)
{
}

static const char *version(void)
{
    return "";
}

#include "peer_loops.h"

const struct peer bench_floor = { "floor",    version,      0,    peer_open, peer_close,
                                  peer_rearm, peer_refresh, NULL, NULL };
