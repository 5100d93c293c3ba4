/* SPDX-License-Identifier: MIT */
/*
 * echo_server.c: a TCP server that behaves, in one thread, with aw_poll alone. It echoes what it is sent, on
 * loopback.
 *
 *     echo_server [-p PORT] [-c CONFIGURATION]
 *
 *     SIGTERM, SIGINT   drain: no new connections; what has arrived is echoed, and then an end of file; at
 *                       the deadline the connections that are left are reset. Once more: reset at once
 *     SIGHUP            reads the configuration again; one that is wrong changes nothing
 *     SIGCHLD           the process that writes the log has ended: another one is started
 *
 * A connection that is silent for too long is closed by a timer of its own. Statistics are logged
 * periodically. Exit status: 0: every connection has ended well; 3: some were reset; 1: an error.
 *
 * The callbacks run in aw_poll and do what they like there. Those that change what the main loop does return
 * -ECANCELED, and aw_poll does. The connections are in echo_connections.c.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#include "echo_connections.h"

#define MOST_CONNECTIONS 16384
#define OTHER_DESCRIPTORS 16
#define PAUSE_NS AW_MS(100) /* before something that has failed is tried again */
#define EXIT_RESET 3

enum state {
    SERVING,
    STOPPING, /* told to */
    DRAINING,
    GIVING_UP, /* the deadline has passed, or the user does not want to wait for it */
    ENDED
};

struct configuration {
    uint64_t idle_ms, drain_ms, statistics_ms;
};

static enum state state;
static struct configuration configuration = { 30000, 5000, 10000 };
static const char *configuration_file;
static int listener;
static bool
    resting; /* accept has failed for want of something: not to be tried again before the pause is over */
static struct aw_timer rest, deadline, statistics, restart;

/*
 * The log: a pipe, and a process that copies it to standard output, where writing may take as long as it
 * likes. A real server would have logger(1) there. What does not fit into the pipe is lost, and counted. We
 * keep the end that is read, too: so what is in the pipe outlives the process.
 */
static int log_pipe[2];
static pid_t logger; /* 0: none */
static uint64_t lines_lost;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof(line) - 1)
        length = sizeof(line) - 2;
    line[length] = '\n';
    if (write(log_pipe[1], line, (size_t)length + 1) < 0)
        lines_lost++;
}

