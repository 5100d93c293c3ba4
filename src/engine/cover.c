/* SPDX-License-Identifier: MIT */
/*
 * cover.c: programs the alarm from the program's side, against a handler that re-arms it too.
 *
 *     publish the need                     (the caller)
 *  1  runs = awi.runs
 *  2  need = flag what is due; the earliest of the rest
 *  3  armed_at = need
 *  4  program the alarm
 *  5  awi.runs == runs ?  done : once more, whatever armed_at says
 *
 * Where the handler can come in:
 *
 *   before 1   it sees the published need and re-arms for it; step 2 finds it covered.
 *   1 .. 3     it may flag what 2 found, and arm for something later. We overwrite both with the earlier
 *              time: consistent, one signal too many. 5 sees that it ran, and sets it right.
 *   3 .. 4     it finds armed_at = need. If that is still to come it trusts it and leaves the clock alone
 *              (or, having spent the kernel's one shot, programs just that): 4 programs the same again. If
 *              it is due by now it flags it and arms for the next need; 4 then programs a time that has
 *              passed, and armed_at speaks of the next: wrong, and 5 repeats.
 *   after 4    alarm and armed_at agree.
 *
 * With 3 and 4 swapped the handler could run between "alarm programmed" and "armed_at = need": it flags the
 * need, arms for the next one, and armed_at is then set to a time that has passed: every later need seems
 * covered, and no alarm comes.
 */
#include "cover.h"
#include "../busy.h"

#include "alarm.h"
#include "clock.h"
#include "disposition.h"

uint64_t awi_cover_time(uint64_t need_ns, uint64_t now_ns)
{
    if (need_ns != AW_FOREVER && need_ns > now_ns && need_ns - now_ns > AWI_ALARM_LONGEST)
        return now_ns + AWI_ALARM_LONGEST;
    return need_ns;
}

int awi_cover_slow(bool anyway)
{
    AWI_BUSY;
    for (;; anyway = true) {
        uint64_t runs = AWI_LOAD(awi.runs);
        awi_order();
        uint64_t now = awi_clock_now();
        uint64_t need = awi_cover_time(awi_flag_due(now), now);
        uint64_t before = AWI_LOAD(awi.armed_at);
        if (!anyway && need >= before)
            return 0;
        AWI_STORE(awi.armed_at, need);
        awi_order();
        int result = awi_alarm_program(need, now);
        awi_order();
        if (AWI_LIKELY(AWI_LOAD(awi.runs) == runs)) {
            if (result < 0)
                AWI_STORE(awi.armed_at, before);
            return result;
        }
    }
}

void awi_recover(void)
{
    AWI_BUSY;
    if (!awi_is_lost(AWI_LOAD(awi.armed_at), awi_clock_now()))
        return;
    ++awi.recoveries;
    if (awi_disposition_retake())
        awi_count(&awi.thefts, 1);
    /* Where it fails `armed_at` stays overdue, and the next call tries again. */
    (void)awi_cover_slow(true);
}

int awi_cover_exactly(void)
{
    uint64_t now = awi_clock_now();
    if (AWI_LOAD(awi.armed_at) >= awi_cover_time(awi_flag_due(now), now))
        return 0;
    int result = awi_cover_slow(true);
    return result < 0 ? result : 1;
}
