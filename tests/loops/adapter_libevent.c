/* SPDX-License-Identifier: MIT */
/* adapter_libevent.c: libevent. See loops.h. */
#include "loops.h"

#include <check.h>
#include <event2/event.h>
#include <stddef.h>

const unsigned loop_sleeps_each = 2;

static struct event_base *base;
static struct event *wakeup_event, *own_event;

static void on_wakeup_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    on_wakeup();
}

static void on_own_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    on_own();
}

void loop_open(int wakeup, int own)
{
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    wakeup_event = event_new(base, wakeup, EV_READ | EV_PERSIST, on_wakeup_event, NULL);
    own_event = event_new(base, own, EV_READ | EV_PERSIST, on_own_event, NULL);
    ck_assert_int_eq(event_add(wakeup_event, NULL), 0);
    ck_assert_int_eq(event_add(own_event, NULL), 0);
}

void loop_run(void)
{
    ck_assert_int_eq(event_base_dispatch(base), 0);
}

void loop_stop(void)
{
    event_base_loopbreak(base);
}

void loop_close(void)
{
    event_free(wakeup_event);
    event_free(own_event);
    event_base_free(base);
}
