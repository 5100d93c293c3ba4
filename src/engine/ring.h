/* SPDX-License-Identifier: MIT */
/*
 * ring.h: the places of a bounded queue with any number of writers (threads, signal handlers) and one reader,
 * the owner: D. Vyukov's bounded MPMC queue, with one consumer. A writer that is interrupted between its
 * claim and its publication delays what comes after it, and blocks nobody. What lies in the places is the
 * user's: an array of AWI_RING_CELLS of its own.
 */
#ifndef AWI_RING_H
#define AWI_RING_H

#include <stdbool.h>
#include <stdint.h>

#define AWI_RING_CELLS 1024u

struct awi_ring {
    uint32_t claims;                   /* writers */
    uint32_t taken;                    /* the reader */
    uint32_t sequence[AWI_RING_CELLS]; /* position: free for that claim; position + 1: holds that claim's */
};

/* No writer may be active. */
static inline void awi_ring_reset(struct awi_ring *ring)
{
    for (uint32_t i = 0; i < AWI_RING_CELLS; ++i)
        ring->sequence[i] = i;
    ring->claims = ring->taken = 0;
}

/* A place to write to, *position modulo AWI_RING_CELLS; false: full. AS-Safe, MT-Safe. */
static inline bool awi_ring_claim(struct awi_ring *ring, uint32_t *position)
{
    uint32_t claim = __atomic_load_n(&ring->claims, __ATOMIC_RELAXED);
    for (;;) {
        uint32_t *sequence = &ring->sequence[claim % AWI_RING_CELLS];
        int32_t ahead = (int32_t)(__atomic_load_n(sequence, __ATOMIC_ACQUIRE) - claim);
        *position = claim;
        if (ahead < 0)
            return false;
        if (ahead > 0)
            claim = __atomic_load_n(&ring->claims, __ATOMIC_RELAXED);
        else if (__atomic_compare_exchange_n(&ring->claims, &claim, claim + 1, true, __ATOMIC_RELAXED,
                                             __ATOMIC_RELAXED))
            return true;
    }
}

static inline void awi_ring_publish(struct awi_ring *ring, uint32_t position)
{
    __atomic_store_n(&ring->sequence[position % AWI_RING_CELLS], position + 1, __ATOMIC_RELEASE);
}

/* Reader: true if something lies at this position, counted from ring->taken on. */
static inline bool awi_ring_holds(const struct awi_ring *ring, uint32_t position)
{
    return __atomic_load_n(&ring->sequence[position % AWI_RING_CELLS], __ATOMIC_ACQUIRE) == position + 1;
}

/* Reader: frees the oldest place. */
static inline void awi_ring_release(struct awi_ring *ring)
{
    uint32_t position = ring->taken++;
    __atomic_store_n(&ring->sequence[position % AWI_RING_CELLS], position + AWI_RING_CELLS, __ATOMIC_RELEASE);
}

#endif
