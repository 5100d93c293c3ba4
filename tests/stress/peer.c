/* SPDX-License-Identifier: MIT */
/* peer.c: see peer.h. It runs without the engine, and blocks nowhere but at its gates. */
#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* <linux/futex.h> is not there for every libc. */
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

/* Looking at the clock costs a processor: only for the last bit of the way. */
#define SPIN_NS AW_US(150)

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * AW_SEC(1) + (uint64_t)now.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / AW_SEC(1)), (long)(ns % AW_SEC(1)) };
}

struct exchange *exchange_make(void)
{
    void *memory =
        mmap(NULL, sizeof(struct exchange), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void gate_open(atomic_uint *gate, unsigned n)
{
    atomic_store(gate, n);
    syscall(SYS_futex, gate, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* False: it was not open at until_ns. */
static bool gate_wait(atomic_uint *gate, unsigned n, uint64_t until_ns, bool spins)
{
    uint64_t spin_until = spins ? clock_ns() + SPIN_NS : 0;
    for (;;) {
        unsigned value = atomic_load(gate);
        if (value == n)
            return true;
        uint64_t now = clock_ns();
        if (now >= until_ns)
            return false;
        if (now < spin_until)
            continue;
        struct timespec left = timespec_of(until_ns - now);
        syscall(SYS_futex, gate, FUTEX_WAIT, value, until_ns == AW_FOREVER ? NULL : &left, NULL, 0);
    }
}

void peer_order(struct exchange *exchange, unsigned n, const struct order *order)
{
    exchange->order = *order;
    gate_open(&exchange->ordered, n);
}

void peer_over(struct exchange *exchange, unsigned n)
{
    gate_open(&exchange->over, n);
}

struct answer peer_answer(struct exchange *exchange, unsigned n)
{
    gate_wait(&exchange->settled, n, AW_FOREVER, exchange->spins);
    return exchange->answer;
}

/* ---- the process ---- */

struct peer {
    struct exchange *exchange;
    struct meeting *meeting;
    struct order order;
    struct answer answer;
};

static void be_ready(struct peer *peer)
{
    if (meeting_attend(peer->meeting, peer->order.byte))
        peer->answer.ready_ns = clock_ns();
}

static void send_signal(const struct peer *peer, int signo)
{
    syscall(SYS_tgkill, peer->exchange->owner_pid, peer->exchange->owner_tid, signo);
}

/* True at at_ns; false if the call is over before. */
static bool sleep_until(const struct peer *peer, unsigned n, uint64_t at_ns)
{
    bool spins = peer->exchange->spins;
    uint64_t asleep_until = spins ? at_ns - SPIN_NS : at_ns;
    struct timespec until = timespec_of(asleep_until);
    if (clock_ns() < asleep_until)
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            continue;
    while (atomic_load(&peer->exchange->over) != n) {
        if (clock_ns() >= at_ns)
            return true;
    }
    return false;
}

enum deed {
    BE_READY,
    ALARM,
    STRAY,
    BENEATH,
    DEEDS
};

static void carry_out(struct peer *peer, enum deed deed)
{
    if (deed == ALARM)
        peer->answer.alarm_ns = clock_ns();
    if (deed == BE_READY)
        be_ready(peer);
    else
        send_signal(peer, deed == BENEATH ? SIGUSR1 : peer->exchange->signo);
}

static enum deed next_deed(const uint64_t at_ns[DEEDS])
{
    enum deed next = BE_READY;
    for (enum deed deed = BE_READY; deed < DEEDS; ++deed) {
        if (at_ns[deed] < at_ns[next])
            next = deed;
    }
    return next;
}

/* As often as it takes: a call may hang again. */
static void set_free(struct peer *peer, unsigned n)
{
    peer->answer.hung = true;
    do {
        if (peer->answer.ready_ns == AW_FOREVER)
            be_ready(peer);
    } while (!gate_wait(&peer->exchange->over, n, clock_ns() + AW_MS(1), false));
}

static void serve(struct peer *peer, unsigned n)
{
    struct exchange *exchange = peer->exchange;
    peer->order = exchange->order;
    peer->answer = (struct answer){ .ready_ns = AW_FOREVER };
    uint64_t at_ns[DEEDS] = { peer->order.ready_ns, peer->order.alarm_ns, peer->order.stray_ns,
                              peer->order.beneath_ns };
    for (;;) {
        enum deed next = next_deed(at_ns);
        if (at_ns[next] == AW_FOREVER || !sleep_until(peer, n, at_ns[next]))
            break;
        carry_out(peer, next);
        at_ns[next] = AW_FOREVER;
    }
    if (!gate_wait(&exchange->over, n, peer->order.hung_ns, exchange->spins))
        set_free(peer, n);
    meeting_part(peer->meeting);
    exchange->answer = peer->answer;
    gate_open(&exchange->settled, n);
}

pid_t peer_start(struct exchange *exchange, struct meeting *meeting)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct peer peer = { .exchange = exchange, .meeting = meeting };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (getppid() != parent)
        _exit(0);
    for (unsigned n = 1;; ++n) {
        gate_wait(&exchange->ordered, n, AW_FOREVER, exchange->spins);
        serve(&peer, n);
    }
}
