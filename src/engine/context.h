/* SPDX-License-Identifier: MIT */
/*
 * context.h: the registers of interrupted code that the library looks at, by their names on each machine.
 * AS-Safe.
 */
#ifndef AWI_CONTEXT_H
#define AWI_CONTEXT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "frame.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define AWI_CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define AWI_CONTEXT_SP(context) ((context)->uc_mcontext.gregs[REG_RSP])
#elif defined(__aarch64__)
#define AWI_CONTEXT_PC(context) ((context)->uc_mcontext.pc)
#define AWI_CONTEXT_SP(context) ((context)->uc_mcontext.sp)
#elif defined(__riscv) && __riscv_xlen == 64
#define AWI_CONTEXT_PC(context) ((context)->uc_mcontext.__gregs[REG_PC])
#define AWI_CONTEXT_SP(context) ((context)->uc_mcontext.__gregs[REG_SP])
#endif

/*
 * Where the interrupted code's stack ends. The handler's own frame lies far below, and makes frames that
 * were left look alive. NULL on an alternate stack: that may be an array in a frame, and says nothing of
 * the frames around it.
 */
static inline const void *awi_context_stack(const void *context)
{
#ifdef AWI_CONTEXT_SP
    const stack_t *alternate = &((const ucontext_t *)context)->uc_stack;
    uintptr_t stack = (uintptr_t)AWI_CONTEXT_SP((const ucontext_t *)context);
    bool is_alternate =
        (alternate->ss_flags & SS_DISABLE) == 0 && stack - (uintptr_t)alternate->ss_sp < alternate->ss_size;
    return is_alternate ? NULL : (const void *)stack;
#else
    (void)context;
    return AWI_HERE;
#endif
}

/* Where the interrupted code stands; 0: not known. */
static inline uintptr_t awi_context_pc(const void *context)
{
#ifdef AWI_CONTEXT_PC
    return (uintptr_t)AWI_CONTEXT_PC((const ucontext_t *)context);
#else
    (void)context;
    return 0;
#endif
}

/*
 * Gives a handler that is not going to return the interrupted code's rounding and traps. On x86 the kernel
 * has reset them for the handler; the other machines' handlers inherit them.
 */
static inline void awi_context_restore_float(const void *context)
{
#if defined(__x86_64__) && !defined(__ILP32__)
    fpregset_t saved = ((const ucontext_t *)context)->uc_mcontext.fpregs;
    if (saved != NULL)
        __asm__ volatile("fldcw %0\n\tldmxcsr %1" : : "m"(saved->cwd), "m"(saved->mxcsr));
#else
    (void)context;
#endif
}

#endif
