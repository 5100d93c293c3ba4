/* SPDX-License-Identifier: MIT */
/*
 * pieces_call.c: hazards 1 and 2: the alarm lands anywhere in a guarded system call. Each call of peers.h in
 * two worlds, through the stub (_step) and through libc (_restart):
 *   - nobody ever comes (h01): the call ends at its deadline, whichever instruction the alarm lands on: not
 *     never, and not by the nag where the handler can do without it;
 *   - the peer becomes ready as the alarm comes (h02): there is a result, or there is a time-out and nothing
 *     was granted.
 * And what else a guarded call minds while it blocks: timers, guards, posts, handlers of others.
 *
 * aw_openat, aw_readv, aw_writev, aw_send, aw_recv, aw_sendmsg, aw_tcdrain and aw_ioctl are other numbers
 * for awi_call, as aw_open, aw_read, aw_write and aw_recvmsg are: they have no code of their own. Those that
 * have some:
 *   aw_syscall       awi_call_six: no quick first round
 *   aw_sleep_until   goes round where the kernel comes back too early; a guard ends it
 *   aw_recvmsg and aw_sendmsg of musl (_libc): no stub, though the machine has one
 *   aw_read_full, aw_write_full
 *       part, count, alarm      the count is told; the next part finds the time of all over
 *       part, alarm, count      the part is in its register: counted first. The mark of io_full.c keeps an
 *                               escape from coming between; the call makes none, total() does
 *       alarm, part             as in aw_read: a result or a time-out
 *   aw_close         made once, by libc in both ways
 *       alarm, close            it is closed all the same, never stepped over; the nag cuts short what blocks
 *       close, alarm            0 where the kernel says so, ETIMEDOUT where it says EINTR
 *       close, other's handler, which opens a file: the number is taken again, and is not closed again
 */
#include "peers.h"
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static long result;
static int error;
static bool timed_out;
static uint64_t deadline_ns;
static volatile unsigned foreign_runs, posted_runs;

static void settle(void)
{
    if (race_running->peer->settle != NULL)
        race_running->peer->settle();
}

static void step(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_STEP);
    settle();
}

static void restart(void)
{
    scene_start(AW_ALARM_ITIMER, AW_INTERRUPT_RESTART);
    settle();
}

static void posix(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_STEP);
    settle();
}

static void posix_restart(void)
{
    scene_start(AW_ALARM_POSIX, AW_INTERRUPT_RESTART);
    settle();
}

static void call_for(uint64_t timeout_ns)
{
    race_sleep_begins();
    errno = 0;
    result = race_running->peer->call(timeout_ns);
    error = errno;
    race_sleep_ends();
    timed_out = aw_timed_out();
}

static void call(void)
{
    deadline_ns = race_page->now_ns + MS;
    call_for(MS);
}

/* Nothing of the call is left, and a timer works. */
static void check_rest(void)
{
    scene_quiet();
    scene_sound();
    shot_arm(&far_shot, MS);
    shot_expect(&far_shot);
    scene_settle();
    race_check(far_shot.runs == 1, "far ran %u times", far_shot.runs);
}

static void check_timed_out(void)
{
    race_check(result == -1 && error == ETIMEDOUT, "returned %ld, errno %d", result, error);
    race_check(timed_out, "ETIMEDOUT, and aw_timed_out says no");
    race_check(race_page->now_ns >= deadline_ns, "timed out %lu ns early",
               (unsigned long)(deadline_ns - race_page->now_ns));
}

static bool has_stub(void)
{
    return awi_engine.interrupt == AW_INTERRUPT_STEP && !race_running->peer->is_plain;
}

/*
 * With a stub the alarm that was armed for the call ends it, wherever it lands. Through libc, and where it
 * was armed for the part before, it takes a nag or two: the nags are for what the handler cannot see.
 */
static void check_end(void)
{
    uint64_t since = race_page->now_ns - race_page->last_ns;
    bool at_once = has_stub() && !race_running->peer->in_parts;

    if (race_page->injected_due)
        race_check(since <= (at_once ? 0 : 100 * US), "ended %lu ns later", (unsigned long)since);
}

static void check_never(void)
{
    long partial = race_running->peer->partial;

    if (result == -1 || partial == 0)
        check_timed_out();
    else
        race_check(result == partial && race_page->now_ns >= deadline_ns, "returned %ld", result);
    check_end();
    race_running->peer->account(result, false);
    race_outcome(race_page->injected_ns == race_page->now_ns ? "timed out by it" : "timed out");
    check_rest();
}

