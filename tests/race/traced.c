/* SPDX-License-Identifier: MIT */
/*
 * traced.c: the life of one traced child: forked from this process, so that it starts in a known state in a
 * fraction of a millisecond and its text can be read here; brought to its first mark, resumed, and taken
 * leave of. stepper.c decides where it stops.
 *
 * No verdict depends on how busy the machine is: a hang is proved, where the child is asleep and nothing is
 * left that could wake it, or assumed after BUSY_S seconds of its own processor time in a run that takes less
 * than a millisecond. WATCHDOG_S is for what else may happen.
 */
#include "traced.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_S 60
#define BUSY_S 2

static uint64_t real_seconds(void)
{
    struct timespec ts;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec;
}

/* Interrupts the tracer's waitpid now and then, to look at the watchdog. */
static void tick(int signo)
{
    (void)signo;
}

int race_stepper_start(void)
{
    struct sigaction action = { .sa_handler = tick };
    struct itimerval every = { { 0, 250000 }, { 0, 250000 } };
    sigset_t none;
    cpu_set_t cpus;

    race_page = mmap(NULL, (sizeof *race_page + 4095) & ~(size_t)4095, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (race_page == MAP_FAILED)
        return -1;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (sigaction(SIGALRM, &action, NULL) != 0 || syscall(SYS_setitimer, ITIMER_REAL, &every, NULL) != 0)
        return -1;
    /* Tracer and child take turns: on one processor a turn costs no wake-up of another. It is only faster. */
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
        int nth = (int)(getpid() % CPU_COUNT(&cpus));

        for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET(cpu, &cpus) && nth-- == 0) {
                CPU_ZERO(&cpus);
                CPU_SET(cpu, &cpus);
                sched_setaffinity(0, sizeof cpus, &cpus);
                break;
            }
        }
    }
    return 0;
}

/* The child's life. The piece for a second thread makes its marks itself, on that thread. */
static void child(const struct race_piece *piece, bool stepped)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    struct rlimit busy = { stepped ? WATCHDOG_S : BUSY_S, stepped ? WATCHDOG_S + 1 : BUSY_S + 1 };
    _Alignas(64) char frame[8192];

    memset(frame, 0, sizeof frame);
    race_frame = frame;
    race_running = piece;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &busy);
    sigaction(SIGALRM, &plain, NULL);
    if (!(piece->flags & RACE_SECOND) && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    piece->setup();
    if (!(piece->flags & RACE_SECOND))
        race_mark(RACE_RUNNING);
    piece->run();
    if (!(piece->flags & RACE_SECOND))
        race_mark(RACE_ENDED);
    piece->check();
    _exit(0);
}

/* What /proc says of a thread. */
struct thread_status {
    char state;
    uint64_t pending; /* signals */
    uint64_t blocked;
};

static uint64_t status_mask(const char *text, const char *name)
{
    const char *field = strstr(text, name);

    return field != NULL ? strtoull(field + strlen(name), NULL, 16) : 0;
}

static struct thread_status status_of(const struct run *run, pid_t tid)
{
    struct thread_status status = { .state = '?' };
    char path[64], text[2048];
    const char *field;
    ssize_t bytes;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)run->process, (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status;
    bytes = read(fd, text, sizeof text - 1);
    close(fd);
    if (bytes <= 0)
        return status;
    text[bytes] = '\0';
    field = strstr(text, "\nState:\t");
    if (field != NULL)
        status.state = field[8];
    status.pending = status_mask(text, "\nSigPnd:\t") | status_mask(text, "\nShdPnd:\t");
    status.blocked = status_mask(text, "\nSigBlk:\t");
    return status;
}

/* In the kernel, and with no signal pending that is not blocked: nothing of its own will wake it. */
static bool asleep(const struct run *run, pid_t tid)
{
    struct thread_status status = status_of(run, tid);

    return status.state == 'S' && (status.pending & ~status.blocked) == 0;
}

/* The alarm goes off. It is sent as SI_TKILL; next_stop turns that into the kernel's own when it is
 * delivered. */
bool traced_send_alarm(struct run *run)
{
    race_page->alarm_at_ns = 0;
    run->alarm_sent = true;
    return syscall(SYS_tgkill, run->process, run->traced, race_alarm_signo()) == 0;
}

/* Others may want this processor, too: after some turns, a turn is given for longer. */
static void let_others_run(unsigned turns)
{
    if (turns < 32)
        sched_yield();
    else
        usleep(50);
}

