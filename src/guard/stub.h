/* SPDX-License-Identifier: MIT */
/*
 * stub.h: the stub that makes a guarded system call, where the machine has one (syscall_*.S).
 *
 * It loads the registers, compares *runs with `seen`, and executes the system-call instruction only if they
 * are equal: only if no handler has run since the caller looked at everything that could forbid the call.
 * The handler, for its part, sends a program counter that it finds between awi_syscall_stub and
 * awi_syscall_instruction, both included, to awi_syscall_cancel. So:
 *
 *   handler before the comparison            the comparison cancels, or the handler does
 *   ... between it and the instruction       the handler cancels
 *   ... while the call blocks                the kernel has moved the program counter back to the
 *                                            instruction, nothing was done: the handler cancels
 *   ... after the instruction                the result is in its register, and is returned
 *
 * One that runs above another handler above the stub sees neither: it comes again (awi_nag).
 *
 * Under ThreadSanitizer signals arrive only in the functions that it intercepts, so there is no stub.
 */
#ifndef AWI_STUB_H
#define AWI_STUB_H

#include <stdint.h>

#include "call.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AWI_UNDER_TSAN 1
#endif
#endif

#if defined(__linux__) && !defined(__SANITIZE_THREAD__) && !defined(AWI_UNDER_TSAN) &&              \
    ((defined(__x86_64__) && !defined(__ILP32__)) || (defined(__aarch64__) && defined(__LP64__)) || \
     (defined(__riscv) && __riscv_xlen == 64))
#define AWI_HAVE_STUB 1

/* The result of the kernel: negative errno; -EINTR where it was cancelled, too. */
long awi_syscall_stub(const struct awi_call *call, const uint64_t *runs, uint64_t seen)
    __attribute__((visibility("hidden")));
extern const char awi_syscall_instruction[] __attribute__((visibility("hidden")));
extern const char awi_syscall_cancel[] __attribute__((visibility("hidden")));

#else
#define AWI_HAVE_STUB 0
#endif

#endif
