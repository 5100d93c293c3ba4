/* SPDX-License-Identifier: MIT */
/* adapter_glib.c: the main loop of GLib. See loops.h. */
#include "loops.h"

#include <glib-unix.h>

/* Having called a source it rings its own bell, and looks round once more. */
const unsigned loop_sleeps_each = 3;

static GMainLoop *loop;
static guint wakeup_source, own_source;

static gboolean on_wakeup_source(gint fd, GIOCondition what, gpointer arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    on_wakeup();
    return G_SOURCE_CONTINUE;
}

static gboolean on_own_source(gint fd, GIOCondition what, gpointer arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    on_own();
    return G_SOURCE_CONTINUE;
}

void loop_open(int wakeup, int own)
{
    loop = g_main_loop_new(NULL, FALSE);
    wakeup_source = g_unix_fd_add(wakeup, G_IO_IN, on_wakeup_source, NULL);
    own_source = g_unix_fd_add(own, G_IO_IN, on_own_source, NULL);
}

void loop_run(void)
{
    g_main_loop_run(loop);
}

void loop_stop(void)
{
    g_main_loop_quit(loop);
}

void loop_close(void)
{
    g_source_remove(wakeup_source);
    g_source_remove(own_source);
    g_main_loop_unref(loop);
}
