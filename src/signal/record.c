/* SPDX-License-Identifier: MIT */
/*
 * record.c: see record.h. A standard signal has a slot: how often it came, and the last siginfo. A real-time
 * one goes to the queue, and to its slot when that is full or its slot is not empty, so that the order holds.
 *
 * A slot's siginfo is under a version, odd while it is being written. Writers are handlers with a full mask,
 * so never two on one thread; where two threads meet, the second leaves the siginfo to the first: the two
 * came at the same time.
 *
 *   writer                            reader
 *   version odd                       `came` as far as it counts
 *   the siginfo                       version even ? copy : again
 *   version even                      version as before ? done : again
 *   came + 1
 *
 * So a siginfo is never older than the count that it stands for; the reader waits for a writer on another
 * thread at worst, never for one that it has interrupted.
 */
#include "record.h"

#include <sched.h>
#include <string.h>

#include "../engine/ring.h"

#define WORDS (sizeof(siginfo_t) / sizeof(uint64_t))
_Static_assert(sizeof(siginfo_t) % sizeof(uint64_t) == 0, "copied word by word");

struct slot {
    uint64_t came; /* writers */
    uint64_t taken;
    uint64_t received;
    uint64_t merged;
    uint32_t version;
    uint64_t info[WORDS];
};

static struct slot slots[AWI_SIGNALS];

static struct awi_ring ring;
static siginfo_t queued[AWI_RING_CELLS];
static bool is_gone[AWI_RING_CELLS]; /* taken out of the middle; the reader's */

void awi_record_reset(void)
{
    memset(slots, 0, sizeof slots);
    memset(is_gone, 0, sizeof is_gone);
    awi_ring_reset(&ring);
}

static struct slot *slot_of(int signo)
{
    return &slots[signo - 1];
}

void awi_record_begin(int signo)
{
    slot_of(signo)->received = slot_of(signo)->merged = 0;
}

static uint64_t came(const struct slot *slot)
{
    return __atomic_load_n(&slot->came, __ATOMIC_SEQ_CST);
}

static bool is_real_time(int signo)
{
    return signo >= 32; /* by the kernel's count; libc keeps some of them */
}

/* ---- writers ---- */

static void write_info(struct slot *slot, const siginfo_t *info)
{
    uint64_t words[WORDS];
    uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_RELAXED);
    if (version % 2 != 0 || !__atomic_compare_exchange_n(&slot->version, &version, version + 1, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return;
    memcpy(words, info, sizeof words);
    for (unsigned i = 0; i < WORDS; ++i)
        __atomic_store_n(&slot->info[i], words[i], __ATOMIC_RELEASE);
    __atomic_store_n(&slot->version, version + 2, __ATOMIC_RELEASE);
}

static bool queue(int signo, const siginfo_t *info)
{
    const struct slot *slot = slot_of(signo);
    uint32_t position;
    if (came(slot) != __atomic_load_n(&slot->taken, __ATOMIC_RELAXED) || !awi_ring_claim(&ring, &position))
        return false;
    queued[position % AWI_RING_CELLS] = *info;
    queued[position % AWI_RING_CELLS].si_signo = signo;
    awi_ring_publish(&ring, position);
    return true;
}

void awi_record_write(int signo, const siginfo_t *info)
{
    struct slot *slot = slot_of(signo);
    __atomic_fetch_add(&slot->received, 1, __ATOMIC_RELAXED);
    if (is_real_time(signo)) {
        if (queue(signo, info))
            return;
        __atomic_fetch_add(&slot->merged, 1, __ATOMIC_RELAXED);
    }
    write_info(slot, info);
    __atomic_fetch_add(&slot->came, 1, __ATOMIC_SEQ_CST);
}

/* ---- the reader ---- */

static void read_info(const struct slot *slot, siginfo_t *info)
{
    uint64_t words[WORDS];
    uint32_t version;
    for (;;) {
        version = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
        if (version % 2 != 0) {
            sched_yield();
            continue;
        }
        for (unsigned i = 0; i < WORDS; ++i)
            words[i] = __atomic_load_n(&slot->info[i], __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&slot->version, __ATOMIC_RELAXED) == version)
            break;
    }
    memcpy(info, words, sizeof words);
}

static bool take_slot(int signo, struct awi_arrival *arrival)
{
    struct slot *slot = slot_of(signo);
    uint64_t seen = came(slot);
    if (seen == slot->taken)
        return false;
    arrival->signo = signo;
    arrival->count = seen - slot->taken;
    read_info(slot, &arrival->info);
    __atomic_store_n(&slot->taken, seen, __ATOMIC_RELAXED);
    return true;
}

static bool take_slots(uint64_t signals, int from, int to, struct awi_arrival *arrival)
{
    for (int signo = from; signo <= to; ++signo) {
        if ((signals & awi_signal_bit(signo)) != 0 && take_slot(signo, arrival))
            return true;
    }
    return false;
}

static void release_gone(void)
{
    while (is_gone[ring.taken % AWI_RING_CELLS]) {
        is_gone[ring.taken % AWI_RING_CELLS] = false;
        awi_ring_release(&ring);
    }
}

static bool take_queued(uint64_t signals, struct awi_arrival *arrival)
{
    for (uint32_t position = ring.taken; awi_ring_holds(&ring, position); ++position) {
        uint32_t cell = position % AWI_RING_CELLS;
        if (is_gone[cell] || (signals & awi_signal_bit(queued[cell].si_signo)) == 0)
            continue;
        *arrival = (struct awi_arrival){ queued[cell].si_signo, 1, queued[cell] };
        is_gone[cell] = true;
        release_gone();
        return true;
    }
    return false;
}

/* Standard signals first, as the kernel has it; what was queued is older than what found the queue full. */
bool awi_record_take(uint64_t signals, struct awi_arrival *arrival)
{
    return take_slots(signals, 1, 31, arrival) || take_queued(signals, arrival) ||
           take_slots(signals, 32, AWI_SIGNALS, arrival);
}

uint64_t awi_record_waiting(void)
{
    uint64_t waiting = 0;
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo) {
        if (came(slot_of(signo)) != slot_of(signo)->taken)
            waiting |= awi_signal_bit(signo);
    }
    for (uint32_t position = ring.taken; awi_ring_holds(&ring, position); ++position) {
        if (!is_gone[position % AWI_RING_CELLS])
            waiting |= awi_signal_bit(queued[position % AWI_RING_CELLS].si_signo);
    }
    return waiting;
}

uint64_t awi_record_received(int signo)
{
    return __atomic_load_n(&slot_of(signo)->received, __ATOMIC_RELAXED);
}

uint64_t awi_record_merged(int signo)
{
    return __atomic_load_n(&slot_of(signo)->merged, __ATOMIC_RELAXED);
}
