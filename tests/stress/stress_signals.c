/* SPDX-License-Identifier: MIT */
/*
 * stress_signals.c: another process sends signals as fast as it can while 10,000 timers run: watched ones,
 * half of them real-time, the rest SIGUSR1 and SIGUSR2. stress_signals [count [itimer|posix [step|restart]]].
 * It fails unless
 *   - each real-time signal that the kernel accepted is counted, in its order;
 *   - the last of each standard signal is heard, and never more than were sent;
 *   - no timer is lost, and none is early;
 *   - no callback runs outside a safe point, nor on another thread.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define TIMERS 10000u
#define STANDARD 2
static const int standard[STANDARD] = { SIGUSR1, SIGUSR2 };

/* What the two processes share. */
struct exchange {
    uint32_t go, done;
    uint64_t accepted; /* real-time ones */
    uint64_t refused;  /* ... that the kernel had no room for, and that were sent again */
    uint64_t sent[STANDARD];
};

static struct exchange *exchange;
static uint64_t wrong;
static bool in_safepoint;
static pthread_t owner;

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool expect(bool ok, const char *what)
{
    if (!ok && wrong++ < 10)
        fprintf(stderr, "stress_signals: %s\n", what);
    return ok;
}

static void check_place(void)
{
    expect(in_safepoint, "a callback outside a safe point");
    expect(pthread_equal(pthread_self(), owner), "a callback on another thread");
}

/* ---- the sender ---- */

static int real_time_signo(void)
{
    return SIGRTMIN + 1;
}

static void send_real_time(pid_t target)
{
    const union sigval value = { .sival_int = (int)exchange->accepted };
    while (sigqueue(target, real_time_signo(), value) != 0) {
        if (errno != EAGAIN)
            _exit(2);
        ++exchange->refused;
        sched_yield();
    }
    ++exchange->accepted;
}

/* Counted first: a callback that sees the number has this one still to come, or hears of it now. */
static void send_standard(pid_t target, unsigned which)
{
    __atomic_fetch_add(&exchange->sent[which], 1, __ATOMIC_SEQ_CST);
    if (kill(target, standard[which]) != 0)
        _exit(2);
}

