/* SPDX-License-Identifier: MIT */
/*
 * child_wait.c: waits for one child, by its number: a guarded wait4(2), so that no signal and no descriptor
 * is needed to hear of its end, and no instruction is there at which a status could be lost. The questions
 * beside it do not block.
 */
#include <alarmwheel/child.h>

#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../busy.h"
#include "../engine/dispatch.h"
#include "../engine/frame.h"
#include "../guard/call.h"
#include "child.h"

/* An expired guard may interrupt any wait, even one that does not block. */
int awi_child_look(pid_t pid)
{
    siginfo_t info;
    int result;
    do {
        info.si_pid = 0;
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : info.si_pid == pid;
}

int awi_child_reap(pid_t pid, int *status)
{
    int ended = 0;
    pid_t got;
    do
        got = wait4(pid, &ended, WNOHANG, NULL);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return -ETIMEDOUT;
    if (got < 0)
        return -errno;
    *status = ended;
    return 0;
}

static long plain_wait4(const long argument[6])
{
    return wait4((pid_t)argument[0], (int *)argument[1], (int)argument[2], (struct rusage *)argument[3]);
}

/*
 * Where the time is over, a last look: after a suspend, say, child and alarm are both due, and the alarm
 * comes first. Not where a guard has expired: the program has to hear of that.
 */
int awi_child_wait(pid_t pid, int *status, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_wait4, plain_wait4 };
    if (timeout_ns == 0)
        return awi_child_reap(pid, status);
    int ended = 0;
    const long argument[6] = { pid, (long)&ended };
    bool is_over;
    int result = (int)awi_call_value(argument, timeout_ns, &call, &is_over);
    if (is_over && awi_expired_guards() == 0)
        return awi_child_reap(pid, status);
    if (result < 0)
        return result;
    *status = ended;
    return 0;
}

AWI_OUTLINE int aw_child_wait(pid_t pid, int *status, uint64_t timeout_ns)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (pid < 1)
        return -EINVAL;
    const void *outer = awi_busy_begin();
    int saved_errno = errno;
    int ended = 0;
    int result = awi_child_wait(pid, &ended, timeout_ns);
    if (result == 0 && status != NULL)
        *status = ended;
    errno = saved_errno;
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}
