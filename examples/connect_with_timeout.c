/* SPDX-License-Identifier: MIT */
/*
 * connect_with_timeout.c: connecting to a server that listens and does not accept. Once its backlog is full
 * the kernel drops what asks to be let in, and connect(2) tries again for two minutes; aw_connect for as
 * long as it is told. Then the server accepts, and the same call goes through.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 200
#define CROWD 16

static const char greeting[] = "hello";

static double now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

/* On loopback, on a port that the kernel chooses, with room for as few as it allows. */
static int listen_somewhere(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (server < 0)
        return -1;
    memset(address, 0, sizeof(*address));
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, (const struct sockaddr *)address, size) == 0 && listen(server, 0) == 0 &&
        getsockname(server, (struct sockaddr *)address, &size) == 0)
        return server;
    (void)close(server);
    return -1;
}

/* A connected socket, or -1 and errno. */
static int dial(const struct sockaddr_in *address, uint64_t timeout_ns)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -1;
    if (aw_connect(fd, (const struct sockaddr *)address, sizeof(*address), timeout_ns) == 0)
        return fd;
    /*
     * Inside the kernel the attempt goes on, and may succeed yet: such a socket is good for nothing but
     * close.
     */
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Connects until nobody is let in any more. Returns how many were, or -1. */
static int fill(const struct sockaddr_in *address, int *crowd)
{
    int count = 0;

    while (count < CROWD) {
        crowd[count] = dial(address, AW_SEC(1));
        if (crowd[count] < 0)
            break;
        count++;
    }
    if (count < CROWD && errno == ETIMEDOUT && aw_timed_out())
        return count;
    fprintf(stderr, "%d connections, and the backlog is not full: %s\n", count, strerror(errno));
    while (count > 0)
        (void)close(crowd[--count]);
    return -1;
}

static int nobody_accepts(const struct sockaddr_in *address)
{
    double begin_ms = now_ms();
    double took_ms;
    int fd;

    printf("Connecting to a server whose backlog is full, limit %d ms:\n", LIMIT_MS);
    fd = dial(address, AW_MS(LIMIT_MS));
    took_ms = now_ms() - begin_ms;
    /* A connection has an ETIMEDOUT of its own, when its two minutes are over; this one is ours. */
    if (fd >= 0 || errno != ETIMEDOUT || !aw_timed_out() || took_ms < LIMIT_MS) {
        fprintf(stderr, "  %s after %.1f ms\n", fd >= 0 ? "connected" : strerror(errno), took_ms);
        if (fd >= 0)
            (void)close(fd);
        return EXIT_FAILURE;
    }
    printf("  gave up after %.1f ms\n", took_ms);
    return EXIT_SUCCESS;
}

static int greet(int server, int client)
{
    char text[sizeof(greeting)] = "";
    size_t got = 0;
    int peer = aw_accept4(server, NULL, NULL, SOCK_CLOEXEC, AW_SEC(10));
    int result = EXIT_FAILURE;

    if (peer < 0)
        return fail("aw_accept4");
    if (aw_send(client, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL, AW_SEC(10)) < 0 ||
        aw_read_full(peer, text, sizeof(greeting) - 1, &got, AW_SEC(10)) < 0) {
        perror("greeting");
    } else {
        printf("  the server reads \"%s\"\n", text);
        result = strcmp(text, greeting) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return close(peer) == 0 ? result : fail("close");
}

static int server_accepts(int server, const struct sockaddr_in *address, int waiting)
{
    double begin_ms;
    int result;
    int fd;

    printf("The server lets in the %d that waited; connecting again:\n", waiting);
    for (int i = 0; i < waiting; i++) {
        fd = aw_accept4(server, NULL, NULL, SOCK_CLOEXEC, AW_SEC(10));
        if (fd < 0 || close(fd) != 0)
            return fail("aw_accept4");
    }
    begin_ms = now_ms();
    fd = dial(address, AW_SEC(10));
    if (fd < 0)
        return fail("aw_connect");
    printf("  connected after %.1f ms\n", now_ms() - begin_ms);
    result = greet(server, fd);
    return close(fd) == 0 ? result : fail("close");
}

static int server_is_gone(const struct sockaddr_in *address)
{
    int fd;

    printf("Connecting when the server is gone:\n");
    fd = dial(address, AW_SEC(10));
    if (fd >= 0 || errno != ECONNREFUSED || aw_timed_out()) {
        fprintf(stderr, "  %s\n", fd >= 0 ? "connected" : strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return EXIT_FAILURE;
    }
    printf("  refused, as ever: the errors of connect stay what they are\n");
    return EXIT_SUCCESS;
}

int main(void)
{
    struct sockaddr_in address;
    int crowd[CROWD];
    int result = EXIT_FAILURE;
    int error = aw_init(NULL);
    int waiting;
    int server;

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    server = listen_somewhere(&address);
    if (server < 0)
        return fail("listen");
    waiting = fill(&address, crowd);
    if (waiting >= 0) {
        result = nobody_accepts(&address);
        if (result == EXIT_SUCCESS)
            result = server_accepts(server, &address, waiting);
    }
    while (waiting > 0)
        if (close(crowd[--waiting]) != 0)
            result = fail("close");
    if (close(server) != 0)
        result = fail("close");
    if (result == EXIT_SUCCESS)
        result = server_is_gone(&address);
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
