/* SPDX-License-Identifier: MIT */
/*
 * resolve_with_timeout.c: getaddrinfo(3) swallows EINTR and holds locks, so nothing inside the process can
 * bound it. A child can be killed: it resolves and writes the addresses to a pipe, and a guarded read waits
 * for them. First localhost; then a name whose nameserver is silent, which would take glibc ten seconds and
 * more.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <nss.h>
#endif

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 300

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

/*
 * Has this process ask that nameserver and nobody else. Elsewhere than with glibc no program has a say in
 * that.
 */
static int ask_only(const struct sockaddr_in *nameserver)
{
#if defined(__GLIBC__)
    if (__nss_configure_lookup("hosts", "dns") != 0 || res_init() != 0)
        return -1;
    _res.nscount = 1;
    _res.nsaddr_list[0] = *nameserver;
#else
    (void)nameserver;
    fprintf(stderr, "  (this C library does not let us choose a nameserver: the child hangs by itself)\n");
    for (;;)
        pause();
#endif
    return 0;
}

/* The child. What it allocates, and whatever state the resolver is in, is gone with it. */
static int resolve_here(const char *name, const struct sockaddr_in *nameserver, FILE *out)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char text[NI_MAXHOST];
    struct addrinfo *found;
    int error;

    if (nameserver != NULL && ask_only(nameserver) != 0)
        return EXIT_FAILURE;
    error = getaddrinfo(name, NULL, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "  %s: %s\n", name, gai_strerror(error));
        return EXIT_FAILURE;
    }
    for (const struct addrinfo *each = found; error == 0 && each != NULL; each = each->ai_next) {
        error = getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
        if (error == 0)
            fprintf(out, "%s\n", text);
    }
    freeaddrinfo(found);
    return error == 0 && fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Its end of the pipe, and the child. */
struct resolver {
    pid_t child;
    int fd;
};

static int start(struct resolver *resolver, const char *name, const struct sockaddr_in *nameserver)
{
    int ends[2];
    FILE *out;

    if (fflush(stdout) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    resolver->fd = ends[0];
    resolver->child = fork();
    if (resolver->child == 0) {
        out = fdopen(ends[1], "w");
        _exit(out != NULL ? resolve_here(name, nameserver, out) : EXIT_FAILURE);
    }
    (void)close(ends[1]); /* or we would never read its end */
    if (resolver->child > 0)
        return 0;
    (void)close(ends[0]);
    return -1;
}

/* Kills the child where it was given up, and reaps it in any case. True if it had ended well. */
static int finish(struct resolver *resolver, int gave_up)
{
    siginfo_t info = { 0 };

    if (gave_up && kill(resolver->child, SIGKILL) != 0)
        return 0;
    if (close(resolver->fd) != 0 || aw_waitid(P_PID, (id_t)resolver->child, &info, WEXITED, AW_SEC(10)) != 0)
        return 0;
    return info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS;
}

/* The addresses, a line each, in text; or -1 and errno, ETIMEDOUT when the time is over. */
static int resolve(const char *name, const struct sockaddr_in *nameserver, char *text, size_t size,
                   uint64_t timeout_ns)
{
    struct resolver resolver;
    size_t length = 0;
    int error = 0;

    if (start(&resolver, name, nameserver) != 0)
        return -1;
    /* To the end of the pipe: one time-out for all of the answer. */
    if (aw_read_full(resolver.fd, text, size - 1, &length, timeout_ns) < 0)
        error = errno;
    text[length] = '\0';
    if (!finish(&resolver, error != 0) && error == 0)
        error = ENOENT;
    errno = error;
    return error == 0 ? 0 : -1;
}

static int localhost(void)
{
    char text[4096];
    double begin_ms = now_ms();

    printf("Resolving localhost:\n");
    if (resolve("localhost", NULL, text, sizeof(text), AW_SEC(10)) != 0)
        return fail("localhost");
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        printf("  %s\n", line);
    printf("  after %.1f ms\n", now_ms() - begin_ms);
    return EXIT_SUCCESS;
}

/* A nameserver on loopback that is asked and never answers. */
static int silent_nameserver(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    memset(address, 0, sizeof(*address));
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (const struct sockaddr *)address, size) == 0 &&
        getsockname(fd, (struct sockaddr *)address, &size) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int silence(void)
{
    struct sockaddr_in nameserver;
    char text[4096];
    unsigned queries = 0;
    int fd = silent_nameserver(&nameserver);
    double begin_ms;
    double took_ms;
    int error;

    if (fd < 0)
        return fail("nameserver");
    printf("Resolving a name whose nameserver is silent, limit %d ms:\n", LIMIT_MS);
    begin_ms = now_ms();
    error = resolve("printer.example.", &nameserver, text, sizeof(text), AW_MS(LIMIT_MS)) == 0 ? 0 : errno;
    took_ms = now_ms() - begin_ms;
    while (recv(fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
        queries++;
    if (close(fd) != 0)
        return fail("close");
    if (error != ETIMEDOUT || took_ms < LIMIT_MS) {
        fprintf(stderr, "  %s after %.1f ms\n", error == 0 ? "resolved" : strerror(error), took_ms);
        return EXIT_FAILURE;
    }
    printf("  gave up after %.1f ms; the nameserver was asked %u times; the child is killed and reaped\n",
           took_ms, queries);
    return EXIT_SUCCESS;
}

int main(void)
{
    int error = aw_init(NULL);
    int result;

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    result = localhost();
    if (result == EXIT_SUCCESS)
        result = silence();
    if (result == EXIT_SUCCESS && (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)) {
        fprintf(stderr, "a child was left behind\n");
        result = EXIT_FAILURE;
    }
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
