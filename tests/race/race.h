/* SPDX-License-Identifier: MIT */
/*
 * race.h: what the parts of the race checker share: the page through which the tracer and the traced child
 * talk, the description of a piece under test, and what a piece may call. Pieces include it, and nobody
 * outside this folder.
 */
#ifndef RACE_H
#define RACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* How far the child has come; the two changes are announced to the tracer by a trap. */
enum race_phase {
    RACE_SETUP,
    RACE_RUNNING, /* between the marks: here the tracer counts instructions and injects */
    RACE_ENDED
};

/*
 * The shared page. The child and its tracer never run at the same time, except where a comment says so, so
 * plain volatile fields are enough.
 */
struct race_page {
    volatile uint64_t now_ns;          /* the fake CLOCK_MONOTONIC */
    volatile uint64_t alarm_at_ns;     /* the fake ITIMER_REAL: when it is due; 0: disarmed */
    volatile uint64_t alarm_value;     /* its siginfo: the value, */
    volatile int alarm_signo;          /* the signal (0: SIGALRM) */
    volatile int alarm_code;           /* and the code (0: SI_KERNEL): it may be a POSIX timer */
    volatile uint64_t jump_ns;         /* the piece says: at the boundary the clock goes here ... */
    volatile uint64_t late_ns;         /* ... or, in the pass `late`, here */
    volatile uint64_t slept_ns;        /* fake time spent asleep in poll and ppoll */
    volatile uint64_t injected_ns;     /* the clock at the injection; 0: there was none yet */
    volatile uint64_t last_ns;         /* and at the second one, of the pass `twice` */
    volatile uint32_t injected_asleep; /* in_sleep then, */
    volatile uint32_t injected_sleeps; /* and sleeps, */
    volatile uint32_t injected_stage;  /* and stage; */
    volatile uint32_t injected_due;    /* the fake alarm was armed, and is the one that went off */
    volatile uint32_t stage;           /* how far the piece has come, if it says so */
    volatile uint32_t readied;         /* the peer was made ready */
    volatile uint32_t peer_moved;      /* what it then moved */
    volatile uint32_t peer_pid;        /* the peer's process, if it is one */
    volatile uint32_t sleeps;          /* calls of ppoll */
    volatile uint32_t programmed;      /* calls of setitimer that armed */
    volatile uint32_t disarmed;        /* calls of setitimer that disarmed */
    volatile uint32_t real_sleep;      /* ppoll is to sleep for real, until a signal comes */
    volatile uint32_t in_sleep;        /* the child is in ppoll, or in a handler that ended it */
    volatile uint32_t notice;          /* the next trap only says that something here has changed */
    volatile uint32_t phase;           /* enum race_phase */
    volatile uint32_t tid;             /* the second thread's id */
    volatile uint32_t go;              /* futex: the other thread is to do its part */
    volatile uint32_t done;            /* the other thread has done it */
    char outcome[32];                  /* in a word how it came out, for the tally */
    char failure[256];                 /* the first thing that was wrong; empty: none */
};

extern struct race_page *race_page;

/*
 * Whom a guarded call waits for. The first three run in the tracer, so that the peer becomes ready while the
 * child stands still, or in the instant in which the alarm wakes it.
 */
struct race_peer {
    void (*prepare)(void);                        /* before the fork: the child has the same descriptors */
    void (*ready)(bool child_sleeps);             /* or is stopped; it may take at once what comes */
    void (*tidy)(void);                           /* after the child's end */
    void (*settle)(void);                         /* in the child, before the first mark; or NULL */
    long (*call)(uint64_t timeout_ns);            /* the guarded call */
    void (*account)(long result, bool was_ready); /* after it: who has what? */
    long partial;  /* it may return this if nobody ever gets ready; 0: ETIMEDOUT */
    bool is_plain; /* it is made through libc, whatever the machine */
    bool in_parts; /* of several calls: an alarm that comes between two is none of the second's */
};

/* 8 KiB in the frame of the child that calls the piece, aligned to 64: it lies above the piece's frames, and
 * outlives them. */
extern char *race_frame;

/* A function of a piece whose own instructions are boundaries, too: the body of a guard. */
#define RACE_UNDER_TEST __attribute__((section("awtext"), noinline))

/*
 * What a piece needs of the tracer.
 *   ONLY_ARMED  signals come only while the fake alarm is armed and due: nobody owns a stray one here
 *   SLEEPS      the child sleeps in a real system call: the tracer then plays the kernel's timer
 *   THREAD      at the boundary the second thread does its part, instead of a signal
 *   SECOND      the second thread is the traced one; at the boundary the main thread goes as far as it can
 *   NO_STRAY    leave out the pass `stray`
 *   BOTH        also a pass in which the alarm comes together with the piece's signal
 *   READY       the peer becomes ready: when the child sleeps, or at the boundary, before the signal
 *   ALARM_ONLY  leave out all passes but `alarm`
 */
#define RACE_ONLY_ARMED 1u
#define RACE_SLEEPS 2u
#define RACE_THREAD 4u
#define RACE_SECOND 8u
#define RACE_NO_STRAY 16u
#define RACE_BOTH 32u
#define RACE_READY 64u
#define RACE_ALARM_ONLY 128u

struct race_piece {
    const char *name;
    void (*setup)(void); /* before the first mark */
    void (*run)(void);   /* the piece under test, between the marks */
    void (*check)(void); /* after the second mark: outcome and accounts */
    unsigned flags;
    int signo; /* what is injected; 0: SIGALRM, in all passes */
    const struct race_peer *peer;
};

/* The one that this child runs. */
extern const struct race_piece *race_running;

/* The pieces that this program was linked with: lists that end with a null name, the last one followed by
 * NULL. */
extern const struct race_piece *const race_pieces[];

/* Says that something is wrong; the first time counts. race_check does so unless `ok`. */
void race_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define race_check(ok, ...) ((ok) ? (void)0 : race_fail(__VA_ARGS__))

/* Names the outcome of this run, for the tally that is printed. */
void race_outcome(const char *word);

/* Trap marks. race_child does both for a piece that runs on the main thread. */
void race_mark(enum race_phase phase);

/*
 * Around what may sleep in a real system call, in a piece that is marked so: the tracer looks then whether
 * the child is asleep.
 */
void race_sleep_begins(void);
void race_sleep_ends(void);

/* Waits until the tracer says go (RACE_THREAD: on the second thread; RACE_SECOND: on the main thread). */
void race_await_go(void);
void race_done(void);

/*
 * The next close of this descriptor frees its number and then waits until the other one is readable; any
 * signal ends that with EINTR.
 */
void race_close_waits(int fd, int until);

/* The fake kernel (world.c). Sends a due alarm to this thread, as the kernel does: si_code SI_KERNEL. */
void race_deliver(void);

/* Moves the clock on, one alarm after another on the way. */
void race_advance_to(uint64_t ns);

/* Queues a signal to this thread with the given si_code. */
void race_raise(int signo, int code);

/* The fake alarm's signal and code. */
int race_alarm_signo(void);
int race_alarm_code(void);

/* What a signal of the fake alarm brings, or one of kill(2): code SI_USER. */
siginfo_t race_siginfo(int signo, int code);

#endif
