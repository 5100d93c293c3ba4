/* SPDX-License-Identifier: MIT */
/*
 * loop_epoll.c: alarmwheel's timers and signals inside an epoll loop. The wake-up descriptor is one more
 * descriptor of the loop: when it is readable, aw_dispatch runs what is due. The loop asks for no deadline
 * and sleeps without a time-out: the alarm wakes it.
 *
 *     loop_epoll                  timers, signals from another process, and a timer of the loop's own
 *     loop_epoll --idle SECONDS   so long nothing is due: not one wake-up, as strace shows
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define OWN_MS 450 /* the delay of a timer of the loop's own */

static struct aw_timer beat, reply, end;
static unsigned beats, events, turns; /* beats, the missed ones too; callbacks of all kinds; of the loop */
static long idle_s;

/* What a function of alarmwheel returned. */
static int must(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-result));
        exit(EXIT_FAILURE);
    }
    return result;
}

/* What a system call returned. */
static int must_call(int result, const char *what)
{
    return must(result < 0 ? -errno : result, what);
}

static void say(const char *what)
{
    static uint64_t begin_ms;
    struct timespec now;

    must_call(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime");
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    begin_ms = begin_ms != 0 ? begin_ms : now_ms;
    printf("  %3" PRIu64 " ms  %s\n", now_ms - begin_ms, what);
    must_call(fflush(stdout), "stdout");
}

/* The callbacks of alarmwheel. A negative value comes out of aw_dispatch, and here it ends the loop. */
static int on_beat(struct aw_timer timer, void *arg)
{
    uint64_t missed;

    (void)arg;
    must(aw_timer_overrun(timer, &missed), "aw_timer_overrun");
    beats += 1 + (unsigned)missed;
    events++;
    return 0;
}

static int on_reply(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    events++;
    say("alarmwheel's timer, which the loop's own armed");
    return 0;
}

static int on_end(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    say("the end");
    return -ECANCELED;
}

static int on_signal(const siginfo_t *info, uint64_t count, void *arg)
{
    (void)count;
    (void)arg;
    events++;
    say(info->si_signo == SIGTERM ? "SIGTERM: the end" : "SIGUSR1, from another process");
    return info->si_signo == SIGTERM ? -ECANCELED : 0;
}

/* Called by the loop's own timer: any code of this thread may arm timers, while the loop runs, too. */
static void arm_more(void)
{
    events++;
    say("the loop's own timer");
    if (idle_s == 0) {
        must(aw_timer_arm(reply, AW_MS(50)), "aw_timer_arm");
        return;
    }
    must(aw_timer_disarm(beat), "aw_timer_disarm");
    must(aw_timer_arm(end, AW_SEC(idle_s)), "aw_timer_arm");
    must(aw_quiet(), "aw_quiet"); /* or the alarm for the next beat would wake the loop once, in vain */
    say("idle");
}

/* The loop's own callback: its timer, a timerfd. */
static void on_own_timer(int own)
{
    uint64_t shots;

    must_call((int)read(own, &shots, sizeof(shots)), "timerfd");
    arm_more();
}

static void run(int own)
{
    int epoll = must_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    int wakeup = must(aw_wakeup_fd(), "aw_wakeup_fd");
    struct epoll_event event = { .events = EPOLLIN, .data.fd = wakeup };
    int result = 0;

    must_call(epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, &event), "epoll_ctl");
    event.data.fd = own;
    must_call(epoll_ctl(epoll, EPOLL_CTL_ADD, own, &event), "epoll_ctl");
    while (result >= 0) {
        int ready = epoll_wait(epoll, &event, 1, -1);

        turns++;
        if (ready < 0 && errno == EINTR) /* a signal: if it is alarmwheel's, the descriptor is readable now */
            continue;
        if (must_call(ready, "epoll_wait") == 1 && event.data.fd == wakeup)
            result = aw_dispatch(0);
        else
            on_own_timer(own);
    }
    if (result != -ECANCELED)
        must(result, "aw_dispatch");
    must_call(close(epoll), "close");
}

/* Two signals to be heard, and one to end with. */
static pid_t signals_from_another_process(pid_t to)
{
    const struct timespec pause = { .tv_nsec = 300000000 };
    pid_t child = must_call(fork(), "fork");

    for (int i = 0; child == 0 && i < 3; i++)
        if (nanosleep(&pause, NULL) != 0 || kill(to, i < 2 ? SIGUSR1 : SIGTERM) != 0)
            _exit(EXIT_FAILURE);
    if (child == 0)
        _exit(EXIT_SUCCESS);
    return child;
}

int main(int argc, char **argv)
{
    uint64_t period_ns;
    pid_t child = 0;
    const struct itimerspec once = { .it_value.tv_nsec = OWN_MS * 1000000 };
    int own = must_call(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
    int status = EXIT_SUCCESS;

    idle_s = argc == 3 && strcmp(argv[1], "--idle") == 0 ? strtol(argv[2], NULL, 10) : 0;
    period_ns = idle_s == 0 ? AW_MS(100) : AW_MS(500) * (uint64_t)idle_s;
    must(aw_init(NULL), "aw_init");
    must(aw_timer_create(&beat, on_beat, NULL), "aw_timer_create");
    must(aw_timer_create(&reply, on_reply, NULL), "aw_timer_create");
    must(aw_timer_create(&end, on_end, NULL), "aw_timer_create");
    must(aw_timer_arm_every(beat, period_ns, period_ns, AW_MISSED_SKIP), "aw_timer_arm_every");
    must(aw_signal_watch(SIGUSR1, on_signal, NULL), "aw_signal_watch");
    must(aw_signal_watch(SIGTERM, on_signal, NULL), "aw_signal_watch");
    say("epoll, with alarmwheel's timers and signals");
    if (idle_s == 0)
        child = signals_from_another_process(getpid());
    must_call(timerfd_settime(own, 0, &once, NULL), "timerfd_settime");
    run(own);
    if (child != 0)
        must_call(waitpid(child, &status, 0), "waitpid");
    printf("  %u beats; the loop turned %u times for %u events\n", beats, turns, events);
    must(aw_shutdown(), "aw_shutdown");
    return status == EXIT_SUCCESS && fflush(stdout) == 0 && close(own) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
