/* SPDX-License-Identifier: MIT */
/*
 * wakeup.c: the descriptors through which a foreign loop hears of what is pending, and the deadline that it
 * should sleep to.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../busy.h"
#include "cover.h"
#include "dispatch.h"
#include "engine.h"
#include "pending.h"
#include "wakeup.h"

void awi_wakeup_close(void)
{
    int saved_errno = errno;
    int fd = AWI_LOAD(awi.wakeup_fd);
    AWI_STORE(awi.wakeup_fd, -1);
    AWI_STORE(awi.signal_fd, -1);
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
}

int aw_wakeup_fd(void)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    int fd = AWI_LOAD(awi.wakeup_fd);
    if (fd >= 0)
        return fd;
    int saved_errno = errno;
    /* Something may be pending already, and its flag would not be raised a second time. */
    fd = eventfd(awi_flags() != 0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = fd >= 0 ? fd : -errno;
    errno = saved_errno;
    if (fd >= 0) {
        AWI_STORE(awi.wakeup_fd, fd);
        awi_order();
        if (awi_flags() != 0)
            awi_wakeup_ring(fd);
    }
    return result;
}

int aw_set_wakeup_fd(int fd)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (fd >= 0) {
        int saved_errno = errno;
        int flags = fcntl(fd, F_GETFL);
        errno = saved_errno;
        if (flags < 0)
            return -EBADF;
        if ((flags & O_NONBLOCK) == 0)
            return -EINVAL;
    }
    int old = AWI_LOAD(awi.signal_fd);
    AWI_STORE(awi.signal_fd, fd >= 0 ? fd : -1);
    return old >= 0 ? old : -ENOENT;
}

int aw_next(uint64_t *deadline_ns)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (deadline_ns == NULL)
        return -EINVAL;
    uint32_t depth = AWI_LOAD(awi.depth);
    uint64_t next = AWI_LOAD(awi.timer_need);
    if (depth != 0 && awi.guards[depth - 1].effective_ns < next)
        next = awi.guards[depth - 1].effective_ns;
    if (awi_flags() != 0)
        next = 0;
    *deadline_ns = next;
    return next != AW_FOREVER;
}

AWI_OUTLINE int aw_quiet(void)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    __atomic_store_n(&awi.sleeping, 0, __ATOMIC_SEQ_CST); /* a guarded call leaves it up */
    if (!awi_in_callback(AWI_HERE)) {
        uint64_t next = awi_wheel_settle(awi_engine.wheel);
        AWI_STORE(awi.timer_need, next);
    }
    return awi_cover_exactly();
}
