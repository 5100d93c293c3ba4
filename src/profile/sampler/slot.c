/* SPDX-License-Identifier: MIT */
/*
 * slot.c: a sampled thread's place in the recording, its processor time, and the timer that samples it: a
 * POSIX timer on its own CPU clock, or on CLOCK_MONOTONIC at random intervals, whose signal goes to that
 * thread alone (SIGEV_THREAD_ID) and names its slot.
 *
 * A thread's timer starts somewhere within its first period: else threads that live for less than one would
 * never be seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "state.h"

#define NS_PER_SEC UINT64_C(1000000000)

/* The member is so named by Linux; glibc before 2.38 has it in a union only. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/*
 * What our timers' signals carry, from the highest bits on: a mark that no pointer has, which copy of the
 * sampler, which profile, which slot. A program's own timer may well carry 0, or its number. A process can
 * have several copies: aw-prof's beside the program's own, and one in each library that has it linked in.
 * A copy is known by the page of its data.
 */
#if UINTPTR_MAX > UINT32_MAX
#define COPY_BITS 36
#define GENERATION_BITS 8
#else
#define COPY_BITS 8
#define GENERATION_BITS 4
#endif
#define INDEX_BITS 16
#define COPY_SHIFT (INDEX_BITS + GENERATION_BITS)
#define MARK_SHIFT (COPY_SHIFT + COPY_BITS)
#define MARK ((uintptr_t)0xa)
#define PAGE_BITS 12

_Static_assert(MARK_SHIFT + 4 == sizeof(uintptr_t) * 8, "a value is a pointer's size");

static uintptr_t low(uintptr_t value, unsigned bits)
{
    return value & (((uintptr_t)1 << bits) - 1);
}

/* The mark and the copy: the same in every profile of ours. */
static uintptr_t our_part(void)
{
    return MARK << MARK_SHIFT | low((uintptr_t)&awi_sampler >> PAGE_BITS, COPY_BITS) << COPY_SHIFT;
}

uintptr_t awi_timer_value(uint32_t index)
{
    uint32_t generation = atomic_load_explicit(&awi_sampler.generation, memory_order_relaxed);
    return our_part() | low(generation, GENERATION_BITS) << INDEX_BITS | index;
}

bool awi_timer_value_is_ours(uintptr_t value)
{
    return value >> COPY_SHIFT == our_part() >> COPY_SHIFT;
}

bool awi_sampler_is_tick(const siginfo_t *info)
{
    return info->si_code == SI_TIMER && (uintptr_t)info->si_value.sival_ptr >> MARK_SHIFT == MARK;
}

struct awi_slot *awi_slot_find(int32_t tid)
{
    for (uint32_t i = 0; i < awi_recording_threads(&awi_sampler.recording); ++i) {
        struct awi_thread_record *record = &awi_sampler.recording.threads[i];
        if (atomic_load(&record->state) == AWI_THREAD_SAMPLED && record->tid == tid)
            return &awi_sampler.slots[i];
    }
    return NULL;
}

/* Makes a record of that state this thread's; false: another has been faster. */
static bool take_record(struct awi_thread_record *record, uint32_t from, int32_t tid)
{
    if (atomic_load_explicit(&record->state, memory_order_relaxed) != from ||
        !atomic_compare_exchange_strong(&record->state, &from, AWI_THREAD_TAKEN))
        return false;
    record->tid = tid;
    record->is_shared = from == AWI_THREAD_ENDED;
    record->running_since_ns = 0;
    if (from == AWI_THREAD_FREE) {
        record->name[0] = '\0';
        record->used_ns = 0;
        record->looked_ns = 0;
        record->taken_ns = 0;
    }
    return true;
}

static struct awi_slot *make_slot(uint32_t index, int32_t tid)
{
    struct awi_recording_head *head = awi_sampler.recording.head;
    struct awi_slot *slot = &awi_sampler.slots[index];
    slot->record = &awi_sampler.recording.threads[index];
    slot->has_timer = false;
    slot->random = (uint32_t)tid * UINT32_C(2654435761) | 1;
    uint32_t used = atomic_load(&head->threads_used);
    while (used <= index && !atomic_compare_exchange_weak(&head->threads_used, &used, index + 1))
        continue;
    atomic_fetch_add_explicit(&head->threads_sampled, 1, memory_order_relaxed);
    atomic_store_explicit(&slot->record->state, AWI_THREAD_SAMPLED, memory_order_release);
    return slot;
}

/*
 * A free record, else one whose thread has ended: what that has used and counted stays in it, so that the
 * totals are true, and threads that came and went share a row.
 */
struct awi_slot *awi_slot_claim(int32_t tid)
{
    static const uint32_t order[] = { AWI_THREAD_FREE, AWI_THREAD_ENDED };
    struct awi_recording *recording = &awi_sampler.recording;
    for (unsigned kind = 0; kind < 2; ++kind) {
        for (uint32_t i = 0; i < recording->head->threads_max; ++i) {
            if (take_record(&recording->threads[i], order[kind], tid))
                return make_slot(i, tid);
        }
    }
    atomic_fetch_add_explicit(&recording->head->threads_missed, 1, memory_order_relaxed);
    return NULL;
}

