/* SPDX-License-Identifier: MIT */
/*
 * server.c: the echo server of examples/ under a thousand connections, signals in the middle of traffic, and
 * ten thousand timers. AW_SERVER_CONNECTIONS in the environment: how many instead of the thousand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "clients.h"
#include "process.h"
#include "signal_fixture.h"

#define LONG_MS 300000u
#define EXIT_RESET 3

static struct server server;

static unsigned connections(unsigned usual)
{
    const char *few = getenv("AW_SERVER_CONNECTIONS");
    return few != NULL ? (unsigned)strtoul(few, NULL, 10) * usual / 1000 : usual;
}

static void expect_status(int expected)
{
    int status = server_end(&server);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected, "status %#x, expected exit %d:\n%s",
                  (unsigned)status, expected, server.text);
}

static void reload(unsigned idle_ms, unsigned drain_ms)
{
    char told[64];
    server_configure(&server, idle_ms, drain_ms);
    server_signal(&server, SIGHUP);
    snprintf(told, sizeof told, "configuration: idle %u ms", idle_ms);
    server_await(&server, told);
}

static unsigned ended(enum role role)
{
    unsigned n = 0;
    for (unsigned i = 0; i < clients_count; ++i)
        n += clients[i].role == role && clients[i].ending != OPEN;
    return n;
}

static unsigned all(enum role role)
{
    unsigned n = 0;
    for (unsigned i = 0; i < clients_count; ++i)
        n += clients[i].role == role;
    return n;
}

static bool the_silent_have_ended(void)
{
    return ended(GOES_IDLE) == all(GOES_IDLE);
}

static bool the_half_closed_have_ended(void)
{
    return ended(HALF_CLOSES) == all(HALF_CLOSES);
}

static bool all_have_ended(void)
{
    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].ending == OPEN)
            return false;
    return true;
}

static bool everybody_was_answered(void)
{
    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].role != NEVER_READS && clients[i].role != READS_LATE &&
            clients[i].received < (clients[i].limit == UINT64_MAX ? 1 : FEW_BYTES))
            return false;
    return true;
}

static uint64_t bytes_received(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < clients_count; ++i)
        bytes += clients[i].received;
    return bytes;
}

/* What the server's kernel had when the signal was sent came back, and then the end of file. */
static bool is_drained(const struct client *client)
{
    return client->ending == END_OF_FILE && client->received >= client->arrived;
}

static void expect_drained(const struct client *client)
{
    ck_assert_msg(is_drained(client), "client %ju: %s, %ju bytes received of %ju",
                  (uintmax_t)(client - clients), client->ending == RESET ? "reset" : "end of file",
                  (uintmax_t)client->received, (uintmax_t)client->arrived);
}

static void expect_refused(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(server.port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    close(fd);
}

/* Each byte puts the time off. A machine on which one waits half a second for an echo is no witness. */
static void expect_the_talkers_to_be_there(void)
{
    ck_assert(ended(TALKS) < all(TALKS) || clients_longest_silence_ns() > AW_MS(500));
}

START_TEST(a_drain_in_the_middle_of_traffic_loses_nothing)
{
    const enum role roles[] = { TALKS, TALKS, TALKS, GOES_IDLE, TALKS, STAYS, TALKS, HALF_CLOSES };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, clients_possible(connections(1000)), roles, 8);
    clients_run(everybody_was_answered);
    clients_run(the_half_closed_have_ended);

    /* Those who are silent are closed, never early; others may be if the machine is that slow. */
    reload(1000, LONG_MS);
    clients_run(the_silent_have_ended);
    expect_the_talkers_to_be_there();
    reload(LONG_MS, LONG_MS);
    clients_run_for(200);

    clients_note_arrived();
    server_signal(&server, _i == 0 ? SIGTERM : SIGINT);
    clients_run(all_have_ended);
    server_await(&server, "draining ");
    expect_refused();
    expect_status(0);

    /* Those who were closed because they, or their server, stood still are no witnesses. */
    struct server_totals totals = server_totals(&server);
    ck_assert_uint_eq(totals.accepted, clients_count);
    ck_assert_uint_eq(totals.ended + totals.idle, clients_count);
    ck_assert_uint_ge(totals.idle, all(GOES_IDLE));
    unsigned long excused = totals.idle - all(GOES_IDLE);
    for (unsigned i = 0; i < clients_count; ++i) {
        const struct client *client = &clients[i];
        if (client->role == HALF_CLOSES || client->role == GOES_IDLE)
            ck_assert_uint_eq(client->received, client->limit);
        if (client->role == GOES_IDLE)
            ck_assert_uint_ge(client->ended_ns, client->sent_ns + AW_MS(1000));
        if (excused > 0 && !is_drained(client))
            --excused;
        else
            expect_drained(client);
    }
    ck_assert_uint_eq(totals.read, totals.written);
    if (totals.idle == all(GOES_IDLE))
        ck_assert_uint_eq(totals.written, bytes_received());
    clients_close();
}
END_TEST