void traced_ready(const struct run *run, bool child_sleeps)
{
    if (!(run->piece->flags & RACE_READY) || race_page->readied)
        return;
    race_page->readied = 1;
    run->piece->peer->ready(child_sleeps);
}

/*
 * The traced thread sleeps. Its peer becomes ready, or another's signal comes; as the alarm goes off,
 * perhaps: the two are next to each other on this processor, before the sleeper has a turn.
 */
static void serve_sleeper(struct run *run)
{
    const struct race_event *event = run->asleep;

    run->asleep = NULL;
    if (event != NULL) {
        race_page->now_ns = race_page->jump_ns;
        race_page->injected_ns = race_page->last_ns = race_page->now_ns;
        if (run->piece->signo != 0)
            syscall(SYS_tgkill, run->process, run->traced, run->piece->signo);
        if (!event->alarm_first)
            traced_ready(run, true);
        if (race_page->alarm_at_ns != 0 && race_page->alarm_at_ns <= race_page->now_ns)
            traced_send_alarm(run);
    }
    traced_ready(run, true);
    /* What the kernel passes on in the background (a terminal's bytes) takes a moment, or some time where
     * others have the processor: the alarm is not to come before it. */
    for (unsigned turns = 0; asleep(run, run->traced); turns++) {
        if (real_seconds() - run->started_s > WATCHDOG_S / 2)
            break;
        let_others_run(turns);
    }
}

/*
 * The traced thread sleeps, and nobody else will wake it: only the alarm can. The kernel's timer would go off
 * when its time has come, so the clock moves there. Without an armed alarm nothing ever wakes it.
 */
static bool wake_sleeper(struct run *run)
{
    if (run->asleep != NULL || (run->piece->flags & RACE_READY && !race_page->readied)) {
        serve_sleeper(run);
        return true;
    }
    if (race_page->alarm_at_ns == 0) {
        race_fail("asleep for ever in a system call: no alarm is armed");
        return false;
    }
    if (race_page->alarm_at_ns > race_page->now_ns)
        race_page->now_ns = race_page->alarm_at_ns;
    return traced_send_alarm(run);
}

static enum stop next_stop(struct run *run)
{
    unsigned spins = 0;

    for (;;) {
        int status;
        bool poll = (run->piece->flags & RACE_SLEEPS) != 0 && race_page->in_sleep;
        pid_t pid = waitpid(run->traced, &status, __WALL | (poll ? WNOHANG : 0));

        if (pid == run->traced) {
            if (!WIFSTOPPED(status)) {
                run->exited = run->traced == run->process;
                run->status = status;
                return STOP_EXIT;
            }
            run->forward = WSTOPSIG(status);
            if (run->forward == SIGTRAP) {
                run->forward = 0;
                return STOP_TRAP;
            }
            if (run->alarm_sent && run->forward == race_alarm_signo()) {
                siginfo_t info = race_siginfo(run->forward, race_alarm_code());

                run->alarm_sent = false;
                ptrace(PTRACE_SETSIGINFO, run->traced, NULL, &info);
            }
            return STOP_SIGNAL;
        }
        if (pid < 0 && errno != EINTR) {
            race_fail("waitpid: errno %d", errno);
            return STOP_HANG;
        }
        if (real_seconds() - run->started_s > WATCHDOG_S) {
            race_fail("does not come to an end");
            return STOP_HANG;
        }
        if (poll) {
            let_others_run(spins);
            if (!run->alarm_sent && ++spins % 8 == 0 && asleep(run, run->traced) && !wake_sleeper(run))
                return STOP_HANG;
        }
    }
}

uintptr_t traced_pc(const struct run *run)
{
    errno = 0;
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, run->traced, offsetof(struct user_regs_struct, rip), NULL);
}

/* Lets the child go on, by a step or freely, with the signal that is to be delivered. */
enum stop traced_resume(struct run *run, bool step)
{
    enum stop stop;

    do {
        int signo = run->forward;

        run->forward = 0;
        race_page->notice = 0;
        if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, run->traced, NULL, (void *)(intptr_t)signo) != 0) {
            race_fail("ptrace: errno %d", errno);
            return STOP_HANG;
        }
        stop = next_stop(run);
    } while (!step && stop == STOP_TRAP && race_page->notice);
    return stop;
}

static void reap(pid_t pid)
{
    int status;
    pid_t got;

    do
        got = waitpid(pid, &status, __WALL);
    while (got == pid ? WIFSTOPPED(status) : errno == EINTR);
}

