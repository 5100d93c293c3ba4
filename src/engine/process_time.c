/* SPDX-License-Identifier: MIT */
/*
 * process_time.c: see process_time.h. Only awi_process_time_note runs in the handler. It does not program: it
 * leaves a note, and the dispatcher takes the note, then looks at the clock, and then covers what is left. A
 * ring before the note is taken is seen by that look; one after it leaves another note, for the next
 * dispatch. Where the timer was set anew between ring and note, it is set once more than needed.
 */
#include "process_time.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alarm.h"
#include "burn.h"
#include "clock.h"
#include "disposition.h"
#include "pending.h"

#define NS_PER_SEC UINT64_C(1000000000)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static struct {
    timer_t timer;
    bool exists;
    uint64_t armed_at; /* AW_FOREVER: it is stopped; 0: it has rung */
} clocks[AWI_PROCESS_CLOCKS] = {
    [AWI_USER_TIME] = { .armed_at = AW_FOREVER }, [AWI_ALL_TIME] = { .armed_at = AW_FOREVER }
};

static uint32_t rung; /* bit by clock: the handler sets it, the program takes it back */

static clockid_t clock_id(enum awi_process_clock clock)
{
    return clock == AWI_USER_TIME ? AWI_USER_CLOCK : CLOCK_PROCESS_CPUTIME_ID;
}

static bool awi_process_time_note(const siginfo_t *info)
{
    const void *value = info->si_value.sival_ptr;
    unsigned clock = value == &clocks[AWI_USER_TIME] ? AWI_USER_TIME : AWI_ALL_TIME;
    if (info->si_code != SI_TIMER || value != &clocks[clock])
        return false;
    __atomic_fetch_or(&rung, 1u << clock, __ATOMIC_SEQ_CST);
    awi_raise(AWI_ITIMER);
    return true;
}

bool awi_process_time_rang(void)
{
    if (AWI_LIKELY(AWI_LOAD(rung) == 0))
        return false;
    uint32_t now_rung = __atomic_exchange_n(&rung, 0, __ATOMIC_SEQ_CST);
    for (unsigned clock = 0; clock < AWI_PROCESS_CLOCKS; ++clock)
        if ((now_rung >> clock & 1) != 0)
            clocks[clock].armed_at = 0;
    return now_rung != 0;
}

uint64_t awi_process_time_now(enum awi_process_clock clock)
{
    struct timespec now = { 0, 0 };
    clock_gettime(clock_id(clock), &now);
    return awi_clock_ns(&now);
}

uint64_t awi_process_time_tick(void)
{
    static uint64_t tick_ns;
    struct timespec tick;
    if (tick_ns == 0)
        tick_ns = clock_getres(AWI_USER_CLOCK, &tick) == 0 ? awi_clock_ns(&tick) : AW_MS(10);
    return tick_ns;
}

uint64_t awi_process_time_armed_at(enum awi_process_clock clock)
{
    return clocks[clock].armed_at;
}

int awi_process_time_open(enum awi_process_clock clock)
{
    struct sigevent event;
    if (clocks[clock].exists)
        return 0;
    int saved_errno = errno;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = awi_disposition_signo();
    event.sigev_value.sival_ptr = &clocks[clock];
    event.sigev_notify_thread_id = gettid();
    int result = timer_create(clock_id(clock), &event, &clocks[clock].timer) == 0 ? 0 : -errno;
    errno = saved_errno;
    if (result < 0)
        return result;
    clocks[clock].exists = true;
    clocks[clock].armed_at = AW_FOREVER;
    awi.rang = awi_process_time_note;
    awi_order();
    return 0;
}

/* A time that has passed, but is not 0, rings at once; AW_FOREVER stops. */
static int program(enum awi_process_clock clock, uint64_t at_ns)
{
    struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
    int saved_errno = errno;
    if (at_ns != AW_FOREVER) {
        spec.it_value.tv_sec = (time_t)(at_ns / NS_PER_SEC);
        spec.it_value.tv_nsec = (long)(at_ns % NS_PER_SEC);
    }
    awi_count(&awi.programmed, 1);
    int result = timer_settime(clocks[clock].timer, TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : -errno;
    errno = saved_errno;
    return result;
}

int awi_process_time_cover(enum awi_process_clock clock, uint64_t need_ns, uint64_t now_ns)
{
    uint64_t armed_at = clocks[clock].armed_at;
    bool is_covered =
        need_ns == AW_FOREVER ? armed_at == AW_FOREVER : armed_at > now_ns && armed_at <= need_ns;
    if (is_covered) {
        ++awi.avoided;
        return 0;
    }
    if (need_ns == AW_FOREVER && armed_at <= now_ns) { /* spent, or about to ring in vain */
        clocks[clock].armed_at = AW_FOREVER;
        return 0;
    }
    if (need_ns != AW_FOREVER && need_ns > now_ns && need_ns - now_ns > AWI_ALARM_LONGEST)
        need_ns = now_ns + AWI_ALARM_LONGEST;
    int result = program(clock, need_ns);
    if (result == 0)
        clocks[clock].armed_at = need_ns;
    return result;
}

void awi_process_time_close(void)
{
    int saved_errno = errno;
    for (unsigned clock = 0; clock < AWI_PROCESS_CLOCKS; ++clock)
        if (clocks[clock].exists)
            timer_delete(clocks[clock].timer);
    errno = saved_errno;
    awi_process_time_forked();
}

void awi_process_time_forked(void)
{
    for (unsigned clock = 0; clock < AWI_PROCESS_CLOCKS; ++clock) {
        clocks[clock].exists = false;
        clocks[clock].armed_at = AW_FOREVER;
    }
    AWI_STORE(rung, 0);
}
