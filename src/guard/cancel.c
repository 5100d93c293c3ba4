/* SPDX-License-Identifier: MIT */
/*
 * cancel.c: the handler's part of a guarded system call: one that has not begun, or that the kernel is about
 * to restart, goes to its cancel exit. Signal context. See stub.h.
 */
#include "expiry.h"

#include "../engine/context.h"
#include "../engine/pending.h"
#include "stub.h"

void awi_guard_cancel(void *context)
{
#if AWI_HAVE_STUB
    ucontext_t *interrupted = context;
    uintptr_t pc = (uintptr_t)AWI_CONTEXT_PC(interrupted);
    if (pc < (uintptr_t)awi_syscall_stub || pc > (uintptr_t)awi_syscall_instruction)
        return;
    AWI_CONTEXT_PC(interrupted) = (__typeof__(AWI_CONTEXT_PC(interrupted)))awi_syscall_cancel;
    /* It is on its way out, and needs no nag. */
    AWI_STORE(awi.call.frame, NULL);
#else
    (void)context;
#endif
}
