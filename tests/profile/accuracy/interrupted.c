/* SPDX-License-Identifier: MIT */
/*
 * interrupted.c: a profile of processor time leaves alone who uses none. A thread makes blocking calls,
 * unguarded, beside one that works: none of them may say EINTR.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "accuracy.h"
#include "tally.h"
#include "work.h"

static uint64_t each_ns;
static int pipe_ends[2] = { -1, -1 };
static int listener = -1;
static struct sockaddr_un address;
static socklen_t address_length = sizeof address;

static struct timespec each(void)
{
    return (struct timespec){ .tv_sec = (time_t)(each_ns / 1000000000),
                              .tv_nsec = (long)(each_ns % 1000000000) };
}

static void *write_later(void *unused)
{
    work_sleep(each_ns);
    if (write(pipe_ends[1], "x", 1) != 1)
        accuracy_note("write: %s", strerror(errno));
    return unused;
}

static void *connect_later(void *unused)
{
    work_sleep(each_ns);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, address_length) != 0)
        accuracy_note("connect: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return unused;
}

/* What the call says while another thread does so later. */
static int while_another(void *(*other)(void *), int (*call)(void))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, other, NULL) != 0)
        return EAGAIN;
    const int error = call();
    pthread_join(thread, NULL);
    return error;
}

static int read_pipe(void)
{
    char byte;
    return read(pipe_ends[0], &byte, 1) == 1 ? 0 : errno;
}

static int accept_one(void)
{
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_read(void)
{
    return while_another(write_later, read_pipe);
}

static int try_accept(void)
{
    return while_another(connect_later, accept_one);
}

static int try_poll(void)
{
    struct pollfd fd = { .fd = pipe_ends[0], .events = POLLIN };
    return poll(&fd, 1, (int)(each_ns / 1000000)) == 0 ? 0 : errno;
}

static int try_nanosleep(void)
{
    const struct timespec time = each();
    return nanosleep(&time, NULL) == 0 ? 0 : errno;
}

static int try_futex(void)
{
    static uint32_t word;
    const struct timespec time = each();
    if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0) == 0 || errno == ETIMEDOUT)
        return 0;
    return errno;
}

static const struct {
    const char *name;
    int (*run)(void);
} calls[] = {
    { "read", try_read },   { "poll", try_poll },     { "nanosleep", try_nanosleep },
    { "futex", try_futex }, { "accept", try_accept },
};
#define CALLS (sizeof calls / sizeof *calls)

static bool open_all(void)
{
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sun_family = AF_UNIX;
    /* A name of the kernel's choice. */
    return listener >= 0 && bind(listener, (const struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
           listen(listener, 4) == 0 &&
           getsockname(listener, (struct sockaddr *)&address, &address_length) == 0 &&
           pipe2(pipe_ends, O_CLOEXEC) == 0;
}

static void close_all(void)
{
    close(listener);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static unsigned call_all(const char *beside)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        const int error = calls[i].run();
        failed += error != 0;
        if (error != 0)
            accuracy_note("%s beside %s: %s", calls[i].name, beside, strerror(error));
    }
    return failed;
}

enum beside {
    THERE_BEFORE,
    REGISTERED,
    UNKNOWN
};

static bool measure(enum beside beside)
{
    static const char *const names[] = { "a thread that was there before", "one that has registered",
                                         "one that is unknown to the profiler" };
    struct crew crew;
    if (beside == THERE_BEFORE && !crew_start(&crew, 1, false))
        return accuracy_say(false, "no threads to be had");
    if (!tally_start(AW_PROFILE_CPU, 1000))
        return false;
    if (beside != THERE_BEFORE && !crew_start(&crew, 1, beside == REGISTERED))
        return accuracy_say(false, "no threads to be had");

    crew_begin(&crew, CALLS * each_ns);
    const unsigned failed = call_all(names[beside]);
    crew_end(&crew);
    struct aw_profile *profile = tally_stop();
    const uint64_t samples = profile != NULL ? tally_count(profile, 0) : 0;
    aw_profile_free(profile);
    crew_stop(&crew);
    static const char format[] = "beside %s: %u of %zu calls were interrupted (0); %llu samples";
    const unsigned long long count = samples;
    if (beside != UNKNOWN)
        return accuracy_say(failed == 0 && count > 0, format, names[beside], failed, CALLS, count);
    accuracy_note(format, names[beside], failed, CALLS, count);
    return true;
}

int interrupted_run(bool is_long)
{
    each_ns = is_long ? 2000000000 : 150000000;
    if (!open_all())
        return accuracy_say(false, "no pipe or socket: %s", strerror(errno)) ? 0 : 1;
    bool is_met = measure(THERE_BEFORE);
    is_met = measure(REGISTERED) && is_met;
    /* One timer for the process: its signal can come to another thread than the one that works. */
    if (is_long)
        is_met = measure(UNKNOWN) && is_met;
    close_all();
    return is_met ? 0 : 1;
}
