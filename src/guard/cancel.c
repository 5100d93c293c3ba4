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
    for (const struct awi_stub *stub = __start_awi_stubs; stub < __stop_awi_stubs; ++stub) {
        if (pc < awi_stub_place(&stub->comparison) || pc > awi_stub_place(&stub->instruction))
            continue;
        AWI_CONTEXT_PC(interrupted) = (__typeof__(AWI_CONTEXT_PC(interrupted)))awi_stub_place(&stub->cancel);
        /* It is on its way out, and needs no nag. */
        AWI_STORE(awi.call.frame, NULL);
        return;
    }
#else
    (void)context;
#endif
}
