/* SPDX-License-Identifier: MIT */
/* bounds_cell.c: see bounds_cell.h. */
#include "bounds_cell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/object.h"
#include "signal_fixture.h"

/* ---- the means ---- */

uint64_t grace_ns = TIMEOUT_NS;
uint64_t release_after_ns = RELEASE_NS;

/* From here on what the body waits for is on its way. The guard was entered before. */
static void start_release(bool is_released)
{
    record->release_ns = is_released ? clock_ns() + release_after_ns : AW_FOREVER;
}

/* What has ended may have been held up: the clock is read, so that an expiry cannot have gone unseen. */
static void ended(void)
{
    record->end_ns = clock_ns();
    (void)aw_dispatch(0);
}

static bool by_plain_guard(const struct body *body, struct scene *scene, bool is_released)
{
    struct aw_guard guard;
    scene->guard = &guard;
    MUST(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT) == 0);
    start_release(is_released);
    body->plain(scene);
    ended();
    return aw_guard_leave(&guard) == -ETIMEDOUT;
}

static bool by_guarded_call(const struct body *body, struct scene *scene, bool is_released)
{
    start_release(is_released);
    bool is_over = body->guarded(scene, TIMEOUT_NS);
    ended();
    return is_over;
}

static bool by_escape(const struct body *body, struct scene *scene, bool is_released)
{
    struct aw_guard guard;
    scene->guard = &guard;
    AW_GUARD(&guard, TIMEOUT_NS, AW_GUARD_ESCAPE) {
        start_release(is_released);
        body->plain(scene);
        ended();
    }
    AW_EXPIRED
    {
        record->end_ns = clock_ns();
        return aw_guard_error(&guard) == 0;
    }
    return false;
}

static bool by_killing_a_child(const struct body *body, struct scene *scene, bool is_released)
{
    struct aw_guard guard;
    start_release(is_released);
    pid_t pid = fork_bound();
    if (pid == 0) {
        start_variant(0);
        body->prepare(scene);
        record->is_prepared = true;
        body->plain(scene);
        _exit(0);
    }
    while (!record->is_prepared)
        MUST(usleep(500) == 0 && kill(pid, 0) == 0);
    record->start_ns = clock_ns();
    MUST(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT) == 0);
    pid_t got = waitpid(pid, NULL, 0);
    MUST((got < 0 && errno == EINTR) || got == pid);
    bool is_over = got < 0 && aw_guard_expired(&guard);
    kill(pid, SIGKILL);
    int status = 0;
    MUST(got == pid || waitpid(pid, &status, 0) == pid);
    ended();
    return aw_guard_leave(&guard) == -ETIMEDOUT && is_over && WIFSIGNALED(status);
}

/* As a program would that takes no notice of the mild means. */
static _Noreturn void go_on(const struct body *body, struct scene *scene)
{
    for (;;)
        body->plain(scene);
}

static bool by_hard_limit(const struct body *body, struct scene *scene, bool is_released)
{
    struct aw_guard guard;
    scene->guard = &guard;
    MUST(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, grace_ns, NULL, NULL) == 0);
    start_release(is_released);
    go_on(body, scene);
}

const struct means all_means[N_MEANS] = {
    { "plain guard", by_plain_guard, false, true },
    { "guarded call", by_guarded_call, false, true },
    { "escape", by_escape, false, AWI_UNWINDS_IN_HANDLERS },
    { "child process", by_killing_a_child, true, true },
    { "hard limit", by_hard_limit, false, true },
};

/* ---- one cell ---- */

static _Noreturn void run_cell(const struct cell *cell)
{
    struct scene scene = { .fds = { -1, -1, -1, -1 } };
    int nowhere = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    record = cell->record;
    MUST(nowhere >= 0 && dup2(nowhere, 2) == 2);
    start_variant(cell->variant);
    if (!cell->means->prepares)
        cell->body->prepare(&scene);
    record->start_ns = clock_ns();
    _exit(cell->means->end(cell->body, &scene, cell->bound == WHEN_RELEASED) ? 0 : 1);
}

void start_cell(struct cell *cell)
{
    struct record *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    cell->record = shared;
    cell->pid = fork();
    ck_assert_int_ge(cell->pid, 0);
    if (cell->pid == 0)
        run_cell(cell);
    setpgid(cell->pid, cell->pid);
}

/* True if it has ended by itself; else it has gone on for `span_ns` after its start. */
static bool wait_for_end(const struct cell *cell, uint64_t span_ns, int *status)
{
    uint64_t hang_ns = clock_ns() + HANG_NS;
    for (;;) {
        uint64_t start_ns = cell->record->start_ns, now = clock_ns();
        pid_t got = waitpid(cell->pid, status, WNOHANG);
        ck_assert(got == 0 || got == cell->pid);
        if (got == cell->pid)
            return true;
        if (now > hang_ns || (start_ns != 0 && now > start_ns && now - start_ns > span_ns))
            return false;
        usleep(500);
    }
}

void end_cell(struct cell *cell, bool has_ended)
{
    kill(-cell->pid, SIGKILL);
    if (!has_ended)
        child_status(cell->pid);
    munmap(cell->record, sizeof *cell->record);
}

static bool exited(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

const char *judge(const struct cell *cell, uint64_t span_ns, bool *has_ended)
{
    const struct record *r = cell->record;
    int status = 0;
    *has_ended = wait_for_end(cell, span_ns, &status);
    uint64_t now = clock_ns();
    if (cell->bound == NEVER)
        return r->start_ns == 0 ? "did not start" : *has_ended ? "ended" : NULL;
    if (!*has_ended)
        return "goes on";
    if (exited(status, BROKEN_SCENE))
        return "the scene broke";
    if (cell->bound == AFTER_TWICE_GRACE)
        return !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ? "was not killed by SIGKILL"
               : now < r->start_ns + TIMEOUT_NS + 2 * grace_ns     ? "was killed early"
                                                                   : NULL;
    if (cell->bound == AFTER_GRACE)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "was killed"
               : !exited(status, AW_HARD_LIMIT_STATUS)            ? "did not end with the hard limit's status"
               : now < r->start_ns + TIMEOUT_NS + grace_ns        ? "was ended early"
                                                                  : NULL;
    if (!exited(status, 0))
        return WIFSIGNALED(status) ? "was killed by a signal" : "ended by itself";
    if (r->end_ns < r->start_ns + TIMEOUT_NS)
        return "ended before the time was over";
    if (cell->bound == WHEN_RELEASED && r->end_ns < r->release_ns)
        return "ended before it was released";
    return NULL;
}

/* Where the processor was away for longer than the grace, SIGKILL comes first: then with a longer one. */
const char *judge_with_grace(struct cell *cell, bool *has_ended)
{
    const char *objection = judge(cell, cell->bound == NEVER ? NEVER_NS : HANG_NS, has_ended);
    for (grace_ns = 4 * TIMEOUT_NS; cell->bound == AFTER_GRACE && objection != NULL && grace_ns < AW_SEC(6);
         grace_ns *= 4) {
        end_cell(cell, *has_ended);
        start_cell(cell);
        objection = judge(cell, HANG_NS, has_ended);
    }
    grace_ns = TIMEOUT_NS;
    return objection;
}
