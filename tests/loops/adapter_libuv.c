/* SPDX-License-Identifier: MIT */
/* adapter_libuv.c: libuv. See loops.h. */
#include "loops.h"

#include <check.h>
#include <uv.h>

const unsigned loop_sleeps_each = 2;

static uv_loop_t loop;
static uv_poll_t wakeup_poll, own_poll;

static void on_wakeup_poll(uv_poll_t *poll, int status, int what)
{
    (void)poll;
    (void)what;
    ck_assert_int_eq(status, 0);
    on_wakeup();
}

static void on_own_poll(uv_poll_t *poll, int status, int what)
{
    (void)poll;
    (void)what;
    ck_assert_int_eq(status, 0);
    on_own();
}

void loop_open(int wakeup, int own)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_poll_init(&loop, &wakeup_poll, wakeup), 0);
    ck_assert_int_eq(uv_poll_init(&loop, &own_poll, own), 0);
    ck_assert_int_eq(uv_poll_start(&wakeup_poll, UV_READABLE, on_wakeup_poll), 0);
    ck_assert_int_eq(uv_poll_start(&own_poll, UV_READABLE, on_own_poll), 0);
}

void loop_run(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

void loop_stop(void)
{
    uv_stop(&loop);
}

void loop_close(void)
{
    uv_close((uv_handle_t *)&wakeup_poll, NULL);
    uv_close((uv_handle_t *)&own_poll, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
