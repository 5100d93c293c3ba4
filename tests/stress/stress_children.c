/* SPDX-License-Identifier: MIT */
/*
 * stress_children.c: children with random lives, waited for with random deadlines, stopped and run by the
 * owner, beside a thread that waits for as many of its own by number. Every status must come once, to who
 * waits for that child, and it must be its own: each child has an end that follows from its serial number.
 * The naive way to wait for any child must be seen to take the thread's. No Check: other machines run it.
 *
 *   stress_children [--children N] [--seed S] [--alarm itimer|posix] [--interrupt step|restart] [--naive]
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

/* At most so many of the owner's are there at a time. */
#define WINDOW 16

/* The longest life. */
#define LIFE_US 20000

struct child {
    pid_t pid;
    unsigned serial;
    unsigned tries;
};

struct account {
    unsigned started, delivered, stopped, ran, timed_out, expired;
    unsigned wrong; /* a status that is another's */
    unsigned lost;  /* no status, and no child */
    unsigned early; /* not its time yet */
    unsigned failed;
    int error;
};

struct stress {
    unsigned children;
    uint64_t seed;
    bool is_naive;
    struct account owner, other;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Marsaglia's xorshift64*. */
static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* ---- children ---- */

static int signal_of(unsigned serial)
{
    static const int signals[] = { 0, 0, 0, SIGKILL, 0, SIGUSR1, 0, SIGTERM };
    return signals[serial / 251 % 8];
}

static bool is_its_status(int status, unsigned serial)
{
    int signo = signal_of(serial);
    if (signo != 0)
        return WIFSIGNALED(status) && WTERMSIG(status) == signo;
    return WIFEXITED(status) && WEXITSTATUS(status) == (int)(serial % 251);
}

/* In the child of a process with threads: system calls only. */
static _Noreturn void live(unsigned serial, uint32_t us)
{
    const struct timespec span = { 0, (long)us * 1000 };
    nanosleep(&span, NULL);
    if (signal_of(serial) != 0)
        kill(getpid(), signal_of(serial));
    _exit((int)(serial % 251));
}

static pid_t start(unsigned serial, uint32_t us)
{
    pid_t pid = fork();
    if (pid == 0)
        live(serial, us);
    if (pid < 0) {
        perror("stress_children: fork");
        exit(2);
    }
    return pid;
}

static void deliver(struct account *account, int status, unsigned serial)
{
    ++account->delivered;
    account->wrong += !is_its_status(status, serial);
}

/* ---- the thread that waits for its own ---- */

static void *reap_others(void *arg)
{
    struct stress *stress = arg;
    uint64_t random = stress->seed * 2 + 1;
    for (unsigned i = 0; i < stress->children; ++i) {
        unsigned serial = i * 7 + 1;
        int status;
        pid_t pid = start(serial, draw(&random, 2000)), got;
        ++stress->other.started;
        do
            got = waitpid(pid, &status, 0);
        while (got < 0 && errno == EINTR);
        if (got == pid)
            deliver(&stress->other, status, serial);
        else
            ++stress->other.lost;
    }
    return NULL;
}

/* ---- the owner ---- */

/* What everybody writes: any child will do, and one asks again. Returns as aw_child_wait. */
static int wait_naively(struct child *child, int *status)
{
    pid_t got = waitpid(-1, status, WNOHANG);
    if (got == child->pid || waitpid(child->pid, status, WNOHANG) == child->pid)
        return 0;
    const struct timespec span = { 0, 500000 };
    nanosleep(&span, NULL);
    return ++child->tries < 100 ? -ETIMEDOUT : -ECHILD;
}

static int wait_in_guard(pid_t pid, int *status, uint64_t timeout_ns, struct account *account)
{
    struct aw_guard guard;
    int result = aw_guard_enter(&guard, timeout_ns, AW_GUARD_DEFAULT);
    if (result < 0)
        return result;
    result = aw_child_wait(pid, status, AW_FOREVER);
    account->expired += aw_guard_leave(&guard) != 0;
    return result;
}

/* True: it has gone. */
static bool wait_for(struct stress *stress, struct child *child, uint64_t *random)
{
    struct account *account = &stress->owner;
    static const uint32_t longest_us[] = { 1, 100, 1000, 4000 };
    uint64_t timeout = draw(random, longest_us[draw(random, 4)]) * UINT64_C(1000);
    bool is_guarded = timeout != 0 && draw(random, 4) == 0;
    int status = -1;
    uint64_t begin = clock_ns();
    int result = stress->is_naive ? wait_naively(child, &status)
                 : is_guarded     ? wait_in_guard(child->pid, &status, timeout, account)
                                  : aw_child_wait(child->pid, &status, timeout);
    if (result == 0) {
        deliver(account, status, child->serial);
        return true;
    }
    if (result == -ETIMEDOUT) {
        ++account->timed_out;
        account->early += !stress->is_naive && clock_ns() - begin < timeout;
        return false;
    }
    if (result != -ECHILD) {
        ++account->failed;
        account->error = -result;
    }
    ++account->lost;
    return true;
}

/* One that would live long: SIGTERM, or its own end, whichever is first. */
static void stop_one(struct stress *stress, unsigned serial, uint64_t *random)
{
    int status = -1;
    bool is_group = draw(random, 2) == 0;
    pid_t pid = start(serial, draw(random, LIFE_US));
    if (is_group)
        (void)setpgid(pid, pid);
    int result = aw_child_stop(is_group ? -pid : pid, AW_SEC(20), &status);
    bool is_right = is_its_status(status, serial) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    ++stress->owner.stopped;
    stress->owner.lost += result != 0;
    stress->owner.wrong += result == 0 && !is_right;
}

static void run_one(struct stress *stress, unsigned serial)
{
    char text[32];
    char *argv[] = { "sh", "-c", text, NULL };
    int status = -1;
    snprintf(text, sizeof text, "exit %u", serial % 251);
    int result = aw_child_run("sh", argv, NULL, &status);
    ++stress->owner.ran;
    stress->owner.lost += result != 0;
    stress->owner.wrong += result == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == (int)(serial % 251));
}

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

