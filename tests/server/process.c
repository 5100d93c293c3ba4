/* SPDX-License-Identifier: MIT */
/* process.c: see process.h. AW_SERVER_LAUNCHER in the environment: what the server is run under. */
#include "process.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signal_fixture.h"

void server_write(const struct server *server, const char *configuration)
{
    FILE *file = fopen(server->file, "w");
    ck_assert_ptr_nonnull(file);
    fputs(configuration, file);
    ck_assert_int_eq(fclose(file), 0);
}

void server_configure(const struct server *server, unsigned idle_ms, unsigned drain_ms)
{
    char text[128];
    snprintf(text, sizeof text, "# of the test\nidle_ms %u\n\ndrain_ms %u\nstatistics_ms 50\n", idle_ms,
             drain_ms);
    server_write(server, text);
}

static _Noreturn void run(const struct server *server)
{
    char *argv[16];
    int argc = 0;
    const char *launcher = getenv("AW_SERVER_LAUNCHER");
    if (launcher != NULL)
        for (char *word = strtok(strdup(launcher), " "); word != NULL && argc < 10; word = strtok(NULL, " "))
            argv[argc++] = word;
    argv[argc++] = strdup(AW_ECHO_SERVER);
    argv[argc++] = strdup("-c");
    argv[argc++] = strdup(server->file);
    argv[argc] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

void server_start(struct server *server, unsigned idle_ms, unsigned drain_ms)
{
    int log[2];
    memset(server, 0, sizeof *server);
    strcpy(server->file, "/tmp/aw-server-XXXXXX");
    int file = mkstemp(server->file);
    ck_assert_int_ge(file, 0);
    close(file);
    server_configure(server, idle_ms, drain_ms);
    ck_assert_int_eq(pipe2(log, O_CLOEXEC), 0);
    server->pid = fork();
    ck_assert_int_ge(server->pid, 0);
    if (server->pid == 0) {
        dup2(log[1], STDOUT_FILENO);
        run(server);
    }
    close(log[1]);
    server->log = log[0];
    server->logger = (pid_t)strtol(server_await(server, "logger: process "), NULL, 10);
    server->port = (uint16_t)strtoul(server_await(server, "listening on 127.0.0.1:"), NULL, 10);
}

void server_signal(const struct server *server, int signo)
{
    ck_assert_int_eq(kill(server->pid, signo), 0);
}

/* False: the log is at its end. */
static bool read_log(struct server *server)
{
    struct pollfd fd = { .fd = server->log, .events = POLLIN };
    size_t room = sizeof server->text - 1 - server->length;
    ck_assert_uint_gt(room, 0);
    ck_assert_msg(poll(&fd, 1, LIMIT_MS) == 1, "the server is silent; so far:\n%s", server->text);
    ssize_t got = read(server->log, server->text + server->length, room);
    ck_assert_int_ge(got, 0);
    server->length += (size_t)got;
    return got > 0;
}

const char *server_await(struct server *server, const char *text)
{
    for (uint64_t begin = clock_ns(); clock_ns() - begin < AW_MS(LIMIT_MS);) {
        char *found = strstr(server->text + server->seen, text);
        char *end = found != NULL ? strchr(found, '\n') : NULL;
        if (end != NULL) {
            server->seen = (size_t)(end + 1 - server->text);
            return found + strlen(text);
        }
        if (!read_log(server))
            break;
    }
    ck_abort_msg("the server does not say \"%s\", but:\n%s", text, server->text);
    return NULL;
}

int server_end(struct server *server)
{
    while (read_log(server))
        continue;
    close(server->log);
    unlink(server->file);
    return child_status(server->pid);
}

struct server_totals server_totals(struct server *server)
{
    struct server_totals totals;
    const char *line = strstr(server->text, " ended, ");
    ck_assert_ptr_nonnull(line);
    while (line > server->text && line[-1] != '\n')
        --line;
    ck_assert_int_eq(
        sscanf(line, "%lu connections: %lu ended, %lu idle, %lu failed, %lu reset; %lu bytes read, %lu",
               &totals.accepted, &totals.ended, &totals.idle, &totals.failed, &totals.reset, &totals.read,
               &totals.written),
        7);
    fputs(line, stdout);
    return totals;
}