/* All buffers are full, in both directions; what is in them is written when the client begins to read. */
START_TEST(what_is_stuck_is_drained)
{
    const enum role roles[] = { READS_LATE, TALKS, READS_LATE, STAYS };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, 20, roles, 4);
    clients_run(everybody_was_answered);
    clients_run_for(300);
    clients_note_arrived();
    server_signal(&server, SIGTERM);
    server_await(&server, "draining ");
    clients_read_late();
    clients_run(all_have_ended);
    expect_status(0);
    for (unsigned i = 0; i < clients_count; ++i)
        expect_drained(&clients[i]);
    struct server_totals totals = server_totals(&server);
    ck_assert_uint_eq(totals.read, totals.written);
    ck_assert_uint_eq(totals.written, bytes_received());
    clients_close();
}
END_TEST

/* While it is stopped the kernel says yes for it: who was told that he is connected is served. */
START_TEST(those_who_wait_to_be_accepted_are_drained_too)
{
    const enum role roles[] = { STAYS, TALKS, HALF_CLOSES };
    server_start(&server, LONG_MS, LONG_MS);
    server_signal(&server, SIGSTOP);
    clients_connect(server.port, 60, roles, 3);
    clients_run_for(50);
    clients_note_arrived();
    server_signal(&server, SIGTERM);
    server_signal(&server, SIGCONT);
    clients_run(all_have_ended);
    expect_status(0);
    for (unsigned i = 0; i < clients_count; ++i)
        expect_drained(&clients[i]);
    ck_assert_uint_eq(server_totals(&server).accepted, 60);
    clients_close();
}
END_TEST

static void expect_hung_up(const struct client *client)
{
    struct pollfd fd = { .fd = client->fd, .events = 0 };
    ck_assert_int_eq(poll(&fd, 1, LIMIT_MS), 1);
    ck_assert_int_ne(fd.revents & POLLHUP, 0);
}

/* Some never close, and some never read: the rest is drained, and these are reset when the time is over. */
START_TEST(at_the_deadline_the_connections_that_are_left_are_reset)
{
    const enum role roles[] = { TALKS, TALKS,       STAYS, TALKS, TALKS,      STAYS, TALKS, TALKS,
                                TALKS, NEVER_READS, TALKS, TALKS, NEVER_ENDS, TALKS, STAYS, TALKS };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, clients_possible(connections(1000)), roles, 16);
    clients_run(everybody_was_answered);
    reload(LONG_MS, 1500);

    clients_note_arrived();
    uint64_t begin = clock_ns();
    server_signal(&server, SIGTERM);
    clients_run(all_have_ended);
    expect_status(EXIT_RESET);
    ck_assert_uint_ge(clock_ns(), begin + AW_MS(1500));

    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].role == NEVER_READS)
            ck_assert_int_eq(clients[i].ending, RESET);
        else if (clients[i].role == NEVER_ENDS && clients[i].ending == END_OF_FILE)
            expect_hung_up(&clients[i]);
        else if (clients[i].ending == END_OF_FILE)
            ck_assert_uint_ge(clients[i].received, clients[i].arrived);
    struct server_totals totals = server_totals(&server);
    ck_assert_uint_eq(totals.ended + totals.reset, clients_count);
    ck_assert_uint_ge(totals.reset, all(NEVER_READS) + all(NEVER_ENDS));
    clients_close();
}
END_TEST

START_TEST(a_second_signal_does_not_wait_for_the_deadline)
{
    const enum role roles[] = { TALKS, NEVER_ENDS };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, clients_possible(connections(100)), roles, 2);
    clients_run(everybody_was_answered);
    server_signal(&server, SIGTERM);
    server_await(&server, "draining ");
    clients_run_for(50);
    server_signal(&server, SIGINT);
    clients_run(all_have_ended);
    expect_status(EXIT_RESET);
    ck_assert_uint_ge(server_totals(&server).reset, all(NEVER_ENDS));
    clients_close();
}
END_TEST

