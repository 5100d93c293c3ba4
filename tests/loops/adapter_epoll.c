/* SPDX-License-Identifier: MIT */
/*
 * adapter_epoll.c: a bare epoll loop, which handles one event a turn. See loops.h. WAKEUP_EVENTS: EPOLLIN,
 * level-triggered or edge-triggered.
 */
#include "loops.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

const unsigned loop_sleeps_each = 2;

static int epoll, wakeup_fd;
static bool stopped;

static void add(int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

void loop_open(int wakeup, int own)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    wakeup_fd = wakeup;
    add(wakeup, WAKEUP_EVENTS);
    add(own, EPOLLIN);
}

void loop_run(void)
{
    struct epoll_event event;
    stopped = false;
    while (!stopped) {
        int ready = epoll_wait(epoll, &event, 1, -1);
        ck_assert(ready == 1 || (ready < 0 && errno == EINTR));
        if (ready == 1 && event.data.fd == wakeup_fd)
            on_wakeup();
        else if (ready == 1)
            on_own();
    }
}

void loop_stop(void)
{
    stopped = true;
}

void loop_close(void)
{
    close(epoll);
}
