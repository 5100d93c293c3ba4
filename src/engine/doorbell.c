/* SPDX-License-Identifier: MIT */
/* doorbell.c: a signal from ourselves to the owner's thread. See doorbell.h. */
#include "doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pending.h"

/* Addresses that nobody else can mean, one a kind. */
static const char bells[4];

void awi_doorbell_ring(int signo, enum awi_bell bell)
{
    int saved_errno = errno;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signo;
    info.si_code = SI_QUEUE;
    info.si_pid = AWI_LOAD(awi.pid);
    info.si_value.sival_ptr = (void *)(uintptr_t)&bells[bell];
    /* It fails where the owner's thread has ended, and then nobody is left to tell. */
    (void)syscall(SYS_rt_tgsigqueueinfo, AWI_LOAD(awi.pid), AWI_LOAD(awi.owner_tid), signo, &info);
    errno = saved_errno;
}

enum awi_bell awi_doorbell_of(const siginfo_t *info)
{
    const char *value = info->si_value.sival_ptr;
    if (info->si_code != SI_QUEUE || info->si_pid != AWI_LOAD(awi.pid))
        return AWI_BELL_NONE;
    return value == &bells[AWI_BELL_POST]    ? AWI_BELL_POST
           : value == &bells[AWI_BELL_ALARM] ? AWI_BELL_ALARM
           : value == &bells[AWI_BELL_BURN]  ? AWI_BELL_BURN
                                             : AWI_BELL_NONE;
}
