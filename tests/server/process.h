/* SPDX-License-Identifier: MIT */
/*
 * process.h: the echo server of examples/ as a process: started with a configuration, its log read, its end
 * waited for. Each wait has a limit, which is for hangs only.
 */
#ifndef AWI_SERVER_PROCESS_H
#define AWI_SERVER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#define LIMIT_MS 200000

struct server {
    pid_t pid, logger;
    uint16_t port;
    int log;           /* its standard output */
    char file[64];     /* its configuration */
    char text[262144]; /* what it has logged */
    size_t length, seen;
};

void server_start(struct server *server, unsigned idle_ms, unsigned drain_ms);

/* Writes the configuration. SIGHUP is the caller's. */
void server_configure(const struct server *server, unsigned idle_ms, unsigned drain_ms);
void server_write(const struct server *server, const char *configuration);

void server_signal(const struct server *server, int signo);

/* Waits for a line with `text` in it, behind the last that was awaited. Returns what follows `text`. */
const char *server_await(struct server *server, const char *text);

/* Waits for its end: the status of waitpid. Its log is complete then. */
int server_end(struct server *server);

/* What it has counted, from the last line of its log. */
struct server_totals {
    unsigned long accepted, ended, idle, failed, reset, read, written;
};
struct server_totals server_totals(struct server *server);

#endif