static int send_all(pid_t target, uint64_t count)
{
    while (__atomic_load_n(&exchange->go, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    for (uint64_t i = 0; i < count; ++i) {
        if (i % 2 == 0)
            send_real_time(target);
        else
            send_standard(target, (unsigned)(i / 2 % STANDARD));
        if (i % 256 == 0)
            usleep(1000); /* so that now and then the owner falls asleep */
    }
    __atomic_store_n(&exchange->done, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static pid_t start_sender(uint64_t count)
{
    pid_t target = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(send_all(target, count));
}

/* ---- what the watchers hear ---- */

static struct {
    uint64_t runs, counted, merges;
    int last;
} queue = { .last = -1 };

static int on_real_time(const siginfo_t *info, uint64_t count, void *arg)
{
    int value = info->si_value.sival_int;
    (void)arg;
    check_place();
    /* The value is that of the last of those that `count` stands for. */
    expect(value == queue.last + (int)count, "a real-time signal out of its order");
    queue.last = value;
    queue.counted += count;
    queue.merges += count > 1;
    ++queue.runs;
    return 0;
}

static struct heard {
    uint64_t runs, counted;
    uint64_t seen; /* how many had been sent when it was heard last */
} heard[STANDARD];

static int on_standard(const siginfo_t *info, uint64_t count, void *arg)
{
    struct heard *one = arg;
    unsigned which = (unsigned)(one - heard);
    check_place();
    expect(info->si_signo == standard[which], "the siginfo of another signal");
    ++one->runs;
    one->counted += count;
    one->seen = __atomic_load_n(&exchange->sent[which], __ATOMIC_SEQ_CST);
    expect(one->counted <= one->seen, "more were counted than sent");
    return 0;
}

/* ---- timers ---- */

static struct ticking {
    struct aw_timer timer;
    uint64_t due_ns;
    uint64_t runs;
} timers[TIMERS];

static uint64_t ticks, latest_ns;
static uint32_t seed = 1;
static bool closing;
static unsigned closed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void arm(struct ticking *one)
{
    uint64_t us = next_random() % 1000000;
    uint64_t span = AW_MS(100) + AW_US(us);
    one->due_ns = clock_ns() + span;
    expect(aw_timer_arm(one->timer, span) == 0, "a timer was not armed");
}

static int tick(struct aw_timer timer, void *arg)
{
    struct ticking *one = arg;
    uint64_t now = clock_ns();
    check_place();
    expect(timer.id == one->timer.id && one->due_ns != 0, "a timer that was not armed");
    expect(now >= one->due_ns, "a timer was early");
    if (now > one->due_ns && now - one->due_ns > latest_ns)
        latest_ns = now - one->due_ns;
    ++one->runs;
    ++ticks;
    one->due_ns = 0;
    if (closing)
        ++closed;
    else
        arm(one);
    return 0;
}

static bool make_timers(void)
{
    for (unsigned i = 0; i < TIMERS; ++i) {
        if (aw_timer_create(&timers[i].timer, tick, &timers[i]) != 0)
            return false;
        arm(&timers[i]);
    }
    return true;
}

/* ---- the owner: all kinds of safe points, and work in between ---- */

static int at_a_safe_point(unsigned kind, int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    char byte;
    int result = 0;
    in_safepoint = true;
    if (kind == 0)
        result = aw_wait(AW_MS(5));
    else if (kind == 1)
        result = aw_poll(&poll_fd, 1, AW_MS(2));
    else if (kind == 2)
        result = aw_read(fd, &byte, 1, AW_MS(2)) < 0 && errno == ETIMEDOUT ? 0 : -EIO;
    else
        result = aw_safepoint();
    in_safepoint = false;
    return result;
}

static void work(void)
{
    uint64_t us = next_random() % 100;
    uint64_t until = clock_ns() + AW_US(us);
    while (clock_ns() < until)
        continue;
}

static bool everything_heard(void)
{
    if (__atomic_load_n(&exchange->done, __ATOMIC_SEQ_CST) == 0)
        return false;
    return queue.counted >= exchange->accepted && heard[0].seen == exchange->sent[0] &&
           heard[1].seen == exchange->sent[1];
}

/* The end is far off even on a slow machine, but it comes: what was lost is lost. */
static void run(int fd)
{
    uint64_t give_up = 0;
    for (unsigned round = 0; !everything_heard(); ++round) {
        int result = at_a_safe_point(round % 8, fd);
        expect(result >= 0, "a safe point failed");
        work();
        if (give_up == 0 && __atomic_load_n(&exchange->done, __ATOMIC_SEQ_CST) != 0)
            give_up = clock_ns() + AW_SEC(30);
        if (give_up != 0 && !expect(clock_ns() < give_up, "signals were lost"))
            return;
    }
}

static void close_timers(int fd)
{
    uint64_t give_up = clock_ns() + AW_SEC(60);
    closing = true;
    for (unsigned round = 0; closed < TIMERS; ++round) {
        at_a_safe_point(round % 8, fd);
        if (!expect(clock_ns() < give_up, "timers were lost"))
            return;
    }
}

/*
 * What is pending counts for the user, and the kernel compares it with the limit of who gets the signal: an
 * owner that is kept from running for a while would leave other programs no timer and no signal.
 */
static bool leave_room_for_others(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_SIGPENDING, &limit) != 0)
        return false;
    limit.rlim_cur = limit.rlim_cur / 4 < 4000 ? limit.rlim_cur / 4 : 4000;
    return setrlimit(RLIMIT_SIGPENDING, &limit) == 0;
}

static bool start(int argc, char **argv)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.capacity = TIMERS;
    if (argc > 2 && strcmp(argv[2], "posix") == 0)
        options.alarm = AW_ALARM_POSIX;
    if (argc > 3 && strcmp(argv[3], "restart") == 0)
        options.interrupt = AW_INTERRUPT_RESTART;
    if (aw_init(&options) != 0 || !make_timers() ||
        aw_signal_watch(real_time_signo(), on_real_time, NULL) != 0)
        return false;
    for (unsigned i = 0; i < STANDARD; ++i) {
        if (aw_signal_watch(standard[i], on_standard, &heard[i]) != 0)
            return false;
    }
    return leave_room_for_others();
}

static void report(uint64_t count, uint64_t begin_ns)
{
    struct aw_signal_state state = { .size = sizeof state };
    double seconds = (double)(clock_ns() - begin_ns) / 1e9;
    expect(queue.counted == exchange->accepted, "real-time signals were lost");
    expect(aw_signal_query(real_time_signo(), &state) == 0 && state.received == exchange->accepted,
           "the query counts otherwise");
    printf("signals %llu in %.1f s: real-time sent %llu (kernel full %llu times), counted %llu in %llu runs "
           "(%llu found the queue full)\n",
           (unsigned long long)count, seconds, (unsigned long long)exchange->accepted,
           (unsigned long long)exchange->refused, (unsigned long long)queue.counted,
           (unsigned long long)queue.runs, (unsigned long long)state.merged);
    for (unsigned i = 0; i < STANDARD; ++i)
        printf("signal %d: sent %llu, counted %llu in %llu runs, the last heard: %s\n", standard[i],
               (unsigned long long)exchange->sent[i], (unsigned long long)heard[i].counted,
               (unsigned long long)heard[i].runs, heard[i].seen == exchange->sent[i] ? "yes" : "NO");
    printf("timers %u, callbacks %llu, lost %u, latest %.1f ms; wrong: %llu\n", TIMERS,
           (unsigned long long)ticks, TIMERS - closed, (double)latest_ns / 1e6, (unsigned long long)wrong);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    int ends[2], status = -1;
    exchange = mmap(NULL, sizeof *exchange, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    owner = pthread_self();
    pid_t pid = exchange != MAP_FAILED && pipe(ends) == 0 ? start_sender(count) : -1;
    if (pid < 0 || !start(argc, argv)) {
        fputs("stress_signals: it did not start\n", stderr);
        return 2;
    }
    uint64_t begin = clock_ns();
    __atomic_store_n(&exchange->go, 1, __ATOMIC_SEQ_CST);
    run(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the sender failed");
    close_timers(ends[0]);
    report(count, begin);
    expect(aw_shutdown() == 0, "aw_shutdown");
    return wrong == 0 ? 0 : 1;
}