/* Linux numbers the clocks of threads from their thread ids (see posix-timers.h there). */
static clockid_t clock_of(int32_t tid)
{
    clockid_t kind = awi_sampler.clock == AW_PROFILE_USER ? 1 : 2;
    return (clockid_t)((~(unsigned)tid) << 3 | 4u | (unsigned)kind);
}

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * NS_PER_SEC + (uint64_t)time.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC) };
}

uint64_t awi_slot_now(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return nanoseconds(now);
}

bool awi_slot_clock(const struct awi_slot *slot, uint64_t *now_ns)
{
    struct timespec now;
    struct timespec own;
    /* A thread that has ended has no clock, of any kind. */
    if (clock_gettime(clock_of(slot->record->tid), &own) != 0)
        return false;
    if (awi_sampler.clock == AW_PROFILE_WALL && clock_gettime(CLOCK_MONOTONIC, &now) == 0)
        own = now;
    *now_ns = nanoseconds(own);
    return true;
}

/* Between 0 and limit - 1 (xorshift). */
static uint64_t random_below(struct awi_slot *slot, uint64_t limit)
{
    slot->random ^= slot->random << 13;
    slot->random ^= slot->random >> 17;
    slot->random ^= slot->random << 5;
    return (uint64_t)slot->random * (limit >> 8) >> 24;
}

int awi_slot_timer_create(struct awi_slot *slot)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
    event.sigev_value.sival_ptr = (void *)awi_timer_value((uint32_t)(slot - awi_sampler.slots));
    event.sigev_notify_thread_id = slot->record->tid;
    clockid_t clock = awi_sampler.clock == AW_PROFILE_WALL ? CLOCK_MONOTONIC : clock_of(slot->record->tid);
    if (timer_create(clock, &event, &slot->timer) != 0)
        return -EAGAIN;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    slot->random ^= (uint32_t)now.tv_nsec << 2;
    slot->random |= slot->random == 0;
    slot->has_timer = true;
    return 0;
}

static void set(struct awi_slot *slot, int flags, uint64_t value_ns, uint64_t interval_ns)
{
    struct itimerspec spec = { .it_interval = timespec_of(interval_ns), .it_value = timespec_of(value_ns) };
    timer_settime(slot->timer, flags, &spec, NULL);
}

void awi_slot_timer_start(struct awi_slot *slot)
{
    if (!slot->has_timer)
        return;
    /* The tick, at which a CPU timer is looked at, comes at a random time itself. */
    uint64_t tick = awi_sampler.clock != AW_PROFILE_WALL ? awi_sampler.tick_ns : 0;
    uint64_t spread = awi_sampler.period_ns > tick ? awi_sampler.period_ns - tick : 0;
    uint64_t first = 1 + random_below(slot, spread);
    if (awi_sampler.clock != AW_PROFILE_WALL) {
        set(slot, 0, first, awi_sampler.period_ns);
    } else {
        slot->due_ns = awi_slot_now() + first;
        awi_slot_timer_again(slot);
    }
}

/* Half a period to one and a half: the mean is the period, and no work can keep step with it. */
static uint64_t interval(struct awi_slot *slot)
{
    return awi_sampler.period_ns / 2 + random_below(slot, awi_sampler.period_ns);
}

/*
 * A thread that waits for a processor cannot be told: its one signal comes when it runs again, at the
 * instruction where it stood all the while. That weighs as much as the intervals that have passed.
 */
uint64_t awi_slot_timer_pass(struct awi_slot *slot)
{
    uint64_t now = awi_slot_now();
    uint64_t due = slot->due_ns;
    if (now > due + 1000 * awi_sampler.period_ns)
        slot->due_ns += (now - due) / awi_sampler.period_ns * awi_sampler.period_ns;
    while (slot->due_ns <= now)
        slot->due_ns += interval(slot);
    return slot->due_ns - due;
}

void awi_slot_timer_again(struct awi_slot *slot)
{
    set(slot, TIMER_ABSTIME, slot->due_ns, 0);
}

void awi_slot_timer_stop(struct awi_slot *slot)
{
    if (slot->has_timer)
        set(slot, 0, 0, 0);
}

void awi_slot_timer_delete(struct awi_slot *slot)
{
    if (slot->has_timer)
        timer_delete(slot->timer);
    slot->has_timer = false;
}

/* Somebody's interval timer is left alone. */
bool awi_itimer_is_free(void)
{
    struct itimerval value;
    return getitimer(ITIMER_PROF, &value) == 0 && value.it_value.tv_sec == 0 && value.it_value.tv_usec == 0;
}

static struct timeval timeval_of(uint64_t ns)
{
    uint64_t us = (ns + 999) / 1000;
    return (struct timeval){ .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
}

void awi_itimer_start(uint64_t period_ns)
{
    struct itimerval value = { .it_interval = timeval_of(period_ns), .it_value = timeval_of(period_ns) };
    setitimer(ITIMER_PROF, &value, NULL);
}

void awi_itimer_stop(uint64_t period_ns)
{
    struct itimerval value;
    struct timeval ours = timeval_of(period_ns);
    if (getitimer(ITIMER_PROF, &value) != 0 || value.it_interval.tv_sec != ours.tv_sec ||
        value.it_interval.tv_usec != ours.tv_usec)
        return;
    value = (struct itimerval){ 0 };
    setitimer(ITIMER_PROF, &value, NULL);
}