/* The kernel does not say that the lingering was cut short; but it was, and not before. */
static void check_lingering(void)
{
    if (result != 0)
        check_timed_out();
    race_check(race_page->now_ns >= deadline_ns, "lingered too short, by %lu ns",
               (unsigned long)(deadline_ns - race_page->now_ns));
    check_end();
    race_running->peer->account(result, false);
    race_outcome(result == 0 ? "closed" : "timed out");
    check_rest();
}

static void check_ready(void)
{
    if (result < 0)
        check_timed_out();
    race_running->peer->account(result, race_page->readied);
    race_outcome(result >= 0 ? "granted" : "timed out");
    check_rest();
}

/* Through libc a call is interrupted by a nag, perhaps the second. */
#define LATE_NS (TICK_NS + ROUND_NS + (has_stub() ? 0 : 100 * US))

/* A timer that is due at the boundary runs there, and the call goes on to its own deadline. */

static void near_step(void)
{
    step();
    shot_arm(&near_shot, MS);
}

static void near_restart(void)
{
    restart();
    shot_arm(&near_shot, MS);
}

static void call_5ms(void)
{
    deadline_ns = race_page->now_ns + 5 * MS;
    call_for(5 * MS);
}

static void check_timer(void)
{
    uint64_t last = near_shot.due_ns;

    if (race_page->injected_ns > last)
        last = race_page->injected_ns;
    check_timed_out();
    scene_safepoint();
    race_check(near_shot.runs == 1, "near ran %u times", near_shot.runs);
    race_check(near_shot.ran_ns <= last + LATE_NS, "near ran %lu us late",
               (unsigned long)(near_shot.ran_ns - last) / 1000);
    race_outcome(near_shot.ran_ns == race_page->injected_ns ? "ran at once" : "ran later");
    check_rest();
}

/* The alarm of a timer cuts a full write short; the timer runs before the next part, and it goes on. */
static void check_parts(void)
{
    race_running->peer->account(result, race_page->readied);
    check_timer();
}

/* A callback's negative value ends it: -1 and ECANCELED. */

static void hostile_step(void)
{
    near_shot.result = -7;
    near_step();
}

static void hostile_restart(void)
{
    near_shot.result = -7;
    near_restart();
}

static void check_cancelled(void)
{
    uint64_t last = near_shot.due_ns;

    if (race_page->injected_ns > last)
        last = race_page->injected_ns;
    if (result == -1 && error == ETIMEDOUT) {
        race_check(race_page->now_ns >= deadline_ns, "timed out early");
    } else {
        race_check(result == -1 && error == ECANCELED, "returned %ld, errno %d", result, error);
        race_check(!timed_out && near_shot.runs == 1, "near ran %u times", near_shot.runs);
        race_check(race_page->now_ns <= last + LATE_NS, "cancelled late");
    }
    race_outcome(error == ECANCELED ? "cancelled" : "timed out");
    race_check(error == ECANCELED || race_page->injected_ns >= deadline_ns, "the callback's value is lost");
}

/* A guard around it, and no time-out of its own. */

static void call_in_guard(void)
{
    struct aw_guard *guard = scene_frame(0);

    deadline_ns = race_page->now_ns + MS;
    race_check(aw_guard_enter(guard, MS, AW_GUARD_DEFAULT) == 0, "enter");
    call_for(AW_FOREVER);
    race_check(aw_guard_leave(guard) == -ETIMEDOUT, "left without -ETIMEDOUT");
}

static void check_in_guard(void)
{
    check_timed_out();
    check_end();
    race_running->peer->account(result, false);
    race_outcome(race_page->injected_ns == race_page->now_ns ? "timed out by it" : "timed out");
    check_rest();
}

/* The same, without the guard's entering and leaving. */

static void enter_guard(void)
{
    deadline_ns = race_page->now_ns + MS;
    race_check(aw_guard_enter(scene_frame(0), MS, AW_GUARD_DEFAULT) == 0, "enter");
}

static void guarded_step(void)
{
    step();
    enter_guard();
}

static void guarded_restart(void)
{
    restart();
    enter_guard();
}

static void call_for_ever(void)
{
    call_for(AW_FOREVER);
}

static void check_guarded(void)
{
    race_check(aw_guard_leave(scene_frame(0)) == -ETIMEDOUT, "left without -ETIMEDOUT");
    check_in_guard();
}

