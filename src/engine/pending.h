/* SPDX-License-Identifier: MIT */
/*
 * pending.h: everything that the signal handler and the program share: the flags, the needs that the alarm
 * serves, the array of guards. The handler reads nothing else.
 *
 * Who writes what, and what the other may see:
 *   - Handler and program run on the same thread (a handler that runs elsewhere touches only `in_flight`), so
 *     a store needs to be whole and in order for the compiler (AWI_STORE, awi_order), not for another
 *     processor.
 *   - A field that both of them change is changed by one atomic read-modify-write: awi_pending, `expired`,
 *     `told`.
 *   - `armed_at` is stored by both, under the protocol of cover.c, which tells by `runs` that the handler
 *     came in between.
 *   - Other threads touch awi_pending, the post queue and `sleeping`, sequentially consistent (post.c,
 *     wait.c).
 */
#ifndef AWI_PENDING_H
#define AWI_PENDING_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <alarmwheel/guard.h>
#include <alarmwheel/safepoint.h>

#include "frame.h"

_Static_assert(__GCC_ATOMIC_LLONG_LOCK_FREE == 2, "needs 64-bit loads and stores that a signal cannot split");

#define AWI_LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define AWI_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

/* Nothing moves across it, as seen by a handler on this thread. No instruction. */
static inline void awi_order(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The bits of awi_pending. */
enum {
    AWI_TIMER = 1u,        /* the earliest timer is due, or a spent budget left some */
    AWI_POST = 2u,         /* something was posted */
    AWI_GUARD = 4u,        /* an expired guard stands */
    AWI_QUIT = 8u,         /* aw_quit was called */
    AWI_DISPATCHING = 16u, /* a dispatch runs, or was left by longjmp: see dispatch.c */
    AWI_SIGNAL = 32u,      /* a watched signal came */
    AWI_ITIMER = 64u,      /* a virtual interval timer on processor time may be due */

    AWI_CALLBACKS = AWI_TIMER | AWI_POST | AWI_SIGNAL | AWI_ITIMER
};

enum {
    AWI_CLOSED,
    AWI_STARTING,
    AWI_RUNNING
};

#define AWI_GUARD_DEPTH 64u

/* Where the jump of an escaping guard lands. */
struct awi_landing {
    const void *frame;  /* an address in that frame, */
    const void *caller; /* where its function returns to, */
    const void *code;   /* an address in the text that the escape may leave */
};

/* The frame that a guard lies in, as it is known again: where it ends, and where its function returns to. */
struct awi_holder {
    const void *end;
    const void *caller;
};

/*
 * One guard that is entered. Written before `depth` covers it; from then on only `noticed_ns`, `lateness_ns`,
 * and what its clean-ups need change.
 */
struct awi_guard_entry {
    uint64_t deadline_ns;  /* AW_FOREVER for a guard on processor time */
    uint64_t effective_ns; /* the least deadline of this one and all around it */
    uint64_t noticed_ns;   /* when its expiry was noticed, and how late that was: */
    uint64_t lateness_ns;  /* valid once its bit in `expired` is set */
    struct aw_guard *guard;
    uint32_t shields; /* that stood at its entry: it does not mind them */
    uint32_t how;     /* its flags */
    uint64_t told;    /* of the guards around it the program knew by then */

    uint64_t burn_ns;           /* AW_GUARD_CPU, AW_GUARD_USER: the deadline on that clock */
    struct awi_landing landing; /* AW_GUARD_ESCAPE */

    uint32_t slots;           /* bit i: clean-up i is registered: cleanup.c */
    struct awi_holder holder; /* valid if there is one */
};

struct awi_shared {
    /* The program stores, the handler loads. */
    uint32_t state;      /* AWI_CLOSED, AWI_STARTING, AWI_RUNNING */
    uint32_t depth;      /* guards entered */
    uint32_t base;       /* of these, entered outside the running callback, which they do not bound */
    uint32_t shields;    /* aw_shield: no escape to the guards entered before, and no interruption for them */
    uint64_t burning;    /* bit i: guard i is on processor time: stored before `depth` covers it */
    uint64_t limited;    /* bit i: guard i has a hard limit */
    uint32_t waiting;    /* the owner is inside ppoll, or next to it, with all signals blocked around it */
    uint64_t timer_need; /* the earliest timer's tick; AW_FOREVER: none, or a dispatch runs and will say */
    uint64_t slack_ns;
    uint64_t foreign_at; /* the alarm found at aw_init: when it is due; AW_FOREVER: none */
    uint64_t foreign_interval_ns;
    pid_t owner_tid;
    pid_t pid;
    struct awi_frame_record dispatcher; /* the dispatch that runs: a mark in its frame */
    struct awi_frame_record call;       /* the guarded system call that is under way, likewise */
    uint64_t call_need;                 /* its time-out; AW_FOREVER: none */
    uint32_t call_is_plain;             /* it goes through libc: what interrupts plain calls interrupts it */
    int wakeup_fd;                      /* aw_wakeup_fd, or -1 */
    int signal_fd;                      /* aw_set_wakeup_fd, or -1 */

    /* Both store. */
    uint64_t armed_at;    /* the time for which the alarm is programmed; AW_FOREVER: it is not */
    uint64_t expired;     /* bit i: guard i has expired */
    uint64_t told;        /* bit i: and the program knows, so it is nagged no more */
    uint64_t call_due_ns; /* since when the guarded call is to be interrupted; 0: it is not */

    /* The handler stores. */
    uint64_t runs;        /* of the handler on the owner thread */
    uint32_t in_flight;   /* handlers and posters on other threads: atomic; aw_shutdown waits for them */
    uint32_t foreign_ran; /* while `waiting`: a handler that is not ours was found beneath ours */

    /* Owner and posters; sequentially consistent. */
    uint32_t sleeping; /* the owner is about to sleep, or sleeps: ring the doorbell */
    uint32_t running;  /* an aw_run runs, which aw_quit can end */

    /* How guards hook into the handler; NULL until the first guard is entered. Signal context. */
    uint64_t (*expire)(uint64_t now_ns); /* marks the guards that are due; returns the next need */
    void (*cancel)(void *context);       /* moves a guarded call that has not begun to its cancel exit */
    void (*deliver)(void *context, const void *trampoline); /* interrupts the plain system call, or escapes */
    void (*escape)(const void *here);                       /* the same at a safe point, in program context */
    void (*unlimit)(void); /* NULL, or: guards with a hard limit were dropped; program context */

    /* How others hook into it; NULL until they are used. Signal context. */
    uint64_t watched;                               /* bit signo - 1: aw_signal_watch has it; atomic */
    uint64_t held;                                  /* ... or it is ignored, or defaulted; the program's */
    void (*note)(int signo, const siginfo_t *info); /* a watched one came, by the engine's own handler */
    bool (*rang)(const siginfo_t *info);            /* is it from a timer of theirs? It raises their flag. */

    struct awi_guard_entry guards[AWI_GUARD_DEPTH];

    /* Counters: plain where only one of the two counts, by awi_count where both do. */
    uint64_t signals, spurious, forwarded, chained, dropped, programmed, avoided, guards_expired, recoveries,
        thefts;
};

extern struct awi_shared awi __attribute__((visibility("hidden")));

/* What this thread is to the engine. */
enum {
    AWI_STRANGER,
    AWI_OWNER,
    AWI_OWNER_GUARDS, /* and guards are hooked into the handler, */
    AWI_OWNER_CALLS   /* ... guarded system calls, too */
};

/* Static TLS: no allocation and no lock in a handler. */
extern _Thread_local unsigned char awi_owner __attribute__((visibility("hidden"), tls_model("initial-exec")));

#define AWI_LIKELY(x) __builtin_expect(!!(x), 1)
#define AWI_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* 0 on the owner thread; -ENODEV without an engine; -EPERM on another thread. */
int awi_denied(void);
static inline int awi_check(void)
{
    return AWI_LIKELY(awi_owner) ? 0 : awi_denied();
}

static inline uint32_t awi_flags(void)
{
    return __atomic_load_n(&awi_pending, __ATOMIC_RELAXED);
}

static inline void awi_count(uint64_t *counter, unsigned n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Makes aw_wakeup_fd readable. Any thread, any context. */
void awi_wakeup_ring(int fd);

/* Raises flags, and makes aw_wakeup_fd readable if one of them is new. Any thread, any context. */
void awi_raise(uint32_t flags);

static inline void awi_clear(uint32_t flags)
{
    __atomic_fetch_and(&awi_pending, ~flags, __ATOMIC_SEQ_CST);
}

/*
 * Flags what is due at now_ns, timers and guards alike, and returns the earliest need that is not flagged:
 * what the alarm has to be programmed for. Called by the handler, and by the program, which the handler may
 * interrupt anywhere in it: flags are only added, so the two can only agree.
 */
uint64_t awi_flag_due(uint64_t now_ns);

/* The guards that the running code is subject to: those entered inside the running callback, or all. */
static inline uint64_t awi_visible_guards(void)
{
    uint32_t base = AWI_LOAD(awi.base);
    return base < AWI_GUARD_DEPTH ? UINT64_MAX << base : 0;
}

/* The expired guards that the running code is subject to. */
static inline uint64_t awi_expired_guards(void)
{
    return AWI_LOAD(awi.expired) & awi_visible_guards();
}

/*
 * A signal may land just before the program enters a system call, in a handler above one that blocks, or
 * where no escape is possible: so it comes again. Quickly at first; a program that ignores it for long is
 * not worth 2 % of its time.
 */
static inline uint64_t awi_nag(uint64_t now_ns, uint64_t since_ns)
{
    bool quickly = now_ns < since_ns || now_ns - since_ns < AW_MS(100);
    return now_ns + (quickly ? AW_US(50) : AW_MS(1));
}

/* The expired guards that are to be nagged for: the program was not told, and holds no shield against it. */
uint64_t awi_nagging_guards(void);

/* A guarded call is under way, and there is a reason to interrupt it. */
bool awi_call_is_due(uint64_t now_ns);

#endif