/* In a process group of its own: Ctrl-C is not for it. All our other descriptors are close-on-exec. */
static int start_logger(void)
{
    char program[] = "cat";
    char *const argv[] = { program, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        if ((error = posix_spawn_file_actions_adddup2(&actions, log_pipe[0], STDIN_FILENO)) == 0 &&
            (error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP)) == 0)
            error = posix_spawnp(&logger, program, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        logger = 0;
    else
        say("logger: process %d", (int)logger);
    return -error;
}

/* The serving is over: who tells it to stop now comes too late, and is not to spoil the exit status. */
static void stop_listening_to_signals(void)
{
    sigset_t set;

    state = ENDED;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* What is in the pipe is written out; then the process ends, or is ended. */
static int end_log(void)
{
    int status = 0;
    int error = aw_signal_unwatch(SIGCHLD, NULL, NULL);

    if (error == 0 && logger == 0)
        error = start_logger();
    if (lines_lost != 0)
        say("%" PRIu64 " lines of the log are lost", lines_lost);
    (void)close(log_pipe[0]);
    (void)close(log_pipe[1]);
    if (error == 0 && (error = aw_child_wait(logger, &status, AW_SEC(2))) == -ETIMEDOUT)
        error = aw_child_stop(logger, PAUSE_NS, &status);
    return error != 0 ? error : status == 0 ? 0 : -ECHILD;
}

/* By its number: other children, and other people's waits for theirs, are not touched. */
static int on_child(const siginfo_t *info, uint64_t times, void *arg)
{
    int status;

    (void)info;
    (void)times;
    (void)arg;
    if (logger == 0 || aw_child_wait(logger, &status, 0) != 0)
        return 0;
    logger = 0;
    say("logger: ended with status %#x", (unsigned)status);
    return aw_timer_arm(restart, PAUSE_NS);
}

static int on_restart(struct aw_timer timer, void *arg)
{
    (void)arg;
    return start_logger() == 0 ? 0 : aw_timer_arm(timer, PAUSE_NS);
}

/* Lines of a name and a number. On an error `*to` is as it was. */
static int read_configuration(struct configuration *to)
{
    struct configuration read = *to;
    char line[128], name[32], rest_of_line[2];
    uint64_t value;
    int error = 0;

    if (configuration_file == NULL)
        return 0;
    FILE *file = fopen(configuration_file, "re");
    if (file == NULL)
        return -errno;
    while (error == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%31s %" SCNu64 " %1s", name, &value, rest_of_line) != 2 || value == 0 ||
            value > 86400000)
            error = -EINVAL;
        else if (strcmp(name, "idle_ms") == 0)
            read.idle_ms = value;
        else if (strcmp(name, "drain_ms") == 0)
            read.drain_ms = value;
        else if (strcmp(name, "statistics_ms") == 0)
            read.statistics_ms = value;
        else
            error = -EINVAL;
    }
    if (error == 0 && ferror(file))
        error = -EIO;
    (void)fclose(file);
    if (error == 0)
        *to = read;
    return error;
}

static int arm_statistics(void)
{
    uint64_t period_ns = AW_MS(configuration.statistics_ms);

    return aw_timer_arm_every(statistics, period_ns, period_ns, AW_MISSED_SKIP);
}

static int on_reload(const siginfo_t *info, uint64_t times, void *arg)
{
    int error = read_configuration(&configuration);

    (void)info;
    (void)times;
    (void)arg;
    if (error != 0) {
        say("configuration: %s; the old one holds", strerror(-error));
        return 0;
    }
    say("configuration: idle %" PRIu64 " ms, drain %" PRIu64 " ms", configuration.idle_ms,
        configuration.drain_ms);
    if (state != SERVING)
        return 0;
    error = arm_statistics();
    return error != 0 ? error : connections_set_idle(AW_MS(configuration.idle_ms));
}

static int on_stop(const siginfo_t *info, uint64_t times, void *arg)
{
    (void)times;
    (void)arg;
    say("signal %d from process %d", info->si_signo, (int)info->si_pid);
    if (state == ENDED)
        return 0;
    state = state == SERVING ? STOPPING : GIVING_UP;
    return -ECANCELED;
}

static int on_deadline(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    state = GIVING_UP;
    return -ECANCELED;
}

static int on_rest(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    resting = false;
    return -ECANCELED;
}

static int on_statistics(struct aw_timer timer, void *arg)
{
    struct aw_stats stats = { .size = sizeof(stats) };

    (void)timer;
    (void)arg;
    int error = aw_stats_read(&stats);
    say("%u connections; %" PRIu64 " accepted, %" PRIu64 " idle; %" PRIu64 " bytes; timers late by %" PRIu64
        " us at most; %" PRIu64 " alarms",
        connections_count(), echo_totals.accepted, echo_totals.idle, echo_totals.written,
        stats.worst_lateness_ns / 1000, stats.signals);
    return error;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t size = sizeof(address);
    const int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(listener, (const struct sockaddr *)&address, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return -errno;
    say("listening on 127.0.0.1:%u", ntohs(address.sin_port));
    return 0;
}

static int accept_all(unsigned most)
{
    while (connections_count() < most) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int error = fd >= 0 ? connections_add(fd) : -errno;

        if (error == -EAGAIN)
            return 0;
        if (error == 0 || error == -EINTR || error == -ECONNABORTED)
            continue;
        say("accept: %s", strerror(-error)); /* out of descriptors or memory: that may pass */
        resting = true;
        return aw_timer_arm(rest, PAUSE_NS);
    }
    return 0;
}

/* Those that wait to be accepted are let in: they were told that they are connected. */
static int begin_drain(unsigned most)
{
    int error = accept_all(most);

    state = DRAINING;
    (void)close(listener);
    say("draining %u connections, for %" PRIu64 " ms at most", connections_count(), configuration.drain_ms);
    if (error == 0)
        error = connections_drain();
    return error != 0 ? error : aw_timer_arm(deadline, AW_MS(configuration.drain_ms));
}

/* Until it is told to end, and the connections have; or until they are to be reset. */
static int serve(unsigned most)
{
    while (state != GIVING_UP && (state != DRAINING || connections_count() != 0)) {
        unsigned long n;
        struct pollfd *polled = connections_polled(&n);
        bool accepts = state == SERVING && !resting && connections_count() < most;

        polled[0] = (struct pollfd){ .fd = accepts ? listener : -1, .events = POLLIN };
        int ready = aw_poll(polled, n, AW_FOREVER);
        int error = 0;
        if (ready > 0) {
            connections_serve();
            if (polled[0].revents != 0)
                error = accept_all(most);
        } else if (ready != -ECANCELED && ready != -EINTR) {
            error = ready;
        }
        if (error == 0 && state == STOPPING)
            error = begin_drain(most);
        if (error < 0)
            return error;
    }
    return 0;
}

/* As many descriptors as we may have. The number of connections that there is room for, or an error. */
static int most_connections(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    if (limit.rlim_cur >= MOST_CONNECTIONS + OTHER_DESCRIPTORS)
        return MOST_CONNECTIONS;
    return limit.rlim_cur > OTHER_DESCRIPTORS ? (int)limit.rlim_cur - OTHER_DESCRIPTORS : -EMFILE;
}

static int start(uint16_t port, int most)
{
    int error;

    if (most < 0)
        return most;
    if (pipe2(log_pipe, O_CLOEXEC) != 0 || fcntl(log_pipe[1], F_SETFL, O_NONBLOCK) != 0)
        return -errno;
    if ((error = aw_init(NULL)) != 0 || (error = aw_timer_create(&rest, on_rest, NULL)) != 0 ||
        (error = aw_timer_create(&deadline, on_deadline, NULL)) != 0 ||
        (error = aw_timer_create(&statistics, on_statistics, NULL)) != 0 ||
        (error = aw_timer_create(&restart, on_restart, NULL)) != 0 ||
        (error = aw_signal_watch(SIGCHLD, on_child, NULL)) != 0 ||
        (error = aw_signal_watch(SIGHUP, on_reload, NULL)) != 0 ||
        (error = aw_signal_watch(SIGTERM, on_stop, NULL)) != 0 ||
        (error = aw_signal_watch(SIGINT, on_stop, NULL)) != 0 || (error = start_logger()) != 0 ||
        (error = read_configuration(&configuration)) != 0 || (error = arm_statistics()) != 0 ||
        (error = connections_open((unsigned)most, AW_MS(configuration.idle_ms))) != 0)
        return error;
    return listen_on(port);
}

int main(int argc, char **argv)
{
    unsigned long port = 0;
    int option;

    while ((option = getopt(argc, argv, "p:c:")) != -1) {
        if (option == 'p')
            port = strtoul(optarg, NULL, 10);
        else if (option == 'c')
            configuration_file = optarg;
        if (option == '?' || port > UINT16_MAX) {
            fputs("usage: echo_server [-p PORT] [-c CONFIGURATION]\n", stderr);
            return EXIT_FAILURE;
        }
    }
    int most = most_connections();
    int error = start((uint16_t)port, most);
    if (error == 0)
        error = serve((unsigned)most);
    if (error == 0) {
        connections_reset();
        say("%" PRIu64 " connections: %" PRIu64 " ended, %" PRIu64 " idle, %" PRIu64 " failed, %" PRIu64
            " reset; %" PRIu64 " bytes read, %" PRIu64 " written",
            echo_totals.accepted, echo_totals.ended, echo_totals.idle, echo_totals.failed, echo_totals.reset,
            echo_totals.read, echo_totals.written);
        stop_listening_to_signals();
        error = end_log();
    }
    if (error == 0)
        error = aw_shutdown();
    if (error != 0) {
        fprintf(stderr, "echo_server: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    return echo_totals.reset != 0 ? EXIT_RESET : EXIT_SUCCESS;
}
