/* SPDX-License-Identifier: MIT */
/* clients.c: see clients.h. */
#include "clients.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "signal_fixture.h"

#define IN_FLIGHT 32768u

struct client *clients;
unsigned clients_count;
static int epoll;
static uint64_t longest_silence_ns;

unsigned clients_possible(unsigned wanted)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur - 64 < wanted ? (unsigned)limit.rlim_cur - 64 : wanted;
}

static uint64_t bytes_of(enum role role)
{
    return role == TALKS || role == READS_LATE || role == NEVER_READS ? UINT64_MAX : FEW_BYTES;
}

void clients_connect(uint16_t port, unsigned count, const enum role *roles, unsigned role_count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(count, sizeof *clients);
    ck_assert_ptr_nonnull(clients);
    clients_count = count;
    for (unsigned i = 0; i < count; ++i) {
        struct client *client = &clients[i];
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client };
        client->role = roles[i % role_count];
        client->limit = bytes_of(client->role);
        client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(client->fd, 0);
        ck_assert_msg(connect(client->fd, (const struct sockaddr *)&address, sizeof address) == 0,
                      "connection %u: errno %d", i, errno);
        ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event), 0);
    }
}

/* Byte n of a client: no two clients have the same, and no two places nearby. */
static unsigned char byte_at(const struct client *client, uint64_t n)
{
    return (unsigned char)((uint64_t)(client - clients) * 29 + n * 7 + (n >> 8) * 13);
}

/* Check writes each assertion to a file: too slow for one a byte. */
static void expect(bool holds, const char *what)
{
    if (!holds)
        ck_abort_msg("%s: errno %d", what, errno);
}

static void note_silence(struct client *client)
{
    uint64_t now = clock_ns();
    if (client->role == TALKS && client->heard_ns != 0 && now - client->heard_ns > longest_silence_ns)
        longest_silence_ns = now - client->heard_ns;
    client->heard_ns = now;
}

static void end(struct client *client, enum ending ending)
{
    note_silence(client);
    client->ending = ending;
    client->ended_ns = clock_ns();
    epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL);
    if (ending == RESET || client->role != NEVER_ENDS)
        close(client->fd);
}

uint64_t clients_longest_silence_ns(void)
{
    return longest_silence_ns;
}

static void receive(struct client *client)
{
    unsigned char buffer[16384];
    while (client->ending == OPEN && client->role != NEVER_READS && client->role != READS_LATE) {
        ssize_t got = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0)
            note_silence(client);
        for (ssize_t i = 0; i < got; ++i)
            expect(buffer[i] == byte_at(client, client->received++), "a byte that was not sent");
        if (got == 0)
            end(client, END_OF_FILE);
        else if (got < 0 && errno == ECONNRESET)
            end(client, RESET);
        else if (got < 0) {
            expect(errno == EAGAIN, "recv");
            break;
        }
    }
    expect(client->received <= client->sent, "more than was sent");
}

static void send_some(struct client *client)
{
    unsigned char buffer[4096];
    while (client->ending == OPEN && client->sent < client->limit &&
           (client->role == NEVER_READS || client->role == READS_LATE ||
            client->sent - client->received < IN_FLIGHT)) {
        uint64_t left = client->limit - client->sent;
        size_t n = left < sizeof buffer ? (size_t)left : sizeof buffer;
        for (size_t i = 0; i < n; ++i)
            buffer[i] = byte_at(client, client->sent + i);
        ssize_t put = send(client->fd, buffer, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0) {
            /* What else there is to say about it will be read. */
            expect(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET, "send");
            if (errno != EAGAIN && client->role == NEVER_READS)
                end(client, RESET);
            break;
        }
        client->sent += (uint64_t)put;
        client->sent_ns = clock_ns();
        if (client->sent == client->limit && client->role == HALF_CLOSES)
            ck_assert_int_eq(shutdown(client->fd, SHUT_WR), 0);
    }
}

static void turn(int timeout_ms)
{
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, timeout_ms);
    expect(ready >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < ready; ++i) {
        struct client *client = events[i].data.ptr;
        receive(client);
        send_some(client);
    }
}

static void stay(void)
{
    static uint64_t next_ns;
    uint64_t now = clock_ns();
    if (now < next_ns)
        return;
    next_ns = now + AW_MS(100);
    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].role == STAYS && clients[i].ending == OPEN) {
            ++clients[i].limit;
            send_some(&clients[i]);
        }
}

void clients_run(bool (*done)(void))
{
    uint64_t begin = clock_ns();
    while (!done()) {
        ck_assert_msg(clock_ns() - begin < AW_MS(LIMIT_MS), "it does not come to an end");
        turn(10);
        stay();
    }
}

void clients_run_for(unsigned ms)
{
    for (uint64_t begin = clock_ns(); clock_ns() - begin < AW_MS(ms);)
        turn(1);
    stay();
}

void clients_read_late(void)
{
    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].role == READS_LATE) {
            clients[i].role = TALKS;
            receive(&clients[i]);
        }
}

void clients_note_arrived(void)
{
    for (unsigned i = 0; i < clients_count; ++i) {
        int unacknowledged;
        if (clients[i].ending != OPEN)
            continue;
        ck_assert_int_eq(ioctl(clients[i].fd, SIOCOUTQ, &unacknowledged), 0);
        clients[i].arrived = clients[i].sent - (uint64_t)unacknowledged;
    }
}

void clients_close(void)
{
    for (unsigned i = 0; i < clients_count; ++i)
        if (clients[i].ending == OPEN || (clients[i].ending == END_OF_FILE && clients[i].role == NEVER_ENDS))
            close(clients[i].fd);
    close(epoll);
    free(clients);
}