static void kill_child(struct run *run)
{
    if (!run->exited) {
        kill(run->process, SIGKILL);
        if (run->traced != run->process)
            reap(run->traced);
        reap(run->process);
    }
    run->exited = true;
    if (run->piece->peer != NULL)
        run->piece->peer->tidy();
}

/* Forks a child and brings it to its first mark. */
enum race_end traced_start(struct run *run, const struct race_piece *piece, bool stepped)
{
    enum stop stop;

    *run = (struct run){ .piece = piece, .started_s = real_seconds() };
    memset(race_page, 0, sizeof *race_page);
    race_page->now_ns = UINT64_C(1000000000);
    if (piece->peer != NULL)
        piece->peer->prepare();
    fflush(stdout);
    run->process = fork();
    if (run->process < 0) {
        race_fail("fork: errno %d", errno);
        return RACE_BAD;
    }
    if (run->process == 0)
        child(piece, stepped);
    run->traced = run->process;
    if (piece->flags & RACE_SECOND) {
        while (race_page->tid == 0 && waitpid(run->process, &run->status, WNOHANG) == 0)
            sched_yield();
        run->traced = (pid_t)race_page->tid;
        if (run->traced == 0) {
            run->exited = true;
            goto ended;
        }
    }
    while ((stop = next_stop(run)) == STOP_SIGNAL || (stop == STOP_TRAP && race_page->phase == RACE_SETUP)) {
        if (ptrace(PTRACE_CONT, run->traced, NULL, (void *)(intptr_t)run->forward) != 0)
            break;
    }
    if (stop == STOP_TRAP && race_page->phase == RACE_RUNNING)
        return RACE_GOOD;
ended:
    if (run->exited && WIFEXITED(run->status) && WEXITSTATUS(run->status) == 77)
        return RACE_NO_PTRACE;
    race_fail("ended before its first mark (status %#x)", (unsigned)run->status);
    kill_child(run);
    return RACE_BAD;
}

/* The child has passed its second mark, or is past all help: it checks itself untraced, and its verdict is
 * read. */
enum race_end traced_finish(struct run *run, enum stop stop)
{
    if (stop == STOP_TRAP)
        ptrace(PTRACE_DETACH, run->traced, NULL, NULL);
    for (unsigned turns = 0; !run->exited && stop != STOP_HANG; turns++) {
        /* The main thread waits for real only where a second thread is traced; by now that has done all it
         * will do. */
        bool poll = (run->piece->flags & RACE_SECOND) != 0;
        pid_t pid = waitpid(run->process, &run->status, poll ? WNOHANG : 0);

        if (pid == run->process) {
            run->exited = true;
            break;
        }
        if (poll) {
            let_others_run(turns);
            /* Asleep, in the wait, the other thread past its mark, no signal on the way: a proof that the
             * wake-up is lost. */
            if (race_page->in_sleep && race_page->done && asleep(run, run->process) && race_page->in_sleep) {
                race_fail("asleep for ever in a wait");
                break;
            }
        }
        if (real_seconds() - run->started_s > WATCHDOG_S) {
            race_fail("does not come to an end");
            break;
        }
    }
    if (run->exited && !(WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0)) {
        if (WIFSIGNALED(run->status) &&
            (WTERMSIG(run->status) == SIGXCPU || WTERMSIG(run->status) == SIGKILL))
            race_fail("does not come to an end");
        else if (WIFSIGNALED(run->status))
            race_fail("killed by signal %d", WTERMSIG(run->status));
        else
            race_fail("exit status %d", WEXITSTATUS(run->status));
    }
    kill_child(run);
    return race_page->failure[0] == '\0' ? RACE_GOOD : RACE_BAD;
}

void traced_go(void)
{
    race_page->go = 1;
    syscall(SYS_futex, &race_page->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The other thread does its part while the traced one stands still: all of it, or as far as it can come. */
void traced_other_thread(const struct run *run)
{
    pid_t other = run->piece->flags & RACE_SECOND ? run->process : (pid_t)race_page->tid;

    traced_go();
    for (unsigned turns = 0; real_seconds() - run->started_s <= WATCHDOG_S; turns++) {
        if (run->piece->flags & RACE_THREAD && race_page->done)
            return;
        if (run->piece->flags & RACE_SECOND &&
            ((race_page->in_sleep && asleep(run, other) && race_page->in_sleep) ||
             race_page->phase == RACE_ENDED))
            return;
        /* The owner may come to its end without sleeping: then it is a zombie, or has done its part. */
        if (run->piece->flags & RACE_SECOND && race_page->outcome[0] != '\0')
            return;
        let_others_run(turns);
    }
    race_fail("the other thread does not come to an end");
}
