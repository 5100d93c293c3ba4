/* SPDX-License-Identifier: MIT */
/*
 * watch.c: who watches which signal. The dispositions are hold.c's, what has come is record.c's, and
 * deliver.c calls the watchers.
 */
#include "watch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../busy.h"
#include "../engine/engine.h"
#include "../engine/pending.h"
#include "hold.h"
#include "record.h"

#define WATCHERS 128u

static struct awi_watcher watchers[WATCHERS];
static uint64_t last_serial;

const struct awi_watcher *awi_watch_next(int signo, uint64_t after)
{
    const struct awi_watcher *next = NULL;
    for (unsigned i = 0; i < WATCHERS; ++i) {
        const struct awi_watcher *watcher = &watchers[i];
        if (watcher->fn != NULL && watcher->signo == signo && watcher->serial > after &&
            (next == NULL || watcher->serial < next->serial))
            next = watcher;
    }
    return next;
}

uint64_t awi_watch_last(void)
{
    return last_serial;
}

static struct awi_watcher *find(int signo, aw_signal_fn *fn, const void *arg)
{
    for (unsigned i = 0; i < WATCHERS; ++i) {
        if (watchers[i].fn == fn && watchers[i].signo == signo && watchers[i].arg == arg)
            return &watchers[i];
    }
    return NULL;
}

static struct awi_watcher *find_free(void)
{
    for (unsigned i = 0; i < WATCHERS; ++i) {
        if (watchers[i].fn == NULL)
            return &watchers[i];
    }
    return NULL;
}

static void drop(struct awi_watcher *watcher)
{
    watcher->fn = NULL;
    --awi_engine.keeping;
}

static bool is_watched(int signo)
{
    return (awi_hold_watched() & awi_signal_bit(signo)) != 0;
}

/* `all`: also what aw_signal_ignore and aw_signal_default have set. */
static void give_back(int signo, bool all)
{
    if (is_watched(signo))
        awi_hold_unwatch(signo, all);
    else
        awi_hold_let_go(signo);
}

static void close_all(void)
{
    int saved_errno = errno;
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo)
        give_back(signo, true);
    memset(watchers, 0, sizeof watchers);
    errno = saved_errno;
}

/* What was recorded is the parent's. */
static void forked(bool was_owner)
{
    (void)was_owner;
    awi_hold_forked();
    memset(watchers, 0, sizeof watchers);
}

static const struct awi_source source = {
    .flag = AWI_SIGNAL,
    .take = awi_signal_take,
    .abandoned = awi_signal_abandoned,
    .close = close_all,
    .forked = forked,
};

/* The first use in this engine. */
static int get_ready(void)
{
    if (awi_engine.signals != NULL)
        return 0;
    int result = awi_hold_ready();
    if (result < 0)
        return result;
    awi_record_reset();
    awi_signal_deliver_reset();
    awi_engine.signals = &source;
    return 0;
}

static bool is_signal(int signo)
{
    return signo >= 1 && signo <= AWI_SIGNALS;
}

static bool is_possible(int signo)
{
    static const int impossible[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; ++i) {
        if (signo == impossible[i])
            return false;
    }
    return is_signal(signo);
}

static int watch(int signo, aw_signal_fn *fn, void *arg)
{
    int result = get_ready();
    if (result < 0)
        return result;
    if (find(signo, fn, arg) != NULL)
        return -EEXIST;
    struct awi_watcher *watcher = find_free();
    if (watcher == NULL)
        return -ENOSPC;
    result = is_watched(signo) ? 0 : awi_hold_watch(signo);
    if (result < 0)
        return result;
    *watcher = (struct awi_watcher){ fn, arg, ++last_serial, signo };
    ++awi_engine.keeping;
    return 0;
}

int aw_signal_watch(int signo, aw_signal_fn *fn, void *arg)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (fn == NULL || !is_possible(signo))
        return -EINVAL;
    int saved_errno = errno;
    int result = watch(signo, fn, arg);
    errno = saved_errno;
    return result;
}

static bool drop_all(int signo)
{
    bool any = false;
    for (unsigned i = 0; i < WATCHERS; ++i) {
        if (watchers[i].fn == NULL || watchers[i].signo != signo)
            continue;
        drop(&watchers[i]);
        any = true;
    }
    return any;
}

static bool drop_one(int signo, aw_signal_fn *fn, const void *arg)
{
    struct awi_watcher *watcher = find(signo, fn, arg);
    if (watcher != NULL)
        drop(watcher);
    return watcher != NULL;
}

int aw_signal_unwatch(int signo, aw_signal_fn *fn, void *arg)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (!is_signal(signo))
        return -EINVAL;
    if (awi_engine.signals == NULL)
        return -ENOENT;
    bool any = fn != NULL ? drop_one(signo, fn, arg) : drop_all(signo) || awi_hold_has(signo);
    if (!any)
        return -ENOENT;
    int saved_errno = errno;
    if (awi_watch_next(signo, 0) == NULL)
        give_back(signo, fn == NULL);
    errno = saved_errno;
    return 0;
}

static int dispose(int signo, void (*handler)(int))
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (!is_possible(signo) || awi_hold_is_engines(signo))
        return -EINVAL;
    if (is_watched(signo))
        return -EBUSY;
    int saved_errno = errno;
    int result = get_ready();
    result = result < 0 ? result : awi_hold_dispose(signo, handler);
    errno = saved_errno;
    return result;
}

int aw_signal_ignore(int signo)
{
    return dispose(signo, SIG_IGN);
}

int aw_signal_default(int signo)
{
    return dispose(signo, SIG_DFL);
}

int aw_signal_interrupt(int signo, bool interrupts)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (!is_possible(signo) || awi_hold_is_engines(signo))
        return -EINVAL;
    if (!is_watched(signo))
        return -ENOENT;
    int saved_errno = errno;
    int result = awi_hold_interrupt(signo, interrupts);
    errno = saved_errno;
    return result;
}

int aw_signal_query(int signo, struct aw_signal_state *state)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (!is_signal(signo) || state == NULL || state->size < sizeof state->size)
        return -EINVAL;
    struct aw_signal_state all = { .size = state->size < sizeof all ? state->size : sizeof all };
    int saved_errno = errno;
    int result = awi_hold_query(signo, &all.kind);
    errno = saved_errno;
    if (result < 0)
        return result;
    const struct awi_watcher *first = awi_watch_next(signo, 0);
    for (const struct awi_watcher *i = first; i != NULL; i = awi_watch_next(signo, i->serial))
        ++all.watchers;
    if (first != NULL) {
        all.fn = first->fn;
        all.arg = first->arg;
        all.received = awi_record_received(signo);
        all.merged = awi_record_merged(signo);
    }
    memcpy(state, &all, all.size);
    return 0;
}

int aw_signal_raise_in(pthread_t thread, int signo)
{
    return -pthread_kill(thread, signo);
}