/* Someone else's handler runs, with SA_RESTART; the alarm may come inside it. The call goes on. */

static void on_foreign(int signo)
{
    (void)signo;
    foreign_runs++;
}

static void catch_foreign(void)
{
    struct sigaction action = { .sa_handler = on_foreign, .sa_flags = SA_RESTART };

    race_check(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static void foreign_step(void)
{
    step();
    catch_foreign();
}

static void foreign_restart(void)
{
    restart();
    catch_foreign();
}

static void check_foreign(void)
{
    check_timed_out();
    race_running->peer->account(result, false);
    race_check(foreign_runs == (race_page->injected_ns != 0), "the handler ran %u times", foreign_runs);
    race_outcome(race_page->injected_ns == race_page->now_ns ? "timed out by it" : "timed out");
    check_rest();
}

/*
 * Someone else's handler opens a file while a descriptor is closed, and gets its number. Interrupted by that
 * handler alone, it is closed all the same: 0.
 */

static volatile int opened = -1;

static void on_foreign_open(int signo)
{
    (void)signo;
    foreign_runs++;
    opened = fcntl(peer_fds[0], F_DUPFD_CLOEXEC, 0);
}

static void catch_foreign_open(void)
{
    struct sigaction action = { .sa_handler = on_foreign_open };

    race_check(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
}

static void opener_step(void)
{
    step();
    catch_foreign_open();
}

static void opener_restart(void)
{
    restart();
    catch_foreign_open();
}

static void check_reused(void)
{
    if (result != 0)
        check_timed_out();
    else
        race_check(foreign_runs == 1 && race_page->now_ns < deadline_ns, "closed, and nothing was written");
    race_check(foreign_runs == (race_page->injected_ns != 0), "the handler ran %u times", foreign_runs);
    if (foreign_runs != 0)
        race_check(close(opened) == 0, "the handler's descriptor was closed");
    race_running->peer->account(result, false);
    race_outcome(result == 0 ? "closed by it" : "timed out");
    check_rest();
}

/* Another thread posts: it runs before the call ends, and the call sleeps no longer than that. */

static int posted(void *arg)
{
    (void)arg;
    posted_runs++;
    return -1;
}

static void *poster(void *arg)
{
    (void)arg;
    race_await_go();
    race_check(aw_post(posted, NULL) == 0, "aw_post");
    race_done();
    return NULL;
}

static void start_poster(void)
{
    pthread_t thread;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    race_check(pthread_create(&thread, NULL, poster, NULL) == 0, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void poster_step(void)
{
    step();
    start_poster();
}

static void poster_restart(void)
{
    restart();
    start_poster();
}

static void check_posted(void)
{
    bool came_after = race_page->now_ns >= deadline_ns;

    if (!came_after) {
        race_check(result == -1 && error == ECANCELED, "returned %ld, errno %d", result, error);
        race_check(posted_runs == 1, "ran %u times", posted_runs);
        if (has_stub() && race_page->injected_ns != 0)
            race_check(race_page->now_ns == race_page->injected_ns, "it took a nag");
    } else {
        /* The event was after the end of the sleep; what was posted waits for the next safe point. */
        race_check(race_page->injected_ns == 0 || race_page->injected_ns >= deadline_ns,
                   "posted, and the call slept on");
    }
    race_outcome(came_after ? "posted later" : "cancelled");
}

/* A piece that may sleep; and each call in both worlds and in both ways. */
#define PIECE(title, who, before, what, after, more)                                 \
    {                                                                                \
        .name = title, .setup = before, .run = what, .check = after, .peer = &(who), \
        .flags = RACE_SLEEPS | (more)                                                \
    }
#define CALL(title, who, more)                                                          \
    PIECE("h01_" title "_step", who, step, call, check_never, more),                    \
        PIECE("h01_" title "_restart", who, restart, call, check_never, more),          \
        PIECE("h02_" title "_step", who, step, call, check_ready, RACE_READY | (more)), \
        PIECE("h02_" title "_restart", who, restart, call, check_ready, RACE_READY | (more))
#define BOTH(title, who, before, what, after, more)              \
    PIECE(title "_step", who, before##_step, what, after, more), \
        PIECE(title "_restart", who, before##_restart, what, after, more)
#define FOREIGN(title, who, before, what, after, more)                               \
    {                                                                                \
        .name = title, .setup = before, .run = what, .check = after, .peer = &(who), \
        .flags = RACE_SLEEPS | (more), .signo = SIGUSR1                              \
    }

const struct race_piece call_pieces[] = {
    CALL("aw_open", peer_fifo, RACE_ALARM_ONLY),
    CALL("aw_read", peer_pipe, 0),
    CALL("aw_read_pty", peer_pty, RACE_ALARM_ONLY),
    CALL("aw_write", peer_full_pipe, RACE_ALARM_ONLY),
    CALL("aw_write_part", peer_small_pipe, RACE_ALARM_ONLY),
    CALL("aw_write_pty", peer_stopped_pty, RACE_ALARM_ONLY),
    CALL("aw_accept4", peer_listener, RACE_ALARM_ONLY),
    CALL("aw_connect", peer_backlog, RACE_ALARM_ONLY),
    CALL("aw_recvmsg", peer_message, RACE_ALARM_ONLY),
    CALL("aw_flock", peer_flock, RACE_ALARM_ONLY),
    CALL("aw_fcntl_lock", peer_record_lock, RACE_ALARM_ONLY),
    CALL("aw_waitid", peer_child, RACE_ALARM_ONLY),
    CALL("aw_syscall", peer_pipe_by_number, RACE_ALARM_ONLY),
    CALL("aw_read_full", peer_parts, RACE_ALARM_ONLY),
    CALL("aw_write_full", peer_room, RACE_ALARM_ONLY),
    CALL("aw_close", peer_written_out, RACE_ALARM_ONLY),
    PIECE("h01_aw_close_linger_step", peer_lingering, step, call, check_lingering, RACE_ALARM_ONLY),
    PIECE("h01_aw_close_linger_restart", peer_lingering, restart, call, check_lingering, RACE_ALARM_ONLY),
    PIECE("h02_aw_close_linger_step", peer_lingering, step, call, check_ready, RACE_READY | RACE_ALARM_ONLY),
    PIECE("h02_aw_close_linger_restart", peer_lingering, restart, call, check_ready,
          RACE_READY | RACE_ALARM_ONLY),
    PIECE("h01_aw_read_libc", peer_pipe_by_libc, step, call, check_never, RACE_ALARM_ONLY),
    PIECE("h02_aw_read_libc", peer_pipe_by_libc, step, call, check_ready, RACE_READY | RACE_ALARM_ONLY),
    PIECE("h01_aw_open_posix", peer_fifo, posix, call, check_never, RACE_ALARM_ONLY),
    PIECE("h02_aw_open_posix", peer_fifo, posix, call, check_ready, RACE_READY | RACE_ALARM_ONLY),
    PIECE("h01_aw_read_posix", peer_pipe, posix_restart, call, check_never, RACE_ALARM_ONLY),
    PIECE("h02_aw_read_posix", peer_pipe, posix_restart, call, check_ready, RACE_READY | RACE_ALARM_ONLY),
    BOTH("h01_call_timer", peer_pipe, near, call_5ms, check_timer, RACE_ALARM_ONLY),
    PIECE("h01_full_timer", peer_room, near_step, call_5ms, check_parts, RACE_ALARM_ONLY),
    BOTH("h22_call_hostile", peer_pipe, hostile, call_5ms, check_cancelled, RACE_ALARM_ONLY),
    PIECE("h12_call_guard_step", peer_pipe, step, call_in_guard, check_in_guard, 0),
    PIECE("h12_call_guard_restart", peer_pipe, restart, call_in_guard, check_in_guard, RACE_ALARM_ONLY),
    BOTH("h12_close_guard", peer_written_out, guarded, call_for_ever, check_guarded, RACE_ALARM_ONLY),
    BOTH("h12_sleep_guard", peer_nobody, guarded, call_for_ever, check_guarded, RACE_ALARM_ONLY),
    FOREIGN("h03_call_foreign_step", peer_pipe, foreign_step, call, check_foreign, RACE_BOTH),
    FOREIGN("h03_call_foreign_restart", peer_pipe, foreign_restart, call, check_foreign, RACE_BOTH),
    FOREIGN("h03_close_foreign_step", peer_written_out, opener_step, call_5ms, check_reused, 0),
    FOREIGN("h03_close_foreign_restart", peer_written_out, opener_restart, call_5ms, check_reused, 0),
    BOTH("h32_call_post", peer_pipe, poster, call, check_posted, RACE_THREAD),
    { .name = NULL },
};