START_TEST(ten_thousand_timers_close_ten_thousand_connections)
{
    const enum role roles[] = { GOES_IDLE };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, clients_possible(connections(10000)), roles, 1);
    clients_run(everybody_was_answered);
    uint64_t begin = clock_ns();
    reload(700, LONG_MS);
    clients_run(all_have_ended);
    server_signal(&server, SIGTERM);
    expect_status(0);
    for (unsigned i = 0; i < clients_count; ++i) {
        ck_assert_int_eq(clients[i].ending, END_OF_FILE);
        ck_assert_uint_eq(clients[i].received, clients[i].limit);
        ck_assert_uint_ge(clients[i].ended_ns, begin + AW_MS(700));
    }
    struct server_totals totals = server_totals(&server);
    ck_assert_uint_eq(totals.idle, clients_count);
    ck_assert_uint_eq(totals.written, bytes_received());
    clients_close();
}
END_TEST

#define LOGGED 10

static uint64_t sent_before[LOGGED];

static bool what_was_sent_since_was_answered(void)
{
    for (unsigned i = 0; i < LOGGED; ++i) {
        ck_assert_int_eq(clients[i].ending, OPEN);
        if (clients[i].received <= sent_before[i])
            return false;
    }
    return true;
}

START_TEST(what_writes_the_log_may_stop_or_end)
{
    const enum role roles[] = { TALKS };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, LOGGED, roles, 1);
    clients_run(everybody_was_answered);

    /* It stops: the pipe fills up, and nobody waits for it. */
    ck_assert_int_eq(kill(server.logger, SIGSTOP), 0);
    server_write(&server, "statistics_ms 1\n");
    server_signal(&server, SIGHUP);
    clients_run_for(1200);
    for (unsigned i = 0; i < LOGGED; ++i)
        sent_before[i] = clients[i].sent;
    clients_run(what_was_sent_since_was_answered);
    ck_assert_int_eq(kill(server.logger, SIGCONT), 0);
    reload(LONG_MS, LONG_MS);

    /* It ends: the next one takes over what is in the pipe; no zombie is left. */
    ck_assert_int_eq(kill(server.logger, SIGKILL), 0);
    server_await(&server, "logger: ended with status 0x9");
    pid_t second = (pid_t)strtol(server_await(&server, "logger: process "), NULL, 10);
    ck_assert_int_ne(second, server.logger);
    ck_assert_int_eq(kill(server.logger, 0), -1);
    ck_assert_int_eq(errno, ESRCH);

    server_signal(&server, SIGINT);
    clients_run(all_have_ended);
    expect_status(0);
    clients_close();
}
END_TEST

START_TEST(a_configuration_that_is_wrong_changes_nothing)
{
    static const char *const wrong[] = { "idle_ms\n",          "idle_ms x\n",   "idle_ms 0\n",
                                         "idle_ms 86400001\n", "idle_ms 1 1\n", "idle_ms 1\nspin 1\n" };
    const enum role roles[] = { GOES_IDLE };
    server_start(&server, LONG_MS, LONG_MS);
    clients_connect(server.port, 5, roles, 1);
    clients_run(everybody_was_answered);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        server_write(&server, wrong[i]);
        server_signal(&server, SIGHUP);
        server_await(&server, "the old one holds");
    }
    clients_run_for(20);
    ck_assert_uint_eq(ended(GOES_IDLE), 0);
    unlink(server.file);
    server_signal(&server, SIGHUP);
    server_await(&server, "No such file or directory; the old one holds");
    server_signal(&server, SIGTERM);
    clients_run(all_have_ended);
    expect_status(0);
    clients_close();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("server");
    TCase *tcase = signal_case(suite, "server");
    tcase_add_loop_test(tcase, a_drain_in_the_middle_of_traffic_loses_nothing, 0, 2);
    tcase_add_test(tcase, what_is_stuck_is_drained);
    tcase_add_test(tcase, those_who_wait_to_be_accepted_are_drained_too);
    tcase_add_test(tcase, at_the_deadline_the_connections_that_are_left_are_reset);
    tcase_add_test(tcase, a_second_signal_does_not_wait_for_the_deadline);
    tcase_add_test(tcase, ten_thousand_timers_close_ten_thousand_connections);
    tcase_add_test(tcase, what_writes_the_log_may_stop_or_end);
    tcase_add_test(tcase, a_configuration_that_is_wrong_changes_nothing);
    return suite;
}

int main(void)
{
    return run_suite(suite());
}