static void own(struct stress *stress)
{
    struct child window[WINDOW];
    unsigned n = 0, serial = 0;
    uint64_t random = stress->seed * 2 + 3;
    while (serial < stress->children || n != 0) {
        if (serial < stress->children && n < WINDOW && draw(&random, 2) == 0) {
            window[n++] = (struct child){ start(serial, draw(&random, LIFE_US)), serial, 0 };
            ++stress->owner.started;
            if (++serial % 50 == 0 && !stress->is_naive)
                stop_one(stress, serial, &random);
            else if (serial % 50 == 25 && !stress->is_naive)
                run_one(stress, serial);
        } else if (n != 0) {
            unsigned i = draw(&random, n);
            if (wait_for(stress, &window[i], &random))
                window[i] = window[--n];
        }
    }
}

/* ---- the run ---- */

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL)
        ++n;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static unsigned found(const struct account *account)
{
    return account->wrong + account->lost + account->early + account->failed;
}

/* 0: as it should be; 1: not. */
static int run(struct stress *stress, enum aw_alarm alarm, enum aw_interrupt interrupt)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    struct aw_timer timer;
    pthread_t thread;
    unsigned ticks = 0, descriptors = open_descriptors();
    uint64_t begin = clock_ns();
    options.alarm = alarm;
    options.interrupt = interrupt;
    memset(&stress->owner, 0, sizeof stress->owner);
    memset(&stress->other, 0, sizeof stress->other);
    if (aw_init(&options) != 0 || aw_timer_create(&timer, tick, &ticks) != 0 ||
        aw_timer_arm_every(timer, AW_MS(1), AW_MS(1), AW_MISSED_SKIP) != 0 ||
        pthread_create(&thread, NULL, reap_others, stress) != 0) {
        fputs("stress_children: the engine or its thread did not start\n", stderr);
        exit(2);
    }
    own(stress);
    pthread_join(thread, NULL);
    if (aw_shutdown() != 0)
        exit(2);
    unsigned zombies = 0;
    while (waitpid(-1, NULL, WNOHANG) >= 0)
        ++zombies;
    int leaked = (int)open_descriptors() - (int)descriptors;
    const struct account *owner = &stress->owner, *other = &stress->other;
    printf("%s %s%s seed %llu: children %u delivered %u (%u stopped, %u run) timed out %u (%u by a guard) "
           "| others %u delivered %u | wrong %u lost %u early %u failed %u zombies %u descriptors %d "
           "| %u ticks, %.1f s\n",
           alarm == AW_ALARM_POSIX ? "posix" : "itimer", interrupt == AW_INTERRUPT_STEP ? "step" : "restart",
           stress->is_naive ? " naive" : "", (unsigned long long)stress->seed, owner->started,
           owner->delivered, owner->stopped, owner->ran, owner->timed_out, owner->expired, other->started,
           other->delivered, owner->wrong + other->wrong, owner->lost + other->lost, owner->early,
           owner->failed, zombies, leaked, ticks, (double)(clock_ns() - begin) / 1e9);
    fflush(stdout);
    bool all = owner->delivered == stress->children && other->delivered == stress->children;
    return found(owner) + found(other) + zombies != 0 || leaked != 0 || !all;
}

static _Noreturn void misuse(void)
{
    fputs("usage: stress_children [--children N] [--seed S] [--alarm itimer|posix] "
          "[--interrupt step|restart] [--naive]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    struct stress stress = { .children = 1000, .seed = 1 };
    int only_alarm = -1, only_interrupt = -1, bad = 0, ran = 0;
    for (int i = 1; i < argc; ++i) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--naive") == 0)
            stress.is_naive = true;
        else if (i + 1 == argc)
            misuse();
        else if (++i, strcmp(argv[i - 1], "--children") == 0)
            stress.children = (unsigned)strtoul(value, NULL, 0);
        else if (strcmp(argv[i - 1], "--seed") == 0)
            stress.seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i - 1], "--alarm") == 0)
            only_alarm = strcmp(value, "posix") == 0 ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
        else if (strcmp(argv[i - 1], "--interrupt") == 0)
            only_interrupt = strcmp(value, "restart") == 0 ? AW_INTERRUPT_RESTART : AW_INTERRUPT_STEP;
        else
            misuse();
    }
    for (int way = 0; way < 4; ++way) {
        enum aw_alarm alarm = (way & 1) != 0 ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
        enum aw_interrupt interrupt = (way & 2) != 0 ? AW_INTERRUPT_RESTART : AW_INTERRUPT_STEP;
        if ((only_alarm >= 0 && (int)alarm != only_alarm) ||
            (only_interrupt >= 0 && (int)interrupt != only_interrupt))
            continue;
        ++ran;
        bad += run(&stress, alarm, interrupt);
    }
    return stress.is_naive ? bad != ran : bad != 0;
}
